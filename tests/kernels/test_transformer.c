/*
 * test_transformer.c: what a transformer computes, at every level that runs here: the same bits as the scalar level,
 * and near to slow sums in f64. Products of bytes are exact, and what is made of them is rounded as said.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "kernels/kernels.h"

enum { MOST = 600 };

static const ht_kernels *level, *scalar;
static uint64_t random_state;

static uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static float next_value(float size) { return ((float)next_random() / 1073741824.0f - 1) * size; }

static void fill(float *x, size_t count, float size) {
    for (size_t i = 0; i < count; i++)
        x[i] = next_random() % 40 == 0 ? 0 : next_value(size);
}

static void same(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t x, y;
        memcpy(&x, &a[i], sizeof x);
        memcpy(&y, &b[i], sizeof y);
        if (x != y)
            fail_msg("%s: element %zu is %a, scalar %a", level->name, i, (double)a[i], (double)b[i]);
    }
}

static void test_gelu(void **state) {
    (void)state;
    float x[MOST], y[MOST], from[MOST];
    for (size_t round = 0; round < 40; round++) {
        size_t count = 1 + next_random() % MOST;
        fill(from, count, round % 4 == 0 ? 30 : 3);
        memcpy(x, from, sizeof x);
        memcpy(y, from, sizeof y);
        level->gelu_f32(x, count);
        scalar->gelu_f32(y, count);
        same(x, y, count);
        for (size_t i = 0; i < count; i++) {
            double wanted = from[i] * 0.5 * erfc(-(double)from[i] / sqrt(2));
            assert_true(fabs(x[i] - wanted) <= 3e-7 * fabs((double)from[i]) + 1e-9);
        }
    }
}

static void test_add_norm(void **state) {
    (void)state;
    float x[MOST], y[MOST], from[MOST], other[MOST], scale[MOST], shift[MOST];
    for (size_t round = 0; round < 40; round++) {
        size_t dim = 2 + next_random() % (MOST - 2);
        fill(from, dim, 4);
        fill(other, dim, 4);
        fill(scale, dim, 2);
        fill(shift, dim, 1);
        memcpy(x, from, sizeof x);
        memcpy(y, from, sizeof y);
        level->add_norm_f32(x, other, dim, scale, shift, 1e-5f);
        scalar->add_norm_f32(y, other, dim, scale, shift, 1e-5f);
        same(x, y, dim);
        double mean = 0, square = 0;
        for (size_t i = 0; i < dim; i++)
            mean += ((double)from[i] + other[i]) / (double)dim;
        for (size_t i = 0; i < dim; i++)
            square += pow((double)from[i] + other[i] - mean, 2) / (double)dim;
        for (size_t i = 0; i < dim; i++) {
            double wanted = ((double)from[i] + other[i] - mean) / sqrt(square + 1e-5) * scale[i] + shift[i];
            assert_true(fabs(x[i] - wanted) < 1e-5);
        }
    }
}

static double head_slowly(const float *qkv, size_t stride, size_t tokens, size_t width, size_t head, size_t heads,
                          size_t row, size_t d) {
    double top = -INFINITY, sum = 0, out = 0, scores[96];
    const float *q = qkv + row * stride + head * width;
    for (size_t j = 0; j < tokens; j++) {
        const float *k = qkv + j * stride + (heads + head) * width;
        scores[j] = 0;
        for (size_t i = 0; i < width; i++)
            scores[j] += (double)q[i] * k[i] / sqrt((double)width);
        top = scores[j] > top ? scores[j] : top;
    }
    for (size_t j = 0; j < tokens; j++) {
        sum += exp(scores[j] - top);
        out += exp(scores[j] - top) * qkv[j * stride + (2 * heads + head) * width + d];
    }
    return out / sum;
}

static void test_attend(void **state) {
    (void)state;
    enum { TOKENS = 90, HEADS = 2, MOST_WIDTH = 40, PADDED = 96 };
    static const size_t widths[] = {32, 24, 8, 40};
    static float qkv[TOKENS * 3 * HEADS * MOST_WIDTH], room[PADDED * (2 * MOST_WIDTH + HT_ATTEND_ROWS)];
    static float x[TOKENS * HEADS * MOST_WIDTH], y[TOKENS * HEADS * MOST_WIDTH];
    for (size_t round = 0; round < 12; round++) {
        const size_t width = widths[round % 4], out = HEADS * width, stride = 3 * out;
        const size_t tokens = round == 0 ? 1 : round == 1 ? TOKENS : 1 + next_random() % TOKENS;
        const double most = round % 2 ? 2 : 12;
        fill(qkv, tokens * stride, (float)most);
        for (size_t h = 0; h < HEADS; h++) {
            level->attend_f32(qkv, stride, tokens, width, h, HEADS, room, x, out);
            scalar->attend_f32(qkv, stride, tokens, width, h, HEADS, room, y, out);
        }
        same(x, y, tokens * out);
        for (size_t i = 0; i < tokens; i += 1 + round % 3)
            for (size_t d = 0; d < out; d++)
                assert_true(fabs(x[i * out + d] - head_slowly(qkv, stride, tokens, width, d / width, HEADS, i,
                                                              d % width)) < 2e-5 * most);
    }
}

static void test_quantize(void **state) {
    (void)state;
    float x[MOST];
    for (size_t round = 0; round < 60; round++) {
        uint8_t a[MOST], b[MOST];
        float step, other_step;
        int32_t zero, other_zero;
        size_t count = 1 + next_random() % MOST;
        fill(x, count, round == 0 ? 0 : round == 1 ? 1e-42f : 3);
        if (round % 3 == 2)
            for (size_t i = 0; i < count; i++)
                x[i] = fabsf(x[i]);
        level->quantize_u8(x, count, a, &step, &zero);
        scalar->quantize_u8(x, count, b, &other_step, &other_zero);
        assert_memory_equal(a, b, count);
        assert_true(step == other_step && zero == other_zero && zero >= 0 && zero <= 255);
        for (size_t i = 0; round > 1 && i < count; i++)
            assert_true(fabsf(x[i] - step * (float)(a[i] - zero)) <= step * 1.01f);
    }
    const float broken[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};
    uint8_t bytes[5];
    float step;
    int32_t zero;
    level->quantize_u8(broken, 5, bytes, &step, &zero); /* whatever it gives, it does not trap */
}

/* Column c's weight t, as they lie. */
static int8_t weight_of(const ht_byte_columns *w, size_t c, size_t t) {
    return w->weights[c / 16 * 16 * w->depth + t / 4 * 64 + c % 16 * 4 + t % 4];
}

static void one_linear(size_t round, size_t rows, size_t depth, size_t columns) {
    uint8_t *a = malloc(rows * depth);
    int8_t *weights = malloc(depth * columns);
    float *x = malloc(rows * columns * sizeof *x), *y = malloc(rows * columns * sizeof *y);
    float scales[256], bias[256], row_scales[64];
    int32_t totals[256], zeros[64];
    const bool extreme = round % 5 == 0;
    for (size_t i = 0; i < rows * depth; i++)
        a[i] = (uint8_t)(extreme ? 255 : next_random());
    for (size_t i = 0; i < depth * columns; i++)
        weights[i] = (int8_t)(extreme ? round % 2 ? 127 : -128 : (int)(next_random() % 256) - 128);
    const ht_byte_columns w = {depth, columns, weights, scales, bias, totals};
    const ht_byte_rows in = {a, row_scales, zeros};
    fill(scales, columns, 1);
    fill(bias, columns, 1);
    fill(row_scales, rows, 0.01f);
    for (size_t r = 0; r < rows; r++)
        zeros[r] = (int32_t)(next_random() % 256);
    for (size_t c = 0; c < columns; c++) {
        totals[c] = 0;
        for (size_t t = 0; t < depth; t++)
            totals[c] += weight_of(&w, c, t);
    }
    level->linear_u8(&in, rows, &w, false, x);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            int32_t sum = 0;
            for (size_t t = 0; t < depth; t++)
                sum += (a[r * depth + t] - zeros[r]) * weight_of(&w, c, t);
            y[r * columns + c] = fmaf((float)sum, row_scales[r] * scales[c], bias[c]);
        }
    }
    same(x, y, rows * columns);
    level->linear_u8(&in, rows, &w, true, x);
    scalar->gelu_f32(y, rows * columns);
    same(x, y, rows * columns);
    free(a);
    free(weights);
    free(x);
    free(y);
}

static void test_linear(void **state) {
    (void)state;
    for (size_t round = 0; round < 60; round++) /* every number of rows up to some more than a tile has */
        one_linear(round, 1 + round % 30, 4 * (1 + next_random() % 40), 16 * (1 + next_random() % 9));
}

int main(void) {
    int failed = 0, supported = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),     cmocka_unit_test(test_add_norm), cmocka_unit_test(test_attend),
        cmocka_unit_test(test_quantize), cmocka_unit_test(test_linear),
    };
    scalar = ht_kernels_level(0, &supported);
    for (size_t i = 0; (level = ht_kernels_level(i, &supported)); i++) {
        random_state = 20240611;
        if (supported)
            failed += cmocka_run_group_tests_name(level->name, tests, NULL, NULL);
    }
    return failed;
}
