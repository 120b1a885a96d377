/*
 * around.h: the tokens that stand before and after every text, from the post-processor of a tokenizer.json. Read once,
 * then constant.
 */
#ifndef HT_EMBED_AROUND_H
#define HT_EMBED_AROUND_H

#include <stdbool.h>

#include "base/json.h"

#define HT_TOKENIZER_MAX_IDS (1u << 24)
enum { HT_AROUND_MAX = 8 };

typedef struct ht_around {
    uint32_t before[HT_AROUND_MAX], after[HT_AROUND_MAX];
    size_t before_count, after_count;
} ht_around;

/* MODEL: a post-processor that is not known, or says too little. */
HT_NODISCARD hither_status ht_around_read(const json_t *root, const char *where, ht_around *out, hither_error *err);
/* A token more, outside of those that are there. MODEL: there are too many, or it is no number of a token. */
HT_NODISCARD hither_status ht_around_add(ht_around *around, bool after, uint64_t id, const char *where,
                                         hither_error *err);
/* One more than the largest of them, at least `ids`. */
uint32_t ht_around_ids(const ht_around *around, uint32_t ids);

/* What tokenizers are read with: "" where a text is missing, -1 for what is no number from 0 on. */
const char *ht_json_text_of(const json_t *object, const char *key);
int64_t ht_json_number_of(const json_t *value);

#endif
