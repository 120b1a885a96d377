/*
 * array.h: a whole .npy array of any type rows can have, and what was found near its rows, for the commands over
 * arrays. Main thread.
 *
 * A regular file is mapped and read where it lies, so it may be larger than memory; a pipe is read into memory. A
 * mapped file must not be cut short while it is in use.
 */
#ifndef HT_CLI_ARRAY_H
#define HT_CLI_ARRAY_H

#include "args.h"
#include "npy.h"

typedef struct ht_array {
    const char *data; /* packed rows */
    size_t rows, row_bytes;
    uint32_t dim; /* of b1 bits */
    hither_dtype dtype;
    char *own;           /* read into memory, or NULL */
    void *mapping;       /* or mapped */
    size_t mapped_bytes; /* of the whole file */
} ht_array;

/* What the rows of a file are: what numpy says, but uint8 are bits and uint16 bf16 only where `wanted` (0: nothing) is
 * b1 or bf16. UNSUPPORTED. */
HT_NODISCARD hither_status ht_array_dtype(const ht_npy *npy, hither_dtype wanted, hither_dtype *out, hither_error *err);

/* Rows to be searched, of what ht_array_dtype says. What ht_npy_open_any says, and IO. *out is safe to free either
 * way. */
HT_NODISCARD hither_status ht_array_read(const char *path, hither_dtype wanted, ht_array *out, hither_error *err);
/* Queries for rows of `dtype`: f32, f64, or b1 where the rows are and the file holds uint8. */
HT_NODISCARD hither_status ht_array_read_queries(const char *path, hither_dtype dtype, ht_array *out,
                                                 hither_error *err);
void ht_array_free(ht_array *array);
/* Rows [from, from + count). */
hither_matrix ht_array_view(const ht_array *array, size_t from, size_t count);

/* The rows of an array that the reader stands before the first of, as `dtype`, which must be what they are, where they
 * can be mapped: *out stays empty where they cannot, and the rows are still to be read from `npy`. */
HT_NODISCARD hither_status ht_array_map(const ht_npy *npy, hither_dtype dtype, ht_array *out, hither_error *err);

/* The recall asked for, 0 where none is: false, and said so, where it is no share. */
bool ht_recall_option(const ht_args *args, double *out);

/* Puts the file's name before what the library said about an array's numbers; gives `status` back. */
hither_status ht_name_file(hither_status status, const char *name, hither_error *err);

/* One group of a result in the same way. */
void ht_print_found(ht_buf *out, bool json, size_t query, const hither_result *found, size_t group);
/* One query's answer: a line a hit (query, rank, label, distance), or one JSON object. Ends at the first label of -1.
 */
void ht_print_labels(ht_buf *out, bool json, size_t query, size_t count, const int64_t *labels, const float *distances);

#endif
