/*
 * builtin.c: the built-in embedder "builtin-1": hashed words, word pairs and character trigrams in 384 dimensions.
 *
 * docs/embedder.md is its specification; every constant here is part of a stored format and never changes. Sums are
 * integers, the last step is a division and a square root in f64 that IEEE 754 rounds in one way only, so the bytes are
 * the same on every machine. Works on the stack; any thread.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "embed/embedder.h"

enum { SEED_WORD = 1, SEED_CJK_PAIR = 2, SEED_TRIGRAM = 3, SEED_NUMBER = 4, SEED_CLASS = 5 };
enum {
    WEIGHT_WORD = 8,
    WEIGHT_FUNCTION_WORD = 2,
    WEIGHT_PAIR = 3,
    WEIGHT_LIGHT_PAIR = 1, /* one side is a function word, or a number or the like */
    WEIGHT_TRIGRAM = 6,
    WEIGHT_CLASS = 3,
    WEIGHT_NUMBER = 5,
    WEIGHT_CJK = 4,
    WEIGHT_CJK_PAIR = 8
};
#define LONGEST_NUMBER 4u /* characters of a number that counts by its value too */
#define MAX_CHARS      (HT_TOKEN_MAX_CHARS * HT_FOLD_MAX)

/* English words that say little of what a text is about; sorted, each at most 8 bytes and zero-padded. */
static const char function_words[][9] = {
    "a",       "about", "after",  "all",   "also",  "an",      "and",   "any",   "are",   "as",    "at",    "be",
    "because", "been",  "before", "being", "but",   "by",      "can",   "could", "did",   "do",    "does",  "for",
    "from",    "get",   "had",    "has",   "have",  "having",  "he",    "her",   "him",   "his",   "how",   "i",
    "if",      "in",    "into",   "is",    "it",    "its",     "may",   "me",    "more",  "most",  "my",    "no",
    "nor",     "not",   "of",     "off",   "on",    "one",     "only",  "or",    "other", "our",   "out",   "over",
    "s",       "she",   "so",     "some",  "such",  "t",       "than",  "that",  "the",   "their", "them",  "then",
    "there",   "these", "they",   "this",  "those", "through", "to",    "too",   "under", "up",    "upon",  "very",
    "was",     "we",    "were",   "what",  "when",  "where",   "which", "while", "who",   "whom",  "whose", "why",
    "will",    "with",  "would",  "you",   "your",
};

static bool is_function_word(const char *word, size_t bytes) {
    if (bytes > 8)
        return false;
    char key[8] = {0};
    memcpy(key, word, bytes);
    size_t low = 0, high = sizeof function_words / sizeof *function_words;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(function_words[middle], key, sizeof key);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* A feature adds its weight to two dimensions, with a sign each, all taken from its hash. */
static void add_feature(int32_t *sums, uint64_t hash, int32_t weight) {
    for (int half = 0; half < 2; half++, hash >>= 32) {
        uint64_t place = (hash & 0xFFFFFFFFu) >> 1;
        sums[place * HT_BUILTIN_DIM >> 31] += (hash & 1) != 0 ? weight : -weight;
    }
}

/* The trigrams of " word ". */
static void add_trigrams(int32_t *sums, const char *word, size_t bytes) {
    char padded[HT_TOKEN_MAX_BYTES + 2];
    uint16_t starts[MAX_CHARS + 3];
    size_t chars = 0;
    padded[0] = ' ';
    memcpy(padded + 1, word, bytes);
    padded[bytes + 1] = ' ';
    for (size_t i = 0; i < bytes + 2; i++)
        if (((unsigned char)padded[i] & 0xC0) != 0x80)
            starts[chars++] = (uint16_t)i;
    starts[chars] = (uint16_t)(bytes + 2);
    for (size_t i = 0; i + 3 <= chars; i++)
        add_feature(sums, ht_hash64(padded + starts[i], (size_t)(starts[i + 3] - starts[i]), SEED_TRIGRAM),
                    WEIGHT_TRIGRAM);
}

/* What the next token needs to know of the one before it. */
typedef struct previous {
    uint64_t hash;
    bool any, light;
    size_t cjk_bytes;
    char cjk[HT_FOLD_MAX * 4];
} previous;

static void add_pair(int32_t *sums, previous *before, uint64_t hash, bool light) {
    if (before->any)
        add_feature(sums, ht_mix64(before->hash * 3 + hash), light || before->light ? WEIGHT_LIGHT_PAIR : WEIGHT_PAIR);
    before->hash = hash;
    before->light = light;
    before->any = true;
}

static void add_cjk(int32_t *sums, previous *before, const ht_token *token) {
    add_feature(sums, ht_hash64(token->text, token->bytes, SEED_WORD), WEIGHT_CJK);
    if (token->after_cjk) {
        char both[sizeof before->cjk + HT_FOLD_MAX * 4];
        memcpy(both, before->cjk, before->cjk_bytes);
        memcpy(both + before->cjk_bytes, token->text, token->bytes);
        add_feature(sums, ht_hash64(both, before->cjk_bytes + token->bytes, SEED_CJK_PAIR), WEIGHT_CJK_PAIR);
    }
    memcpy(before->cjk, token->text, token->bytes);
    before->cjk_bytes = token->bytes;
    before->any = false;
}

static void add_token(int32_t *sums, previous *before, const ht_token *token) {
    static const char *const class_names[] = {
        [HT_TOKEN_NUMBER] = "number", [HT_TOKEN_HEX] = "hex", [HT_TOKEN_UUID] = "uuid", [HT_TOKEN_ADDRESS] = "address"};
    if (token->kind == HT_TOKEN_CJK) {
        add_cjk(sums, before, token);
    } else if (token->kind == HT_TOKEN_WORD) {
        bool light = is_function_word(token->text, token->bytes);
        uint64_t hash = ht_hash64(token->text, token->bytes, SEED_WORD);
        add_feature(sums, hash, light ? WEIGHT_FUNCTION_WORD : WEIGHT_WORD);
        if (!light)
            add_trigrams(sums, token->text, token->bytes);
        add_pair(sums, before, hash, light);
    } else {
        const char *name = class_names[token->kind];
        uint64_t hash = ht_hash64(name, strlen(name), SEED_CLASS);
        add_feature(sums, hash, WEIGHT_CLASS);
        if (token->kind == HT_TOKEN_NUMBER && token->bytes <= LONGEST_NUMBER)
            add_feature(sums, ht_hash64(token->text, token->bytes, SEED_NUMBER), WEIGHT_NUMBER);
        add_pair(sums, before, hash, true);
    }
}

static hither_status embed_one(ht_embedder *embedder, const char *text, size_t bytes, float *vector,
                               hither_error *err) {
    (void)embedder;
    /* The sums cannot overflow below this: a byte of text adds at most 32 to a dimension. */
    if (bytes > HITHER_MAX_TEXT_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "a text of %zu bytes; at most %u can be embedded", bytes,
                       HITHER_MAX_TEXT_BYTES);
    int32_t sums[HT_BUILTIN_DIM] = {0};
    previous before = {0};
    ht_tokens tokens;
    ht_token token;
    ht_tokens_start(&tokens, text, bytes);
    while (ht_tokens_next(&tokens, &token))
        add_token(sums, &before, &token);
    int64_t total = 0;
    for (size_t i = 0; i < HT_BUILTIN_DIM; i++)
        total += sums[i] < 0 ? -(int64_t)sums[i] : sums[i];
    /* The square root dampens what a text repeats, and the squares then sum to 1 by themselves. */
    for (size_t i = 0; i < HT_BUILTIN_DIM; i++) {
        double size = sums[i] == 0 ? 0.0 : sqrt(fabs((double)sums[i]) / (double)total);
        vector[i] = (float)(sums[i] < 0 ? -size : size);
    }
    return HITHER_OK;
}

static void free_builtin(ht_embedder *embedder) { ht_release(embedder); }

/* Enough to hide the hand-over, few enough to share a batch evenly. */
enum { TEXTS_AN_ITEM = 64 };

hither_status ht_embedder_builtin(ht_embedder **out, hither_error *err) {
    ht_embedder *embedder = ht_calloc(1, sizeof *embedder);
    if (!embedder) {
        *out = NULL;
        return ht_fail_nomem(err, sizeof *embedder, "the embedder");
    }
    atomic_init(&embedder->references, 1);
    embedder->dim = HT_BUILTIN_DIM;
    embedder->name = HT_BUILTIN_NAME;
    embedder->texts_an_item = TEXTS_AN_ITEM;
    embedder->one = embed_one;
    embedder->free = free_builtin;
    *out = embedder;
    return HITHER_OK;
}
