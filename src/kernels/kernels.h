/*
 * kernels.h: pure arithmetic on blocks of rows: no allocation, no errors, no state but the table chosen once.
 *
 * Two families, and the difference matters:
 *   - the reference distance D (reference.h): the answer, the same bits on every machine and at every level;
 *   - the fast f32 kernels here: estimates with a stated error, which only ever rule rows out.
 *
 * One slot per operation takes a *block* of rows, so the call through a pointer is paid per block. Levels come in
 * rising order (scalar, avx2, avx512, neon, ...). The table is chosen once, from the processor, capped by the
 * environment variable HITHER_SIMD (the name of a level; other values cap nothing). Any thread.
 *
 * Row i starts at (const char *)rows + i * stride; rows need only the alignment of a float. Callers guarantee that the
 * floating-point mode is round-to-nearest with denormals on (ht_fp_enter). An estimate that is finite had no overflow
 * on its way, so the stated errors hold; an infinite or NaN estimate says nothing, and its row must be scored by D.
 */
#ifndef HT_KERNELS_KERNELS_H
#define HT_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When a row is ruled out: its key = sign * estimate + by_norm * norm + by_norm2 * norm * norm is finite and below
 * limit. A NaN or infinite key keeps the row. Each product and sum may be rounded or fused: makers of rules allow for
 * it. */
typedef struct ht_rule {
    float sign; /* 1 or -1 */
    float by_norm;
    float by_norm2;
    float limit;
} ht_rule;

/* 4-bit codes of rows, in blocks of 64. A block is two halves, so that a scan may read the first alone: the coarse one,
 * with the two high bits h of every code, and the fine one with the two low bits l. A half is HT_CODE_ROWS floats each
 * of scale a, offset b and rest R, one a row; then for every 16 dimensions 256 bytes, of which bytes 4r ... 4r + 3 are
 * row r's: byte t holds dimensions t, t + 4, t + 8 and t + 12, two bits each from the lowest. By the coarse half alone
 * a dimension's value is a * (h - 2) + b; by both, with n = 4 * h + l and the fine half's a and b, it is
 * a * (n - 8) + b. index/codes.h makes them. */
enum { HT_CODE_ROWS = 64, HT_CODE_WORD = 16, HT_CODE_REFINED = 16 };

static inline size_t ht_code_half_bytes(size_t words) {
    return HT_CODE_ROWS * (3 * sizeof(float) + words * HT_CODE_WORD / 4);
}
static inline size_t ht_code_block_bytes(size_t words) { return 2 * ht_code_half_bytes(words); }

/* A query against codes: scale * query[j] stands for its element j. */
typedef struct ht_code_query {
    const int8_t *query; /* words * 16 of them, -127 ... 127, zeros past the dimension */
    size_t words;
    int32_t total; /* the sum of query */
    float scale;   /* s */
    float sum;     /* s * the sum of query, rounded to nearest */
    float by_rest; /* what a row's rest is multiplied with */
} ht_code_query;

/* Of a row to be coded: its extremes, sum and sum of squares. */
typedef struct ht_code_span {
    float low, high;
    double sum, square;
} ht_code_span;

/* Of one of its codes c: the sums of c, of c * c, and of c * x. */
typedef struct ht_code_sums {
    double code, code2, product;
} ht_code_sums;

/* A query against rows of bytes: scale * (128 * high[j] + low[j]) stands for its element j. Both are padded with zeros
 * to a multiple of HT_BYTE_PAD; their values are within -127 ... 127. */
enum { HT_BYTE_PAD = 64 };
typedef struct ht_byte_query {
    const int8_t *high, *low;
    int32_t high_sum, low_sum;
    float scale;
} ht_byte_query;

/* Rows of bytes, `depth` of the columns they are multiplied by each: byte b of row i stands for scales[i] * (b -
 * zeros[i]). */
typedef struct ht_byte_rows {
    const uint8_t *bytes;
    const float *scales;
    const int32_t *zeros;
} ht_byte_rows;

/* Columns of bytes with a scale each, the sum of their bytes, and what is added in the end. depth is a multiple of 4
 * and at most 65,536, columns of 16. Weights lie as 16 columns after 16 columns; of those, 4 of the first column, 4 of
 * the second, and so on, then the next 4 of the first. */
typedef struct ht_byte_columns {
    size_t depth, columns;
    const int8_t *weights;
    const float *scales, *bias;
    const int32_t *totals;
} ht_byte_columns;

enum { HT_ATTEND_ROWS = 8 }; /* the most that a level takes at once */

/* Where the f32 scale of a stored i8 row is. */
static inline size_t ht_scale_at(size_t dim) { return (dim + 3) / 4 * 4; }

typedef struct ht_kernels {
    const char *name; /* of the highest level in it */
    uint32_t lanes;   /* L in the error bound: the fewest f32 lanes a sum is spread over by these kernels */

    /* out[i] = sum q*x. |error| <= (dim/L + 8) * 2^-23 * |q|*|x| + dim * 2^-149. */
    void (*dot_f32)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);
    /* The same, and norm2[i] = sum x*x with relative error (dim/L + 8) * 2^-23 (+ dim * 2^-149), in one pass over
     * memory. */
    void (*dot_norm_f32)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out,
                         float *norm2);
    void (*norm_f32)(const void *rows, size_t stride, size_t count, size_t dim, float *norm2);
    /* out[i] = sum (q-x)^2, relative error (dim/L + 8) * 2^-23 (+ dim * 2^-149). */
    void (*l2_f32)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);
    /* out[i] = sum |q-x|, the same. */
    void (*l1_f32)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);
    /* Dots of several queries with a block of rows, register-tiled: out[j * out_stride + i] for query j, row i. */
    void (*dots_f32)(const float *queries, size_t query_stride, size_t query_count, const void *rows, size_t stride,
                     size_t count, size_t dim, float *out, size_t out_stride);
    /* Bit i is set where the rule keeps estimate i; count <= 64. norms may be NULL: then they do not take part. */
    uint64_t (*keep_f32)(const float *estimates, const float *norms, size_t count, const ht_rule *rule);

    /* Upper bounds of dot products from codes: a * (s * G) + b * sum + by_rest * R in f32, where G is exact and each
     * product and sum may be rounded or fused.
     * code_coarse: of every row of `count` blocks by their coarse halves, G the sum of query * (h - 2); sums gets the
     * sums of query * h. */
    void (*code_coarse)(const ht_code_query *query, const void *blocks, size_t count, int32_t *sums, float *out);
    /* By both halves, G the sum of query * (n - 8), for the HT_CODE_REFINED rows of a block from `first` on (a multiple
     * of that), whose coarse sums are known. */
    void (*code_refine)(const ht_code_query *query, const void *block, size_t first, const int32_t *sums, float *out);
    /* The same for every row of `count` blocks and each of several queries: out[j * out_stride + i] for query j, row i;
     * a code is read once for a few queries. */
    void (*code_upper)(const ht_code_query *queries, size_t query_count, const void *blocks, size_t count, float *out,
                       size_t out_stride);

    /* Making codes; the same bits at every level. dim is at least 1; what they do with a row that is not finite is
     * unspecified, but for a square that is not finite either. sums, scale, offset and rest have two elements, for the
     * coarse half and for the whole code.
     * code_fit: nibbles[j] = 8 + (x[j] - offset) * inverse, rounded to nearest and within 0 ... 15.
     * code_rest: the sums of squares of x[j] less the value, in f32, of its code. */
    void (*code_span)(const float *x, size_t dim, ht_code_span *out);
    void (*code_fit)(const float *x, size_t dim, float offset, float inverse, uint8_t *nibbles, ht_code_sums *sums);
    void (*code_rest)(const float *x, size_t dim, const uint8_t *nibbles, const float *scale, const float *offset,
                      double *rest);

    /* The reference sums of reference.h, vectorised: the same bits as the scalar code, always. */
    double (*ref_dot_f32)(const float *query, const float *row, size_t dim);
    /* ref_dot_f32, and of the row with itself. */
    double (*ref_dot_norm_f32)(const float *query, const float *row, size_t dim, double *norm2);
    double (*ref_l2_f32)(const float *query, const float *row, size_t dim);
    double (*ref_l1_f32)(const float *query, const float *row, size_t dim);
    double (*ref_dot_f64)(const double *query, const double *row, size_t dim);
    double (*ref_l2_f64)(const double *query, const double *row, size_t dim);
    double (*ref_l1_f64)(const double *query, const double *row, size_t dim);

    /* sums += come * come_unit - go * go_unit, each product rounded to a whole number; mean = sums in f32. Sums are
     * whole numbers below 2^53. Returns the reference dot of mean with itself; the same bits at every level. sums and
     * mean overlap nothing else. */
    double (*move_mean)(double *sums, float *mean, const float *come, double come_unit, const float *go, double go_unit,
                        size_t dim);

    /* Stored rows (reference.h) of any alignment as f32, packed: f16 and bf16 exactly, f64 and scaled i8 rounded to
     * nearest, bare i8 (the scale, if any, left aside) exactly. */
    void (*widen_f64)(const void *rows, size_t stride, size_t count, size_t dim, float *out);
    void (*widen_f16)(const void *rows, size_t stride, size_t count, size_t dim, float *out);
    void (*widen_bf16)(const void *rows, size_t stride, size_t count, size_t dim, float *out);
    void (*widen_i8)(const void *rows, size_t stride, size_t count, size_t dim, bool bare, float *out);
    /* As dot_f32, of rows of f16 and bf16 (any alignment). */
    void (*dot_f16)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);
    void (*dot_bf16)(const float *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);
    /* out[i] = (row's scale, or 1 if bare) * (query's scale * (128 * H + L)) in f32, with H and L the exact sums of
     * high and low with the row's bytes; each conversion, product and sum is rounded or fused. */
    void (*dot_i8)(const ht_byte_query *query, const void *rows, size_t stride, size_t count, size_t dim, bool bare,
                   float *out);
    /* out[i] = how many of the first dim bits differ; exact. */
    void (*hamming_b1)(const void *query, const void *rows, size_t stride, size_t count, size_t dim, float *out);

    /* out[i] = sum of query * code over row ids[i], exact; rows are `bytes` apart and long, a multiple of 64, and lie
     * anywhere. u8: a code a byte, bytes of the query. u4: byte t of every 64 holds the codes of elements t (its low
     * half) and 64 + t of 128 of the query, which has 2 * bytes. At most 65,536 elements. */
    void (*dots_u8)(const int8_t *query, const void *rows, size_t bytes, const uint32_t *ids, size_t count,
                    int32_t *out);
    void (*dots_u4)(const int8_t *query, const void *rows, size_t bytes, const uint32_t *ids, size_t count,
                    int32_t *out);

    /* Bit i is set where types[i] == type and low <= values[i] <= low + range; exact, 64 of them. */
    uint64_t (*cells_in_range)(const uint8_t *types, const int64_t *values, uint8_t type, int64_t low, uint64_t range);

    /* What a transformer computes, in f32; the same bits at every level. Values are finite and moderate: what overflows
     * gives an infinity or a NaN, never a fault.
     * x times the normal distribution's share below x, in place; |error| < 2e-7 * |x| + rounding. */
    void (*gelu_f32)(float *x, size_t count);
    /* x = (x + y), less its mean, by its deviation (its square + epsilon), times scale, plus shift. */
    void (*add_norm_f32)(float *x, const float *y, size_t dim, const float *scale, const float *shift, float epsilon);
    /* One head of attention: row i of qkv (rows are `stride` floats apart) holds `heads` times `width` floats of
     * queries, as many of keys, as many of values. Writes the head's part of every row of out. room: tokens, rounded
     * up to a multiple of 16, * (2 * width + HT_ATTEND_ROWS). */
    void (*attend_f32)(const float *qkv, size_t stride, size_t tokens, size_t width, size_t head, size_t heads,
                       float *room, float *out, size_t out_stride);
    /* x as bytes: value i is about scale * (out[i] - zero); zero itself is exact. */
    void (*quantize_u8)(const float *x, size_t count, uint8_t *out, float *scale, int32_t *zero);
    /* out[i * columns + j] = scale of row i * scale of column j * sum over t of (byte t of row i - its zero) * weight t
     * of column j, which is exact, + bias of column j: the last product and sum are rounded once. With gelu that of
     * it. */
    void (*linear_u8)(const ht_byte_rows *a, size_t rows, const ht_byte_columns *w, bool gelu, float *out);
} ht_kernels;

/* The table in use. Published once; never NULL. */
const ht_kernels *ht_kernels_get(void);

/* For tests: the levels compiled in, in rising order, and whether this machine runs them. NULL past the last. */
const ht_kernels *ht_kernels_level(size_t i, int *supported);

/* For tests: uses the named level from now on; NULL: chosen anew, as at first need. false, and nothing changed, if the
 * level is not compiled in or this machine does not run it. Not while another thread computes. */
bool ht_kernels_force(const char *name);

/* Round to nearest, denormals on, for the length of a computation; ht_fp_leave restores what was there. Each thread
 * has a mode of its own, inherited from its maker: work handed to the pool enters for itself. */
typedef struct ht_fp_state {
    uint64_t word;
} ht_fp_state;
ht_fp_state ht_fp_enter(void);
void ht_fp_leave(ht_fp_state state);

#endif
