/*
 * met_ids.h: ids of rows that were answered lately, by slot, so that a search that wants nothing but ids need not go to
 * the catalog for rows it has met before. Integers only. The id of a slot never changes, so what is here stays true; it
 * is filled by whoever reads a row for an answer, a block of slots at a time.
 *
 * Any thread, without a lock: a number is stored before its bit is set (release), and read after the bit (acquire).
 */
#ifndef HT_ENGINE_MET_IDS_H
#define HT_ENGINE_MET_IDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HT_MET_IDS_LEVELS 40u

typedef struct ht_met_ids {
    _Atomic(void *) levels[HT_MET_IDS_LEVELS]; /* level i: 2^i blocks, or NULL */
} ht_met_ids;

void ht_met_ids_clear(ht_met_ids *ids); /* nobody uses it any more */
bool ht_met_ids_find(ht_met_ids *ids, uint64_t slot, int64_t *id);
void ht_met_ids_note(ht_met_ids *ids, uint64_t slot, int64_t id); /* without memory nothing is noted */

#endif
