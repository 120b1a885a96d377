/* linear.c: see linear.h. */
#include "embed/linear.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"

enum { GROUP = 16, WORD = 4 }; /* columns that lie together, and weights of one */

void ht_linear_lay(ht_linear *l, size_t depth, size_t columns, bool bytes, ht_laying *laying) {
    *l = (ht_linear){.depth = depth, .columns = columns};
    l->bias = ht_lay(laying, columns * sizeof *l->bias);
    if (!bytes) {
        l->weights = ht_lay(laying, depth * columns * sizeof *l->weights);
        return;
    }
    l->bytes = ht_lay(laying, depth * columns);
    l->scales = ht_lay(laying, columns * sizeof *l->scales);
    l->totals = ht_lay(laying, columns * sizeof *l->totals);
}

static void pack_column(ht_linear *l, const float *w, float step, size_t column) {
    float most = 0;
    for (size_t t = 0; t < l->depth; t++)
        most = fabsf(w[t]) > most ? fabsf(w[t]) : most;
    const float scale = step > 0 ? step : most / 127, low = step > 0 ? -128 : -127;
    int8_t *to = l->bytes + column / GROUP * GROUP * l->depth + column % GROUP * WORD;
    int32_t total = 0;
    for (size_t t = 0; t < l->depth; t++) {
        float level = scale > 0 ? rintf(w[t] / scale) : 0;
        int byte = (int)(level > 127 ? 127 : level < low ? low : level);
        to[t / WORD * WORD * GROUP + t % WORD] = (int8_t)byte;
        total += byte;
    }
    l->scales[column] = scale;
    l->totals[column] = total;
}

void ht_linear_pack(ht_linear *l, const float *weights, const float *steps) {
    for (size_t c = 0; c < l->columns; c++)
        pack_column(l, weights + c * l->depth, steps[c], c);
}

static void apply_bytes(const ht_linear *l, const float *x, size_t rows, uint8_t *room, bool gelu, float *out) {
    const ht_kernels *k = ht_kernels_get();
    const ht_byte_columns columns = {l->depth, l->columns, l->bytes, l->scales, l->bias, l->totals};
    float scales[HT_LINEAR_ROWS];
    int32_t zeros[HT_LINEAR_ROWS];
    const ht_byte_rows a = {room, scales, zeros};
    for (size_t begin = 0; begin < rows; begin += HT_LINEAR_ROWS) {
        size_t count = ht_min_size(rows - begin, HT_LINEAR_ROWS);
        for (size_t r = 0; r < count; r++)
            k->quantize_u8(x + (begin + r) * l->depth, l->depth, room + r * l->depth, &scales[r], &zeros[r]);
        k->linear_u8(&a, count, &columns, gelu, out + begin * l->columns);
    }
}

void ht_linear_apply(const ht_linear *l, const float *x, size_t rows, uint8_t *room, bool gelu, float *out) {
    if (l->bytes) {
        apply_bytes(l, x, rows, room, gelu, out);
        return;
    }
    ht_kernels_get()->dots_f32(x, l->depth * sizeof *x, rows, l->weights, l->depth * sizeof *x, l->columns, l->depth,
                               out, l->columns);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < l->columns; c++)
            out[r * l->columns + c] += l->bias[c];
    if (gelu)
        ht_kernels_get()->gelu_f32(out, rows * l->columns);
}
