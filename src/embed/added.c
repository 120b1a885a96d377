/* added.c: see added.h. At each place the longest one counts. */
#include "embed/added.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/token_chars.h"
#include "embed/around.h"

static hither_status read_token(const json_t *entry, const char *where, ht_added_token *t, hither_error *err) {
    const char *content = ht_json_text_of(entry, "content");
    int64_t id = ht_json_number_of(json_object_get(entry, "id"));
    size_t bytes = strlen(content);
    if (bytes > HT_ADDED_MAX_BYTES)
        return ht_fail(err, HITHER_MODEL, "%s: an added token has %zu bytes; at most %d are possible", where, bytes,
                       HT_ADDED_MAX_BYTES);
    if (id < 0 || id >= HT_TOKENIZER_MAX_IDS)
        return ht_fail(err, HITHER_MODEL, "%s: added token \"%.60s\" has no number below %u", where, content,
                       HT_TOKENIZER_MAX_IDS);
    *t = (ht_added_token){.text = ht_strdup(content),
                          .bytes = (uint32_t)bytes,
                          .id = (uint32_t)id,
                          .word = json_is_true(json_object_get(entry, "single_word")),
                          .left = json_is_true(json_object_get(entry, "lstrip")),
                          .right = json_is_true(json_object_get(entry, "rstrip")),
                          .normalized = json_is_true(json_object_get(entry, "normalized"))};
    return t->text ? HITHER_OK : ht_fail_nomem(err, bytes, "an added token");
}

hither_status ht_added_read(const json_t *root, const char *where, ht_added *out, hither_error *err) {
    const json_t *list = json_object_get(root, "added_tokens"), *entry;
    size_t i, count = json_array_size(list);
    *out = (ht_added){0};
    if (count > HT_ADDED_MAX)
        return ht_fail(err, HITHER_MODEL, "%s: %zu added tokens; at most %d are possible", where, count, HT_ADDED_MAX);
    out->tokens = ht_calloc(count, sizeof *out->tokens);
    if (!out->tokens)
        return ht_fail_nomem(err, count * sizeof *out->tokens, "added tokens");
    json_array_foreach(list, i, entry) {
        HT_TRY(read_token(entry, where, &out->tokens[i], err));
        out->count++;
    }
    return HITHER_OK;
}

static hither_status build(const ht_added *a, bool normalized, ht_trie *out, hither_error *err) {
    size_t count = 0;
    ht_trie_key *keys = ht_calloc(a->count, sizeof *keys);
    if (!keys)
        return ht_fail_nomem(err, a->count * sizeof *keys, "added tokens");
    for (size_t i = 0; i < a->count; i++)
        if (a->tokens[i].normalized == normalized && a->tokens[i].bytes > 0)
            keys[count++] = (ht_trie_key){a->tokens[i].text, a->tokens[i].bytes, (uint32_t)i};
    hither_status status = ht_trie_build(keys, count, out, err);
    ht_release(keys);
    return status;
}

hither_status ht_added_seal(ht_added *a, hither_error *err) {
    for (size_t i = 0; i < a->count; i++)
        if (a->tokens[i].bytes > 0)
            a->first[a->tokens[i].normalized][(unsigned char)a->tokens[i].text[0]] = true;
    HT_TRY(build(a, false, &a->raw, err));
    return build(a, true, &a->normalized, err);
}

void ht_added_clear(ht_added *a) {
    for (size_t i = 0; i < a->count; i++)
        ht_release(a->tokens[i].text);
    ht_release(a->tokens);
    ht_trie_clear(&a->raw);
    ht_trie_clear(&a->normalized);
    *a = (ht_added){0};
}

/* ---- finding */

/* The place in tokens, plus one, of the longest that the text begins with. */
static uint32_t longest(const ht_trie *trie, const char *text, size_t bytes) {
    uint32_t node = 0, found = 0;
    for (size_t i = 0; i < bytes; i++) {
        node = ht_trie_step(trie, node, (unsigned char)text[i]);
        if (!node)
            break;
        found = trie->values[node] ? trie->values[node] : found;
    }
    return found;
}

static uint32_t char_before(const char *text, size_t at, size_t *begin) {
    size_t length, back = at;
    bool valid;
    do
        back--;
    while (back > 0 && ((unsigned char)text[back] & 0xc0u) == 0x80);
    *begin = back;
    return ht_utf8_next(text + back, at - back, &length, &valid);
}

static bool word_char(uint32_t cp) { return (ht_token_facts(cp) & HT_FACT_PLAIN_WORD) != 0; }

static bool stands_alone(const char *text, size_t bytes, size_t begin, size_t end) {
    size_t length;
    bool valid;
    if (begin > 0 && word_char(char_before(text, begin, &length)))
        return false;
    return end == bytes || !word_char(ht_utf8_next(text + end, bytes - end, &length, &valid));
}

static void take_spaces(const ht_added_token *t, const char *text, size_t bytes, size_t from, ht_added_match *m) {
    size_t length;
    bool valid;
    while (t->left && m->begin > from && ht_token_space(char_before(text, m->begin, &length)))
        m->begin = length;
    while (t->right && m->end < bytes && ht_token_space(ht_utf8_next(text + m->end, bytes - m->end, &length, &valid)))
        m->end += length;
}

ht_added_match ht_added_next(const ht_added *a, bool normalized, const char *text, size_t bytes, size_t from,
                             size_t at) {
    const ht_trie *trie = normalized ? &a->normalized : &a->raw;
    while (at < bytes && trie->nodes > 1) {
        uint32_t place = a->first[normalized][(unsigned char)text[at]] ? longest(trie, text + at, bytes - at) : 0;
        if (!place) {
            at++;
            continue;
        }
        const ht_added_token *t = &a->tokens[place - 1];
        ht_added_match m = {at, at + t->bytes, t->id};
        if (!t->word || stands_alone(text, bytes, m.begin, m.end)) {
            take_spaces(t, text, bytes, from, &m);
            return m;
        }
        at = m.end;
    }
    return (ht_added_match){bytes, bytes, 0};
}
