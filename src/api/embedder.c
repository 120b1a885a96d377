/*
 * embedder.c: hither_embedder_*. Checks texts from outside and lends the floating-point mode. Any thread.
 */
#include "api/api.h"
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

uint32_t hither_embedder_dim(const hither_embedder *embedder) {
    return embedder ? ht_embedder_dim(ht_embedder_in_const(embedder)) : 0;
}

const char *hither_embedder_name(const hither_embedder *embedder) {
    return embedder ? ht_embedder_name(ht_embedder_in_const(embedder)) : "";
}

hither_status hither_embedder_embed(hither_embedder *embedder, const hither_strings *texts, float *vectors,
                                    hither_error *err) {
    if (!embedder || !texts)
        return ht_fail(err, HITHER_INVALID, "embed: %s is NULL", embedder ? "texts" : "embedder");
    HT_TRY(ht_strings_check(texts, "texts", HITHER_MAX_TEXT_BYTES, err));
    if (texts->count > 0 && !vectors)
        return ht_fail(err, HITHER_INVALID, "embed: vectors is NULL; %zu texts need a place", texts->count);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_embedder_embed(ht_embedder_in(embedder), texts, vectors, err);
    ht_fp_leave(fp);
    return status;
}

void hither_embedder_close(hither_embedder *embedder) { ht_embedder_release(ht_embedder_in(embedder)); }
