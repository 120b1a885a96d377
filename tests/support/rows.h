/*
 * rows.h: short ways to make ids, columns and vectors for tests, and a folder on disk that goes away.
 */
#ifndef HT_TESTS_ROWS_H
#define HT_TESTS_ROWS_H

#include "base/strings.h"

/* A column of strings from NUL-terminated ones, NULL for missing; at most HT_TEST_ROWS. Good until freed by nobody:
 * the memory is inside. */
#define HT_TEST_ROWS 64
typedef struct test_column {
    char bytes[8192];
    uint64_t offsets[HT_TEST_ROWS + 1];
    uint8_t valid[HT_TEST_ROWS / 8];
} test_column;
hither_strings test_strings(test_column *room, size_t count, const char *const *texts);

/* ids over an array of integers. */
hither_ids test_int_ids(const int64_t *ints, size_t count);
hither_matrix test_matrix(const float *data, size_t rows, size_t dim);

/* A pseudo-random float in [-1, 1) from a few numbers; the same on every machine. */
float test_float(uint64_t seed, uint64_t i);

/* A new path under the system's folder for temporary files; nothing is there yet. The caller frees the text after
 * test_remove_tree. */
char *test_path(void);
void test_remove_tree(char *path);

#endif
