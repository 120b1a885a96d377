/*
 * npy.h: numpy's .npy files, versions 1 to 3, strictly: little-endian float16, float32 and float64, where asked for
 * also int8, uint8 and uint16; one or two dimensions, C order. Everything else is refused by name; nothing is ever
 * executed or unpickled. One thread.
 */
#ifndef HT_CLI_NPY_H
#define HT_CLI_NPY_H

#include "reader.h"

typedef struct ht_npy {
    ht_reader *reader;
    char kind;     /* of an element: 'f', or 'i' or 'u' */
    unsigned item; /* bytes an element: 1, 2, 4 or 8 */
    bool flat;     /* one dimension: a single row */
    uint64_t rows, next;
    uint32_t dim;
    char *raw; /* one row as it stands in the file */
} ht_npy;

/* Reads the header. SYNTAX, UNSUPPORTED, TOO_LARGE; CORRUPT when a file's size does not fit its shape. */
HT_NODISCARD hither_status ht_npy_open(ht_npy *npy, ht_reader *r, hither_error *err);
/* As ht_npy_open, of integers too. */
HT_NODISCARD hither_status ht_npy_open_any(ht_npy *npy, ht_reader *r, hither_error *err);
void ht_npy_close(ht_npy *npy);

/* The next row as it stands in the file, dim * item bytes; there is one while npy->next < npy->rows. After the last row
 * the input must end. CORRUPT names the row, counted from 0. */
HT_NODISCARD hither_status ht_npy_raw(ht_npy *npy, char *out, hither_error *err);

/* The same as dim floats; NOT_FINITE too names the row. */
HT_NODISCARD hither_status ht_npy_row(ht_npy *npy, float *out, hither_error *err);

/* All rows of an array just opened, as floats or as they stand in the file; the caller's to release. */
HT_NODISCARD hither_status ht_npy_read_rows(ht_npy *npy, float **out, hither_error *err);
HT_NODISCARD hither_status ht_npy_read_raw(ht_npy *npy, char **out, hither_error *err);

/* The whole array, the caller's to release. */
HT_NODISCARD hither_status ht_npy_read(ht_reader *r, float **out, size_t *rows, uint32_t *dim, hither_error *err);

/* The header of a float32 array; rows follow it, packed. */
void ht_npy_header(ht_buf *out, uint64_t rows, uint32_t dim);

#endif
