/* bert.c: see bert.h. */
#include "embed/bert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "embed/linear.h"
#include "kernels/kernels.h"

typedef struct norm {
    float *scale, *shift;
} norm;

typedef struct layer {
    ht_linear qkv, out, up, down;
    norm after_attention, after_inner;
} layer;

struct ht_bert {
    ht_bert_shape shape;
    float *words, *positions; /* of positions each has the type's vector in it */
    norm first;
    layer *layers;
};

struct ht_bert_room {
    uint32_t *tokens;
    float *x, *qkv, *attended, *inner, *y, *scores;
    uint8_t *bytes;
    int32_t *sums;
};

/* ---- weights */

typedef struct loading {
    const ht_tensors *tensors;
    const char *prefix;
    uint64_t digest;
} loading;

static void digest_numbers(loading *from, const float *numbers, size_t count) {
    uint64_t lane[4] = {from->digest, 1, 2, 3};
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        lane[i % 4] = (lane[i % 4] ^ bits) * 0x9e3779b97f4a7c15u;
        lane[i % 4] ^= lane[i % 4] >> 29;
    }
    from->digest = ht_hash64(lane, sizeof lane, count);
}

/* Reads rows x columns numbers of "PREFIXlayer.NUMBER.name", or of "PREFIXname" where number is negative. */
static hither_status read_into(loading *from, int number, const char *name, size_t rows, size_t columns, float *out,
                               hither_error *err) {
    char full[160];
    if (number < 0)
        (void)snprintf(full, sizeof full, "%s%s", from->prefix, name);
    else
        (void)snprintf(full, sizeof full, "%sencoder.layer.%d.%s", from->prefix, number, name);
    HT_TRY(ht_tensors_read(from->tensors, full, rows, columns, out, err));
    digest_numbers(from, out, rows * columns);
    return HITHER_OK;
}

static hither_status read_new(loading *from, int number, const char *name, size_t rows, size_t columns, float **out,
                              hither_error *err) {
    *out = ht_alloc_aligned(rows * columns * sizeof **out);
    if (!*out)
        return ht_fail_nomem(err, rows * columns * sizeof **out, name);
    return read_into(from, number, name, rows, columns, *out, err);
}

static hither_status read_norm(loading *from, int number, const char *name, size_t width, norm *out,
                               hither_error *err) {
    char full[96];
    (void)snprintf(full, sizeof full, "%s.weight", name);
    HT_TRY(read_new(from, number, full, 1, width, &out->scale, err));
    (void)snprintf(full, sizeof full, "%s.bias", name);
    return read_new(from, number, full, 1, width, &out->shift, err);
}

/* Columns of `count` matrices side by side: their weights follow one another. */
static hither_status read_linear(loading *from, int number, const char *const *names, size_t count, size_t depth,
                                 size_t columns, bool bytes, ht_linear *out, hither_error *err) {
    char full[96];
    size_t all = count * columns;
    float *weights = ht_alloc_aligned(all * depth * sizeof *weights), *bias = ht_alloc_aligned(all * sizeof *bias);
    hither_status status = weights && bias ? HITHER_OK : ht_fail_nomem(err, all * depth * sizeof *weights, names[0]);
    for (size_t i = 0; status == HITHER_OK && i < count; i++) {
        (void)snprintf(full, sizeof full, "%s.weight", names[i]);
        status = read_into(from, number, full, columns, depth, weights + i * columns * depth, err);
        (void)snprintf(full, sizeof full, "%s.bias", names[i]);
        if (status == HITHER_OK)
            status = read_into(from, number, full, 1, columns, bias + i * columns, err);
    }
    if (status == HITHER_OK)
        return ht_linear_init(out, weights, bias, depth, all, bytes, err);
    ht_release(weights);
    ht_release(bias);
    return status;
}

static hither_status read_layer(loading *from, int n, const ht_bert_shape *s, layer *l, hither_error *err) {
    static const char *const qkv[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
    static const char *const out[] = {"attention.output.dense"};
    static const char *const up[] = {"intermediate.dense"}, *const down[] = {"output.dense"};
    HT_TRY(read_linear(from, n, qkv, 3, s->width, s->width, s->bytes, &l->qkv, err));
    HT_TRY(read_linear(from, n, out, 1, s->width, s->width, s->bytes, &l->out, err));
    HT_TRY(read_norm(from, n, "attention.output.LayerNorm", s->width, &l->after_attention, err));
    HT_TRY(read_linear(from, n, up, 1, s->width, s->inner, s->bytes, &l->up, err));
    HT_TRY(read_linear(from, n, down, 1, s->inner, s->width, s->bytes, &l->down, err));
    return read_norm(from, n, "output.LayerNorm", s->width, &l->after_inner, err);
}

static hither_status read_embeddings(loading *from, ht_bert *b, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    float *types = NULL;
    HT_TRY(read_new(from, -1, "embeddings.word_embeddings.weight", s->vocabulary, s->width, &b->words, err));
    HT_TRY(read_new(from, -1, "embeddings.position_embeddings.weight", s->positions, s->width, &b->positions, err));
    hither_status status =
        read_new(from, -1, "embeddings.token_type_embeddings.weight", s->types, s->width, &types, err);
    for (size_t i = 0; status == HITHER_OK && i < (size_t)s->positions * s->width; i++)
        b->positions[i] += types[i % s->width];
    ht_release(types);
    return status == HITHER_OK ? read_norm(from, -1, "embeddings.LayerNorm", s->width, &b->first, err) : status;
}

hither_status ht_bert_load(const ht_tensors *tensors, const ht_bert_shape *shape, ht_bert **out, uint64_t *digest,
                           hither_error *err) {
    loading from = {.tensors = tensors, .prefix = ""};
    if (ht_tensors_has(tensors, "bert.embeddings.word_embeddings.weight"))
        from.prefix = "bert.";
    ht_bert *b = ht_calloc(1, sizeof *b);
    if (b) {
        b->shape = *shape;
        b->layers = ht_calloc(shape->layers, sizeof *b->layers);
    }
    hither_status status =
        b && b->layers ? read_embeddings(&from, b, err) : ht_fail_nomem(err, shape->layers * sizeof(layer), "a model");
    for (uint32_t i = 0; status == HITHER_OK && i < shape->layers; i++)
        status = read_layer(&from, (int)i, shape, &b->layers[i], err);
    if (status != HITHER_OK) {
        ht_bert_free(b);
        return status;
    }
    *digest = from.digest;
    *out = b;
    return HITHER_OK;
}

static void norm_clear(norm *n) {
    ht_release(n->scale);
    ht_release(n->shift);
}

void ht_bert_free(ht_bert *b) {
    if (!b)
        return;
    for (uint32_t i = 0; b->layers && i < b->shape.layers; i++) {
        layer *l = &b->layers[i];
        ht_linear_clear(&l->qkv);
        ht_linear_clear(&l->out);
        ht_linear_clear(&l->up);
        ht_linear_clear(&l->down);
        norm_clear(&l->after_attention);
        norm_clear(&l->after_inner);
    }
    norm_clear(&b->first);
    ht_release(b->layers);
    ht_release(b->words);
    ht_release(b->positions);
    ht_release(b);
}

/* ---- room */

hither_status ht_bert_room_new(const ht_bert *b, ht_bert_room **out, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    size_t rows = s->most, w = s->width, wide = s->inner > 3 * w ? s->inner : 3 * w;
    ht_bert_room *r = ht_calloc(1, sizeof *r);
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "an embedding");
    r->tokens = ht_calloc(rows, sizeof *r->tokens);
    r->x = ht_alloc_aligned(rows * w * sizeof *r->x);
    r->qkv = ht_alloc_aligned(rows * 3 * w * sizeof *r->qkv);
    r->attended = ht_alloc_aligned(rows * w * sizeof *r->attended);
    r->inner = ht_alloc_aligned(rows * s->inner * sizeof *r->inner);
    r->y = ht_alloc_aligned(rows * w * sizeof *r->y);
    r->scores = ht_alloc_aligned(rows * (w / s->heads + 1) * sizeof *r->scores);
    r->bytes = s->bytes ? ht_alloc_aligned(HT_LINEAR_ROWS * wide) : NULL;
    r->sums = s->bytes ? ht_alloc_aligned(HT_LINEAR_ROWS * wide * sizeof *r->sums) : NULL;
    if (!r->tokens || !r->x || !r->qkv || !r->attended || !r->inner || !r->y || !r->scores ||
        (s->bytes && (!r->bytes || !r->sums))) {
        ht_bert_room_free(r);
        return ht_fail_nomem(err, rows * (6 * w + s->inner) * sizeof(float), "an embedding");
    }
    *out = r;
    return HITHER_OK;
}

void ht_bert_room_free(ht_bert_room *r) {
    if (!r)
        return;
    ht_release(r->tokens);
    ht_release(r->x);
    ht_release(r->qkv);
    ht_release(r->attended);
    ht_release(r->inner);
    ht_release(r->y);
    ht_release(r->scores);
    ht_release(r->bytes);
    ht_release(r->sums);
    ht_release(r);
}

uint32_t *ht_bert_tokens(ht_bert_room *room) { return room->tokens; }

/* ---- tokens to a vector */

static void apply(const ht_linear *l, const float *x, size_t rows, ht_bert_room *r, float *out) {
    ht_linear_apply(l, x, rows, r->bytes, r->sums, out);
}

static void add_norm(float *x, const float *y, size_t rows, const norm *n, const ht_bert_shape *s) {
    for (size_t i = 0; i < rows; i++)
        ht_kernels_get()->add_norm_f32(x + i * s->width, y + i * s->width, s->width, n->scale, n->shift, s->epsilon);
}

static void run_layer(const ht_bert_shape *s, const layer *l, ht_bert_room *r, size_t rows) {
    const ht_kernels *k = ht_kernels_get();
    const size_t w = s->width;
    apply(&l->qkv, r->x, rows, r, r->qkv);
    for (uint32_t h = 0; h < s->heads; h++)
        k->attend_f32(r->qkv, 3 * w, rows, w / s->heads, h, s->heads, r->scores, r->attended, w);
    apply(&l->out, r->attended, rows, r, r->y);
    add_norm(r->x, r->y, rows, &l->after_attention, s);
    apply(&l->up, r->x, rows, r, r->inner);
    k->gelu_f32(r->inner, rows * s->inner);
    apply(&l->down, r->inner, rows, r, r->y);
    add_norm(r->x, r->y, rows, &l->after_inner, s);
}

static hither_status to_unit(double *sums, size_t width, float *out, hither_error *err) {
    double square = 0;
    for (size_t i = 0; i < width; i++)
        square += sums[i] * sums[i];
    if (!isfinite(square))
        return ht_fail(err, HITHER_MODEL, "the model's vector is not finite; its weights are broken");
    const double by = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t i = 0; i < width; i++)
        out[i] = (float)(sums[i] * by);
    return HITHER_OK;
}

static hither_status pool(const ht_bert_shape *s, const float *x, size_t rows, float *out, hither_error *err) {
    double *sums = ht_calloc(s->width, sizeof *sums);
    if (!sums)
        return ht_fail_nomem(err, s->width * sizeof *sums, "a vector");
    for (size_t i = 0; i < (s->first ? ht_min_size(rows, 1) : rows); i++)
        for (size_t j = 0; j < s->width; j++)
            sums[j] += (double)x[i * s->width + j];
    hither_status status = to_unit(sums, s->width, out, err);
    ht_release(sums);
    return status;
}

hither_status ht_bert_vector(const ht_bert *b, ht_bert_room *r, size_t count, float *out, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    for (size_t i = 0; i < count; i++) {
        memcpy(r->x + i * s->width, b->words + (size_t)r->tokens[i] * s->width, s->width * sizeof *r->x);
        ht_kernels_get()->add_norm_f32(r->x + i * s->width, b->positions + i * s->width, s->width, b->first.scale,
                                       b->first.shift, s->epsilon);
    }
    for (uint32_t i = 0; count > 0 && i < s->layers; i++)
        run_layer(s, &b->layers[i], r, count);
    return pool(s, r->x, count, out, err);
}
