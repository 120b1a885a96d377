/*
 * array.h: a whole .npy array, and what was found near its rows, for the commands over arrays. Main thread.
 *
 * A regular file of float32 is mapped and read where it lies, so it may be larger than memory; anything else (a pipe,
 * float16, float64) is read into memory as float32. A mapped file must not be cut short while it is in use.
 */
#ifndef HT_CLI_ARRAY_H
#define HT_CLI_ARRAY_H

#include "npy.h"

typedef struct ht_array {
    const float *data; /* rows x dim, packed */
    size_t rows;
    uint32_t dim;
    float *own;          /* read into memory, or NULL */
    void *mapping;       /* or mapped */
    size_t mapped_bytes; /* of the whole file */
} ht_array;

/* What ht_npy_read says, and IO. *out is safe to free either way. */
HT_NODISCARD hither_status ht_array_read(const char *path, ht_array *out, hither_error *err);
void ht_array_free(ht_array *array);
/* Rows [from, from + count). */
hither_matrix ht_array_view(const ht_array *array, size_t from, size_t count);

/* The rows of an array that the reader stands before the header of, where they can be mapped: *out stays empty where
 * they cannot, and the rows are still to be read from `npy`. */
HT_NODISCARD hither_status ht_array_map(const ht_npy *npy, ht_array *out, hither_error *err);

/* Puts the file's name before what the library said about an array's numbers; gives `status` back. */
hither_status ht_name_file(hither_status status, const char *name, hither_error *err);

/* One query's answer: a line a hit (query, rank, label, distance), or one JSON object. Ends at the first label of -1.
 */
void ht_print_labels(ht_buf *out, bool json, size_t query, uint32_t k, const int64_t *labels, const float *distances);

#endif
