/*
 * cache.h: what was derived from rows, kept on disk so that the next process need not derive it again: codes, and in
 * the same way graphs, columns, postings. A cache is a container (base/container.h) in the folder cache/ of a database.
 * docs/format.md has the bytes.
 *
 * What must stay true:
 *   - a cache covers every row of some extents in slots below L. It is used only where L is no more than is committed
 *     and the digest in its head is that of the same rows' checksums now; anything else is passed over. So deleting one
 *     costs time, and one that is stale, damaged or of another database costs no more than that;
 *   - no failure to read one stands in anybody's way: ht_cache_load says "none", not why;
 *   - only the process that may write the database writes or removes any. They appear whole, by rename.
 * Any thread. Sections are checked block by block when first read: call ht_container_touch before, and if that fails go
 * on as if there were no cache.
 */
#ifndef HT_ENGINE_CACHE_H
#define HT_ENGINE_CACHE_H

#include "base/container.h"
#include "engine/extent.h"

/* Where a cache stands and what it is. Two caches with the same cid, sid and kind have the same place. */
typedef struct ht_cache_key {
    const char *kind; /* "codes": 1 to 9 of a-z */
    int64_t cid;
    int64_t sid;     /* of the one segment it covers; 0: it covers the collection */
    uint64_t recipe; /* how its sections were made and what they mean; with any other it is passed over */
} ht_cache_key;

typedef struct ht_cache {
    ht_container *file; /* the caller's; ht_container_close. NULL: there is none to be used */
    uint64_t slots;     /* L */
} ht_cache;

/* The cache of that key, if it is one of these extents' rows in slots below a limit that is at most `committed`. */
ht_cache ht_cache_load(ht_store *store, const ht_cache_key *key, ht_extent *const *extents, size_t count,
                       uint64_t committed);

/* Sections of the same name that follow one another become one. "head" is taken. */
typedef struct ht_cache_section {
    const char *name;
    const void *data;
    size_t bytes;
} ht_cache_section;

/* Puts all sections but "head". */
typedef struct ht_cache_content {
    hither_status (*put)(void *ctx, ht_container_writer *writer, hither_error *err);
    void *ctx;
} ht_cache_content;
/* As ht_cache_save, of sections that somebody else puts. */
HT_NODISCARD hither_status ht_cache_write(ht_store *store, const ht_cache_key *key, ht_extent *const *extents,
                                          size_t count, uint64_t slots, const ht_cache_content *content,
                                          hither_error *err);

/* Writes the cache over the one that was there. `slots` are committed. READONLY for whoever does not write the
 * database; otherwise what writing files gives. A failure leaves the old one, and is no reason to fail anything. */
HT_NODISCARD hither_status ht_cache_save(ht_store *store, const ht_cache_key *key, ht_extent *const *extents,
                                         size_t count, uint64_t slots, const ht_cache_section *sections,
                                         size_t section_count, hither_error *err);

/* Removes the collection's caches of all kinds whose segment is none of these extents (count 0: all there are, those of
 * the collection too), and what writing one has left behind. By the writer's process. */
void ht_cache_sweep(ht_store *store, int64_t cid, ht_extent *const *extents, size_t count);

/* Removes the collection's caches of no one segment: what they know of dead rows must go. */
void ht_cache_forget(ht_store *store, int64_t cid);

#endif
