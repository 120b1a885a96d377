/*
 * text.h: cuts a text into tokens: folded words, single CJK characters, numbers, hex strings, UUIDs and addresses. The
 * built-in embedder and the keyword postings both read texts this way. What is a token is part of the embedder's format
 * (docs/embedder.md) and never changes.
 *
 * Linear time, no allocation, any bytes: a byte that is not UTF-8 stands between words. One tokenizer belongs to one
 * thread.
 */
#ifndef HT_BASE_TEXT_H
#define HT_BASE_TEXT_H

#include <stdbool.h>

#include "base/unicode.h"

/* The character at text[0] and its length in bytes. What is not UTF-8 gives U+FFFD and *valid false; its length then
 * is that of the broken sequence, so that one replacement character stands for it. bytes > 0. */
uint32_t ht_utf8_next(const char *text, size_t bytes, size_t *length, bool *valid);
/* Writes cp, at most 4 bytes, and gives their number. */
size_t ht_utf8_put(uint32_t cp, char *out);
/* Writes what cp folds to, at most HT_FOLD_MAX * 4 bytes, and gives their number. */
size_t ht_utf8_put_folded(uint32_t cp, char *out);

typedef enum ht_token_kind {
    HT_TOKEN_WORD,
    HT_TOKEN_CJK,
    HT_TOKEN_NUMBER,
    HT_TOKEN_HEX,
    HT_TOKEN_UUID,
    HT_TOKEN_ADDRESS
} ht_token_kind;

#define HT_TOKEN_MAX_CHARS 64u /* longer words and numbers are cut into pieces of this many characters */
#define HT_TOKEN_MAX_BYTES (HT_TOKEN_MAX_CHARS * HT_FOLD_MAX * 4)

typedef struct ht_token {
    const char *text; /* folded, in the tokenizer, until the next token is read; of hex strings the first 64 bytes */
    size_t bytes;
    ht_token_kind kind;
    bool after_cjk;    /* a CJK token that follows another one at once */
    size_t begin, end; /* where it stood in the text */
} ht_token;

typedef struct ht_tokens {
    const char *text;
    size_t bytes, at;
    bool in_run, after_cjk;
    char folded[HT_TOKEN_MAX_BYTES];
} ht_tokens;

void ht_tokens_start(ht_tokens *tokens, const char *text, size_t bytes);
/* false at the end of the text. */
bool ht_tokens_next(ht_tokens *tokens, ht_token *out);

#endif
