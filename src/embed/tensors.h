/*
 * tensors.h: named arrays of numbers in a safetensors file. The header is checked when it is opened: every array lies
 * within the file and has the bytes its shape wants. Numbers are read into memory of the caller's, as f32, so a file
 * that changes below us gives other numbers, never a fault. One thread.
 */
#ifndef HT_EMBED_TENSORS_H
#define HT_EMBED_TENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"

enum { HT_TENSOR_MAX_RANK = 8 };

typedef struct ht_tensors ht_tensors;

/* MODEL (says what is wrong with the file), SYNTAX, TOO_LARGE, NOT_FOUND, IO, NOMEM. */
HT_NODISCARD hither_status ht_tensors_open(const ht_io *io, const char *path, ht_tensors **out, hither_error *err);
void ht_tensors_close(ht_tensors *tensors);

bool ht_tensors_has(const ht_tensors *tensors, const char *name);
/* Reads all of an array of that many rows and columns (rows 1: also where it has one dimension only), of f32, f16 or
 * bf16, all finite. MODEL if it is missing, of another shape or type, or holds what is not finite. Without out
 * the numbers are not read. */
HT_NODISCARD hither_status ht_tensors_read(const ht_tensors *tensors, const char *name, size_t rows, size_t columns,
                                           float *out, hither_error *err);

/* Rows and columns of an array (rows 1 where it has one dimension only). MODEL if it is missing. */
HT_NODISCARD hither_status ht_tensors_shape(const ht_tensors *tensors, const char *name, uint64_t *rows,
                                            uint64_t *columns, hither_error *err);
/* As ht_tensors_read, of i8 too, whose bytes then are the numbers. */
HT_NODISCARD hither_status ht_tensors_read_table(const ht_tensors *tensors, const char *name, size_t rows,
                                                 size_t columns, float *out, hither_error *err);
/* An array of `count` whole numbers from 0 to below `end`, of i32 or i64. */
HT_NODISCARD hither_status ht_tensors_read_places(const ht_tensors *tensors, const char *name, size_t count,
                                                  uint32_t end, uint32_t *out, hither_error *err);

#endif
