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
#include "embed/tokenizer.h"
#include "kernels/kernels.h"

enum { MAX_CONFIG = 1 << 20, ROOMS = 64, NAME_BYTES = 64, MAX_PREFIX = 1024, DEFAULT_TOKENS = 512 };

typedef struct model {
    ht_embedder base;
    ht_bert *bert;
    ht_tokenizer *tokenizer;
    ht_bert_shape shape;
    char *prefixes[2]; /* by ht_embed_role */
    char name[NAME_BYTES];
    _Atomic(ht_bert_room *) rooms[ROOMS]; /* not in use just now */
} model;

/* ---- files */

/* The text of a file, at most `most` bytes; a missing one is OK and leaves *there false. */
static hither_status read_file(const ht_io *io, const char *folder, const char *name, size_t most, ht_buf *out,
                               bool *there, hither_error *err) {
    uint64_t bytes = 0;
    ht_io_kind kind = HT_IO_ABSENT;
    ht_file *file = NULL;
    ht_buf_init(out, most + 1);
    *there = false;
    char *path = ht_path_join(folder, name);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    hither_status status = io->stat(io->ctx, path, &kind, &bytes, err);
    if (status == HITHER_OK && kind != HT_IO_ABSENT) {
        *there = true;
        status = io->open(io->ctx, path, 0, &file, err);
        if (status == HITHER_OK)
            status = io->file_size(file, &bytes, err);
        if (status == HITHER_OK && bytes > most)
            status = ht_fail(err, HITHER_TOO_LARGE, "%.150s: %llu bytes; at most %zu are read", path,
                             (unsigned long long)bytes, most);
        char *room = status == HITHER_OK ? ht_buf_grow(out, (size_t)bytes) : NULL;
        if (status == HITHER_OK)
            status = room ? io->read_at(file, room, (size_t)bytes, 0, err) : ht_buf_check(out, "a file", err);
        if (file)
            io->close(file);
    }
    ht_release(path);
    return status;
}

/* A JSON file; *out NULL where it is missing. */
static hither_status read_json(const ht_io *io, const char *folder, const char *name, json_t **out, hither_error *err) {
    ht_buf text;
    bool there;
    *out = NULL;
    hither_status status = read_file(io, folder, name, MAX_CONFIG, &text, &there, err);
    if (status == HITHER_OK && there)
        status = ht_json_parse(text.data ? text.data : "", text.size, MAX_CONFIG, name, out, err);
    ht_buf_clear(&text);
    return status;
}

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
    HT_TRY(read_json(io, folder, "config.json", &config, err));
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

/* modules.json: a transformer, a pooling, and perhaps a normalisation, which is done anyway. */
static hither_status check_modules(const ht_io *io, const char *folder, hither_error *err) {
    json_t *modules, *module;
    size_t i;
    hither_status status = HITHER_OK;
    HT_TRY(read_json(io, folder, "modules.json", &modules, err));
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
    bool mean = false, first = false;
    hither_status status = HITHER_OK;
    HT_TRY(read_json(io, folder, "1_Pooling/config.json", &config, err));
    if (!config)
        return HITHER_OK; /* the mean, as is usual */
    json_object_foreach(config, key, value) {
        if (strncmp(key, "pooling_mode_", 13) != 0 || !json_is_true(value))
            continue;
        if (strcmp(key, "pooling_mode_mean_tokens") == 0)
            mean = true;
        else if (strcmp(key, "pooling_mode_cls_token") == 0)
            first = true;
        else
            status = ht_fail(err, HITHER_MODEL, "1_Pooling/config.json: %.60s is not supported", key);
    }
    if (status == HITHER_OK && mean == first)
        status = ht_fail(err, HITHER_MODEL, "1_Pooling/config.json: one of mean and cls pooling must be on");
    s->first = first;
    json_decref(config);
    return status;
}

/* How many tokens of a text count: what is asked for, else what the folder says, at most what the model has places for.
 */
static hither_status read_most(const ht_io *io, const char *folder, uint32_t asked, ht_bert_shape *s,
                               hither_error *err) {
    json_t *config;
    HT_TRY(read_json(io, folder, "sentence_bert_config.json", &config, err));
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

static hither_status read_lowercase(const ht_io *io, const char *folder, bool *out, hither_error *err) {
    json_t *config;
    HT_TRY(read_json(io, folder, "tokenizer_config.json", &config, err));
    *out = !json_is_false(json_object_get(config, "do_lower_case"));
    json_decref(config);
    return HITHER_OK;
}

static hither_status read_tokenizer(const ht_io *io, const char *folder, model *m, uint64_t *digest,
                                    hither_error *err) {
    ht_buf text;
    bool there, lowercase = true;
    hither_status status = read_file(io, folder, "tokenizer.json", HT_TOKENIZER_MAX_FILE, &text, &there, err);
    bool json = there;
    if (status == HITHER_OK && !there) {
        ht_buf_clear(&text);
        status = read_file(io, folder, "vocab.txt", HT_TOKENIZER_MAX_FILE, &text, &there, err);
        if (status == HITHER_OK && !there)
            status = ht_fail(err, HITHER_MODEL, "%.150s: there is neither tokenizer.json nor vocab.txt", folder);
        if (status == HITHER_OK)
            status = read_lowercase(io, folder, &lowercase, err);
    }
    const char *data = text.data ? text.data : "";
    if (status == HITHER_OK)
        status = json ? ht_tokenizer_from_json(data, text.size, "tokenizer.json", &m->tokenizer, err)
                      : ht_tokenizer_from_vocab(data, text.size, lowercase, "vocab.txt", &m->tokenizer, err);
    if (status == HITHER_OK)
        *digest = ht_hash64(data, text.size, *digest + lowercase);
    ht_buf_clear(&text);
    if (status == HITHER_OK && ht_tokenizer_ids(m->tokenizer) > m->shape.vocabulary)
        status = ht_fail(err, HITHER_MODEL, "the tokenizer gives numbers up to %u, the model has vectors for %u tokens",
                         ht_tokenizer_ids(m->tokenizer) - 1, m->shape.vocabulary);
    if (status == HITHER_OK && ht_tokenizer_around(m->tokenizer) >= m->shape.most)
        status = ht_fail(err, HITHER_INVALID, "max_tokens is %u, and %zu stand around every text", m->shape.most,
                         ht_tokenizer_around(m->tokenizer));
    return status;
}

/* ---- what stands before texts */

static hither_status set_prefix(model *m, ht_embed_role role, const char *text, hither_error *err) {
    ht_release(m->prefixes[role]);
    m->prefixes[role] = ht_strdup(text);
    if (!m->prefixes[role])
        return ht_fail_nomem(err, strlen(text), "a prefix");
    size_t bytes = strlen(text);
    if (bytes > MAX_PREFIX)
        return ht_fail(err, HITHER_TOO_LARGE, "a prefix of %zu bytes; at most %d are possible", bytes, MAX_PREFIX);
    if (ht_utf8_valid_prefix(text, bytes) < bytes)
        return ht_fail(err, HITHER_ENCODING, "a prefix is not UTF-8");
    return HITHER_OK;
}

static hither_status read_prefixes(const ht_io *io, const char *folder, const ht_model_options *o, model *m,
                                   hither_error *err) {
    static const char *const keys[2][2] = {{"document", "passage"}, {"query", "query"}};
    json_t *config;
    HT_TRY(read_json(io, folder, "config_sentence_transformers.json", &config, err));
    const json_t *prompts = json_object_get(config, "prompts");
    hither_status status = HITHER_OK;
    for (int role = 0; status == HITHER_OK && role < 2; role++) {
        const char *text = json_string_value(json_object_get(prompts, keys[role][0]));
        if (!text)
            text = json_string_value(json_object_get(prompts, keys[role][1]));
        const char *given = role == HT_EMBED_QUERY ? o->query_prefix : o->document_prefix;
        status = set_prefix(m, (ht_embed_role)role, given ? given : text ? text : "", err);
    }
    json_decref(config);
    return status;
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

static hither_status embed_tokens(model *m, ht_bert_room *room, const char *text, size_t bytes, float *vector,
                                  hither_error *err) {
    size_t count;
    HT_TRY(ht_tokenizer_encode(m->tokenizer, text, bytes, true, ht_bert_tokens(room), m->shape.most, &count, err));
    return ht_bert_vector(m->bert, room, count, vector, err);
}

static hither_status embed_with(model *m, ht_bert_room *room, ht_embed_role role, const char *text, size_t bytes,
                                float *vector, hither_error *err) {
    const char *prefix = m->prefixes[role];
    size_t before = strlen(prefix);
    if (before == 0)
        return embed_tokens(m, room, text, bytes, vector, err);
    char *both = ht_alloc(before + bytes);
    if (!both)
        return ht_fail_nomem(err, before + bytes, "a text");
    memcpy(both, prefix, before);
    if (bytes)
        memcpy(both + before, text, bytes);
    hither_status status = embed_tokens(m, room, both, before + bytes, vector, err);
    ht_release(both);
    return status;
}

static hither_status model_one(ht_embedder *embedder, ht_embed_role role, const char *text, size_t bytes, float *vector,
                               hither_error *err) {
    model *m = (model *)embedder;
    ht_bert_room *room;
    HT_TRY(take_room(m, &room, err));
    ht_fp_state fp = ht_fp_enter(); /* a worker's own */
    hither_status status = embed_with(m, room, role, text, bytes, vector, err);
    ht_fp_leave(fp);
    leave_room(m, room);
    return status;
}

static void model_free(ht_embedder *embedder) {
    model *m = (model *)embedder;
    for (size_t i = 0; i < ROOMS; i++)
        ht_bert_room_free(atomic_load(&m->rooms[i]));
    ht_bert_free(m->bert);
    ht_tokenizer_free(m->tokenizer);
    ht_release(m->prefixes[0]);
    ht_release(m->prefixes[1]);
    ht_release(m);
}

/* ---- open */

/* Says all that decides about vectors: the same name, the same vectors (of f32 but for their last bits). */
static void make_name(model *m, uint64_t digest) {
    const ht_bert_shape *s = &m->shape;
    const uint32_t facts[] = {s->heads, s->most, s->first, s->bytes};
    digest = ht_hash64(facts, sizeof facts, digest);
    digest = ht_hash64(&s->epsilon, sizeof s->epsilon, digest);
    for (int i = 0; i < 2; i++)
        digest = ht_hash64(m->prefixes[i], strlen(m->prefixes[i]), digest + 1);
    (void)snprintf(m->name, sizeof m->name, "bert-%ux%u-%s@%016" PRIx64, s->layers, s->width, s->bytes ? "i8" : "f32",
                   digest);
}

static hither_status open_model(const ht_io *io, const char *folder, const ht_model_options *o, model *m,
                                hither_error *err) {
    uint64_t digest;
    HT_TRY(read_config(io, folder, &m->shape, err));
    m->shape.bytes = o->bytes;
    HT_TRY(check_modules(io, folder, err));
    HT_TRY(read_pooling(io, folder, &m->shape, err));
    HT_TRY(read_most(io, folder, o->max_tokens, &m->shape, err));
    HT_TRY(read_prefixes(io, folder, o, m, err));
    HT_TRY(ht_bert_open(io, folder, o->file, &m->shape, &m->bert, &digest, err));
    HT_TRY(read_tokenizer(io, folder, m, &digest, err));
    make_name(m, digest);
    return HITHER_OK;
}

hither_status ht_embedder_model(const ht_io *io, const char *folder, const ht_model_options *options, ht_embedder **out,
                                hither_error *err) {
    model *m = ht_calloc(1, sizeof *m);
    if (!m)
        return ht_fail_nomem(err, sizeof *m, "a model");
    hither_status status = open_model(io, folder, options, m, err);
    if (status != HITHER_OK) {
        model_free(&m->base);
        return status;
    }
    atomic_init(&m->base.references, 1);
    m->base.dim = m->shape.width;
    m->base.name = m->name;
    m->base.texts_an_item = 1;
    m->base.one = model_one;
    m->base.free = model_free;
    *out = &m->base;
    return HITHER_OK;
}
