/*
 * model.c: an embedder from a model's folder: config.json, the weights (bert_file.h), tokenizer.json or vocab.txt, and
 * where they are there 1_Pooling/config.json, modules.json, sentence_bert_config.json,
 * config_sentence_transformers.json, tokenizer_config.json. No other file is opened, whatever these say. All of it is
 * hostile until read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "embed/bert_file.h"
#include "embed/embedder.h"
#include "embed/model_files.h"
#include "embed/runtime.h"
#include "embed/static.h"
#include "kernels/kernels.h"

enum { ROOMS = 64, NAME_BYTES = 64, DEFAULT_TOKENS = 512, TEXTS_AN_ITEM = 12 };

typedef struct model {
    ht_embedder base;
    ht_bert *bert; /* one of these two computes */
    ht_ort *ort;
    ht_tokenizer *tokenizer;
    ht_bert_shape shape;
    char name[NAME_BYTES];
    _Atomic(ht_bert_room *) rooms[ROOMS]; /* not in use just now */
} model;

/* ---- settings */

static hither_status number(const json_t *config, const char *key, uint32_t most, uint32_t *out, hither_error *err) {
    const json_t *value = json_object_get(config, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > most)
        return ht_fail(err, HITHER_MODEL, "config.json: %s must be a whole number from 1 to %u", key, most);
    *out = (uint32_t)json_integer_value(value);
    return HITHER_OK;
}

/* That a setting, if it is there, has the one value that is supported. */
static hither_status only(const json_t *config, const char *file, const char *key, const char *value,
                          hither_error *err) {
    const json_t *text = json_object_get(config, key);
    if (!text || (json_is_string(text) && strcmp(json_string_value(text), value) == 0))
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "%s: %s \"%.60s\" is not supported; \"%s\" is", file, key,
                   json_is_string(text) ? json_string_value(text) : "?", value);
}

static hither_status check_shape(const ht_bert_shape *s, hither_error *err) {
    if (s->width % 16 || s->inner % 16 || s->width % s->heads)
        return ht_fail(err, HITHER_MODEL,
                       "config.json: hidden_size %u and intermediate_size %u must be multiples of 16, and the first of "
                       "num_attention_heads %u",
                       s->width, s->inner, s->heads);
    return HITHER_OK;
}

static hither_status read_config(const ht_io *io, const char *folder, ht_bert_shape *s, hither_error *err) {
    json_t *config;
    HT_TRY(ht_model_read_json(io, folder, "config.json", &config, err));
    if (!config)
        return ht_fail(err, HITHER_MODEL, "%.150s: no model's folder: there is no config.json", folder);
    const json_t *epsilon = json_object_get(config, "layer_norm_eps");
    s->epsilon = (float)(json_is_number(epsilon) ? json_number_value(epsilon) : 1e-12);
    hither_status status =
        json_object_get(config, "model_type")
            ? only(config, "config.json", "model_type", "bert", err)
            : ht_fail(err, HITHER_MODEL, "config.json: there is no model_type; \"bert\" is supported");
    if (status == HITHER_OK)
        status = only(config, "config.json", "hidden_act", "gelu", err);
    if (status == HITHER_OK)
        status = only(config, "config.json", "position_embedding_type", "absolute", err);
    const struct {
        const char *key;
        uint32_t most, *out;
    } numbers[] = {{"vocab_size", 1u << 24, &s->vocabulary}, {"hidden_size", 8192, &s->width},
                   {"num_hidden_layers", 128, &s->layers},   {"num_attention_heads", 512, &s->heads},
                   {"intermediate_size", 32768, &s->inner},  {"max_position_embeddings", 32768, &s->positions},
                   {"type_vocab_size", 64, &s->types}};
    for (size_t i = 0; status == HITHER_OK && i < sizeof numbers / sizeof *numbers; i++)
        status = number(config, numbers[i].key, numbers[i].most, numbers[i].out, err);
    json_decref(config);
    if (status == HITHER_OK && !(s->epsilon >= 0 && s->epsilon <= 1))
        status = ht_fail(err, HITHER_MODEL, "config.json: layer_norm_eps is not between 0 and 1");
    return status == HITHER_OK ? check_shape(s, err) : status;
}

/* What ONNX Runtime's models say of their limits, whatever kind they are of; there may be no config.json. */
static hither_status read_limits(const ht_io *io, const char *folder, ht_bert_shape *s, hither_error *err) {
    json_t *config;
    *s = (ht_bert_shape){.vocabulary = UINT32_MAX, .positions = DEFAULT_TOKENS};
    HT_TRY(ht_model_read_json(io, folder, "config.json", &config, err));
    hither_status status = HITHER_OK;
    if (json_object_get(config, "vocab_size"))
        status = number(config, "vocab_size", 1u << 24, &s->vocabulary, err);
    if (status == HITHER_OK && json_object_get(config, "max_position_embeddings"))
        status = number(config, "max_position_embeddings", 1u << 20, &s->positions, err);
    json_decref(config);
    return status;
}

/* modules.json: a transformer, a pooling, and perhaps a normalisation, which is done anyway. */
static hither_status check_modules(const ht_io *io, const char *folder, hither_error *err) {
    json_t *modules, *module;
    size_t i;
    hither_status status = HITHER_OK;
    HT_TRY(ht_model_read_json(io, folder, "modules.json", &modules, err));
    json_array_foreach(modules, i, module) {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *last = type ? strrchr(type, '.') : NULL;
        last = last ? last + 1 : type ? type : "?";
        if (strcmp(last, "Transformer") != 0 && strcmp(last, "Pooling") != 0 && strcmp(last, "Normalize") != 0) {
            status = ht_fail(err, HITHER_MODEL, "modules.json: a module of type \"%.60s\" is not supported", last);
            break;
        }
    }
    json_decref(modules);
    return status;
}

static hither_status read_pooling(const ht_io *io, const char *folder, ht_bert_shape *s, hither_error *err) {
    json_t *config, *value;
    const char *key;
    static const char *const modes[] = {"mean_tokens", "cls_token", "lasttoken"}; /* as ht_pooling counts */
    int on = 0;
    hither_status status = HITHER_OK;
    HT_TRY(ht_model_read_json(io, folder, "1_Pooling/config.json", &config, err));
    if (!config)
        return HITHER_OK; /* the mean, as is usual */
    json_object_foreach(config, key, value) {
        if (strncmp(key, "pooling_mode_", 13) != 0 || !json_is_true(value))
            continue;
        size_t mode = 0;
        while (mode < sizeof modes / sizeof *modes && strcmp(key + 13, modes[mode]) != 0)
            mode++;
        if (mode == sizeof modes / sizeof *modes)
            status = ht_fail(err, HITHER_MODEL, "1_Pooling/config.json: %.60s is not supported", key);
        s->pooling = (ht_pooling)mode;
        on++;
    }
    if (status == HITHER_OK && on != 1)
        status = ht_fail(err, HITHER_MODEL,
                         "1_Pooling/config.json: one of mean, cls and last token pooling must be on, and %d are", on);
    json_decref(config);
    return status;
}

/* How many tokens of a text count: what is asked for, else what the folder says, at most what the model has places for.
 */
static hither_status read_most(const ht_io *io, const char *folder, uint32_t asked, ht_bert_shape *s,
                               hither_error *err) {
    json_t *config;
    HT_TRY(ht_model_read_json(io, folder, "sentence_bert_config.json", &config, err));
    const json_t *length = json_object_get(config, "max_seq_length");
    json_int_t most = json_is_integer(length) ? json_integer_value(length) : DEFAULT_TOKENS;
    json_decref(config);
    if (asked > s->positions)
        return ht_fail(err, HITHER_INVALID, "max_tokens is %u; the model has places for %u", asked, s->positions);
    if (most < 1 || most > s->positions)
        most = s->positions;
    s->most = asked ? asked : (uint32_t)most;
    return HITHER_OK;
}

/* ---- texts to vectors */

static hither_status take_room(model *m, ht_bert_room **out, hither_error *err) {
    for (size_t i = 0; i < ROOMS; i++) {
        *out = atomic_exchange_explicit(&m->rooms[i], NULL, memory_order_acquire);
        if (*out)
            return HITHER_OK;
    }
    return ht_bert_room_new(m->bert, out, err);
}

static void leave_room(model *m, ht_bert_room *room) {
    for (size_t i = 0; i < ROOMS; i++) {
        ht_bert_room *nobody = NULL;
        if (atomic_compare_exchange_strong_explicit(&m->rooms[i], &nobody, room, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    ht_bert_room_free(room);
}

static hither_status compute(const model *m, ht_bert_room *room, const uint32_t *counts, size_t texts, float *vectors,
                             hither_error *err) {
    ht_fp_state fp = ht_fp_enter(); /* a worker's own */
    hither_status status = ht_bert_vectors(m->bert, room, counts, texts, vectors, err);
    ht_fp_leave(fp);
    return status;
}

/* A text's tokens behind `before` others. */
static hither_status read_tokens(const model *m, ht_bert_room *room, size_t before, const char *text, size_t bytes,
                                 uint32_t *count, hither_error *err) {
    size_t found;
    HT_TRY(ht_tokenizer_encode(m->tokenizer, text, bytes, true, ht_bert_tokens(room) + before, m->shape.most, &found,
                               err));
    *count = (uint32_t)found;
    return HITHER_OK;
}

static hither_status model_one(ht_embedder *embedder, const char *text, size_t bytes, float *vector,
                               hither_error *err) {
    model *m = (model *)embedder;
    ht_bert_room *room;
    uint32_t count;
    HT_TRY(take_room(m, &room, err));
    hither_status status = read_tokens(m, room, 0, text ? text : "", bytes, &count, err);
    if (status == HITHER_OK)
        status = compute(m, room, &count, 1, vector, err);
    leave_room(m, room);
    return status;
}

static hither_status model_token(ht_embedder *embedder, uint32_t token, float *vector, hither_error *err) {
    model *m = (model *)embedder;
    ht_bert_room *room;
    HT_TRY(take_room(m, &room, err));
    const uint32_t count = (uint32_t)ht_tokenizer_wrap(m->tokenizer, token, ht_bert_tokens(room));
    hither_status status = compute(m, room, &count, 1, vector, err);
    leave_room(m, room);
    return status;
}

static hither_status add_text(const model *m, ht_embed_role role, ht_text text, ht_bert_room *room, size_t before,
                              uint32_t *count, hither_error *err) {
    char *both = NULL;
    *count = 0;
    if (!text.data)
        return HITHER_OK; /* the zero vector */
    hither_status status = ht_embedder_prefixed(&m->base, role, &text.data, &text.bytes, &both, err);
    if (status == HITHER_OK)
        status = read_tokens(m, room, before, text.data, text.bytes, count, err);
    ht_release(both);
    return status;
}

/* Short texts side by side: their tokens go through the weights together, each text's as if it were alone. Of bytes,
 * whose sums are exact; those of f32 depend on how many rows there are, so there each text goes alone. */
static hither_status model_some(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts, size_t begin,
                                size_t end, float *vectors, hither_error *err) {
    model *m = (model *)embedder;
    ht_bert_room *room;
    uint32_t counts[TEXTS_AN_ITEM];
    const size_t enough = m->shape.bytes ? HT_BERT_ENOUGH : 1;
    hither_status status = HITHER_OK;
    HT_TRY(take_room(m, &room, err));
    for (size_t first = begin, i = begin, rows = 0; status == HITHER_OK && i < end; i++) {
        status = add_text(m, role, ht_strings_at(texts, i), room, rows, &counts[i - first], err);
        rows += counts[i - first];
        if (status == HITHER_OK && (rows >= enough || i + 1 == end)) {
            status = compute(m, room, counts, i + 1 - first, vectors + first * m->base.dim, err);
            first = i + 1;
            rows = 0;
        }
    }
    leave_room(m, room);
    return status;
}

/* ---- texts to vectors, by ONNX Runtime */

typedef struct in_role {
    const model *model;
    ht_embed_role role;
} in_role;

static hither_status tokens_of(void *ctx, const char *text, size_t bytes, uint32_t *ids, size_t *count,
                               hither_error *err) {
    const in_role *r = ctx;
    const model *m = r->model;
    char *both;
    hither_status status = ht_embedder_prefixed(&m->base, r->role, &text, &bytes, &both, err);
    if (status == HITHER_OK)
        status = ht_tokenizer_encode(m->tokenizer, text, bytes, true, ids, m->shape.most, count, err);
    ht_release(both);
    return status;
}

static hither_status runtime_one(ht_embedder *embedder, const char *text, size_t bytes, float *vector,
                                 hither_error *err) {
    const model *m = (const model *)embedder;
    size_t count = 0;
    uint32_t *ids = ht_alloc(m->shape.most * sizeof *ids);
    hither_status status = ids ? ht_tokenizer_encode(m->tokenizer, text, bytes, true, ids, m->shape.most, &count, err)
                               : ht_fail_nomem(err, m->shape.most * sizeof *ids, "tokens");
    const uint32_t length = (uint32_t)count;
    if (status == HITHER_OK && count > 0)
        status = ht_ort_vectors(m->ort, ids, &length, 1, count, vector, err);
    else if (status == HITHER_OK)
        memset(vector, 0, m->base.dim * sizeof *vector);
    ht_release(ids);
    return status;
}

static hither_status runtime_all(ht_embedder *embedder, ht_embed_role role, const hither_strings *texts, float *vectors,
                                 hither_error *err) {
    const model *m = (const model *)embedder;
    in_role r = {m, role};
    const ht_runtime_job job = {m->ort, m->shape.most, tokens_of, &r};
    return ht_runtime_all(&job, texts, vectors, err);
}

/* ---- open */

/* Says all that decides about vectors: the same name, the same vectors (but by bytes, of f32 but for last bits). */
static void make_name(model *m, uint64_t digest) {
    const ht_bert_shape *s = &m->shape;
    const uint32_t facts[] = {s->heads, s->most, s->pooling, s->bytes};
    digest = ht_hash64(facts, sizeof facts, digest);
    digest = ht_hash64(&s->epsilon, sizeof s->epsilon, digest);
    for (int i = 0; i < 2; i++)
        digest = ht_hash64(m->base.prefixes[i], strlen(m->base.prefixes[i]), digest + 1);
    if (m->ort)
        (void)snprintf(m->name, sizeof m->name, "onnx-%u@%016" PRIx64, m->base.dim, digest);
    else
        (void)snprintf(m->name, sizeof m->name, "bert-%ux%u-%s@%016" PRIx64, s->layers, s->width,
                       s->bytes ? "i8" : "f32", digest);
}

static hither_status read_tokenizer(const ht_io *io, const char *folder, model *m, uint64_t *digest,
                                    hither_error *err) {
    HT_TRY(ht_model_read_tokenizer(io, folder, m->shape.vocabulary, &m->tokenizer, digest, err));
    if (ht_tokenizer_around(m->tokenizer) >= m->shape.most)
        return ht_fail(err, HITHER_INVALID, "max_tokens is %u, and %zu stand around every text", m->shape.most,
                       ht_tokenizer_around(m->tokenizer));
    return HITHER_OK;
}

/* Our own encoder. */
static hither_status open_own(const ht_io *io, const char *folder, const char *file, const ht_model_options *o,
                              model *m, hither_error *err) {
    uint64_t digest = 0;
    HT_TRY(read_config(io, folder, &m->shape, err));
    m->shape.bytes = o->bytes;
    HT_TRY(check_modules(io, folder, err));
    HT_TRY(read_pooling(io, folder, &m->shape, err));
    HT_TRY(read_most(io, folder, o->max_tokens, &m->shape, err));
    HT_TRY(ht_model_read_prefixes(io, folder, o, &m->base, err));
    HT_TRY(ht_bert_open(io, folder, file, o->cache, &m->shape, &m->bert, &digest, err));
    HT_TRY(read_tokenizer(io, folder, m, &digest, err));
    m->base.dim = m->shape.width;
    m->base.one = model_one;
    m->base.some = model_some;
    m->base.tokens = m->shape.vocabulary;
    m->base.token = model_token;
    make_name(m, digest);
    return HITHER_OK;
}

static hither_status try_runtime(model *m, hither_error *err) {
    uint32_t *ids = ht_alloc(m->shape.most * sizeof *ids);
    size_t count = 0;
    if (!ids)
        return ht_fail_nomem(err, m->shape.most * sizeof *ids, "tokens");
    hither_status status = ht_tokenizer_encode(m->tokenizer, "", 0, true, ids, m->shape.most, &count, err);
    if (status == HITHER_OK)
        status = ht_ort_try(m->ort, count ? ids[0] : 0, err);
    ht_release(ids);
    return status;
}

/* Any model that ONNX Runtime runs. */
static hither_status open_runtime(const ht_io *io, const char *folder, const char *file, const ht_model_options *o,
                                  model *m, hither_error *err) {
    uint64_t digest = 0;
    HT_TRY(read_limits(io, folder, &m->shape, err));
    HT_TRY(read_most(io, folder, o->max_tokens, &m->shape, err));
    HT_TRY(ht_model_read_prefixes(io, folder, o, &m->base, err));
    HT_TRY(ht_ort_open_file(io, o->onnxruntime, folder, file, &m->ort, &digest, err));
    if (!ht_ort_pools(m->ort)) {
        HT_TRY(check_modules(io, folder, err));
        HT_TRY(read_pooling(io, folder, &m->shape, err));
        ht_ort_set_pooling(m->ort, m->shape.pooling);
    }
    HT_TRY(read_tokenizer(io, folder, m, &digest, err));
    HT_TRY(try_runtime(m, err));
    m->base.dim = ht_ort_dim(m->ort);
    m->base.one = runtime_one;
    m->base.all = ht_ort_batches(m->ort) ? runtime_all : NULL;
    make_name(m, digest);
    return HITHER_OK;
}

static bool is_onnx(const char *file) {
    const size_t bytes = strlen(file), tail = strlen(".onnx");
    return bytes > tail && strcmp(file + bytes - tail, ".onnx") == 0;
}

static void clear(model *m) {
    for (size_t i = 0; i < ROOMS; i++)
        ht_bert_room_free(atomic_load(&m->rooms[i]));
    ht_bert_free(m->bert);
    ht_ort_free(m->ort);
    ht_tokenizer_free(m->tokenizer);
    ht_embedder_clear(&m->base);
    *m = (model){0};
}

static void model_free(ht_embedder *embedder) {
    clear((model *)embedder);
    ht_release(embedder);
}

/* Ours, unless the other is asked for; and what is an ONNX file, yet not one for ours, may be for the other. */
static hither_status open_model(const ht_io *io, const char *folder, const ht_model_options *o, model *m,
                                hither_error *err) {
    const char *file = o->file;
    hither_error own = {0}, other = {0};
    if (file)
        HT_TRY(ht_model_file_check(file, err));
    else
        HT_TRY(ht_model_file_find(io, folder, o->engine == HT_ENGINE_ONNXRUNTIME, &file, err));
    if (o->engine == HT_ENGINE_ONNXRUNTIME && (!file || !is_onnx(file)))
        return ht_fail(err, HITHER_MODEL, "%.100s: ONNX Runtime takes a model.onnx, and %s", folder,
                       file ? file : "there is none");
    if (o->engine == HT_ENGINE_ONNXRUNTIME)
        return open_runtime(io, folder, file, o, m, err);
    if (o->engine == HT_ENGINE_OWN || !file || !is_onnx(file))
        return open_own(io, folder, file, o, m, err);
    hither_status status = open_own(io, folder, file, o, m, &own);
    if (status != HITHER_MODEL) {
        if (status != HITHER_OK && err)
            *err = own;
        return status;
    }
    clear(m);
    if (open_runtime(io, folder, file, o, m, &other) == HITHER_OK)
        return HITHER_OK;
    return ht_fail(err, status, "%.140s; and with ONNX Runtime: %.90s", own.message, other.message);
}

hither_status ht_embedder_model(const ht_io *io, const char *folder, const ht_model_options *options, ht_embedder **out,
                                hither_error *err) {
    bool is_static;
    HT_TRY(ht_static_is(io, folder, &is_static, err));
    if (is_static)
        return ht_static_open(io, folder, options, out, err);
    model *m = ht_calloc(1, sizeof *m);
    if (!m)
        return ht_fail_nomem(err, sizeof *m, "a model");
    hither_status status = open_model(io, folder, options, m, err);
    if (status != HITHER_OK) {
        model_free(&m->base);
        return status;
    }
    atomic_init(&m->base.references, 1);
    m->base.name = m->name;
    m->base.texts_an_item = TEXTS_AN_ITEM;
    m->base.free = model_free;
    *out = &m->base;
    return HITHER_OK;
}
