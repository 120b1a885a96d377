/* ort.c: see ort.h. */
#include "embed/ort.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/ort_library.h"

enum { MOST_INPUTS = 4, MOST_NAME = 128 };
typedef enum input_kind { IDS, MASK, TYPES, PLACES, INPUT_KINDS } input_kind;
static const char *const input_names[INPUT_KINDS] = {"input_ids", "attention_mask", "token_type_ids", "position_ids"};

struct ht_ort {
    ht_ort_table api;
    OrtEnv *env;
    OrtSession *session;
    OrtMemoryInfo *memory;
    size_t inputs;
    input_kind kinds[MOST_INPUTS];
    bool wide[MOST_INPUTS]; /* i64, else i32 */
    char output[MOST_NAME];
    bool pools, batches;
    ht_pooling pooling;
    uint32_t dim;
};

/* What a call of its functions gave, as ours. */
static hither_status passed(const ht_ort *o, OrtStatus *status, const char *what, hither_error *err) {
    if (!status)
        return HITHER_OK;
    hither_status failed =
        ht_fail(err, HITHER_MODEL, "ONNX Runtime could not %s: %.180s", what, o->api.GetErrorMessage(status));
    o->api.ReleaseStatus(status);
    return failed;
}

/* ---- open */

static hither_status find_inputs(ht_ort *o, const ht_onnx *onnx, hither_error *err) {
    const ht_onnx_graph *g = ht_onnx_graph_of(onnx);
    bool ids = false, mask = false;
    for (uint32_t i = 0; i < g->input_count; i++) {
        const ht_onnx_text name = g->values[g->inputs[i]].name;
        const uint32_t type = g->input_types[i];
        int kind = 0;
        while (kind < INPUT_KINDS && !ht_onnx_is(name, input_names[kind]))
            kind++;
        if (kind == INPUT_KINDS || o->inputs == MOST_INPUTS || (type != HT_ORT_I64 && type != HT_ORT_I32))
            return ht_fail(err, HITHER_MODEL, "the model wants an input \"%.*s\" of type %u, which is not known",
                           (int)(name.bytes < 60 ? name.bytes : 60), name.data, type);
        ids = ids || kind == IDS;
        mask = mask || kind == MASK;
        o->wide[o->inputs] = type == HT_ORT_I64;
        o->kinds[o->inputs++] = (input_kind)kind;
    }
    if (!ids)
        return ht_fail(err, HITHER_MODEL, "the model has no input \"input_ids\"");
    o->batches = mask;
    for (uint32_t i = 0; i < g->node_count; i++)
        o->batches = o->batches && !ht_onnx_is(g->nodes[i].op, "DynamicQuantizeLinear");
    return HITHER_OK;
}

static hither_status find_output(ht_ort *o, const ht_onnx *onnx, hither_error *err) {
    static const char *const names[] = {"sentence_embedding", "last_hidden_state", "token_embeddings"};
    const ht_onnx_graph *g = ht_onnx_graph_of(onnx);
    if (g->output_count == 0)
        return ht_fail(err, HITHER_MODEL, "the model has no output");
    ht_onnx_text chosen = g->values[g->outputs[0]].name;
    for (int n = sizeof names / sizeof *names - 1; n >= 0; n--) {
        for (uint32_t i = 0; i < g->output_count; i++) {
            if (ht_onnx_is(g->values[g->outputs[i]].name, names[n])) {
                chosen = g->values[g->outputs[i]].name;
                o->pools = n == 0;
            }
        }
    }
    if (chosen.bytes >= sizeof o->output || memchr(chosen.data, 0, chosen.bytes))
        return ht_fail(err, HITHER_MODEL, "the model's output has a name of %zu bytes, or with a NUL", chosen.bytes);
    memcpy(o->output, chosen.data, chosen.bytes);
    return HITHER_OK;
}

/* The file is handed over as it was walked; files beside are opened by the runtime, in the folder, and these were
 * checked. */
static hither_status open_session(ht_ort *o, const ht_onnx *onnx, const char *folder, hither_error *err) {
    OrtSessionOptions *options = NULL;
    size_t bytes;
    const void *file = ht_onnx_file(onnx, &bytes);
    HT_TRY(passed(o, o->api.CreateEnv(HT_ORT_LOG_FATAL, "hither", &o->env), "start", err));
    HT_TRY(passed(o, o->api.CreateCpuMemoryInfo(HT_ORT_ARENA, HT_ORT_DEFAULT_MEMORY, &o->memory), "start", err));
    HT_TRY(passed(o, o->api.CreateSessionOptions(&options), "start", err));
    hither_status status = passed(o, o->api.SetIntraOpNumThreads(options, 1), "use one thread", err);
    if (status == HITHER_OK)
        status = passed(
            o, o->api.AddSessionConfigEntry(options, "session.model_external_initializers_file_folder_path", folder),
            "be told the folder", err);
    if (status == HITHER_OK)
        status =
            passed(o, o->api.CreateSessionFromArray(o->env, file, bytes, options, &o->session), "take the model", err);
    o->api.ReleaseSessionOptions(options);
    return status;
}

hither_status ht_ort_open(const ht_io *io, const char *library, const ht_onnx *onnx, const char *folder, ht_ort **out,
                          hither_error *err) {
    ht_ort *o = ht_calloc(1, sizeof *o);
    if (!o)
        return ht_fail_nomem(err, sizeof *o, "a model");
    hither_status status = ht_ort_library(io, library, &o->api, err);
    if (status != HITHER_OK) {
        ht_release(o); /* there is nothing to give back through */
        return status;
    }
    status = find_inputs(o, onnx, err);
    if (status == HITHER_OK)
        status = find_output(o, onnx, err);
    if (status == HITHER_OK)
        status = open_session(o, onnx, folder, err);
    if (status != HITHER_OK) {
        ht_ort_free(o);
        return status;
    }
    *out = o;
    return HITHER_OK;
}

void ht_ort_free(ht_ort *o) {
    if (!o)
        return;
    if (o->session)
        o->api.ReleaseSession(o->session);
    if (o->memory)
        o->api.ReleaseMemoryInfo(o->memory);
    if (o->env)
        o->api.ReleaseEnv(o->env);
    ht_release(o);
}

void ht_ort_set_pooling(ht_ort *o, ht_pooling pooling) { o->pooling = pooling; }

bool ht_ort_pools(const ht_ort *o) { return o->pools; }

bool ht_ort_batches(const ht_ort *o) { return o->batches; }

uint32_t ht_ort_dim(const ht_ort *o) { return o->dim; }

/* ---- run */

static int64_t number_of(input_kind kind, const uint32_t *tokens, size_t at, size_t length) {
    switch (kind) {
    case IDS:
        return at < length ? tokens[at] : 0;
    case MASK:
        return at < length;
    case PLACES:
        return (int64_t)at;
    default:
        return 0;
    }
}

/* One input's numbers, in the room that is its own. */
static hither_status make_input(const ht_ort *o, size_t input, const uint32_t *tokens, const uint32_t *lengths,
                                size_t count, size_t longest, void *room, OrtValue **out, hither_error *err) {
    const int64_t shape[2] = {(int64_t)count, (int64_t)longest};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < longest; j++) {
            int64_t number = number_of(o->kinds[input], tokens + i * longest, j, lengths[i]);
            if (o->wide[input])
                ((int64_t *)room)[i * longest + j] = number;
            else
                ((int32_t *)room)[i * longest + j] = (int32_t)number;
        }
    }
    const size_t bytes = count * longest * (o->wide[input] ? sizeof(int64_t) : sizeof(int32_t));
    OrtStatus *status = o->api.CreateTensorWithDataAsOrtValue(o->memory, room, bytes, shape, 2,
                                                              o->wide[input] ? HT_ORT_I64 : HT_ORT_I32, out);
    return passed(o, status, "take the tokens", err);
}

/* Rows of what came out, one a text or one a token, and how long they are. */
static hither_status look_at_output(const ht_ort *o, OrtValue *value, size_t count, size_t longest, const float **out,
                                    bool *of_tokens, size_t *dim, hither_error *err) {
    OrtShape *shape = NULL;
    size_t rank = 0;
    int type = 0;
    int64_t dims[3] = {0};
    void *data = NULL;
    HT_TRY(passed(o, o->api.GetTensorTypeAndShape(value, &shape), "tell the shape", err));
    hither_status status = passed(o, o->api.GetTensorElementType(shape, &type), "tell the type", err);
    if (status == HITHER_OK)
        status = passed(o, o->api.GetDimensionsCount(shape, &rank), "tell the rank", err);
    if (status == HITHER_OK && (rank == 2 || rank == 3))
        status = passed(o, o->api.GetDimensions(shape, dims, rank), "tell the shape", err);
    o->api.ReleaseShape(shape);
    HT_TRY(status);
    *of_tokens = rank == 3;
    const int64_t width = rank == 3 ? dims[2] : dims[1];
    if (type != HT_ORT_F32 || (rank != 2 && rank != 3) || dims[0] != (int64_t)count || width < 1 ||
        width > (int64_t)HITHER_MAX_DIM || (rank == 3 && dims[1] != (int64_t)longest) || (o->pools && rank != 2))
        return ht_fail(
            err, HITHER_MODEL,
            "the model's output \"%.60s\" is of type %d and rank %zu, %lld x %lld x %lld for %zu texts of %zu "
            "tokens; f32 of texts (x tokens) x dimensions is possible",
            o->output, type, rank, (long long)dims[0], (long long)dims[1], (long long)dims[2], count, longest);
    *dim = (size_t)width;
    status = passed(o, o->api.GetTensorMutableData(value, &data), "give its numbers", err);
    *out = data;
    return status;
}

static hither_status pool_rows(const ht_ort *o, const float *rows, bool of_tokens, const uint32_t *lengths,
                               size_t count, size_t longest, size_t dim, float *vectors, hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        const float *from = rows + i * dim * (of_tokens ? longest : 1);
        HT_TRY(ht_pool_tokens(o->pooling, from, of_tokens ? lengths[i] : 1, dim, vectors + i * dim, err));
    }
    return HITHER_OK;
}

/* Runs, and hands what came out to pool_rows; vectors NULL: only tells the dimension. */
static hither_status run(const ht_ort *o, const uint32_t *tokens, const uint32_t *lengths, size_t count, size_t longest,
                         size_t *dim, float *vectors, hither_error *err) {
    const char *names[MOST_INPUTS], *const output = o->output;
    OrtValue *inputs[MOST_INPUTS] = {NULL}, *made = NULL;
    const size_t each = count * longest * sizeof(int64_t);
    const float *rows = NULL;
    bool of_tokens = false;
    char *room = ht_alloc(o->inputs * each);
    hither_status status = room ? HITHER_OK : ht_fail_nomem(err, o->inputs * each, "tokens");
    for (size_t i = 0; status == HITHER_OK && i < o->inputs; i++) {
        names[i] = input_names[o->kinds[i]];
        status = make_input(o, i, tokens, lengths, count, longest, room + i * each, &inputs[i], err);
    }
    if (status == HITHER_OK)
        status = passed(
            o, o->api.Run(o->session, NULL, names, (const OrtValue *const *)inputs, o->inputs, &output, 1, &made),
            "run the model", err);
    if (status == HITHER_OK)
        status = look_at_output(o, made, count, longest, &rows, &of_tokens, dim, err);
    if (status == HITHER_OK && vectors && *dim != o->dim)
        status = ht_fail(err, HITHER_MODEL, "the model gave %zu dimensions, and %u before", *dim, o->dim);
    if (status == HITHER_OK && vectors)
        status = pool_rows(o, rows, of_tokens, lengths, count, longest, *dim, vectors, err);
    for (size_t i = 0; i < o->inputs; i++)
        if (inputs[i])
            o->api.ReleaseValue(inputs[i]);
    if (made)
        o->api.ReleaseValue(made);
    ht_release(room);
    return status;
}

hither_status ht_ort_try(ht_ort *o, uint32_t token, hither_error *err) {
    size_t dim = 0;
    const uint32_t length = 1;
    HT_TRY(run(o, &token, &length, 1, 1, &dim, NULL, err));
    o->dim = (uint32_t)dim;
    return HITHER_OK;
}

hither_status ht_ort_vectors(const ht_ort *o, const uint32_t *tokens, const uint32_t *lengths, size_t count,
                             size_t longest, float *vectors, hither_error *err) {
    size_t dim = 0;
    return run(o, tokens, lengths, count, longest, &dim, vectors, err);
}
