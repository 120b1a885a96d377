/* unigram.c: see unigram.h. Sums of scores are of doubles from left to right, as those of the tokenizer we agree with.
 */
#include "embed/unigram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "embed/around.h"

#define UNKNOWN_PENALTY 10.0

/* A score as the tokenizer we agree with reads it: its digits as a whole number, then one division. Of 17 digits that
 * may be off by the last bit, which decides between ways of equal score. The shortest digits that mean a number are
 * those that files have. */
static double as_read(double score) {
    char text[40];
    int digits = 15;
    do
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, fabs(score));
    while (digits++ < 17 && strtod(text, NULL) != fabs(score));
    char *mark = strchr(text, 'e');
    if (!mark)
        return score;
    int exponent = (int)strtol(mark + 1, NULL, 10) + 1;
    uint64_t whole = 0, zeros = 1;
    for (const char *c = text; c < mark; c++) {
        if (*c < '0' || *c > '9')
            continue;
        exponent--;
        zeros = *c == '0' ? zeros * 10 : 10;
        whole = whole * 10 + (uint64_t)(*c - '0');
    }
    for (zeros /= 10; zeros > 1 && whole > 0; zeros /= 10, exponent++)
        whole /= 10;
    if (exponent > 22 || exponent < -22)
        return score;
    double by = 1;
    for (int i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        by *= 10; /* exact up to 1e22 */
    const double size = exponent < 0 ? (double)whole / by : (double)whole * by;
    return score < 0 ? -size : size;
}

static hither_status read_piece(const json_t *entry, size_t i, const char *where, ht_trie_key *key, double *score,
                                hither_error *err) {
    const json_t *piece = json_array_get(entry, 0), *number = json_array_get(entry, 1);
    if (json_array_size(entry) != 2 || !json_is_string(piece) || !json_is_number(number))
        return ht_fail(err, HITHER_MODEL, "%s: entry %zu of the vocabulary is not a piece and its score", where, i);
    *score = json_number_value(number);
    if (!isfinite(*score))
        return ht_fail(err, HITHER_MODEL, "%s: the score of piece %zu is not finite", where, i);
    *score = as_read(*score);
    *key = (ht_trie_key){json_string_value(piece), (uint32_t)json_string_length(piece), (uint32_t)i};
    return HITHER_OK;
}

static hither_status read_vocabulary(const json_t *vocab, const char *where, ht_unigram *out, hither_error *err) {
    const json_t *entry;
    size_t i;
    double least = INFINITY;
    ht_trie_key *keys = ht_calloc(out->count, sizeof *keys);
    out->scores = ht_calloc(out->count, sizeof *out->scores);
    hither_status status = keys && out->scores ? HITHER_OK : ht_fail_nomem(err, out->count * 24u, "a vocabulary");
    json_array_foreach(vocab, i, entry) {
        if (status == HITHER_OK)
            status = read_piece(entry, i, where, &keys[i], &out->scores[i], err);
        if (status == HITHER_OK && out->scores[i] < least)
            least = out->scores[i];
    }
    out->unknown_score = least - UNKNOWN_PENALTY;
    if (status == HITHER_OK)
        status = ht_trie_build(keys, out->count, &out->trie, err);
    ht_release(keys);
    return status;
}

hither_status ht_unigram_read(const json_t *model, const char *where, ht_unigram *out, hither_error *err) {
    const json_t *vocab = json_object_get(model, "vocab");
    int64_t unknown = ht_json_number_of(json_object_get(model, "unk_id"));
    size_t count = json_array_size(vocab);
    *out = (ht_unigram){0};
    if (count == 0 || count > HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: a vocabulary of %zu tokens; 1 to %u are possible", where, count,
                       HT_TOKENIZER_MAX_IDS);
    if (unknown < 0 || unknown >= (int64_t)count)
        return ht_fail(err, HITHER_MODEL, "%s: unk_id is not the number of a token", where);
    out->count = (uint32_t)count;
    out->unknown = (uint32_t)unknown;
    out->fallback = json_is_true(json_object_get(model, "byte_fallback"));
    HT_TRY(read_vocabulary(vocab, where, out, err));
    ht_trie_find_bytes(&out->trie, out->has_byte, out->bytes);
    return HITHER_OK;
}

void ht_unigram_clear(ht_unigram *u) {
    ht_trie_clear(&u->trie);
    ht_release(u->scores);
    *u = (ht_unigram){0};
}

/* ---- the best way through a word */

static void offer(ht_unigram_node *node, double score, size_t begin, uint32_t id) {
    if (node->reached && score <= node->score)
        return;
    node->score = score;
    node->begin = (uint32_t)begin;
    node->id = id;
    node->reached = true;
}

static void find_ways(const ht_unigram *u, ht_unigram_node *nodes, const char *text, size_t bytes) {
    size_t length;
    for (size_t at = 0; at < bytes; at += length) {
        double here = nodes[at].score;
        bool valid, single = false;
        uint32_t node = 0;
        (void)ht_utf8_next(text + at, bytes - at, &length, &valid);
        for (size_t end = at; end < bytes;) {
            node = ht_trie_step(&u->trie, node, (unsigned char)text[end++]);
            if (!node)
                break;
            uint32_t found = u->trie.values[node];
            if (!found)
                continue;
            offer(&nodes[end], u->scores[found - 1] + here, at, found - 1);
            single = single || end - at == length;
        }
        if (!single)
            offer(&nodes[at + length], u->unknown_score + here, at, u->unknown);
    }
}

static void put_piece(const ht_unigram *u, const char *text, size_t bytes, ht_ids *ids) {
    uint32_t found = ht_trie_find(&u->trie, text, bytes);
    bool all = u->fallback && !found;
    for (size_t i = 0; all && i < bytes; i++)
        all = u->has_byte[(unsigned char)text[i]];
    if (!all) {
        ht_ids_put(ids, found ? found - 1 : u->unknown);
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        ht_ids_put(ids, u->bytes[(unsigned char)text[i]]);
}

hither_status ht_unigram_word(const ht_unigram *u, ht_unigram_room *room, const char *text, size_t bytes, ht_ids *ids,
                              hither_error *err) {
    if (room->room < bytes + 1) {
        size_t more = (bytes + 1) * 2;
        ht_unigram_node *nodes = ht_resize(room->nodes, more * sizeof *nodes);
        if (!nodes)
            return ht_fail_nomem(err, more * sizeof *nodes, "a text");
        room->nodes = nodes;
        room->room = more;
    }
    ht_unigram_node *nodes = room->nodes;
    memset(nodes, 0, (bytes + 1) * sizeof *nodes);
    find_ways(u, nodes, text, bytes);
    for (size_t end = bytes; end > 0; end = nodes[end].begin)
        nodes[nodes[end].begin].next = (uint32_t)end;
    for (size_t at = 0; at < bytes && ids->count < ids->most;) {
        size_t end = nodes[at].next;
        while (nodes[end].id == u->unknown && end < bytes && nodes[nodes[end].next].id == u->unknown)
            end = nodes[end].next; /* unknown ones in a row are one */
        put_piece(u, text + at, end - at, ids);
        at = end;
    }
    return HITHER_OK;
}
