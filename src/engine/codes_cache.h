/*
 * codes_cache.h: the 4-bit codes and the norms of a segment's rows as a cache on disk (cache.h), so that the first
 * search after an open reads an eighth of the rows' bytes instead of all of them.
 *
 * Sections: `norms`, 4 bytes a row, and `codes`, as index/codes.h makes them, of the first rows of the segment, whole
 * blocks. Both depend on nothing but the rows.
 */
#ifndef HT_ENGINE_CODES_CACHE_H
#define HT_ENGINE_CODES_CACHE_H

#include "engine/cache.h"

/* Gives a new extent, which no other thread knows yet, the norms and codes that are kept on disk of its rows in slots
 * below `committed`, if there are any. */
void ht_codes_load(ht_store *store, ht_extent *extent, uint64_t committed);

/* Writes those of the extent's rows that are coded, in a row from the first on, and committed, if they are at least
 * `least` bytes of vectors more than are kept, and an eighth more. Failures leave what was there. */
void ht_codes_save(ht_store *store, ht_extent *extent, uint64_t committed, size_t least);

#endif
