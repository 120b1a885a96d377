/*
 * expiry.h: rows that end by themselves. A row says when in its metadata, as "_expires", in seconds since 1970; a
 * collection that looks at it has a lifetime, which new rows that do not say get. From its moment on a row is in no
 * answer, because every reading call adds "not expired" to its filter; it is removed by ht_collection_expire, which
 * compaction calls. Any thread.
 */
#ifndef HT_ENGINE_EXPIRY_H
#define HT_ENGINE_EXPIRY_H

#include <stdatomic.h>

#include "engine/engine.h"

#define HT_EXPIRES "_expires"

/* Milliseconds since 1970; not 0 only in tests, where it stands for the system's clock. */
extern _Atomic int64_t ht_expiry_clock;

/* In seconds, rounded down. */
int64_t ht_expiry_now(void);
/* Seconds that new rows live, 0: for ever, unless they say so themselves; HT_TTL_OFF: nobody looks. */
int64_t ht_collection_ttl(const ht_collection *c);
HT_NODISCARD hither_status ht_collection_set_ttl(ht_collection *c, int64_t seconds, hither_error *err);
/* The filter of a reading call: `where` (may be NULL), and not expired; *out NULL where that is no filter at all. */
HT_NODISCARD hither_status ht_expiry_filter(const ht_collection *c, const char *where, ht_filter **out,
                                            hither_error *err);
/* Deletes what has expired. */
HT_NODISCARD hither_status ht_collection_expire(ht_collection *c, size_t *deleted, hither_error *err);

#endif
