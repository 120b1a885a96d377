/*
 * result.h: the columns a caller gets back. Built once by one thread, then immutable. A result has groups (one a
 * query); a group has ids of one kind and, where asked for, distances, vectors, metadata, documents.
 *
 * ht_result_new starts group 0; ht_result_next_group starts a further one. Appends fail late: ht_result_check at the
 * end says NOMEM once for all of them.
 */
#ifndef HT_BASE_RESULT_H
#define HT_BASE_RESULT_H

#include "base/buf.h"
#include "base/strings.h"

/* include: HITHER_INCLUDE_... bits; dim: floats a vector if vectors are included; distances: whether it has any. */
HT_NODISCARD hither_status ht_result_new(uint32_t include, uint32_t dim, bool distances, hither_result **out,
                                         hither_error *err);
/* Before the first record. NOMEM. */
HT_NODISCARD hither_status ht_result_want_field(hither_result *r, uint32_t number, const char *name,
                                                hither_vector_kind kind, uint32_t dim, hither_error *err);
void ht_result_next_group(hither_result *r);
void ht_result_add_int(hither_result *r, int64_t id);
void ht_result_add_text(hither_result *r, const char *id, size_t bytes);
/* For the record whose id was added last; each only if its column was asked for (else ignored). */
void ht_result_distance(hither_result *r, float distance);
void ht_result_vector(hither_result *r, const float *vector); /* dim floats; NULL: NaN in each */
/* Of vector field `number`, asked for by ht_result_want_field: `count` vectors, or entries with their indices; 0 where
 * the row has none. */
void ht_result_field(hither_result *r, uint32_t number, const float *values, const uint32_t *indices, uint32_t count);
void ht_result_metadata(hither_result *r, ht_text metadata); /* data NULL: missing */
void ht_result_document(hither_result *r, ht_text document);
/* Of a search that has them. */
void ht_result_want_scores(hither_result *r); /* before the first record */
void ht_result_score(hither_result *r, double score);
void ht_result_plan(hither_result *r, const char *json);
ht_buf *ht_result_plan_buf(hither_result *r); /* to append to instead */
void ht_result_next(hither_result *r, const char *token);
HT_NODISCARD hither_status ht_result_check(hither_result *r, hither_error *err);
/* The end of a call with this status: if all went well, and the check says so too, the result is the caller's; if not,
 * it is freed. */
HT_NODISCARD hither_status ht_result_hand_over(hither_status status, hither_result *r, hither_result **out,
                                               hither_error *err);

#endif
