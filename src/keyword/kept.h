/*
 * kept.h: postings as the sections of a container, and back. What is read is hostile until every number in it was
 * looked at: each list is unpacked once, and what bounds its blocks is worked out again. docs/format.md has the bytes.
 * Any thread; the parts are only read.
 */
#ifndef HT_KEYWORD_KEPT_H
#define HT_KEYWORD_KEPT_H

#include "base/container.h"
#include "keyword/postings.h"

#define HT_WORDS_RECIPE 1u

/* Puts the sections of parts that follow one another. What putting gives. */
HT_NODISCARD hither_status ht_postings_put(ht_postings *const *parts, size_t count, ht_container_writer *writer,
                                           hither_error *err);
/* The parts, which together cover slots [0, slots), and hold nothing of the container. *parts is the caller's to
 * release, and each of them. CORRUPT, NOMEM. */
HT_NODISCARD hither_status ht_postings_get(ht_container *container, uint64_t slots, ht_postings ***parts, size_t *count,
                                           hither_error *err);

#endif
