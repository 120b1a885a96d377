/*
 * test_convert.c: conversions between types against numpy's results and against the definition, every one of the 65,536
 * halves; and the kernels that read stored rows, at every level, against the obvious twin in reference.c.
 */
#include "kernels/convert.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

#define SEED 20241121u

enum { HALVES = 65536, MOST_DIM = 150 };

static uint64_t stream = SEED;
static double uniform(void) { return (double)(int64_t)ht_mix64(stream++) * 0x1p-63; }

static bool is_number(uint16_t bits, int mantissa) {
    unsigned top = 0x7fffu >> mantissa << mantissa;
    return (bits & top) != top;
}

/* Every half widens to what its definition says, and comes back as itself. */
static void every_small_number(hither_dtype dtype, int mantissa) {
    static uint16_t all[HALVES], back[HALVES];
    static float wide[HALVES];
    int supported;
    for (size_t i = 0; i < HALVES; i++)
        all[i] = (uint16_t)i;
    for (size_t l = 0; ht_kernels_level(l, &supported); l++) {
        const ht_kernels *k = ht_kernels_level(l, &supported);
        if (!supported)
            continue;
        (dtype == HITHER_F16 ? k->widen_f16 : k->widen_bf16)(all, sizeof all, 1, HALVES, wide);
        for (size_t i = 0; i < HALVES; i++) {
            double exact = ht_ref_element(dtype, all, i);
            float want = (float)exact;
            if (isnan(exact))
                assert_true(isnan(wide[i]));
            else
                assert_memory_equal(&wide[i], &want, sizeof want);
        }
    }
    for (size_t i = 0; i < HALVES; i++) {
        bool number = is_number(all[i], mantissa);
        assert_int_equal(ht_convert_row(HITHER_F32, &wide[i], dtype, 1, &back[i]), number);
        assert_int_equal(ht_convert_row(dtype, &all[i], dtype, 1, &back[0]), number);
        if (number)
            assert_int_equal(back[i == 0 ? 0 : i], i);
    }
}

static void every_f16(void **state) {
    (void)state;
    every_small_number(HITHER_F16, 10);
}

static void every_bf16(void **state) {
    (void)state;
    every_small_number(HITHER_BF16, 7);
}

/* The two neighbours of x and the rule of nearest even, by comparison only. */
static void nearest_even(void **state) {
    (void)state;
    static const hither_dtype types[] = {HITHER_F16, HITHER_BF16};
    for (size_t i = 0; i < 200000; i++) {
        hither_dtype dtype = types[i % 2];
        int mantissa = dtype == HITHER_F16 ? 10 : 7, spread = dtype == HITHER_F16 ? 45 : 300;
        double x = ldexp(uniform(), (int)(ht_mix64(stream++) % (unsigned)spread) - spread * 2 / 3);
        float single = (float)x;
        if (i % 3 == 0)
            x = (double)single;
        uint16_t got = 0;
        if (ht_convert_row(HITHER_F64, &x, dtype, 1, &got) != 1)
            continue; /* too large: see golden */
        double low = ht_ref_element(dtype, &got, 0), error = fabs(x - low);
        for (int step = -1; step <= 1; step += 2) {
            uint16_t other = (uint16_t)(got + step);
            if ((other ^ got) & 0x8000 || !is_number(other, mantissa))
                continue;
            double distance = fabs(x - ht_ref_element(dtype, &other, 0));
            assert_true(distance > error || (distance == error && got % 2 == 0));
        }
        if (i % 3 == 0) {
            uint16_t from_f32 = 0;
            assert_int_equal(ht_convert_row(HITHER_F32, &single, dtype, 1, &from_f32), 1);
            assert_int_equal(from_f32, got);
        }
    }
}

/* What numpy 2 makes of the same numbers: float64.astype(float16); int8 by rint(x / s), s = max|x| / 127; packbits. */
static const struct {
    double x;
    uint16_t bits;
} halves[] = {
    {0x1.0000000000000p+0, 0x3c00},
    {-0x1.0000000000000p+0, 0xbc00},
    {0x1.999999999999ap-4, 0x2e66},
    {-0x1.999999999999ap-4, 0xae66},
    {0x1.5555555555555p-2, 0x3555},
    {0x1.ffc0000000000p+15, 0x7bff},
    {0x1.ffde000000000p+15, 0x7bff},
    {0x1.ffdfffffffff2p+15, 0x7bff},
    {0x1.ffe0000000000p+15, 0x7c00},
    {-0x1.ffe0000000000p+15, 0xfc00},
    {0x1.7e43c8800759cp+996, 0x7c00},
    {0x1.01b2b29a4692bp-24, 0x0001},
    {0x1.fff5c939522dbp-26, 0x0000},
    {0x1.0000000000000p-25, 0x0000},
    {0x1.0000000000001p-25, 0x0001},
    {0x1.0000000000000p-14, 0x0400},
    {0x1.ffb480a5accd5p-15, 0x03ff},
    {0x1.eeed8904f6dfcp-15, 0x03de},
    {0x1.0020000000000p+0, 0x3c00},
    {0x1.0020000000001p+0, 0x3c01},
    {0x1.0060000000000p+0, 0x3c02},
    {0x1.0020000000000p+11, 0x6800},
    {0x1.0060000000000p+11, 0x6802},
    {0x0.0000000000001p-1022, 0x0000},
    {-0x0.0p+0, 0x8000},
    {0x0.00000000007e8p-1022, 0x0000},
    {0x1.ff80000000000p-15, 0x03ff},
    {-0x1.9a96c17a324a9p-1, 0xba6a},
    {-0x1.530930ee62e3ep+0, 0xbd4c},
    {-0x1.fca504a3d846ap-3, 0xb3f3},
    {0x1.ae89324d005b8p-2, 0x36ba},
    {0x1.22d3f20fc6f7bp+0, 0x3c8b},
    {0x1.c15b7f53fc3e3p-4, 0x2f05},
    {-0x1.1af496efd9acfp-1, 0xb86c},
    {-0x1.91cebb117e6e3p-1, 0xba47},
    {0x1.7f5b9b0ca5927p-1, 0x39fd},
    {0x1.a28124398ffcfp+0, 0x3e8a},
    {0x1.1750b2ae7dfcdp-2, 0x345d},
    {-0x1.3bbb6d653b45fp+0, 0xbcef},
    {0x1.27a9eccc5a15fp-8, 0x1c9f},
    {0x1.68c0e4cd33a78p+15, 0x79a3},
    {0x1.2434b34f73f15p+12, 0x6c91},
    {0x1.d808c34fde5a5p+9, 0x6360},
    {0x1.4afaa5adcf577p-10, 0x152c},
    {0x1.a474656549b37p-6, 0x2692},
    {0x1.90ff55109cc1fp+2, 0x4644},
    {0x1.091751a0a9c9cp-24, 0x0001},
    {0x1.560ac2529ed59p-3, 0x3158},
    {0x1.1b81493dafbc0p-15, 0x0237},
    {0x1.54b3d443d721bp+11, 0x6953},
    {0x1.259820cb17e66p-24, 0x0001},
};
enum { GOLDEN_DIM = 37 };
static const float golden_floats[GOLDEN_DIM] = {
    0x1.a3781a0000000p-2f,  0x1.a8e2cc0000000p-1f,  -0x1.a49d2e0000000p+0f, -0x1.06e4440000000p-2f,
    -0x1.f624840000000p-1f, -0x1.629f340000000p-3f, -0x1.4a17580000000p+0f, 0x1.52fdce0000000p-6f,
    -0x1.365c280000000p-5f, -0x1.37a4500000000p-2f, -0x1.0c44ea0000000p+0f, -0x1.95b2ec0000000p-2f,
    -0x1.1761540000000p+0f, -0x1.5aeef60000000p+0f, 0x1.cc5c760000000p-3f,  -0x1.1bfe5c0000000p+0f,
    0x1.2b98860000000p+0f,  0x1.6ee4940000000p-1f,  -0x1.ff70ea0000000p+0f, 0x1.16a8f40000000p-2f,
    -0x1.1a0a1a0000000p+0f, 0x1.0ece040000000p-5f,  0x1.656eec0000000p-5f,  -0x1.fd09bc0000000p+0f,
    -0x1.de0ca00000000p-3f, -0x1.05edd20000000p-2f, 0x1.ec8b560000000p-1f,  -0x1.2e734c0000000p+0f,
    0x1.79e0a00000000p-1f,  -0x1.1956480000000p+0f, -0x1.533dec0000000p-2f, -0x1.ae52800000000p-1f,
    0x1.72e00e0000000p+0f,  0x1.22ecd40000000p-1f,  0x1.3743020000000p+1f,  0x1.48a9440000000p-1f,
    0x1.b0a2e40000000p-1f,
};
static const float golden_scale = 0x1.39b66e0000000p-6f;
static const int8_t golden_i8[GOLDEN_DIM] = {
    21, 43,  -86, -13, -51,  -9,  -67, 1,  -2,  -16, -55, -21, -57, -71, 12, -58, 61, 37, -104,
    14, -58, 2,   2,   -104, -12, -13, 50, -62, 39,  -57, -17, -44, 76,  30, 127, 34, 44,
};
static const uint8_t golden_b1[] = {193, 2, 214, 40, 248};

static void golden(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        uint16_t got = 0;
        size_t fits = ht_convert_row(HITHER_F64, &halves[i].x, HITHER_F16, 1, &got);
        if (!is_number(halves[i].bits, 10))
            assert_int_equal(fits, 0); /* numpy says infinity */
        else
            assert_int_equal(got, halves[i].bits);
    }
    int8_t row[GOLDEN_DIM + 8];
    float scale;
    assert_int_equal(ht_convert_row(HITHER_F32, golden_floats, HITHER_I8, GOLDEN_DIM, row), GOLDEN_DIM);
    memcpy(&scale, row + ht_scale_at(GOLDEN_DIM), sizeof scale);
    assert_memory_equal(row, golden_i8, GOLDEN_DIM);
    assert_memory_equal(&scale, &golden_scale, sizeof scale);
    uint8_t bits[(GOLDEN_DIM + 7) / 8];
    assert_int_equal(ht_convert_row(HITHER_F32, golden_floats, HITHER_B1, GOLDEN_DIM, bits), GOLDEN_DIM);
    assert_memory_equal(bits, golden_b1, sizeof bits);
}

static void refused(void **state) {
    (void)state;
    char out[64];
    static const double beyond[] = {0, 0, 65520, 0}, most[] = {0, 0, 65519.99, 0}, wide[] = {1, 1e300, 2, 0};
    static const float nan_row[] = {1, 2, 3, NAN}, brain[] = {0, 3.4e38f, 0, 0};
    assert_int_equal(ht_convert_row(HITHER_F64, beyond, HITHER_F16, 4, out), 2);
    assert_int_equal(ht_convert_row(HITHER_F64, most, HITHER_F16, 4, out), 4);
    assert_int_equal(ht_convert_row(HITHER_F64, wide, HITHER_F32, 4, out), 1);
    assert_int_equal(ht_convert_row(HITHER_F64, wide, HITHER_BF16, 4, out), 1);
    assert_int_equal(ht_convert_row(HITHER_F64, wide, HITHER_I8, 4, out), 1);
    assert_int_equal(ht_convert_row(HITHER_F64, wide, HITHER_F64, 4, out), 4);
    assert_int_equal(ht_convert_row(HITHER_F32, brain, HITHER_BF16, 4, out), 1);
    for (int to = HITHER_F32; to <= HITHER_B1; to++)
        assert_int_equal(ht_convert_row(HITHER_F32, nan_row, (hither_dtype)to, 4, out), 3);
}

/* Scales at and below the denormals, zero rows, and ties of x / s. */
static void scales(void **state) {
    (void)state;
    int8_t row[16];
    float scale;
    static const float zero[5] = {0, -0.0f, 0, 0, 0}, tiny[5] = {0x1p-149f, -0x1p-148f, 0, 0x1p-146f, 0};
    static const float ties[5] = {127, 0.5f, 1.5f, -2.5f, -127};
    assert_int_equal(ht_convert_row(HITHER_F32, zero, HITHER_I8, 5, row), 5);
    memcpy(&scale, row + 8, sizeof scale);
    assert_true(scale == 0 && row[0] == 0);
    assert_int_equal(ht_convert_row(HITHER_F32, tiny, HITHER_I8, 5, row), 5);
    assert_int_equal(ht_convert_row(HITHER_F32, ties, HITHER_I8, 5, row), 5);
    static const int8_t want[8] = {127, 0, 2, -2, -127, 0, 0, 0};
    assert_memory_equal(row, want, sizeof want);
}

/* ---- the kernels that read stored rows */

typedef struct memory {
    char *query, *rows;
    size_t stride, dim;
} memory;

/* Three rows of numbers of many magnitudes, at odd addresses where a type allows that. */
static void fill(memory *m, hither_dtype dtype) {
    hither_dtype of_query = dtype == HITHER_F64 || dtype == HITHER_B1 ? dtype : HITHER_F32;
    double values[MOST_DIM];
    char row[MOST_DIM * 8];
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < m->dim; j++)
            values[j] = j % 11 == i ? 0 : ldexp(uniform(), j % 7 == 0 ? -20 : 0);
        assert_int_equal(ht_convert_row(HITHER_F64, values, i == 3 ? of_query : dtype, m->dim, row), m->dim);
        memcpy(i == 3 ? m->query : m->rows + i * m->stride, row,
               ht_row_bytes(i == 3 ? of_query : dtype, m->dim, false));
    }
}

static void check_level(const ht_kernels *k, hither_dtype dtype, const memory *m, bool bare) {
    float out[3 * MOST_DIM];
    if (dtype == HITHER_B1) {
        k->hamming_b1(m->query, m->rows, m->stride, 3, m->dim, out);
        for (size_t i = 0; i < 3; i++)
            assert_true((double)out[i] ==
                        ht_ref_distance(dtype, false, HITHER_HAMMING, m->query, m->rows + i * m->stride, m->dim));
        return;
    }
    switch (dtype) {
    case HITHER_F64:
        k->widen_f64(m->rows, m->stride, 3, m->dim, out);
        break;
    case HITHER_F16:
        k->widen_f16(m->rows, m->stride, 3, m->dim, out);
        break;
    case HITHER_BF16:
        k->widen_bf16(m->rows, m->stride, 3, m->dim, out);
        break;
    default:
        k->widen_i8(m->rows, m->stride, 3, m->dim, bare, out);
    }
    for (size_t i = 0; i < 3; i++) {
        const char *row = m->rows + i * m->stride;
        float scale = 1;
        if (dtype == HITHER_I8 && !bare)
            memcpy(&scale, row + ht_scale_at(m->dim), sizeof scale);
        for (size_t j = 0; j < m->dim; j++) {
            float want = (float)((double)scale * ht_ref_element(dtype, row, j));
            assert_memory_equal(&out[i * m->dim + j], &want, sizeof want);
        }
    }
}

static void every_level(void **state) {
    (void)state;
    int supported;
    for (size_t dim = 1; dim <= MOST_DIM; dim++) {
        for (int dtype = HITHER_F64; dtype <= HITHER_B1; dtype++) {
            memory m = {.dim = dim,
                        .stride = ht_row_bytes((hither_dtype)dtype, dim, false) + (dtype == HITHER_F64 ? 8 : 3)};
            m.query = ht_alloc(dim * 8);
            char *room = ht_alloc(3 * m.stride + 1);
            m.rows = room + (dtype != HITHER_F64);
            fill(&m, (hither_dtype)dtype);
            for (size_t l = 0; ht_kernels_level(l, &supported); l++) {
                if (!supported)
                    continue;
                check_level(ht_kernels_level(l, &supported), (hither_dtype)dtype, &m, false);
                check_level(ht_kernels_level(l, &supported), (hither_dtype)dtype, &m, true);
            }
            ht_release(room);
            ht_release(m.query);
        }
    }
}

/* The f64 sums have the bits of the twin at every level. */
static void f64_sums(void **state) {
    (void)state;
    int supported;
    double q[MOST_DIM], x[MOST_DIM];
    for (size_t dim = 1; dim <= MOST_DIM; dim++) {
        for (size_t j = 0; j < dim; j++) {
            q[j] = ldexp(uniform(), (int)(j % 60) - 30);
            x[j] = j % 5 == 0 ? -q[j] : uniform();
        }
        for (size_t l = 0; ht_kernels_level(l, &supported); l++) {
            const ht_kernels *k = ht_kernels_level(l, &supported);
            if (!supported)
                continue;
            double dot = -k->ref_dot_f64(q, x, dim), l2 = k->ref_l2_f64(q, x, dim), l1 = k->ref_l1_f64(q, x, dim);
            double want[3] = {ht_ref_distance(HITHER_F64, false, HITHER_DOT, q, x, dim),
                              ht_ref_distance(HITHER_F64, false, HITHER_L2, q, x, dim),
                              ht_ref_distance(HITHER_F64, false, HITHER_L1, q, x, dim)};
            assert_memory_equal(&dot, &want[0], sizeof dot);
            assert_memory_equal(&l2, &want[1], sizeof l2);
            assert_memory_equal(&l1, &want[2], sizeof l1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16),   cmocka_unit_test(every_bf16), cmocka_unit_test(nearest_even),
        cmocka_unit_test(golden),      cmocka_unit_test(refused),    cmocka_unit_test(scales),
        cmocka_unit_test(every_level), cmocka_unit_test(f64_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
