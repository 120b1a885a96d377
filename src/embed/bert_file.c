/* bert_file.c: see bert_file.h. */
#include "embed/bert_file.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "embed/bert_pack.h"
#include "embed/onnx_bert.h"

hither_status ht_model_file_check(const char *file, hither_error *err) {
    const char *at = file;
    bool fits = *at != 0 && strlen(file) < 256;
    while (fits && at) {
        fits = *at != '/' && *at != '.' && *at != 0;
        at = strchr(at, '/');
        at = at ? at + 1 : NULL;
    }
    if (fits)
        return HITHER_OK;
    return ht_fail(err, HITHER_INVALID, "the model's file is \"%.100s\"; a plain path inside the folder is possible",
                   file);
}

hither_status ht_model_file_find(const ht_io *io, const char *folder, bool onnx, const char **out, hither_error *err) {
    static const char *const names[] = {"model.safetensors", "model.onnx", "model_quantized.onnx", "onnx/model.onnx",
                                        "onnx/model_quantized.onnx"};
    *out = NULL;
    for (size_t i = onnx; i < sizeof names / sizeof *names && !*out; i++) {
        uint64_t bytes;
        ht_io_kind kind = HT_IO_ABSENT;
        char *path = ht_path_join(folder, names[i]);
        if (!path)
            return ht_fail_nomem(err, strlen(folder), "a path");
        hither_status status = io->stat(io->ctx, path, &kind, &bytes, err);
        ht_release(path);
        HT_TRY(status);
        *out = kind == HT_IO_ABSENT ? NULL : names[i];
    }
    return HITHER_OK;
}

static hither_status open_tensors(const ht_io *io, const char *path, const ht_bert_shape *shape, ht_bert **out,
                                  uint64_t *digest, hither_error *err) {
    ht_tensors *tensors;
    HT_TRY(ht_tensors_open(io, path, &tensors, err));
    ht_weights weights = ht_weights_of_tensors(tensors);
    hither_status status = ht_bert_load(&weights, shape, out, digest, err);
    ht_tensors_close(tensors);
    return status;
}

/* Files beside an ONNX file are looked for where it is. */
static hither_status open_onnx(const ht_io *io, char *path, const ht_bert_shape *shape, ht_bert **out, uint64_t *digest,
                               bool *alone, hither_error *err) {
    ht_onnx *onnx;
    ht_onnx_bert *found = NULL;
    char *slash = strrchr(path, '/');
    *slash = 0;
    HT_TRY(ht_onnx_open(io, path, slash + 1, &onnx, err));
    hither_status status = ht_onnx_bert_find(onnx, shape, &found, err);
    if (status == HITHER_OK) {
        ht_weights weights = ht_onnx_bert_weights(found);
        status = ht_bert_load(&weights, shape, out, digest, err);
    }
    *alone = !ht_onnx_has_files(onnx);
    ht_onnx_bert_free(found);
    ht_onnx_close(onnx);
    return status;
}

static hither_status open_weights(const ht_io *io, const char *folder, const char *file, const ht_bert_shape *shape,
                                  ht_bert **out, uint64_t *digest, bool *alone, hither_error *err) {
    char *path = ht_path_join(folder, file);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    const size_t bytes = strlen(file), tail = strlen(".onnx");
    const bool onnx = bytes > tail && strcmp(file + bytes - tail, ".onnx") == 0;
    *alone = true;
    hither_status status =
        onnx ? open_onnx(io, path, shape, out, digest, alone, err) : open_tensors(io, path, shape, out, digest, err);
    ht_release(path);
    return status;
}

hither_status ht_bert_open(const ht_io *io, const char *folder, const char *file, const char *cache,
                           const ht_bert_shape *shape, ht_bert **out, uint64_t *digest, hither_error *err) {
    bool alone = true;
    if (!file)
        return ht_fail(err, HITHER_MODEL, "%.150s: there is neither model.safetensors nor model.onnx", folder);
    const ht_bert_pack_source source = {cache, folder, file, *shape};
    /* The stamps are the operating system's, whatever the table. */
    const bool packs = cache && cache[0] && shape->bytes && io == ht_io_posix();
    *out = packs ? ht_bert_pack_open(io, &source, digest) : NULL;
    if (*out)
        return HITHER_OK;
    HT_TRY(open_weights(io, folder, file, shape, out, digest, &alone, err));
    if (packs && alone)
        ht_bert_pack_write(io, &source, *out, *digest);
    return HITHER_OK;
}

/* ---- for ONNX Runtime */

static uint64_t digest_bytes(const uint8_t *data, size_t bytes, uint64_t digest) {
    uint64_t lane[4] = {digest, 1, 2, 3};
    size_t i = 0;
    for (; i + sizeof lane <= bytes; i += sizeof lane) {
        uint64_t words[4];
        memcpy(words, data + i, sizeof words);
        for (int l = 0; l < 4; l++) {
            lane[l] = (lane[l] ^ words[l]) * 0x9e3779b97f4a7c15u;
            lane[l] ^= lane[l] >> 29;
        }
    }
    return ht_hash64(lane, sizeof lane, ht_hash64(data + i, bytes - i, bytes));
}

/* Of the parts of the files beside that the model uses. */
static hither_status digest_beside(const ht_io *io, const char *folder, const ht_onnx *onnx, uint64_t *digest,
                                   hither_error *err) {
    const ht_onnx_graph *g = ht_onnx_graph_of(onnx);
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        const ht_onnx_tensor *t = &g->tensors[i];
        if (t->file.bytes == 0)
            continue;
        uint8_t *data = ht_alloc(t->bytes);
        if (!data)
            return ht_fail_nomem(err, t->bytes, "numbers");
        hither_status status = ht_onnx_beside(io, folder, t, data, err);
        if (status == HITHER_OK)
            *digest = digest_bytes(data, t->bytes, *digest);
        ht_release(data);
        HT_TRY(status);
    }
    return HITHER_OK;
}

hither_status ht_ort_open_file(const ht_io *io, const char *library, const char *folder, const char *file, ht_ort **out,
                               uint64_t *digest, hither_error *err) {
    ht_onnx *onnx;
    size_t bytes;
    char *path = ht_path_join(folder, file);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    char *slash = strrchr(path, '/');
    *slash = 0;
    hither_status status = ht_onnx_open(io, path, slash + 1, &onnx, err);
    if (status == HITHER_OK) {
        const uint8_t *data = ht_onnx_file(onnx, &bytes);
        *digest = digest_bytes(data, bytes, 0);
        status = digest_beside(io, path, onnx, digest, err);
        if (status == HITHER_OK)
            status = ht_ort_open(io, library, onnx, path, out, err);
        ht_onnx_close(onnx);
    }
    ht_release(path);
    return status;
}
