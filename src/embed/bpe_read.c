/* bpe_read.c: a BPE model from the member `model` of a tokenizer.json, which is hostile. */
#include <string.h>

#include "base/alloc.h"
#include "embed/around.h"
#include "embed/bpe_inside.h"

enum { MAX_PIECE_BYTES = 65536 };

static hither_status read_vocabulary(const json_t *vocab, const char *where, ht_bpe *out, hither_error *err) {
    size_t count = json_object_size(vocab), i = 0;
    const char *piece;
    json_t *value;
    hither_status status = HITHER_OK;
    if (count == 0 || count > HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: a vocabulary of %zu tokens; 1 to %u are possible", where, count,
                       HT_TOKENIZER_MAX_IDS);
    ht_trie_key *keys = ht_calloc(count, sizeof *keys);
    if (!keys)
        return ht_fail_nomem(err, count * sizeof *keys, "a vocabulary");
    json_object_foreach((json_t *)vocab, piece, value) {
        int64_t id = ht_json_number_of(value);
        if (id < 0 || id >= HT_TOKENIZER_MAX_IDS || strlen(piece) > MAX_PIECE_BYTES) {
            status = ht_fail(err, HITHER_MODEL, "%s: token \"%.60s\" has no number below %u, or too many bytes", where,
                             piece, HT_TOKENIZER_MAX_IDS);
            break;
        }
        keys[i++] = (ht_trie_key){piece, (uint32_t)strlen(piece), (uint32_t)id};
        out->ids = (uint32_t)id >= out->ids ? (uint32_t)id + 1 : out->ids;
    }
    if (status == HITHER_OK)
        status = ht_trie_build(keys, count, &out->vocabulary, err);
    ht_release(keys);
    return status;
}

static hither_status table_new(size_t merges, ht_bpe *out, hither_error *err) {
    size_t places = 16;
    while (places < 2 * merges)
        places *= 2;
    out->merges = ht_calloc(places, sizeof *out->merges);
    out->mask = places - 1;
    return out->merges ? HITHER_OK : ht_fail_nomem(err, places * sizeof *out->merges, "merges");
}

/* A merge is two pieces: an array of both, or a text with a space between. */
static bool read_pair(const json_t *entry, const char *pieces[2], size_t lengths[2]) {
    if (json_is_string(entry)) {
        const char *text = json_string_value(entry), *space = strchr(text, ' ');
        if (!space || strchr(space + 1, ' '))
            return false;
        pieces[0] = text;
        lengths[0] = (size_t)(space - text);
        pieces[1] = space + 1;
        lengths[1] = strlen(space + 1);
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *piece = json_array_get(entry, i);
        if (json_array_size(entry) != 2 || !json_is_string(piece))
            return false;
        pieces[i] = json_string_value(piece);
        lengths[i] = json_string_length(piece);
    }
    return true;
}

static hither_status read_merge(const json_t *entry, size_t rank, const char *where, char *room, ht_bpe *out,
                                hither_error *err) {
    const char *pieces[2];
    size_t lengths[2], skipped = strlen(out->prefix);
    if (!read_pair(entry, pieces, lengths) || lengths[0] + lengths[1] > MAX_PIECE_BYTES || lengths[1] < skipped)
        return ht_fail(err, HITHER_MODEL, "%s: merge %zu is not two pieces", where, rank);
    memcpy(room, pieces[0], lengths[0]);
    memcpy(room + lengths[0], pieces[1] + skipped, lengths[1] - skipped);
    uint32_t left = ht_trie_find(&out->vocabulary, pieces[0], lengths[0]);
    uint32_t right = ht_trie_find(&out->vocabulary, pieces[1], lengths[1]);
    uint32_t both = ht_trie_find(&out->vocabulary, room, lengths[0] + lengths[1] - skipped);
    if (!left || !right || !both)
        return ht_fail(err, HITHER_MODEL, "%s: merge %zu is of pieces that the vocabulary lacks", where, rank);
    size_t at = ht_bpe_place(left - 1, right - 1) & out->mask;
    while (out->merges[at].rank_plus_one && (out->merges[at].left != left - 1 || out->merges[at].right != right - 1))
        at = (at + 1) & out->mask;
    out->merges[at] = (ht_merge){left - 1, right - 1, (uint32_t)rank + 1, both - 1}; /* the later one counts */
    return HITHER_OK;
}

static hither_status read_merges(const json_t *merges, const char *where, ht_bpe *out, hither_error *err) {
    const json_t *entry;
    size_t i, count = json_array_size(merges);
    hither_status status = HITHER_OK;
    if (!json_is_array(merges) || count > HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: there are no merges, or more than %u", where, HT_TOKENIZER_MAX_IDS);
    HT_TRY(table_new(count, out, err));
    char *room = ht_alloc(MAX_PIECE_BYTES);
    if (!room)
        return ht_fail_nomem(err, MAX_PIECE_BYTES, "merges");
    json_array_foreach(merges, i, entry) {
        status = read_merge(entry, i, where, room, out, err);
        if (status != HITHER_OK)
            break;
    }
    ht_release(room);
    return status;
}

static hither_status read_affix(const json_t *model, const char *key, const char *where, char *out, hither_error *err) {
    const char *text = ht_json_text_of(model, key);
    if (strlen(text) > HT_BPE_MAX_AFFIX)
        return ht_fail(err, HITHER_MODEL, "%s: %s \"%.60s\" is longer than %d bytes", where, key, text,
                       HT_BPE_MAX_AFFIX);
    memcpy(out, text, strlen(text) + 1);
    return HITHER_OK;
}

static hither_status read_unknown(const json_t *model, const char *where, ht_bpe *out, hither_error *err) {
    const json_t *name = json_object_get(model, "unk_token");
    if (!json_is_string(name))
        return HITHER_OK;
    uint32_t id = ht_trie_find(&out->vocabulary, json_string_value(name), json_string_length(name));
    if (!id)
        return ht_fail(err, HITHER_MODEL, "%s: the vocabulary lacks the unknown token \"%.60s\"", where,
                       json_string_value(name));
    out->has_unknown = true;
    out->unknown = id - 1;
    return HITHER_OK;
}

hither_status ht_bpe_read(const json_t *model, const char *where, ht_bpe *out, hither_error *err) {
    const json_t *dropout = json_object_get(model, "dropout");
    *out = (ht_bpe){0};
    if (json_is_number(dropout) && json_number_value(dropout) != 0)
        return ht_fail(err, HITHER_MODEL, "%s: dropout is not supported: tokens would be others each time", where);
    out->fuse = json_is_true(json_object_get(model, "fuse_unk"));
    out->fallback = json_is_true(json_object_get(model, "byte_fallback"));
    out->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    HT_TRY(read_affix(model, "continuing_subword_prefix", where, out->prefix, err));
    HT_TRY(read_affix(model, "end_of_word_suffix", where, out->suffix, err));
    HT_TRY(read_vocabulary(json_object_get(model, "vocab"), where, out, err));
    HT_TRY(read_merges(json_object_get(model, "merges"), where, out, err));
    HT_TRY(read_unknown(model, where, out, err));
    ht_trie_find_bytes(&out->vocabulary, out->has_byte, out->bytes);
    return HITHER_OK;
}
