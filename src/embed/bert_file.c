/* bert_file.c: see bert_file.h. */
#include "embed/bert_file.h"

#include <string.h>

#include "base/alloc.h"
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
                               hither_error *err) {
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
    ht_onnx_bert_free(found);
    ht_onnx_close(onnx);
    return status;
}

hither_status ht_bert_open(const ht_io *io, const char *folder, const char *file, const ht_bert_shape *shape,
                           ht_bert **out, uint64_t *digest, hither_error *err) {
    if (file)
        HT_TRY(ht_model_file_check(file, err));
    else
        HT_TRY(ht_model_file_find(io, folder, false, &file, err));
    if (!file)
        return ht_fail(err, HITHER_MODEL, "%.150s: there is neither model.safetensors nor model.onnx", folder);
    char *path = ht_path_join(folder, file);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    const size_t bytes = strlen(file), tail = strlen(".onnx");
    const bool onnx = bytes > tail && strcmp(file + bytes - tail, ".onnx") == 0;
    hither_status status =
        onnx ? open_onnx(io, path, shape, out, digest, err) : open_tensors(io, path, shape, out, digest, err);
    ht_release(path);
    return status;
}
