/* tokenizer_read.c: a tokenizer from its file: what it holds is read by those who use it; here is which and what with.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "embed/tokenizer_inside.h"

static hither_status tokenizer_new(ht_tokenizer **out, hither_error *err) {
    *out = ht_calloc(1, sizeof **out);
    return *out ? HITHER_OK : ht_fail_nomem(err, sizeof **out, "a tokenizer");
}

/* Older files do not say what their model is. */
static const char *type_of(const json_t *model) {
    const char *type = ht_json_text_of(model, "type");
    if (type[0])
        return type;
    if (json_is_array(json_object_get(model, "vocab")))
        return "Unigram";
    return json_object_get(model, "merges") ? "BPE" : json_object_get(model, "vocab") ? "WordPiece" : "";
}

static hither_status read_model(const json_t *root, const char *where, ht_tokenizer *t, hither_error *err) {
    const json_t *model = json_object_get(root, "model");
    const char *type = type_of(model);
    if (strcmp(type, "WordPiece") == 0) {
        t->kind = HT_TOKENIZER_WORDPIECE;
        HT_TRY(ht_wordpiece_read(root, where, &t->wordpiece, err));
        t->ids = ht_wordpiece_ids(t->wordpiece);
        return HITHER_OK;
    }
    if (strcmp(type, "Unigram") == 0) {
        t->kind = HT_TOKENIZER_UNIGRAM;
        HT_TRY(ht_unigram_read(model, where, &t->unigram, err));
        t->ids = t->unigram.count;
    } else if (strcmp(type, "BPE") == 0) {
        t->kind = HT_TOKENIZER_BPE;
        HT_TRY(ht_bpe_read(model, where, &t->bpe, err));
        t->ids = t->bpe.ids;
    } else {
        return ht_fail(err, HITHER_MODEL, "%s: the model \"%.60s\" is not supported; WordPiece, Unigram and BPE are",
                       where, type[0] ? type : "(none)");
    }
    HT_TRY(ht_normal_read(root, where, &t->normal, err));
    return ht_split_read(root, where, &t->split, err);
}

/* The token a vocabulary has for a text must be that of the added token of the same text. */
static hither_status check_added(const ht_tokenizer *t, const ht_added_token *token, const char *where,
                                 hither_error *err) {
    uint32_t known = t->kind == HT_TOKENIZER_WORDPIECE ? ht_wordpiece_find(t->wordpiece, token->text, token->bytes)
                     : t->kind == HT_TOKENIZER_UNIGRAM ? ht_trie_find(&t->unigram.trie, token->text, token->bytes)
                                                       : ht_trie_find(&t->bpe.vocabulary, token->text, token->bytes);
    if (known && known - 1 != token->id)
        return ht_fail(err, HITHER_MODEL, "%s: added token \"%.60s\" has number %u, in the vocabulary it is %u", where,
                       token->text, token->id, known - 1);
    if (token->normalized && t->kind == HT_TOKENIZER_WORDPIECE)
        return ht_fail(err, HITHER_MODEL,
                       "%s: \"normalized\" of added token \"%.60s\" is not supported with WordPiece models", where,
                       token->text);
    return HITHER_OK;
}

static hither_status normalize_added(const ht_tokenizer *t, ht_tokenizer_room *room, ht_added_token *token,
                                     const char *where, hither_error *err) {
    const char *text = token->text;
    size_t bytes = token->bytes;
    bool front;
    HT_TRY(ht_normal_apply(&t->normal, &room->normal, &text, &bytes, &front, err));
    if (bytes > HT_ADDED_MAX_BYTES)
        return ht_fail(err, HITHER_MODEL, "%s: added token \"%.60s\" becomes %zu bytes; at most %d are possible", where,
                       token->text, bytes, HT_ADDED_MAX_BYTES);
    char *copy = ht_memdup(text, bytes);
    if (!copy)
        return ht_fail_nomem(err, bytes, "an added token");
    ht_release(token->text);
    token->text = copy;
    token->bytes = (uint32_t)bytes;
    return HITHER_OK;
}

static hither_status read_added(const json_t *root, const char *where, ht_tokenizer *t, hither_error *err) {
    ht_tokenizer_room *room;
    HT_TRY(ht_added_read(root, where, &t->added, err));
    HT_TRY(ht_tokenizer_room_new(&room, err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; status == HITHER_OK && i < t->added.count; i++) {
        ht_added_token *token = &t->added.tokens[i];
        t->ids = token->id >= t->ids ? token->id + 1 : t->ids;
        status = check_added(t, token, where, err);
        if (status == HITHER_OK && token->normalized)
            status = normalize_added(t, room, token, where, err);
    }
    ht_tokenizer_room_free(room);
    return status == HITHER_OK ? ht_added_seal(&t->added, err) : status;
}

static hither_status read_all(const json_t *root, const char *where, ht_tokenizer *t, hither_error *err) {
    HT_TRY(read_model(root, where, t, err));
    HT_TRY(read_added(root, where, t, err));
    HT_TRY(ht_around_read(root, where, &t->around, err));
    t->ids = ht_around_ids(&t->around, t->ids);
    return HITHER_OK;
}

hither_status ht_tokenizer_from_json(const char *text, size_t bytes, const char *where, ht_tokenizer **out,
                                     hither_error *err) {
    json_t *root;
    ht_tokenizer *t;
    HT_TRY(ht_json_parse(text, bytes, HT_TOKENIZER_MAX_FILE, where, &root, err));
    hither_status status = tokenizer_new(&t, err);
    if (status == HITHER_OK)
        status = read_all(root, where, t, err);
    json_decref(root);
    if (status != HITHER_OK) {
        ht_tokenizer_free(t);
        return status;
    }
    *out = t;
    return HITHER_OK;
}

hither_status ht_tokenizer_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                      ht_tokenizer **out, hither_error *err) {
    ht_tokenizer *t;
    HT_TRY(tokenizer_new(&t, err));
    t->kind = HT_TOKENIZER_WORDPIECE;
    hither_status status =
        ht_wordpiece_from_vocab(text, bytes, lowercase, where, &t->wordpiece, &t->added, &t->around, err);
    if (status == HITHER_OK)
        status = ht_added_seal(&t->added, err);
    if (status != HITHER_OK) {
        ht_tokenizer_free(t);
        return status;
    }
    t->ids = ht_wordpiece_ids(t->wordpiece);
    *out = t;
    return HITHER_OK;
}
