/*
 * api.h: what the files of api/ share. This layer checks what needs no database (pointers, sizes of options, UTF-8,
 * shapes, finite vectors), joins text -> embed -> engine, and sets the floating-point mode around everything that
 * computes. Nothing else: below it everybody may trust their arguments.
 *
 * Public handles that carry nothing of their own are the inner objects, converted here and nowhere else.
 */
#ifndef HT_API_API_H
#define HT_API_API_H

#include "base/error.h"
#include "base/strings.h"
#include "embed/embed.h"
#include "engine/engine.h"
#include "kernels/convert.h"

static inline hither_embedder *ht_embedder_out(ht_embedder *e) { return (hither_embedder *)e; }
static inline ht_embedder *ht_embedder_in(hither_embedder *e) { return (ht_embedder *)e; }
static inline const ht_embedder *ht_embedder_in_const(const hither_embedder *e) { return (const ht_embedder *)e; }
static inline ht_db *ht_db_in(hither_db *db) { return (ht_db *)db; }
ht_collection *ht_collection_in(hither_collection *c); /* collection.c */
static inline ht_cursor *ht_cursor_in(hither_cursor *cursor) { return (ht_cursor *)cursor; }

/* Reads an options struct of a caller who may have been compiled against another version: the first min(size, bytes)
 * bytes are copied over `out` (bytes long, zeroed first). options NULL: all zero but the size. A size too small to be
 * one is INVALID; a longer one whose unknown members are not zero is UNSUPPORTED. `what` names the struct. */
HT_NODISCARD hither_status ht_options_read(void *out, size_t bytes, const void *options, const char *what,
                                           hither_error *err);

/* INVALID unless it may name a collection. */
HT_NODISCARD hither_status ht_name_check(const char *name, hither_error *err);

/* INVALID unless a new database folder may have this path. */
HT_NODISCARD hither_status ht_new_path_check(const char *path, hither_error *err);

/* A matrix of f32 to read from: the caller's own memory, or a packed copy converted from f64. */
typedef struct ht_floats {
    hither_matrix view; /* dtype f32, stride never 0 */
    void *owned;        /* the copy, if one was needed */
} ht_floats;

/* Checks pointers, alignment, stride and 1 <= dim <= HITHER_MAX_DIM of a matrix of any dtype, but not its values; sets
 * a stride of 0 to what it means. */
HT_NODISCARD hither_status ht_matrix_check(hither_matrix *m, const char *what, hither_error *err);

/* Checks pointers, alignment, stride, 1 <= dim <= HITHER_MAX_DIM and that every value is finite (in f32 too), and
 * gives f32 rows. dtypes other than f32 and f64: UNSUPPORTED. `what` names the matrix in messages ("vectors"). */
HT_NODISCARD hither_status ht_floats_read(const hither_matrix *m, const char *what, ht_floats *out, hither_error *err);
/* As above, from an array of the library's own making: takes it over, unchecked. */
void ht_floats_own(float *packed, size_t rows, size_t dim, ht_floats *out);
/* As ht_floats_read, but gives what searches among rows of `dtype` take (index/exact.h): f64 or bits where those are
 * f64 or b1, else f32. Queries that are bits: UNSUPPORTED unless the rows are. */
HT_NODISCARD hither_status ht_queries_read(const hither_matrix *m, hither_dtype dtype, ht_floats *out,
                                           hither_error *err);
void ht_floats_clear(ht_floats *floats);

/* Columns of vector fields to read from: the caller's own memory, or copies where f64 had to be converted. */
typedef struct ht_named_list {
    hither_named *columns; /* `count` of them */
    ht_floats *floats;
    size_t count;
} ht_named_list;

/* Checks names, counts, pointers, offsets, and that every number is finite. What the collection's fields say of them is
 * for the engine to check. INVALID, ENCODING, and as ht_floats_read. */
HT_NODISCARD hither_status ht_named_read(const hither_named *columns, size_t count, ht_named_list *out,
                                         hither_error *err);
void ht_named_clear(ht_named_list *list);

/* What 0 means where a metric is asked for. */
static inline hither_metric ht_metric_or_default(hither_metric metric, hither_dtype dtype) {
    return metric ? metric : dtype == HITHER_B1 ? HITHER_HAMMING : HITHER_COSINE;
}

#endif
