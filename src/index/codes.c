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

enum { LOWEST = -8, HIGHEST = 7, FITS = 2, PIECE = 2048, QUERY_LANES = 16 };

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

static fit least_squares(const sums *s, size_t dim) {
    double n = (double)dim, spread = n * s->code2 - s->code * s->code;
    double scale = spread > 0 ? (n * s->product - s->code * s->x) / spread : 0;
    fit best = {.scale = (float)scale};
    best.offset = (float)((s->x - (double)best.scale * s->code) / n);
    return best;
}

/* c of a half for each of `count` nibbles. */
static void codes_of_half(int which, const uint8_t *nibbles, size_t count, float *code) {
    for (size_t j = 0; j < count; j++)
        code[j] = (float)(which == 0 ? (nibbles[j] >> 2) - 2 : nibbles[j] + LOWEST);
}

/* Adds what a piece of the row and its c give to the sums, but for the sum of x, which no code changes. */
static void add_piece(const ht_kernels *kernels, const float *x, const float *code, size_t count, sums *s) {
    int32_t sum = 0, sum2 = 0; /* below 2^18 */
    for (size_t j = 0; j < count; j++) {
        int32_t c = (int32_t)code[j];
        sum += c;
        sum2 += c * c;
    }
    s->code += sum;
    s->code2 += sum2;
    s->product += kernels->ref_dot_f32(code, x, count);
}

static double sum_of(const ht_kernels *kernels, const float *x, size_t dim) {
    static const float ones[PIECE] = {[0 ... PIECE - 1] = 1};
    double sum = 0;
    for (size_t at = 0; at < dim; at += PIECE)
        sum += kernels->ref_dot_f32(x + at, ones, ht_min_size(PIECE, dim - at));
    return sum;
}

/* Codes the row with a fit. */
static sums code_with(const ht_kernels *kernels, const float *x, double sum, size_t dim, fit f, uint8_t *nibbles) {
    float code[PIECE];
    sums s = {.x = sum};
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t count = ht_min_size(PIECE, dim - at);
        quantise(x + at, count, f, code);
        add_piece(kernels, x + at, code, count, &s);
        for (size_t j = 0; j < count; j++)
            nibbles[at + j] = (uint8_t)((int)code[j] - LOWEST);
    }
    return s;
}

/* What a half says of a row: the value of its codes, and how far that is off. */
typedef struct half {
    float scale, offset, rest;
} half;

/* The half for a row's nibbles and its sums, with R as the head of this file says: the values are formed in f32, whose
 * rounding costs at most 4 * 2^-24 * size in all. */
static half half_of(const ht_kernels *kernels, int which, const float *x, size_t dim, const uint8_t *nibbles,
                    const sums *s) {
    float code[PIECE], value[PIECE];
    fit f = least_squares(s, dim);
    double size = fabs((double)f.scale) * sqrt(s->code2) + fabs((double)f.offset) * sqrt((double)dim), rest = 0;
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t count = ht_min_size(PIECE, dim - at);
        codes_of_half(which, nibbles + at, count, code);
        for (size_t j = 0; j < count; j++)
            value[j] = f.scale * code[j] + f.offset;
        rest += kernels->ref_l2_f32(x + at, value, count);
    }
    rest = (sqrt(rest) + 0x1p-22 * size) * (1 + 0x1p-30);
    return (half){f.scale, f.offset, round_up(rest + 0x1p-18 * size * (1 + 0x1p-30))};
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

static sums coarse_sums(const ht_kernels *kernels, const float *x, double sum, size_t dim, const uint8_t *nibbles) {
    float code[PIECE];
    sums s = {.x = sum};
    for (size_t at = 0; at < dim; at += PIECE) {
        size_t count = ht_min_size(PIECE, dim - at);
        codes_of_half(0, nibbles + at, count, code);
        add_piece(kernels, x + at, code, count, &s);
    }
    return s;
}

/* Codes one row: dim nibbles, and what both halves say. */
static void code_row(const ht_kernels *kernels, const float *x, size_t dim, uint8_t *nibbles, half halves[2]) {
    double xx = kernels->ref_dot_f32(x, x, dim);
    memset(nibbles, -LOWEST, dim);
    halves[0] = halves[1] = (half){0, 0, xx == 0 ? 0 : INFINITY};
    if (!(xx >= LEAST_SQUARE && xx <= MOST_SQUARE)) /* zero, out of range, or not finite */
        return;
    float low, high;
    extremes(x, dim, &low, &high);
    double middle = ((double)low + (double)high) / 2, reach = ((double)high - (double)low) / 2 * FIRST_REACH;
    fit from = {(float)(reach / 7.5), (float)(middle + reach / 15)}; /* the codes are -8 ... 7: half a step off */
    double sum = sum_of(kernels, x, dim);
    sums s = code_with(kernels, x, sum, dim, from, nibbles);
    for (int i = 1; i < FITS; i++)
        s = code_with(kernels, x, sum, dim, least_squares(&s, dim), nibbles);
    halves[1] = half_of(kernels, 1, x, dim, nibbles, &s);
    s = coarse_sums(kernels, x, sum, dim, nibbles);
    halves[0] = half_of(kernels, 0, x, dim, nibbles, &s);
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
    float low, high;
    extremes(query, dim, &low, &high);
    float scale = (high > -low ? high : -low) / 127, inverse = 1 / scale;
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
