/*
 * static.c: see static.h. The folder as model2vec writes it: model.safetensors with `embeddings` (rows of f32, f16,
 * bf16 or i8), and where they are there `weights`, a number a token, and `mapping`, the row of each token;
 * tokenizer.json. Tokens for what is not known are passed over, as there. Sums are of floats in the order of the text,
 * so vectors are the same bytes everywhere.
 */
#include "embed/static.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "embed/model_files.h"
#include "embed/tensors.h"
#include "kernels/kernels.h"

enum {
    MAX_WIDTH = 8192,
    MAX_ROWS = 1 << 24,
    DEFAULT_TOKENS = 512,
    MAX_TOKENS = 32768,
    FEW = 512, /* tokens that need no memory */
    LANES = 16,
    TEXTS_AN_ITEM = 64,
    NAME_BYTES = 64
};

typedef struct table {
    ht_embedder base;
    ht_tokenizer *tokenizer;
    uint32_t rows, width, tokens, most;
    float *numbers;
    float *weights;    /* NULL: 1 for each token */
    uint32_t *mapping; /* NULL: a token's row is its number */
    bool skips;        /* the token for what is not known has no part */
    uint32_t unknown;
    char name[NAME_BYTES];
} table;

hither_status ht_static_is(const ht_io *io, const char *folder, bool *out, hither_error *err) {
    json_t *config;
    HT_TRY(ht_model_read_json(io, folder, "config.json", &config, err));
    const char *type = json_string_value(json_object_get(config, "model_type"));
    *out = config && (type ? strcmp(type, "model2vec") == 0 : json_object_get(config, "hidden_size") == NULL);
    json_decref(config);
    return HITHER_OK;
}

/* ---- a text */

static void add_row(float *sums, const float *row, float weight, size_t width) {
    size_t i = 0;
    for (; i + LANES <= width; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[i + j] += weight * row[i + j];
    for (; i < width; i++)
        sums[i] += weight * row[i];
}

static hither_status mean_of(const table *t, const uint32_t *ids, size_t count, float *vector, hither_error *err) {
    double square = 0;
    memset(vector, 0, t->width * sizeof *vector);
    for (size_t i = 0; i < count; i++) {
        if (t->skips && ids[i] == t->unknown)
            continue;
        uint32_t row = t->mapping ? t->mapping[ids[i]] : ids[i];
        add_row(vector, t->numbers + (size_t)row * t->width, t->weights ? t->weights[ids[i]] : 1, t->width);
    }
    for (size_t i = 0; i < t->width; i++)
        square += (double)vector[i] * vector[i];
    if (!isfinite(square))
        return ht_fail(err, HITHER_MODEL, "the model's vector is not finite; its numbers are broken");
    const double by = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t i = 0; i < t->width; i++)
        vector[i] = (float)(vector[i] * by);
    return HITHER_OK;
}

static hither_status static_one(ht_embedder *embedder, const char *text, size_t bytes, float *vector,
                                hither_error *err) {
    const table *t = (const table *)embedder;
    uint32_t few[FEW], *ids = t->most <= FEW ? few : ht_alloc(t->most * sizeof *ids);
    size_t count;
    if (!ids)
        return ht_fail_nomem(err, t->most * sizeof *ids, "tokens");
    hither_status status = ht_tokenizer_encode(t->tokenizer, text, bytes, false, ids, t->most, &count, err);
    if (status == HITHER_OK) {
        ht_fp_state fp = ht_fp_enter(); /* a worker's own */
        status = mean_of(t, ids, count, vector, err);
        ht_fp_leave(fp);
    }
    if (ids != few)
        ht_release(ids);
    return status;
}

static void static_free(ht_embedder *embedder) {
    table *t = (table *)embedder;
    ht_tokenizer_free(t->tokenizer);
    ht_release(t->numbers);
    ht_release(t->weights);
    ht_release(t->mapping);
    ht_embedder_clear(embedder);
    ht_release(t);
}

/* ---- from the folder */

/* The shape: rows of a width, and how many tokens there are. */
static hither_status read_shape(const ht_tensors *f, const char *name, table *t, hither_error *err) {
    uint64_t rows, width, one, tokens;
    HT_TRY(ht_tensors_shape(f, name, &rows, &width, err));
    if (rows < 1 || rows > MAX_ROWS || width < 1 || width > MAX_WIDTH)
        return ht_fail(err, HITHER_MODEL, "the model's table is %llu x %llu; up to %d rows of up to %d are possible",
                       (unsigned long long)rows, (unsigned long long)width, MAX_ROWS, MAX_WIDTH);
    t->rows = t->tokens = (uint32_t)rows;
    t->width = (uint32_t)width;
    if (!ht_tensors_has(f, "mapping"))
        return HITHER_OK;
    HT_TRY(ht_tensors_shape(f, "mapping", &one, &tokens, err));
    if (tokens < 1 || tokens > MAX_ROWS)
        return ht_fail(err, HITHER_MODEL, "the model's mapping is of %llu tokens; 1 to %d are possible",
                       (unsigned long long)tokens, MAX_ROWS);
    t->tokens = (uint32_t)tokens;
    return HITHER_OK;
}

static hither_status read_numbers(const ht_tensors *f, const char *name, table *t, hither_error *err) {
    t->numbers = ht_alloc((size_t)t->rows * t->width * sizeof *t->numbers);
    if (!t->numbers)
        return ht_fail_nomem(err, (size_t)t->rows * t->width * sizeof *t->numbers, "a model");
    HT_TRY(ht_tensors_read_table(f, name, t->rows, t->width, t->numbers, err));
    if (ht_tensors_has(f, "weights")) {
        t->weights = ht_alloc(t->tokens * sizeof *t->weights);
        if (!t->weights)
            return ht_fail_nomem(err, t->tokens * sizeof *t->weights, "a model");
        HT_TRY(ht_tensors_read(f, "weights", 1, t->tokens, t->weights, err));
    }
    if (!ht_tensors_has(f, "mapping"))
        return HITHER_OK;
    t->mapping = ht_alloc(t->tokens * sizeof *t->mapping);
    if (!t->mapping)
        return ht_fail_nomem(err, t->tokens * sizeof *t->mapping, "a model");
    return ht_tensors_read_places(f, "mapping", t->tokens, t->rows, t->mapping, err);
}

static hither_status read_table(const ht_io *io, const char *folder, table *t, hither_error *err) {
    ht_tensors *f;
    char *path = ht_path_join(folder, "model.safetensors");
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    hither_status status = ht_tensors_open(io, path, &f, err);
    ht_release(path);
    HT_TRY(status);
    const char *name = ht_tensors_has(f, "embedding.weight") ? "embedding.weight" : "embeddings";
    status = read_shape(f, name, t, err);
    if (status == HITHER_OK)
        status = read_numbers(f, name, t, err);
    ht_tensors_close(f);
    return status;
}

/* Says all that decides about vectors. */
static void make_name(table *t, uint64_t digest) {
    digest = ht_hash64(t->numbers, (size_t)t->rows * t->width * sizeof *t->numbers, digest);
    if (t->weights)
        digest = ht_hash64(t->weights, t->tokens * sizeof *t->weights, digest);
    if (t->mapping)
        digest = ht_hash64(t->mapping, t->tokens * sizeof *t->mapping, digest);
    digest = ht_hash64(&t->most, sizeof t->most, digest);
    for (int i = 0; i < 2; i++)
        digest = ht_hash64(t->base.prefixes[i], strlen(t->base.prefixes[i]), digest + 1);
    (void)snprintf(t->name, sizeof t->name, "static-%ux%u@%016" PRIx64, t->tokens, t->width, digest);
}

static hither_status open_table(const ht_io *io, const char *folder, const ht_model_options *o, table *t,
                                hither_error *err) {
    uint64_t digest = 0;
    if (o->file)
        return ht_fail(err, HITHER_INVALID, "%.150s holds a static model, whose file is model.safetensors", folder);
    if (o->max_tokens > MAX_TOKENS)
        return ht_fail(err, HITHER_INVALID, "max_tokens is %u; up to %d are possible", o->max_tokens, MAX_TOKENS);
    t->most = o->max_tokens ? o->max_tokens : DEFAULT_TOKENS;
    HT_TRY(ht_model_read_prefixes(io, folder, o, &t->base, err));
    HT_TRY(read_table(io, folder, t, err));
    HT_TRY(ht_model_read_tokenizer(io, folder, t->tokens, &t->tokenizer, &digest, err));
    t->skips = ht_tokenizer_skips_unknown(t->tokenizer, &t->unknown);
    make_name(t, digest);
    return HITHER_OK;
}

hither_status ht_static_open(const ht_io *io, const char *folder, const ht_model_options *options, ht_embedder **out,
                             hither_error *err) {
    table *t = ht_calloc(1, sizeof *t);
    if (!t)
        return ht_fail_nomem(err, sizeof *t, "a model");
    hither_status status = open_table(io, folder, options, t, err);
    if (status != HITHER_OK) {
        static_free(&t->base);
        return status;
    }
    atomic_init(&t->base.references, 1);
    t->base.dim = t->width;
    t->base.name = t->name;
    t->base.texts_an_item = TEXTS_AN_ITEM;
    t->base.one = static_one;
    t->base.free = static_free;
    *out = &t->base;
    return HITHER_OK;
}
