/*
 * test_tiles.c: the products of the matrix unit (kernels/tiles.inc) on a model of its instructions, as the processor's
 * manual has them, so that they are tested on machines without it: the same bits as the scalar level. On a machine that
 * has the unit, test_transformer.c tries the unit itself.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

/* ---- the model: eight registers of up to 16 rows of 64 bytes, as the configuration says */

static struct {
    bool ready;
    uint16_t bytes[16];
    uint8_t rows[16];
    uint8_t data[8][16][64];
} matrix_unit;

static void _tile_loadconfig(const void *config) {
    const uint8_t *from = config;
    assert_int_equal(from[0], 1); /* the palette */
    for (int i = 1; i < 16; i++)
        assert_int_equal(from[i], 0);
    memset(&matrix_unit, 0, sizeof matrix_unit);
    memcpy(matrix_unit.bytes, from + 16, sizeof matrix_unit.bytes);
    memcpy(matrix_unit.rows, from + 48, sizeof matrix_unit.rows);
    for (int i = 0; i < 16; i++)
        assert_true(i < 8 ? matrix_unit.bytes[i] <= 64 && matrix_unit.rows[i] <= 16
                          : matrix_unit.bytes[i] == 0 && matrix_unit.rows[i] == 0);
    matrix_unit.ready = true;
}
static void _tile_release(void) { matrix_unit.ready = false; }
static void _tile_zero(int tile) {
    assert_true(matrix_unit.ready);
    memset(matrix_unit.data[tile], 0, sizeof matrix_unit.data[tile]);
}
static void _tile_loadd(int tile, const void *base, size_t stride) {
    _tile_zero(tile);
    for (int r = 0; r < matrix_unit.rows[tile]; r++)
        memcpy(matrix_unit.data[tile][r], (const char *)base + (size_t)r * stride, matrix_unit.bytes[tile]);
}
static void _tile_stored(int tile, void *base, size_t stride) {
    assert_true(matrix_unit.ready);
    for (int r = 0; r < matrix_unit.rows[tile]; r++)
        memcpy((char *)base + (size_t)r * stride, matrix_unit.data[tile][r], matrix_unit.bytes[tile]);
}
static void _tile_dpbusd(int sums, int a, int b) {
    assert_true(matrix_unit.ready);
    assert_true(matrix_unit.rows[sums] == matrix_unit.rows[a] && matrix_unit.bytes[a] == 4 * matrix_unit.rows[b] &&
                matrix_unit.bytes[sums] == matrix_unit.bytes[b]);
    for (int m = 0; m < matrix_unit.rows[a]; m++) {
        for (int n = 0; n < matrix_unit.bytes[b] / 4; n++) {
            int32_t sum;
            memcpy(&sum, matrix_unit.data[sums][m] + 4 * n, sizeof sum);
            for (int t = 0; t < matrix_unit.bytes[a]; t++)
                sum += matrix_unit.data[a][m][t] * (int8_t)matrix_unit.data[b][t / 4][4 * n + t % 4];
            memcpy(matrix_unit.data[sums][m] + 4 * n, &sum, sizeof sum);
        }
    }
}

/* The scalar level once more, but for these products. */
#define ht_kernels_scalar ht_kernels_of_model
#define PRODUCT_TILES
#include "kernels/scalar.c"
#undef ht_kernels_scalar

/* ---- */

static uint64_t random_state = 20250111;

static uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

/* In pieces of their own, so that a sanitizer sees what is read behind them. */
static void one_shape(const ht_kernels *scalar, size_t rows, size_t depth, size_t columns) {
    uint8_t *bytes = malloc(rows * depth);
    int8_t *weights = malloc(depth * columns);
    float *x = malloc(rows * columns * sizeof *x), *y = malloc(rows * columns * sizeof *y), scales[128];
    int32_t totals[128];
    assert_true(bytes && weights && x && y && rows <= 128 && columns <= 128);
    for (size_t i = 0; i < rows * depth; i++)
        bytes[i] = (uint8_t)next_random();
    for (size_t i = 0; i < depth * columns; i++)
        weights[i] = (int8_t)next_random();
    for (size_t i = 0; i < 128; i++) {
        scales[i] = (float)(1 + next_random() % 100) * 1e-4f;
        totals[i] = (int32_t)(next_random() % 256);
    }
    const ht_byte_rows a = {bytes, scales, totals};
    const ht_byte_columns w = {depth, columns, weights, scales, scales, totals};
    ht_kernels_of_model.linear_u8(&a, rows, &w, rows % 2, x);
    scalar->linear_u8(&a, rows, &w, rows % 2, y);
    assert_memory_equal(x, y, rows * columns * sizeof *x);
    free(bytes);
    free(weights);
    free(x);
    free(y);
}

static void test_tiles(void **state) {
    (void)state;
    int supported;
    const ht_kernels *scalar = ht_kernels_level(0, &supported);
    assert_non_null(scalar);
    for (size_t rows = 1; rows <= 50; rows++)
        one_shape(scalar, rows, 16 * (1 + next_random() % 9), 16 * (1 + next_random() % 5));
    for (size_t depth = 4; depth <= 140; depth += 4)
        one_shape(scalar, 1 + depth % 21, depth, 16 * (1 + depth % 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
