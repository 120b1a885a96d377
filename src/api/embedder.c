/*
 * embedder.c: hither_embedder_*. Checks texts from outside and lends the floating-point mode. Any thread.
 */
#include "api/api.h"
#include "embed/distill.h"
#include "kernels/kernels.h"

hither_status hither_embedder_builtin(hither_embedder **out, hither_error *err) {
    if (!out)
        return ht_fail(err, HITHER_INVALID, "embedder: out is NULL");
    *out = NULL;
    ht_embedder *embedder;
    HT_TRY(ht_embedder_builtin(&embedder, err));
    *out = ht_embedder_out(embedder);
    return HITHER_OK;
}

hither_status hither_embedder_open(const char *folder, const hither_embedder_options *options, hither_embedder **out,
                                   hither_error *err) {
    hither_embedder_options o;
    ht_embedder *embedder;
    if (!out)
        return ht_fail(err, HITHER_INVALID, "embedder: out is NULL");
    *out = NULL;
    if (!folder || !folder[0])
        return ht_fail(err, HITHER_INVALID, "embedder: the folder is %s", folder ? "\"\"" : "NULL");
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_embedder_options", err));
    if (o.precision && o.precision != HITHER_F32 && o.precision != HITHER_I8)
        return ht_fail(err, HITHER_UNSUPPORTED, "embedder: precision %d; HITHER_F32 and HITHER_I8 are possible",
                       (int)o.precision);
    if ((unsigned)o.engine > HITHER_ENGINE_ONNXRUNTIME)
        return ht_fail(err, HITHER_INVALID, "embedder: engine %d", (int)o.engine);
    const ht_model_options model = {.bytes = o.precision != HITHER_F32,
                                    .max_tokens = o.max_tokens,
                                    .query_prefix = o.query_prefix,
                                    .document_prefix = o.document_prefix,
                                    .file = o.file,
                                    .engine = (ht_engine)o.engine,
                                    .onnxruntime = o.onnxruntime,
                                    .cache = o.cache};
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_embedder_model(ht_io_posix(), folder, &model, &embedder, err);
    ht_fp_leave(fp);
    if (status == HITHER_OK)
        *out = ht_embedder_out(embedder);
    return status;
}

hither_status hither_model_distill(const char *folder, const char *dest, uint32_t dim,
                                   const hither_work_options *options, hither_error *err) {
    hither_work_options o;
    if (!folder || !folder[0] || !dest || !dest[0])
        return ht_fail(err, HITHER_INVALID, "distill: a folder's name is missing");
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_work_options", err));
    ht_progress progress = {.call = o.progress, .ctx = o.ctx};
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_distill(ht_io_posix(), folder, dest, dim, &progress, err);
    ht_fp_leave(fp);
    return status;
}

uint32_t hither_embedder_dim(const hither_embedder *embedder) {
    return embedder ? ht_embedder_dim(ht_embedder_in_const(embedder)) : 0;
}

const char *hither_embedder_name(const hither_embedder *embedder) {
    return embedder ? ht_embedder_name(ht_embedder_in_const(embedder)) : "";
}

static hither_status embed(hither_embedder *embedder, ht_embed_role role, const hither_strings *texts, float *vectors,
                           hither_error *err) {
    if (!embedder || !texts)
        return ht_fail(err, HITHER_INVALID, "embed: %s is NULL", embedder ? "texts" : "embedder");
    HT_TRY(ht_strings_check(texts, "texts", HITHER_MAX_TEXT_BYTES, err));
    if (texts->count > 0 && !vectors)
        return ht_fail(err, HITHER_INVALID, "embed: vectors is NULL; %zu texts need a place", texts->count);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_embedder_embed(ht_embedder_in(embedder), role, texts, vectors, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_embedder_embed(hither_embedder *embedder, const hither_strings *texts, float *vectors,
                                    hither_error *err) {
    return embed(embedder, HT_EMBED_DOCUMENT, texts, vectors, err);
}

hither_status hither_embedder_embed_queries(hither_embedder *embedder, const hither_strings *texts, float *vectors,
                                            hither_error *err) {
    return embed(embedder, HT_EMBED_QUERY, texts, vectors, err);
}

void hither_embedder_close(hither_embedder *embedder) { ht_embedder_release(ht_embedder_in(embedder)); }
