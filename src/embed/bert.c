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
    const char *block; /* everything below lies in it */
    size_t block_bytes;
    char *own;                    /* the block, where it is ours to release */
    void (*give_back)(void *ctx); /* of one that is not */
    void *ctx;
    float *words, *positions; /* of positions each has the type's vector in it */
    norm first;
    layer *layers;
};

struct ht_bert_room {
    uint32_t *tokens;
    float *x, *qkv, *attended, *inner, *y, *scores;
    uint8_t *bytes;
};

/* ---- weights */

typedef struct loading {
    const ht_weights *from;
    uint64_t digest;
} loading;

static void digest_numbers(loading *l, const float *numbers, size_t count) {
    uint64_t lane[4] = {l->digest, 1, 2, 3};
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        lane[i % 4] = (lane[i % 4] ^ bits) * 0x9e3779b97f4a7c15u;
        lane[i % 4] ^= lane[i % 4] >> 29;
    }
    l->digest = ht_hash64(lane, sizeof lane, count);
}

/* Where everything lies in the block. */
static void lay_all(ht_bert *b, ht_laying *at) {
    const ht_bert_shape *s = &b->shape;
    const size_t w = s->width, row = w * sizeof(float);
    b->words = ht_lay(at, s->vocabulary * row);
    b->positions = ht_lay(at, s->positions * row);
    b->first = (norm){ht_lay(at, row), ht_lay(at, row)};
    for (uint32_t i = 0; i < s->layers; i++) {
        layer *l = &b->layers[i];
        ht_linear_lay(&l->qkv, w, 3 * w, s->bytes, at);
        ht_linear_lay(&l->out, w, w, s->bytes, at);
        ht_linear_lay(&l->up, w, s->inner, s->bytes, at);
        ht_linear_lay(&l->down, s->inner, w, s->bytes, at);
        l->after_attention.scale = ht_lay(at, row);
        l->after_attention.shift = ht_lay(at, row);
        l->after_inner.scale = ht_lay(at, row);
        l->after_inner.shift = ht_lay(at, row);
    }
}

/* That every part is there in the shape that the settings say: before memory is asked for, which they decide too. */
static hither_status check_parts(const ht_weights *from, const ht_bert_shape *s, hither_error *err) {
    const size_t w = s->width,
                 rows[HT_PARTS] = {s->vocabulary, s->positions, s->types, 1, w, w, w, w, 1, s->inner, w, 1};
    for (uint32_t i = 0; i < s->layers; i++) {
        for (int part = i ? HT_QUERY : 0; part < HT_PARTS; part++) {
            const size_t columns = part == HT_DOWN ? s->inner : w;
            HT_TRY(from->read(from->ctx, i, (ht_part)part, false, rows[part], columns, NULL, NULL, err));
            if (part >= HT_FIRST_NORM)
                HT_TRY(from->read(from->ctx, i, (ht_part)part, true, 1, part == HT_UP ? s->inner : w, NULL, NULL, err));
        }
    }
    return HITHER_OK;
}

static hither_status read_part(loading *l, unsigned number, ht_part part, bool bias, size_t rows, size_t columns,
                               float *out, hither_error *err) {
    HT_TRY(l->from->read(l->from->ctx, number, part, bias, rows, columns, out, NULL, err));
    digest_numbers(l, out, rows * columns);
    return HITHER_OK;
}

static hither_status read_norm(loading *l, unsigned number, ht_part part, size_t width, const norm *out,
                               hither_error *err) {
    HT_TRY(read_part(l, number, part, false, 1, width, out->scale, err));
    return read_part(l, number, part, true, 1, width, out->shift, err);
}

/* Columns of `count` matrices side by side: their weights follow one another. */
static hither_status read_weights(loading *l, unsigned number, ht_part part, size_t count, const ht_linear *to,
                                  float *weights, float *steps, hither_error *err) {
    const size_t each = to->columns / count;
    for (size_t i = 0; i < count; i++) {
        ht_part now = (ht_part)(part + i);
        float *numbers = weights + i * each * to->depth, *step = steps ? steps + i * each : NULL;
        HT_TRY(l->from->read(l->from->ctx, number, now, false, each, to->depth, numbers, step, err));
        digest_numbers(l, numbers, each * to->depth);
        bool stepped = false;
        for (size_t j = 0; step && j < each; j++)
            stepped = stepped || step[j] > 0;
        if (stepped)
            digest_numbers(l, step, each); /* the bytes to compute with depend on them */
        HT_TRY(read_part(l, number, now, true, 1, each, to->bias + i * each, err));
    }
    return HITHER_OK;
}

static hither_status read_linear(loading *l, unsigned number, ht_part part, size_t count, ht_linear *to,
                                 hither_error *err) {
    if (to->weights)
        return read_weights(l, number, part, count, to, to->weights, NULL, err);
    float *weights = ht_alloc(to->depth * to->columns * sizeof *weights);
    float *steps = ht_calloc(to->columns, sizeof *steps);
    hither_status status = weights && steps ? read_weights(l, number, part, count, to, weights, steps, err)
                                            : ht_fail_nomem(err, to->depth * to->columns * sizeof *weights, "weights");
    if (status == HITHER_OK)
        ht_linear_pack(to, weights, steps);
    ht_release(weights);
    ht_release(steps);
    return status;
}

static hither_status read_layer(loading *from, unsigned n, const ht_bert_shape *s, layer *l, hither_error *err) {
    HT_TRY(read_linear(from, n, HT_QUERY, 3, &l->qkv, err));
    HT_TRY(read_linear(from, n, HT_OUT, 1, &l->out, err));
    HT_TRY(read_norm(from, n, HT_ATTENTION_NORM, s->width, &l->after_attention, err));
    HT_TRY(read_linear(from, n, HT_UP, 1, &l->up, err));
    HT_TRY(read_linear(from, n, HT_DOWN, 1, &l->down, err));
    return read_norm(from, n, HT_INNER_NORM, s->width, &l->after_inner, err);
}

static hither_status read_embeddings(loading *from, ht_bert *b, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    HT_TRY(read_part(from, 0, HT_WORDS, false, s->vocabulary, s->width, b->words, err));
    HT_TRY(read_part(from, 0, HT_PLACES, false, s->positions, s->width, b->positions, err));
    float *types = ht_calloc((size_t)s->types * s->width, sizeof *types);
    if (!types)
        return ht_fail_nomem(err, (size_t)s->types * s->width * sizeof *types, "weights");
    hither_status status = read_part(from, 0, HT_TYPES, false, s->types, s->width, types, err);
    for (size_t i = 0; status == HITHER_OK && i < (size_t)s->positions * s->width; i++)
        b->positions[i] += types[i % s->width];
    ht_release(types);
    return status == HITHER_OK ? read_norm(from, 0, HT_FIRST_NORM, s->width, &b->first, err) : status;
}

/* One with room for its layers, and no block yet. */
static hither_status new_bert(const ht_bert_shape *shape, ht_bert **out, hither_error *err) {
    ht_bert *b = ht_calloc(1, sizeof *b);
    if (b) {
        b->shape = *shape;
        b->layers = ht_calloc(shape->layers, sizeof *b->layers);
    }
    if (!b || !b->layers) {
        ht_bert_free(b);
        return ht_fail_nomem(err, shape->layers * sizeof(layer), "a model");
    }
    ht_laying at = {NULL, 0};
    lay_all(b, &at);
    b->block_bytes = at.used;
    *out = b;
    return HITHER_OK;
}

hither_status ht_bert_load(const ht_weights *weights, const ht_bert_shape *shape, ht_bert **out, uint64_t *digest,
                           hither_error *err) {
    loading from = {.from = weights};
    ht_bert *b = NULL;
    HT_TRY(check_parts(weights, shape, err));
    HT_TRY(new_bert(shape, &b, err));
    ht_laying at = {ht_alloc_aligned(b->block_bytes), 0};
    b->own = at.base;
    hither_status status = at.base ? HITHER_OK : ht_fail_nomem(err, b->block_bytes, "a model");
    if (status == HITHER_OK) {
        lay_all(b, &at);
        b->block = at.base;
        status = read_embeddings(&from, b, err);
    }
    for (uint32_t i = 0; status == HITHER_OK && i < shape->layers; i++)
        status = read_layer(&from, i, shape, &b->layers[i], err);
    if (status != HITHER_OK) {
        ht_bert_free(b);
        return status;
    }
    *digest = from.digest;
    *out = b;
    return HITHER_OK;
}

hither_status ht_bert_over(const void *block, const ht_bert_shape *shape, void (*give_back)(void *ctx), void *ctx,
                           ht_bert **out, hither_error *err) {
    HT_TRY(new_bert(shape, out, err));
    ht_laying at = {(char *)(uintptr_t)block, 0}; /* never written to */
    lay_all(*out, &at);
    (*out)->block = block;
    (*out)->give_back = give_back;
    (*out)->ctx = ctx;
    return HITHER_OK;
}

const void *ht_bert_block(const ht_bert *b, size_t *bytes) {
    *bytes = b->block_bytes;
    return b->block;
}

void ht_bert_forget(ht_bert *b) {
    ht_release(b->own);
    ht_release(b->layers);
    ht_release(b);
}

void ht_bert_free(ht_bert *b) {
    if (!b)
        return;
    void (*give_back)(void *ctx) = b->give_back;
    void *ctx = b->ctx;
    ht_bert_forget(b);
    if (give_back)
        give_back(ctx);
}

/* ---- room */

hither_status ht_bert_room_new(const ht_bert *b, ht_bert_room **out, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    size_t rows = s->most + HT_BERT_ENOUGH, w = s->width, deep = s->inner > w ? s->inner : w;
    ht_bert_room *r = ht_calloc(1, sizeof *r);
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "an embedding");
    r->tokens = ht_calloc(rows, sizeof *r->tokens);
    r->x = ht_alloc_aligned(rows * w * sizeof *r->x);
    r->qkv = ht_alloc_aligned(rows * 3 * w * sizeof *r->qkv);
    r->attended = ht_alloc_aligned(rows * w * sizeof *r->attended);
    r->inner = ht_alloc_aligned(HT_LINEAR_ROWS * s->inner * sizeof *r->inner);
    r->y = ht_alloc_aligned(rows * w * sizeof *r->y);
    r->scores = ht_alloc_aligned((rows + 15) / 16 * 16 * (2 * w / s->heads + HT_ATTEND_ROWS) * sizeof *r->scores);
    r->bytes = s->bytes ? ht_alloc_aligned(HT_LINEAR_ROWS * deep) : NULL;
    if (!r->tokens || !r->x || !r->qkv || !r->attended || !r->inner || !r->y || !r->scores || (s->bytes && !r->bytes)) {
        ht_bert_room_free(r);
        return ht_fail_nomem(err, rows * 6 * w * sizeof(float), "an embedding");
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
    ht_release(r);
}

uint32_t *ht_bert_tokens(ht_bert_room *room) { return room->tokens; }

/* ---- tokens to a vector */

static void add_norm(float *x, const float *y, size_t rows, const norm *n, const ht_bert_shape *s) {
    for (size_t i = 0; i < rows; i++)
        ht_kernels_get()->add_norm_f32(x + i * s->width, y + i * s->width, s->width, n->scale, n->shift, s->epsilon);
}

/* Tokens of several texts: each attends to its own text alone. */
static void attend(const ht_bert_shape *s, ht_bert_room *r, const uint32_t *counts, size_t texts) {
    const size_t w = s->width;
    for (size_t t = 0, begin = 0; t < texts; begin += counts[t++])
        for (uint32_t h = 0; counts[t] > 0 && h < s->heads; h++)
            ht_kernels_get()->attend_f32(r->qkv + begin * 3 * w, 3 * w, counts[t], w / s->heads, h, s->heads, r->scores,
                                         r->attended + begin * w, w);
}

static void run_layer(const ht_bert_shape *s, const layer *l, ht_bert_room *r, size_t rows, const uint32_t *counts,
                      size_t texts) {
    const size_t w = s->width;
    ht_linear_apply(&l->qkv, r->x, rows, r->bytes, false, r->qkv);
    attend(s, r, counts, texts);
    ht_linear_apply(&l->out, r->attended, rows, r->bytes, false, r->y);
    add_norm(r->x, r->y, rows, &l->after_attention, s);
    for (size_t begin = 0; begin < rows; begin += HT_LINEAR_ROWS) {
        const size_t count = ht_min_size(rows - begin, HT_LINEAR_ROWS);
        float *x = r->x + begin * w;
        ht_linear_apply(&l->up, x, count, r->bytes, true, r->inner);
        ht_linear_apply(&l->down, r->inner, count, r->bytes, false, r->y);
        add_norm(x, r->y, count, &l->after_inner, s);
    }
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

hither_status ht_pool_tokens(ht_pooling pooling, const float *rows, size_t count, size_t width, float *out,
                             hither_error *err) {
    const size_t begin = pooling == HT_POOL_LAST && count > 0 ? count - 1 : 0;
    const size_t end = pooling == HT_POOL_FIRST ? ht_min_size(count, 1) : count;
    double *sums = ht_calloc(width, sizeof *sums);
    if (!sums)
        return ht_fail_nomem(err, width * sizeof *sums, "a vector");
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < width; j++)
            sums[j] += (double)rows[i * width + j];
    hither_status status = to_unit(sums, width, out, err);
    ht_release(sums);
    return status;
}

static void begin_text(const ht_bert *b, const ht_bert_room *r, size_t begin, size_t count) {
    const ht_bert_shape *s = &b->shape;
    for (size_t i = 0; i < count; i++) {
        float *x = r->x + (begin + i) * s->width;
        memcpy(x, b->words + (size_t)r->tokens[begin + i] * s->width, s->width * sizeof *x);
        ht_kernels_get()->add_norm_f32(x, b->positions + i * s->width, s->width, b->first.scale, b->first.shift,
                                       s->epsilon);
    }
}

hither_status ht_bert_vectors(const ht_bert *b, ht_bert_room *r, const uint32_t *counts, size_t texts, float *out,
                              hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    size_t rows = 0;
    for (size_t t = 0; t < texts; rows += counts[t++])
        begin_text(b, r, rows, counts[t]);
    for (uint32_t i = 0; rows > 0 && i < s->layers; i++)
        run_layer(s, &b->layers[i], r, rows, counts, texts);
    rows = 0;
    for (size_t t = 0; t < texts; rows += counts[t++])
        HT_TRY(ht_pool_tokens(s->pooling, r->x + rows * s->width, counts[t], s->width, out + t * s->width, err));
    return HITHER_OK;
}
