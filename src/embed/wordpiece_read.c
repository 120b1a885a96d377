/*
 * wordpiece_read.c: a tokenizer from its file. Whatever a file says that would change the tokens is either done or
 * refused by its name; nothing is guessed.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/strings.h"
#include "embed/tokenizer.h"
#include "embed/wordpiece_inside.h"

enum { MAX_PIECE_BYTES = 1024, DEFAULT_CHARS = 100, NAMED = 5 };

/* ---- the table of pieces */

static hither_status table_new(size_t pieces, const char *where, ht_wordpiece **out, hither_error *err) {
    if (pieces == 0 || pieces > HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: a vocabulary of %zu tokens; 1 to %u are possible", where, pieces,
                       HT_TOKENIZER_MAX_IDS);
    size_t places = 16;
    while (places < 2 * pieces)
        places *= 2;
    ht_wordpiece *w = ht_calloc(1, sizeof *w);
    if (w) {
        w->places = ht_calloc(places, sizeof *w->places);
        ht_buf_init(&w->bytes, HT_TOKENIZER_MAX_FILE);
    }
    if (!w || !w->places) {
        ht_wordpiece_free(w);
        return ht_fail_nomem(err, places * sizeof(ht_piece), "a vocabulary");
    }
    w->mask = places - 1;
    w->most_chars = DEFAULT_CHARS;
    w->chinese = w->strip = w->lowercase = true;
    *out = w;
    return HITHER_OK;
}

/* Of two pieces that are the same the later one counts, as in a table filled line by line. */
static hither_status table_add(ht_wordpiece *w, const char *text, size_t bytes, uint64_t id, const char *where,
                               hither_error *err) {
    if (bytes > MAX_PIECE_BYTES)
        return ht_fail(err, HITHER_MODEL, "%s: token %llu has %zu bytes; at most %d are possible", where,
                       (unsigned long long)id, bytes, MAX_PIECE_BYTES);
    if (id >= HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: token number %llu; they go up to %u", where, (unsigned long long)id,
                       HT_TOKENIZER_MAX_IDS - 1);
    bool further = bytes > 2 && memcmp(text, "##", 2) == 0;
    if (further) {
        text += 2;
        bytes -= 2;
    }
    uint32_t h = further ? HT_PIECE_FURTHER : HT_PIECE_FIRST;
    for (size_t i = 0; i < bytes; i++)
        h = ht_piece_step(h, (unsigned char)text[i]);
    h = ht_piece_end(h);
    size_t at = h & w->mask;
    for (; w->places[at].id_plus_one; at = (at + 1) & w->mask) {
        const ht_piece *p = &w->places[at];
        if (p->hash == h && p->length == bytes && memcmp(w->bytes.data + p->offset, text, bytes) == 0)
            break;
    }
    w->places[at] = (ht_piece){h, (uint32_t)id + 1, (uint32_t)w->bytes.size, (uint32_t)bytes};
    ht_buf_put(&w->bytes, text, bytes);
    if (bytes > w->longest)
        w->longest = (uint32_t)bytes;
    if (id >= w->ids)
        w->ids = (uint32_t)id + 1;
    return ht_buf_check(&w->bytes, "a vocabulary", err);
}

/* ---- tokenizer.json */

static hither_status refuse(const char *where, const char *what, const char *name, hither_error *err) {
    return ht_fail(err, HITHER_MODEL, "%s: %s \"%.60s\" is not supported; WordPiece models of the BERT family are",
                   where, what, name[0] ? name : "(none)");
}

static hither_status read_model(const json_t *model, const char *where, ht_wordpiece **out, hither_error *err) {
    const json_t *vocab = json_object_get(model, "vocab");
    if (strcmp(ht_json_text_of(model, "continuing_subword_prefix"), "##") != 0)
        return refuse(where, "the prefix of further pieces", ht_json_text_of(model, "continuing_subword_prefix"), err);
    if (!json_is_object(vocab))
        return ht_fail(err, HITHER_MODEL, "%s: there is no vocabulary", where);
    HT_TRY(table_new(json_object_size(vocab), where, out, err));
    const char *piece;
    json_t *value;
    json_object_foreach((json_t *)vocab, piece, value) {
        int64_t id = ht_json_number_of(value);
        if (id < 0)
            return ht_fail(err, HITHER_MODEL, "%s: token \"%.60s\" has no number", where, piece);
        HT_TRY(table_add(*out, piece, strlen(piece), (uint64_t)id, where, err));
    }
    const json_t *most = json_object_get(model, "max_input_chars_per_word");
    int64_t chars = most ? ht_json_number_of(most) : DEFAULT_CHARS;
    if (chars < 1 || chars > HT_WORD_MAX_CHARS)
        return ht_fail(err, HITHER_MODEL, "%s: max_input_chars_per_word must be 1 to %d", where, HT_WORD_MAX_CHARS);
    (*out)->most_chars = (uint32_t)chars;
    int64_t unknown = ht_json_number_of(json_object_get(vocab, ht_json_text_of(model, "unk_token")));
    if (unknown < 0)
        return ht_fail(err, HITHER_MODEL, "%s: the vocabulary lacks the unknown token \"%.60s\"", where,
                       ht_json_text_of(model, "unk_token"));
    (*out)->unknown = (uint32_t)unknown;
    return HITHER_OK;
}

static hither_status read_normalizer(const json_t *root, const char *where, ht_wordpiece *w, hither_error *err) {
    const json_t *n = json_object_get(root, "normalizer"), *p = json_object_get(root, "pre_tokenizer");
    if (strcmp(ht_json_text_of(n, "type"), "BertNormalizer") != 0)
        return refuse(where, "the normalizer", ht_json_text_of(n, "type"), err);
    if (strcmp(ht_json_text_of(p, "type"), "BertPreTokenizer") != 0)
        return refuse(where, "the pre-tokenizer", ht_json_text_of(p, "type"), err);
    if (!json_is_true(json_object_get(n, "clean_text")))
        return refuse(where, "clean_text", "false", err);
    const json_t *strip = json_object_get(n, "strip_accents");
    w->chinese = json_is_true(json_object_get(n, "handle_chinese_chars"));
    w->lowercase = json_is_true(json_object_get(n, "lowercase"));
    w->strip = strip && !json_is_null(strip) ? json_is_true(strip) : w->lowercase;
    return HITHER_OK;
}

hither_status ht_wordpiece_read(const json_t *root, const char *where, ht_wordpiece **out, hither_error *err) {
    HT_TRY(read_model(json_object_get(root, "model"), where, out, err));
    return read_normalizer(root, where, *out, err);
}

/* ---- vocab.txt */

typedef struct lines {
    const char *text;
    size_t bytes, at;
} lines;

static bool next_line(lines *l, const char **line, size_t *length) {
    if (l->at >= l->bytes)
        return false;
    const char *end = memchr(l->text + l->at, '\n', l->bytes - l->at);
    *line = l->text + l->at;
    *length = end ? (size_t)(end - *line) : l->bytes - l->at;
    l->at += *length + 1;
    while (*length && ((*line)[*length - 1] == '\r' || (*line)[*length - 1] == ' '))
        (*length)--;
    return true;
}

static hither_status add_special(ht_added *added, const char *line, size_t length, uint64_t id, hither_error *err) {
    ht_added_token *t = &added->tokens[added->count];
    *t = (ht_added_token){.text = ht_memdup(line, length), .bytes = (uint32_t)length, .id = (uint32_t)id};
    if (!t->text)
        return ht_fail_nomem(err, length, "a token");
    added->count++;
    return HITHER_OK;
}

/* The tokens that have a meaning of their own; of lines that are the same the last one counts. */
static hither_status add_named(ht_wordpiece *w, const char *where, ht_added *added, ht_around *around,
                               hither_error *err) {
    static const char *const names[NAMED] = {"[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"};
    for (size_t i = 0; i < NAMED; i++) {
        uint32_t id = ht_wordpiece_find(w, names[i], strlen(names[i]));
        if (!id && i < 3)
            return ht_fail(err, HITHER_MODEL,
                           "%s: a vocabulary without [CLS], [SEP] or [UNK] is not that of a BERT model", where);
        if (!id)
            continue;
        if (i < 2)
            HT_TRY(ht_around_add(around, i == 1, id - 1, where, err));
        if (i == 2)
            w->unknown = id - 1;
        HT_TRY(add_special(added, names[i], strlen(names[i]), id - 1, err));
    }
    return HITHER_OK;
}

static hither_status read_lines(ht_wordpiece *w, lines l, const char *where, hither_error *err) {
    const char *line;
    size_t length;
    for (uint64_t id = 0; next_line(&l, &line, &length); id++)
        HT_TRY(table_add(w, line, length, id, where, err));
    return HITHER_OK;
}

hither_status ht_wordpiece_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                      ht_wordpiece **out, ht_added *added, ht_around *around, hither_error *err) {
    lines l = {text, bytes, 0};
    const char *line;
    size_t length, count = 0;
    if (bytes > HT_TOKENIZER_MAX_FILE)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: %zu bytes; at most %u are possible", where, bytes,
                       HT_TOKENIZER_MAX_FILE);
    size_t good = ht_utf8_valid_prefix(text, bytes);
    if (good < bytes)
        return ht_fail(err, HITHER_ENCODING, "%s: not UTF-8 at byte %zu", where, good);
    while (next_line(&l, &line, &length))
        count++;
    HT_TRY(table_new(count, where, out, err));
    (*out)->strip = (*out)->lowercase = lowercase;
    added->tokens = ht_calloc(NAMED, sizeof *added->tokens);
    if (!added->tokens)
        return ht_fail_nomem(err, NAMED * sizeof *added->tokens, "added tokens");
    HT_TRY(read_lines(*out, (lines){text, bytes, 0}, where, err));
    return add_named(*out, where, added, around, err);
}
