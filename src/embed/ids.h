/* ids.h: where a tokenizer's models put the tokens they find, up to as many as count. */
#ifndef HT_EMBED_IDS_H
#define HT_EMBED_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ht_ids {
    uint32_t *ids;
    size_t count, most;
} ht_ids;

static inline void ht_ids_put(ht_ids *ids, uint32_t id) {
    if (ids->count < ids->most)
        ids->ids[ids->count++] = id;
}

#endif
