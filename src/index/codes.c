/*
 * codes.c: making codes. What must stay true is in docs/decisions/0007-codes.md: for finite rows within the range the
 * stored R is at least |x - (a(n-8) + b)| + 2^-18 (|a| |n-8| + |b| sqrt(dim)); any other row has R = +inf and is never
 * ruled out. All sums are f64 in a fixed order or integers, so the bytes are the same on every machine.
 */
#include "index/codes.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { LOWEST = -8, HIGHEST = 7, FITS = 2 };

/* Outside of these lengths the evaluation might over- or underflow. */
static const double LEAST_SQUARE = 0x1p-120, MOST_SQUARE = 0x1p+120;

/* Of the way from the middle to the outermost value, where the first guess puts the ends of the code: clipping the
 * few outermost values buys finer steps for all others. */
static const double FIRST_REACH = 0.9;

typedef struct fit {
    float scale, offset;
    double rest;  /* |x - x^| squared */
    double code2; /* |code| squared */
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

/* The nearest code of each element for a scale and an offset. */
static void quantise(const float *x, size_t dim, float scale, float offset, int8_t *code) {
    float inverse = scale > 0 ? 1 / scale : 0;
    for (size_t j = 0; j < dim; j++) {
        float c = (x[j] - offset) * inverse;
        c = c < LOWEST ? LOWEST : c > HIGHEST ? HIGHEST : c;
        code[j] = (int8_t)nearest(c);
    }
}

/* The scale and offset that suit the code best by least squares, and what they leave over. Four sums run side by side;
 * their order is part of the format. */
static fit fit_code(const float *x, const int8_t *code, size_t dim) {
    double sum[4] = {0}, product[4] = {0}, rest[4] = {0};
    int64_t codes = 0, squares = 0;
    for (size_t j = 0; j < dim; j++) {
        sum[j % 4] += (double)x[j];
        product[j % 4] += (double)x[j] * code[j];
        codes += code[j];
        squares += code[j] * code[j];
    }
    double sx = (sum[0] + sum[1]) + (sum[2] + sum[3]), sxc = (product[0] + product[1]) + (product[2] + product[3]);
    double n = (double)dim, sc = (double)codes, scc = (double)squares;
    double spread = n * scc - sc * sc;
    double scale = spread > 0 ? (n * sxc - sc * sx) / spread : 0;
    fit f = {.scale = (float)scale, .code2 = scc};
    f.offset = (float)((sx - (double)f.scale * sc) / n);
    for (size_t j = 0; j < dim; j++) {
        double left = (double)x[j] - ((double)f.scale * code[j] + (double)f.offset);
        rest[j % 4] += left * left;
    }
    f.rest = (rest[0] + rest[1]) + (rest[2] + rest[3]);
    return f;
}

/* Codes one row; code holds dim values. */
static void code_row(const float *x, size_t dim, int8_t *code, float *scale, float *offset, float *rest) {
    float low = x[0], high = x[0];
    double square[4] = {0};
    for (size_t j = 0; j < dim; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
        square[j % 4] += (double)x[j] * (double)x[j];
    }
    double xx = (square[0] + square[1]) + (square[2] + square[3]);
    memset(code, 0, dim);
    *scale = *offset = 0;
    *rest = xx == 0 ? 0 : INFINITY;
    if (!(xx >= LEAST_SQUARE && xx <= MOST_SQUARE)) /* zero, out of range, or not finite */
        return;
    double middle = ((double)low + (double)high) / 2, reach = ((double)high - (double)low) / 2;
    quantise(x, dim, (float)(reach * FIRST_REACH / 7.5), (float)(middle + reach * FIRST_REACH / 15), code);
    fit f = fit_code(x, code, dim);
    for (int i = 1; i < FITS; i++) {
        quantise(x, dim, f.scale, f.offset, code);
        f = fit_code(x, code, dim);
    }
    double size = fabs((double)f.scale) * sqrt(f.code2) + fabs((double)f.offset) * sqrt((double)dim);
    *scale = f.scale;
    *offset = f.offset;
    *rest = round_up((sqrt(f.rest) + 0x1p-18 * size) * (1 + 0x1p-30));
}

void ht_codes_make(const void *rows, size_t stride, size_t dim, size_t begin, size_t end, void *codes) {
    size_t words = words_of(dim), block_bytes = ht_code_block_bytes(words);
    int8_t code[HITHER_MAX_DIM];
    for (size_t first = begin; first < end; first += HT_CODE_ROWS) {
        char *block = (char *)codes + first / HT_CODE_ROWS * block_bytes;
        float *values = (float *)(void *)block;
        uint8_t *nibbles = (uint8_t *)block + 3 * HT_CODE_ROWS * sizeof(float);
        for (size_t r = 0; r < HT_CODE_ROWS; r++) {
            const float *x = (const float *)(const void *)((const char *)rows + (first + r) * stride);
            code_row(x, dim, code, &values[r], &values[HT_CODE_ROWS + r], &values[2 * HT_CODE_ROWS + r]);
            for (size_t w = 0; w < words; w++) {
                uint8_t *four = nibbles + w * HT_CODE_ROWS * 4 + r * 4;
                for (size_t t = 0; t < 4; t++) {
                    size_t j = w * HT_CODE_WORD + t;
                    unsigned low = j < dim ? (unsigned)(code[j] - LOWEST) : (unsigned)-LOWEST;
                    unsigned high = j + 4 < dim ? (unsigned)(code[j + 4] - LOWEST) : (unsigned)-LOWEST;
                    four[t] = (uint8_t)(low | high << 4);
                }
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
