/*
 * codes.c: making codes. What must stay true is in docs/decisions/0007-codes.md: for finite rows within the range the
 * stored R of either half is at least |x - (a c + b)| + 2^-18 (|a| |c| + |b| sqrt(dim)), with c = h - 2 in the coarse
 * half and n - 8 in the fine one; any other row has R = +inf and is never ruled out. All sums are f64 in a fixed order
 * or integers, so the bytes are the same on every machine.
 */
#include "index/codes.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { LOWEST = -8, FITS = 2, QUERY_LANES = 16 };

/* Outside of these lengths the evaluation might over- or underflow. */
static const double LEAST_SQUARE = 0x1p-120, MOST_SQUARE = 0x1p+120;

/* Of the way from the middle to the outermost value, where the first guess puts the ends of the code: clipping the
 * few outermost values buys finer steps for all others. */
static const double FIRST_REACH = 0.9;

typedef struct fit {
    float scale, offset;
} fit;

static size_t words_of(size_t dim) { return (dim + HT_CODE_WORD - 1) / HT_CODE_WORD; }

size_t ht_codes_bytes(size_t rows, size_t dim) {
    size_t bytes;
    return ht_mul_size(rows / HT_CODE_ROWS, ht_code_block_bytes(words_of(dim)), &bytes) ? bytes : 0;
}

static float round_up(double x) {
    float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

/* To the nearest integer, ties to even, for |x| < 2^22: what lies below the point falls off the end of the sum. */
static float nearest(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

static fit least_squares(const ht_code_sums *s, double sum, size_t dim) {
    double n = (double)dim, spread = n * s->code2 - s->code * s->code;
    double scale = spread > 0 ? (n * s->product - s->code * sum) / spread : 0;
    fit best = {.scale = (float)scale};
    best.offset = (float)((sum - (double)best.scale * s->code) / n);
    return best;
}

/* What a half says of a row: the value of its codes, and how far that is off. */
typedef struct half {
    float scale, offset, rest;
} half;

/* R as the head of this file says: the values are formed in f32, whose rounding costs at most 4 * 2^-24 * size in all.
 */
static float rest_of(fit f, const ht_code_sums *s, double square, size_t dim) {
    double size = fabs((double)f.scale) * sqrt(s->code2) + fabs((double)f.offset) * sqrt((double)dim);
    double rest = (sqrt(square) + 0x1p-22 * size) * (1 + 0x1p-30);
    return round_up(rest + 0x1p-18 * size * (1 + 0x1p-30));
}

/* Codes one row: dim nibbles, and what both halves say. */
static void code_row(const ht_kernels *kernels, const float *x, size_t dim, uint8_t *nibbles, half halves[2]) {
    ht_code_span span;
    ht_code_sums sums[2];
    kernels->code_span(x, dim, &span);
    halves[0] = halves[1] = (half){0, 0, span.square == 0 ? 0 : INFINITY};
    if (!(span.square >= LEAST_SQUARE && span.square <= MOST_SQUARE)) { /* zero, out of range, or not finite */
        memset(nibbles, -LOWEST, dim);
        return;
    }
    double low = span.low, high = span.high, middle = (low + high) / 2, reach = (high - low) / 2 * FIRST_REACH;
    fit f = {(float)(reach / 7.5), (float)(middle + reach / 15)}; /* the codes are -8 ... 7: half a step off */
    for (int i = 0; i < FITS; i++) {
        kernels->code_fit(x, dim, f.offset, f.scale > 0 ? 1 / f.scale : 0, nibbles, sums);
        f = least_squares(&sums[1], span.sum, dim);
    }
    fit coarse = least_squares(&sums[0], span.sum, dim);
    float scales[2] = {coarse.scale, f.scale}, offsets[2] = {coarse.offset, f.offset};
    double squares[2];
    kernels->code_rest(x, dim, nibbles, scales, offsets, squares);
    halves[0] = (half){coarse.scale, coarse.offset, rest_of(coarse, &sums[0], squares[0], dim)};
    halves[1] = (half){f.scale, f.offset, rest_of(f, &sums[1], squares[1], dim)};
}

/* The row's four bytes of a word: two bits of each of its sixteen nibbles. */
static uint32_t pairs_of(const uint8_t *nibbles, unsigned shift) {
    uint32_t bytes = 0;
    for (unsigned f = 0; f < 4; f++) {
        uint32_t four;
        memcpy(&four, nibbles + 4 * f, sizeof four);
        bytes |= (four >> shift & 0x03030303u) << 2 * f;
    }
    return bytes;
}

/* Row r of the block: of every nibble the two high bits go to the coarse half and the two low ones to the fine one. */
static void write_row(char *block, size_t words, size_t r, const uint8_t *nibbles, const half halves[2]) {
    for (int which = 0; which < 2; which++) {
        float *values = (float *)(void *)(block + (size_t)which * ht_code_half_bytes(words));
        char *bytes = (char *)(values + 3 * HT_CODE_ROWS) + r * 4;
        values[r] = halves[which].scale;
        values[HT_CODE_ROWS + r] = halves[which].offset;
        values[2 * HT_CODE_ROWS + r] = halves[which].rest;
        for (size_t w = 0; w < words; w++) {
            uint32_t four = pairs_of(nibbles + w * HT_CODE_WORD, which == 0 ? 2 : 0);
            memcpy(bytes + w * HT_CODE_ROWS * 4, &four, sizeof four);
        }
    }
}

void ht_codes_make(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes) {
    size_t words = words_of(dim), block_bytes = ht_code_block_bytes(words);
    const ht_kernels *kernels = ht_kernels_get();
    uint8_t nibbles[HITHER_MAX_DIM + HT_CODE_WORD];
    memset(nibbles, -LOWEST, words * HT_CODE_WORD);
    for (size_t i = begin; i < end; i++) {
        half halves[2];
        code_row(kernels, (const float *)(const void *)((const char *)rows + i * stride), dim, nibbles, halves);
        write_row((char *)codes + i / HT_CODE_ROWS * block_bytes, words, i % HT_CODE_ROWS, nibbles, halves);
    }
}

void ht_codes_make_row(const float *row, size_t dim, void *block, size_t r) {
    const size_t words = words_of(dim);
    uint8_t nibbles[HITHER_MAX_DIM + HT_CODE_WORD];
    half halves[2];
    memset(nibbles, -LOWEST, words * HT_CODE_WORD);
    code_row(ht_kernels_get(), row, dim, nibbles, halves);
    write_row(block, words, r, nibbles, halves);
}

void ht_codes_copy_row(const void *block, size_t r, size_t dim, void *other, size_t to) {
    const size_t words = words_of(dim), half_bytes = ht_code_half_bytes(words);
    for (size_t which = 0; which < 2; which++) {
        const uint32_t *from = (const uint32_t *)(const void *)((const char *)block + which * half_bytes);
        uint32_t *into = (uint32_t *)(void *)((char *)other + which * half_bytes);
        for (size_t line = 0; line < 3 + words; line++)
            into[line * HT_CODE_ROWS + to] = from[line * HT_CODE_ROWS + r];
    }
}

/* What rounding an f64 row to f32 took from it is at most 2^-24 |x| + sqrt(dim) 2^-150: the rests grow by more than
 * that. Rows so small that the second term counts get no bound. */
static void allow_for_rounding(const ht_kernels *kernels, const double *x, size_t dim, half halves[2]) {
    double xx = kernels->ref_dot_f64(x, x, dim);
    bool zero = xx == 0;
    for (size_t j = 0; zero && j < dim; j++)
        zero = x[j] == 0;
    for (int which = 0; which < 2 && !zero; which++) {
        double rest = (double)halves[which].rest + sqrt(xx) * 0x1p-23;
        halves[which].rest = xx >= LEAST_SQUARE ? round_up(rest * (1 + 0x1p-30)) : INFINITY;
    }
}

void ht_codes_make_f64(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes) {
    size_t words = words_of(dim), block_bytes = ht_code_block_bytes(words);
    const ht_kernels *kernels = ht_kernels_get();
    uint8_t nibbles[HT_CODES_MOST_F64_DIM + HT_CODE_WORD];
    float rounded[HT_CODES_MOST_F64_DIM];
    memset(nibbles, -LOWEST, words * HT_CODE_WORD);
    for (size_t i = begin; i < end; i++) {
        half halves[2];
        const double *x = (const double *)(const void *)((const char *)rows + i * stride);
        kernels->widen_f64(x, 0, 1, dim, rounded);
        code_row(kernels, rounded, dim, nibbles, halves);
        allow_for_rounding(kernels, x, dim, halves);
        write_row((char *)codes + i / HT_CODE_ROWS * block_bytes, words, i % HT_CODE_ROWS, nibbles, halves);
    }
}

size_t ht_code_query_room(size_t dim) { return words_of(dim) * HT_CODE_WORD; }

bool ht_code_query_make(const float *query, size_t dim, double qq, int8_t *room, ht_code_query *out, double *error) {
    if (!(qq >= LEAST_SQUARE && qq <= MOST_SQUARE))
        return false;
    ht_code_span span;
    ht_kernels_get()->code_span(query, dim, &span);
    float scale = (span.high > -span.low ? span.high : -span.low) / 127, inverse = 1 / scale;
    int32_t sum = 0; /* below 2^23 */
    double lefts[QUERY_LANES] = {0}, left2 = 0;
    memset(room, 0, ht_code_query_room(dim));
    for (size_t at = 0; at < dim; at += QUERY_LANES) {
        size_t count = ht_min_size(QUERY_LANES, dim - at);
        for (size_t j = 0; j < count; j++) {
            float c = nearest(query[at + j] * inverse);
            c = c > -127 ? c : -127;
            c = c < 127 ? c : 127;
            double left = (double)query[at + j] - (double)scale * (double)c;
            lefts[j] += left * left;
            room[at + j] = (int8_t)(int32_t)c;
            sum += (int32_t)c;
        }
    }
    for (size_t j = 0; j < QUERY_LANES; j++)
        left2 += lefts[j];
    double length = sqrt(qq);
    double left = sqrt(left2) * (1 + 0x1p-30);
    *error = left / length * (1 + 0x1p-30);
    *out = (ht_code_query){.query = room,
                           .words = words_of(dim),
                           .total = sum,
                           .scale = scale,
                           .sum = (float)((double)scale * (double)sum),
                           .by_rest = round_up((length + left) * (1 + 0x1p-18))};
    return *error <= 1;
}
