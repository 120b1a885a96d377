/*
 * split.h: cuts a normalised text into the words that a tokenizer looks up: the pre-tokenizers of a tokenizer.json,
 * each over the pieces of the one before. Read once, then constant: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_SPLIT_H
#define HT_EMBED_SPLIT_H

#include "embed/normal.h"

enum { HT_SPLIT_MAX = 16 };

typedef enum ht_split_kind {
    HT_SPLIT_SPACES,      /* at spaces, which go */
    HT_SPLIT_WORDS,       /* into words and what is neither word nor space */
    HT_SPLIT_PUNCTUATION, /* by a behavior */
    HT_SPLIT_DIGITS,
    HT_SPLIT_BERT,
    HT_SPLIT_METASPACE,
    HT_SPLIT_BYTES,
    HT_SPLIT_PATTERN
} ht_split_kind;

/* What becomes of the places that match. */
typedef enum ht_behavior { HT_ISOLATED, HT_REMOVED, HT_CONTIGUOUS, HT_WITH_PREVIOUS, HT_WITH_NEXT } ht_behavior;

typedef struct ht_split_step {
    ht_split_kind kind;
    ht_behavior behavior;
    bool invert;
    bool splits;        /* HT_SPLIT_METASPACE */
    bool always, first; /* HT_SPLIT_METASPACE, HT_SPLIT_BYTES: puts its mark before every piece, or before a text */
    char mark[5];       /* HT_SPLIT_METASPACE: what stands for a space */
    ht_scan *scan;      /* HT_SPLIT_PATTERN, HT_SPLIT_BYTES (NULL there: it does not split) */
} ht_split_step;

typedef struct ht_split {
    ht_split_step steps[HT_SPLIT_MAX];
    size_t count;
} ht_split;

typedef struct ht_split_room {
    ht_buf texts[HT_SPLIT_MAX][2];
    ht_scan_room *scan;
} ht_split_room;

/* Takes a word; *more false ends the text. */
typedef struct ht_split_sink {
    void *ctx;
    hither_status (*word)(void *ctx, const char *text, size_t bytes, bool *more, hither_error *err);
} ht_split_sink;

/* From the member pre_tokenizer. MODEL names what is not supported; what was read is the caller's to clear. */
HT_NODISCARD hither_status ht_split_read(const json_t *root, const char *where, ht_split *out, hither_error *err);
void ht_split_clear(ht_split *split);
/* The text is UTF-8; `front` says whether it is what the caller's text begins with. */
HT_NODISCARD hither_status ht_split_apply(const ht_split *split, ht_split_room *room, const char *text, size_t bytes,
                                          bool front, const ht_split_sink *sink, hither_error *err);

#endif
