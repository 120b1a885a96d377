/*
 * collection.h: what the files of api/ about collections share. Any thread.
 */
#ifndef HT_API_COLLECTION_H
#define HT_API_COLLECTION_H

#include "api/api.h"

struct hither_collection {
    ht_collection *inner;
    ht_embedder *embedder; /* NULL: none */
};

/* INVALID if the collection, or a pointer that is needed, is NULL. */
HT_NODISCARD hither_status ht_call_check(const hither_collection *c, const void *out, hither_error *err);
HT_NODISCARD hither_status ht_include_check(uint32_t include, hither_error *err);
/* where NULL: no filter, *out NULL. The floating-point mode matters from here on: operands are numbers. */
HT_NODISCARD hither_status ht_where_parse(const char *where, ht_filter **out, hither_error *err);
/* The same for a call that reads: rows that have expired match nothing. */
HT_NODISCARD hither_status ht_reading_where(const hither_collection *c, const char *where, ht_filter **out,
                                            hither_error *err);
/* Where the collection gives new rows a lifetime: the batch's metadata with the moment they end. `room` is empty, and
 * holds the new column. */
HT_NODISCARD hither_status ht_moments_add(const hither_collection *c, hither_batch *b, ht_column *room,
                                          hither_error *err);
/* The number of a DENSE vector field; NULL: 0, the rows' own vectors. NOT_FOUND, INVALID. */
HT_NODISCARD hither_status ht_vectors_find(const hither_collection *c, const char *field, uint32_t *number,
                                           hither_error *err);
/* A field's path; NULL as above. `what` begins messages. */
HT_NODISCARD hither_status ht_field_parse(const char *path, const char *what, ht_filter **out, hither_error *err);
/* The vectors of texts, by the collection's embedder, and its name in *by. */
HT_NODISCARD hither_status ht_texts_embed(hither_collection *c, ht_embed_role role, const hither_strings *texts,
                                          ht_floats *out, const char **by, hither_error *err);
/* hither_collection_reembed, its arguments checked. */
HT_NODISCARD hither_status ht_reembed(hither_collection *c, ht_embedder *embedder, struct ht_progress *progress,
                                      hither_error *err);

#endif
