/*
 * added.h: the tokens that are found in texts as they stand, before anything is split: the special ones, and those that
 * were added to a vocabulary. Immutable once sealed: any thread.
 */
#ifndef HT_EMBED_ADDED_H
#define HT_EMBED_ADDED_H

#include "base/json.h"
#include "embed/trie.h"

enum { HT_ADDED_MAX = 1 << 16, HT_ADDED_MAX_BYTES = 512 };

typedef struct ht_added_token {
    char *text;
    uint32_t bytes, id;
    bool word;        /* only where it is not part of a longer word */
    bool left, right; /* the spaces before or behind it are its own */
    bool normalized;  /* looked for after normalising, else before */
} ht_added_token;

typedef struct ht_added {
    ht_added_token *tokens;
    size_t count;
    ht_trie raw, normalized; /* to places in tokens */
    bool first[2][256];      /* bytes that one begins with, [1] after normalising */
} ht_added;

/* A place in a text where one stands: from begin to end; end - begin is 0 where there is none. */
typedef struct ht_added_match {
    size_t begin, end;
    uint32_t id;
} ht_added_match;

/* From the member added_tokens. MODEL (begins with `where`), NOMEM. What was read is the caller's to clear. */
HT_NODISCARD hither_status ht_added_read(const json_t *root, const char *where, ht_added *out, hither_error *err);
/* Once the texts of the normalised ones have been normalised. */
HT_NODISCARD hither_status ht_added_seal(ht_added *added, hither_error *err);
void ht_added_clear(ht_added *added);

/* The next one at or after `at`, with its spaces, of which those before `from` are taken already. */
ht_added_match ht_added_next(const ht_added *added, bool normalized, const char *text, size_t bytes, size_t from,
                             size_t at);

#endif
