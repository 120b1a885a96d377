/*
 * wordpiece_read.c: a tokenizer from its file. Whatever a file says that would change the tokens is either done or
 * refused by its name; nothing is guessed.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/strings.h"
#include "embed/wordpiece_inside.h"

enum { MAX_PIECE_BYTES = 1024, DEFAULT_CHARS = 100 };

/* ---- the table of pieces */

static hither_status table_new(size_t pieces, const char *where, ht_wordpiece **out, hither_error *err) {
    if (pieces == 0 || pieces > HT_WORDPIECE_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: a vocabulary of %zu tokens; 1 to %u are possible", where, pieces,
                       HT_WORDPIECE_MAX_IDS);
    size_t places = 16;
    while (places < 2 * pieces)
        places *= 2;
    ht_wordpiece *w = ht_calloc(1, sizeof *w);
    if (w) {
        w->places = ht_calloc(places, sizeof *w->places);
        w->specials = ht_calloc(HT_SPECIAL_MAX, sizeof *w->specials);
        ht_buf_init(&w->bytes, HT_WORDPIECE_MAX_FILE);
    }
    if (!w || !w->places || !w->specials) {
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
    if (id >= HT_WORDPIECE_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: token number %llu; they go up to %u", where, (unsigned long long)id,
                       HT_WORDPIECE_MAX_IDS - 1);
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

/* ---- tokens that are found as they stand, and those around a text */

static hither_status add_special(ht_wordpiece *w, const char *text, size_t bytes, uint64_t id, const char *where,
                                 hither_error *err) {
    if (bytes == 0 || bytes > HT_SPECIAL_MAX_BYTES || w->special_count == HT_SPECIAL_MAX)
        return ht_fail(err, HITHER_MODEL, "%s: added token %zu has %zu bytes; at most %d of 1 to %d bytes are possible",
                       where, w->special_count, bytes, HT_SPECIAL_MAX, HT_SPECIAL_MAX_BYTES);
    if (id >= HT_WORDPIECE_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: the number of added token %zu is %llu; they go up to %u", where,
                       w->special_count, (unsigned long long)id, HT_WORDPIECE_MAX_IDS - 1);
    size_t at = w->special_count++;
    for (; at > 0 && w->specials[at - 1].length < bytes; at--)
        w->specials[at] = w->specials[at - 1];
    w->specials[at] = (ht_special){.length = (uint32_t)bytes, .id = (uint32_t)id};
    memcpy(w->specials[at].text, text, bytes);
    w->special_first[(unsigned char)text[0]] = true;
    if (id >= w->ids)
        w->ids = (uint32_t)id + 1;
    return HITHER_OK;
}

static hither_status add_around(uint32_t *tokens, size_t *count, uint64_t id, const char *where, hither_error *err) {
    if (*count == HT_AROUND_MAX || id >= HT_WORDPIECE_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: more than %d tokens before or after a text, or one with number %llu",
                       where, HT_AROUND_MAX, (unsigned long long)id);
    tokens[(*count)++] = (uint32_t)id;
    return HITHER_OK;
}

/* ---- tokenizer.json */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static hither_status refuse(const char *where, const char *what, const char *name, hither_error *err) {
    return ht_fail(err, HITHER_MODEL, "%s: %s \"%.60s\" is not supported; WordPiece models of the BERT family are",
                   where, what, name[0] ? name : "(none)");
}

/* A number from 0 on; -1 where it is anything else. */
static int64_t number_of(const json_t *value) {
    return json_is_integer(value) && json_integer_value(value) >= 0 ? (int64_t)json_integer_value(value) : -1;
}

static hither_status read_model(const json_t *model, const char *where, ht_wordpiece **out, hither_error *err) {
    const json_t *vocab = json_object_get(model, "vocab");
    if (strcmp(text_of(model, "type"), "WordPiece") != 0)
        return refuse(where, "the model", text_of(model, "type"), err);
    if (strcmp(text_of(model, "continuing_subword_prefix"), "##") != 0)
        return refuse(where, "the prefix of further pieces", text_of(model, "continuing_subword_prefix"), err);
    if (!json_is_object(vocab))
        return ht_fail(err, HITHER_MODEL, "%s: there is no vocabulary", where);
    HT_TRY(table_new(json_object_size(vocab), where, out, err));
    const char *piece;
    json_t *value;
    json_object_foreach((json_t *)vocab, piece, value) {
        int64_t id = number_of(value);
        if (id < 0)
            return ht_fail(err, HITHER_MODEL, "%s: token \"%.60s\" has no number", where, piece);
        HT_TRY(table_add(*out, piece, strlen(piece), (uint64_t)id, where, err));
    }
    const json_t *most = json_object_get(model, "max_input_chars_per_word");
    int64_t chars = most ? number_of(most) : DEFAULT_CHARS;
    if (chars < 1 || chars > HT_WORD_MAX_CHARS)
        return ht_fail(err, HITHER_MODEL, "%s: max_input_chars_per_word must be 1 to %d", where, HT_WORD_MAX_CHARS);
    (*out)->most_chars = (uint32_t)chars;
    int64_t unknown = number_of(json_object_get(vocab, text_of(model, "unk_token")));
    if (unknown < 0)
        return ht_fail(err, HITHER_MODEL, "%s: the vocabulary lacks the unknown token \"%.60s\"", where,
                       text_of(model, "unk_token"));
    (*out)->unknown = (uint32_t)unknown;
    return HITHER_OK;
}

static hither_status read_normalizer(const json_t *root, const char *where, ht_wordpiece *w, hither_error *err) {
    const json_t *n = json_object_get(root, "normalizer"), *p = json_object_get(root, "pre_tokenizer");
    if (strcmp(text_of(n, "type"), "BertNormalizer") != 0)
        return refuse(where, "the normalizer", text_of(n, "type"), err);
    if (strcmp(text_of(p, "type"), "BertPreTokenizer") != 0)
        return refuse(where, "the pre-tokenizer", text_of(p, "type"), err);
    if (!json_is_true(json_object_get(n, "clean_text")))
        return refuse(where, "clean_text", "false", err);
    const json_t *strip = json_object_get(n, "strip_accents");
    w->chinese = json_is_true(json_object_get(n, "handle_chinese_chars"));
    w->lowercase = json_is_true(json_object_get(n, "lowercase"));
    w->strip = strip && !json_is_null(strip) ? json_is_true(strip) : w->lowercase;
    return HITHER_OK;
}

static hither_status read_added(const json_t *root, const char *where, ht_wordpiece *w, hither_error *err) {
    const json_t *added = json_object_get(root, "added_tokens"), *token;
    size_t i;
    json_array_foreach(added, i, token) {
        const char *content = text_of(token, "content");
        int64_t id = number_of(json_object_get(token, "id"));
        if (json_is_true(json_object_get(token, "single_word")) || json_is_true(json_object_get(token, "normalized")))
            return refuse(where, "single_word or normalized of added token", content, err);
        if (id < 0)
            return ht_fail(err, HITHER_MODEL, "%s: added token \"%.60s\" has no number", where, content);
        HT_TRY(add_special(w, content, strlen(content), (uint64_t)id, where, err));
    }
    return HITHER_OK;
}

static hither_status add_template_token(const json_t *post, const char *name, bool after, const char *where,
                                        ht_wordpiece *w, hither_error *err) {
    const json_t *ids = json_object_get(json_object_get(json_object_get(post, "special_tokens"), name), "ids"), *id;
    size_t i;
    if (json_array_size(ids) == 0)
        return ht_fail(err, HITHER_MODEL, "%s: the template names \"%.60s\", which it does not describe", where, name);
    json_array_foreach(ids, i, id) {
        int64_t number = number_of(id);
        HT_TRY(add_around(after ? w->after : w->before, after ? &w->after_count : &w->before_count,
                          number < 0 ? UINT64_MAX : (uint64_t)number, where, err));
    }
    return HITHER_OK;
}

static hither_status read_template(const json_t *post, const char *where, ht_wordpiece *w, hither_error *err) {
    const json_t *single = json_object_get(post, "single"), *part;
    bool after = false;
    size_t i;
    json_array_foreach(single, i, part) {
        const json_t *special = json_object_get(part, "SpecialToken");
        if (special) {
            HT_TRY(add_template_token(post, text_of(special, "id"), after, where, w, err));
        } else {
            if (after || strcmp(text_of(json_object_get(part, "Sequence"), "id"), "A") != 0)
                return ht_fail(err, HITHER_MODEL, "%s: the template of one text does not hold it once", where);
            after = true;
        }
    }
    return after ? HITHER_OK : ht_fail(err, HITHER_MODEL, "%s: the template of one text does not hold it", where);
}

static hither_status read_post(const json_t *root, const char *where, ht_wordpiece *w, hither_error *err) {
    const json_t *post = json_object_get(root, "post_processor");
    const char *type = text_of(post, "type");
    if (!post || json_is_null(post))
        return HITHER_OK;
    if (strcmp(type, "TemplateProcessing") == 0)
        return read_template(post, where, w, err);
    if (strcmp(type, "BertProcessing") != 0)
        return refuse(where, "the post-processor", type, err);
    int64_t cls = number_of(json_array_get(json_object_get(post, "cls"), 1));
    int64_t sep = number_of(json_array_get(json_object_get(post, "sep"), 1));
    HT_TRY(add_around(w->before, &w->before_count, (uint64_t)cls, where, err));
    return add_around(w->after, &w->after_count, (uint64_t)sep, where, err);
}

/* The tokens around a text count as numbers it gives. */
static void count_around(ht_wordpiece *w) {
    for (size_t i = 0; i < w->before_count; i++)
        w->ids = w->before[i] >= w->ids ? w->before[i] + 1 : w->ids;
    for (size_t i = 0; i < w->after_count; i++)
        w->ids = w->after[i] >= w->ids ? w->after[i] + 1 : w->ids;
}

hither_status ht_wordpiece_from_json(const char *text, size_t bytes, const char *where, ht_wordpiece **out,
                                     hither_error *err) {
    json_t *root;
    ht_wordpiece *w = NULL;
    HT_TRY(ht_json_parse(text, bytes, HT_WORDPIECE_MAX_FILE, where, &root, err));
    hither_status status = read_model(json_object_get(root, "model"), where, &w, err);
    if (status == HITHER_OK)
        status = read_normalizer(root, where, w, err);
    if (status == HITHER_OK)
        status = read_added(root, where, w, err);
    if (status == HITHER_OK)
        status = read_post(root, where, w, err);
    json_decref(root);
    if (status != HITHER_OK) {
        ht_wordpiece_free(w);
        return status;
    }
    count_around(w);
    *out = w;
    return HITHER_OK;
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

static hither_status add_named(ht_wordpiece *w, const char *line, size_t length, uint64_t id, const char *where,
                               bool found[3], hither_error *err) {
    static const char *const names[] = {"[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) != length || memcmp(names[i], line, length) != 0)
            continue;
        if (i < 3)
            found[i] = true;
        if (i == 0)
            HT_TRY(add_around(w->before, &w->before_count, id, where, err));
        if (i == 1)
            HT_TRY(add_around(w->after, &w->after_count, id, where, err));
        if (i == 2)
            w->unknown = (uint32_t)id;
        return add_special(w, line, length, id, where, err);
    }
    return HITHER_OK;
}

static hither_status read_lines(ht_wordpiece *w, lines l, const char *where, hither_error *err) {
    const char *line;
    size_t length;
    bool found[3] = {false, false, false};
    for (uint64_t id = 0; next_line(&l, &line, &length); id++) {
        HT_TRY(table_add(w, line, length, id, where, err));
        HT_TRY(add_named(w, line, length, id, where, found, err));
    }
    if (!found[0] || !found[1] || !found[2])
        return ht_fail(err, HITHER_MODEL, "%s: a vocabulary without [CLS], [SEP] or [UNK] is not that of a BERT model",
                       where);
    return HITHER_OK;
}

hither_status ht_wordpiece_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                      ht_wordpiece **out, hither_error *err) {
    ht_wordpiece *w = NULL;
    lines l = {text, bytes, 0};
    const char *line;
    size_t length, count = 0;
    if (bytes > HT_WORDPIECE_MAX_FILE)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: %zu bytes; at most %u are possible", where, bytes,
                       HT_WORDPIECE_MAX_FILE);
    size_t good = ht_utf8_valid_prefix(text, bytes);
    if (good < bytes)
        return ht_fail(err, HITHER_ENCODING, "%s: not UTF-8 at byte %zu", where, good);
    while (next_line(&l, &line, &length))
        count++;
    HT_TRY(table_new(count, where, &w, err));
    w->strip = w->lowercase = lowercase;
    hither_status status = read_lines(w, (lines){text, bytes, 0}, where, err);
    if (status != HITHER_OK) {
        ht_wordpiece_free(w);
        return status;
    }
    *out = w;
    return HITHER_OK;
}
