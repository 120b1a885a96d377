/*
 * codes.c: making codes. What must stay true is in docs/decisions/0007-codes.md: for finite rows within the range the
 * stored R is at least |x - (a(n-8) + b)| + 2^-18 (|a| |n-8| + |b| sqrt(dim)); any other row has R = +inf and is never
 * ruled out. All sums are f64 in a fixed order or integers, so the bytes are the same on every machine.
 */
#include "index/codes.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { LOWEST = -8, HIGHEST = 7, FITS = 2, PIECE = 2048 };

/* Outside of these lengths the evaluation might over- or underflow. */
static const double LEAST_SQUARE = 0x1p-120, MOST_SQUARE = 0x1p+120;

/* Of the way from the middle to the outermost value, where the first guess puts the ends of the code: clipping the
 * few outermost values buys finer steps for all others. */
static const double FIRST_REACH = 0.9;

/* What a scale and an offset stand on: sums over the row, each in pieces of PIECE dimensions, by the reference dot. */
typedef struct sums {
    double x, code, code2, product;
} sums;

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

/* The nearest code of each of `count` elements. */
static void quantise(const float *x, size_t count, fit f, float *code) {
    float inverse = f.scale > 0 ? 1 / f.scale : 0;
    for (size_t j = 0; j < count; j++) {
        float c = (x[j] - f.offset) * inverse;
        c = c > (float)LOWEST ? c : (float)LOWEST; /* in the form that maxps and minps have */
        c = c < (float)HIGHEST ? c : (float)HIGHEST;
        code[j] = nearest(c);
    }
}

/* Codes the row with one fit, and finds the one that suits that code best by least squares. */
static fit refit(const ht_kernels *kernels, const float *x, size_t dim, fit f, sums *out) {
    float code[PIECE], ones[PIECE];
    sums s = {0};
    for (size_t j = 0; j < ht_min_size(dim, PIECE); j++)
        ones[j] = 1;
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t count = ht_min_size(PIECE, dim - at);
        quantise(x + at, count, f, code);
        s.x += kernels->ref_dot_f32(x + at, ones, count);
        s.code += kernels->ref_dot_f32(code, ones, count);
        s.code2 += kernels->ref_dot_f32(code, code, count);
        s.product += kernels->ref_dot_f32(code, x + at, count);
    }
    double n = (double)dim, spread = n * s.code2 - s.code * s.code;
    double scale = spread > 0 ? (n * s.product - s.code * s.x) / spread : 0;
    fit best = {.scale = (float)scale};
    best.offset = (float)((s.x - (double)best.scale * s.code) / n);
    *out = s;
    return best;
}

/* Writes the codes of one fit, which were made with another: `from` chose them, `f` gives them their values. Returns
 * |x - x^|, rounded up: the values are formed in f32, whose rounding costs at most 4 * 2^-24 * size in all. */
static double write_code(const ht_kernels *kernels, const float *x, size_t dim, fit from, fit f, double size,
                         int8_t *code) {
    float piece[PIECE], value[PIECE];
    double rest = 0;
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t count = ht_min_size(PIECE, dim - at);
        quantise(x + at, count, from, piece);
        for (size_t j = 0; j < count; j++) {
            code[at + j] = (int8_t)piece[j];
            value[j] = f.scale * piece[j] + f.offset;
        }
        rest += kernels->ref_l2_f32(x + at, value, count);
    }
    return (sqrt(rest) + 0x1p-22 * size) * (1 + 0x1p-30);
}

/* The lowest and the highest value, a few lanes side by side. */
static void extremes(const float *x, size_t dim, float *low, float *high) {
    float lows[8], highs[8];
    for (size_t lane = 0; lane < 8; lane++)
        lows[lane] = highs[lane] = x[lane < dim ? lane : 0];
    size_t j = 8;
    for (; j + 8 <= dim; j += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            lows[lane] = x[j + lane] < lows[lane] ? x[j + lane] : lows[lane];
            highs[lane] = x[j + lane] > highs[lane] ? x[j + lane] : highs[lane];
        }
    }
    *low = lows[0];
    *high = highs[0];
    for (size_t lane = 1; lane < 8; lane++) {
        *low = lows[lane] < *low ? lows[lane] : *low;
        *high = highs[lane] > *high ? highs[lane] : *high;
    }
    for (; j < dim; j++) {
        *low = x[j] < *low ? x[j] : *low;
        *high = x[j] > *high ? x[j] : *high;
    }
}

/* Codes one row; code holds dim values. */
static void code_row(const ht_kernels *kernels, const float *x, size_t dim, int8_t *code, float *scale, float *offset,
                     float *rest) {
    double xx = kernels->ref_dot_f32(x, x, dim);
    memset(code, 0, dim);
    *scale = *offset = 0;
    *rest = xx == 0 ? 0 : INFINITY;
    if (!(xx >= LEAST_SQUARE && xx <= MOST_SQUARE)) /* zero, out of range, or not finite */
        return;
    float low, high;
    extremes(x, dim, &low, &high);
    double middle = ((double)low + (double)high) / 2, reach = ((double)high - (double)low) / 2 * FIRST_REACH;
    fit from = {(float)(reach / 7.5), (float)(middle + reach / 15)}; /* the codes are -8 ... 7: half a step off */
    sums s;
    fit f = refit(kernels, x, dim, from, &s);
    for (int i = 1; i < FITS; i++) {
        from = f;
        f = refit(kernels, x, dim, from, &s);
    }
    double size = fabs((double)f.scale) * sqrt(s.code2) + fabs((double)f.offset) * sqrt((double)dim);
    *rest = round_up(write_code(kernels, x, dim, from, f, size, code) + 0x1p-18 * size * (1 + 0x1p-30));
    *scale = f.scale;
    *offset = f.offset;
}

void ht_codes_make(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes) {
    size_t words = words_of(dim), block_bytes = ht_code_block_bytes(words);
    const ht_kernels *kernels = ht_kernels_get();
    int8_t code[HITHER_MAX_DIM + HT_CODE_WORD] = {0}; /* zeros past the dimension */
    for (size_t first = begin; first < end; first += HT_CODE_ROWS) {
        char *block = (char *)codes + first / HT_CODE_ROWS * block_bytes;
        float *values = (float *)(void *)block;
        uint8_t *nibbles = (uint8_t *)block + 3 * HT_CODE_ROWS * sizeof(float);
        for (size_t r = 0; r < HT_CODE_ROWS; r++) {
            const float *x = (const float *)(const void *)((const char *)rows + (first + r) * stride);
            code_row(kernels, x, dim, code, &values[r], &values[HT_CODE_ROWS + r], &values[2 * HT_CODE_ROWS + r]);
            for (size_t w = 0; w < words; w++) {
                const int8_t *eight = code + w * HT_CODE_WORD;
                uint8_t *four = nibbles + w * HT_CODE_ROWS * 4 + r * 4;
                for (size_t t = 0; t < 4; t++)
                    four[t] = (uint8_t)((eight[t] - LOWEST) | (eight[t + 4] - LOWEST) << 4);
            }
        }
    }
}

size_t ht_code_query_room(size_t dim) { return words_of(dim) * HT_CODE_WORD; }

bool ht_code_query_make(const float *query, size_t dim, double qq, int8_t *room, ht_code_query *out, double *error) {
    if (!(qq >= LEAST_SQUARE && qq <= MOST_SQUARE))
        return false;
    float most = 0;
    for (size_t j = 0; j < dim; j++)
        most = fabsf(query[j]) > most ? fabsf(query[j]) : most;
    float scale = most / 127;
    int64_t sum = 0;
    double left2 = 0;
    memset(room, 0, ht_code_query_room(dim));
    for (size_t j = 0; j < dim; j++) {
        float c = nearest(query[j] / scale);
        c = c < -127 ? -127 : c > 127 ? 127 : c;
        room[j] = (int8_t)c;
        sum += room[j];
        double left = (double)query[j] - (double)scale * room[j];
        left2 += left * left;
    }
    double length = sqrt(qq);
    double left = sqrt(left2) * (1 + 0x1p-30);
    *error = left / length * (1 + 0x1p-30);
    *out = (ht_code_query){.query = room,
                           .words = words_of(dim),
                           .bias = (int32_t)(-LOWEST * sum),
                           .scale = scale,
                           .sum = (float)((double)scale * (double)sum),
                           .by_rest = round_up((length + left) * (1 + 0x1p-18))};
    return *error <= 1;
}
