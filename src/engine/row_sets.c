/*
 * row_sets.c: see row_sets.h. The set that was not asked for the longest makes room; one of an older version first.
 */
#include "engine/row_sets.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

hither_status ht_row_sets_init(ht_row_sets *sets, hither_error *err) {
    *sets = (ht_row_sets){.count = 0};
    int rc = pthread_mutex_init(&sets->lock, NULL);
    return rc ? ht_fail_errno(err, rc, "cannot make a lock") : HITHER_OK;
}

void ht_row_set_release(ht_row_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->holders, 1, memory_order_acq_rel) > 1)
        return;
    ht_release(set->words);
    ht_release((void *)set->chunks);
    ht_release(set);
}

/* Under the lock. */
static void give_up(ht_row_sets *sets, size_t at) {
    ht_row_set *set = sets->sets[at];
    sets->sets[at] = sets->sets[--sets->count];
    sets->bytes -= set->bytes;
    ht_row_set_release(set);
}

void ht_row_sets_clear(ht_row_sets *sets) {
    while (sets->count)
        give_up(sets, 0);
    pthread_mutex_destroy(&sets->lock);
}

ht_row_set *ht_row_sets_find(ht_row_sets *sets, ht_text text, uint64_t seq) {
    uint64_t hash = ht_hash64(text.data, text.bytes, seq);
    ht_row_set *found = NULL;
    if (pthread_mutex_trylock(&sets->lock) != 0)
        return NULL;
    for (size_t i = 0; i < sets->count && !found; i++) {
        ht_row_set *set = sets->sets[i];
        if (set->hash == hash && set->seq == seq && set->text_bytes == text.bytes &&
            memcmp(set->text, text.data, text.bytes) == 0)
            found = set;
    }
    if (found) {
        found->used = ++sets->clock;
        atomic_fetch_add_explicit(&found->holders, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&sets->lock);
    return found;
}

/* Under the lock: room for one more of so many bytes, in a version. */
static void make_room(ht_row_sets *sets, size_t bytes, uint64_t seq) {
    for (size_t i = sets->count; i > 0; i--)
        if (sets->sets[i - 1]->seq < seq)
            give_up(sets, i - 1);
    while (sets->count == HT_ROW_SETS || (sets->count && sets->bytes + bytes > HT_ROW_SET_BYTES)) {
        size_t oldest = 0;
        for (size_t i = 1; i < sets->count; i++)
            if (sets->sets[i]->used < sets->sets[oldest]->used)
                oldest = i;
        give_up(sets, oldest);
    }
}

ht_row_set *ht_row_sets_keep(ht_row_sets *sets, ht_text text, uint64_t seq, uint64_t limit, uint64_t count,
                             uint64_t *words, const uint64_t **chunks) {
    size_t bytes = sizeof(ht_row_set) + text.bytes + (size_t)(limit / 8);
    ht_row_set *set = bytes <= HT_ROW_SET_BYTES / 4 ? ht_alloc(sizeof *set + text.bytes) : NULL;
    if (!set)
        return NULL;
    *set = (ht_row_set){.words = words,
                        .chunks = chunks,
                        .limit = limit,
                        .count = count,
                        .seq = seq,
                        .hash = ht_hash64(text.data, text.bytes, seq),
                        .bytes = bytes,
                        .text_bytes = text.bytes};
    atomic_init(&set->holders, 2);
    memcpy(set->text, text.data, text.bytes);
    if (pthread_mutex_trylock(&sets->lock) != 0) {
        ht_release(set);
        return NULL;
    }
    make_room(sets, bytes, seq);
    set->used = ++sets->clock;
    sets->sets[sets->count++] = set;
    sets->bytes += bytes;
    pthread_mutex_unlock(&sets->lock);
    return set;
}
