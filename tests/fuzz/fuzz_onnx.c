/*
 * fuzz_onnx.c: an ONNX file from outside: walked, looked through for an encoder's weights, and all of its numbers read.
 * Whatever it says, nothing is asked of a path but files of the model's own folder.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embed/onnx_bert.h"
#include "fuzz.h"

static const char folder[] = "/model/";
static const ht_io *ram;

static void check_path(const char *path) {
    FUZZ_HOLDS(strncmp(path, folder, sizeof folder - 1) == 0);
    FUZZ_HOLDS(path[sizeof folder - 1] != '.' && !strchr(path + sizeof folder - 1, '/'));
}

static hither_status open_checked(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err) {
    check_path(path);
    FUZZ_HOLDS(flags == 0);
    return ram->open(ctx, path, flags, out, err);
}

static hither_status stat_checked(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err) {
    check_path(path);
    return ram->stat(ctx, path, kind, bytes, err);
}

static void read_numbers(const ht_onnx *onnx) {
    const ht_onnx_graph *g = ht_onnx_graph_of(onnx);
    hither_error err;
    for (uint32_t i = 0; i < g->tensor_count; i++) {
        if (g->tensors[i].count > 1 << 16)
            continue;
        float *numbers = malloc((size_t)(g->tensors[i].count + 1) * sizeof *numbers);
        FUZZ_HOLDS(numbers != NULL);
        if (ht_onnx_numbers(onnx, i, numbers, &err) == HITHER_OK)
            for (uint64_t j = 0; j < g->tensors[i].count; j++)
                FUZZ_HOLDS(isfinite(numbers[j]));
        free(numbers);
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        int64_t axes[4];
        (void)ht_onnx_integer(&g->nodes[i], "axis", 0);
        FUZZ_HOLDS(ht_onnx_integers(&g->nodes[i], "axes", axes, 4) <= 4);
        for (uint32_t j = 0; j < g->nodes[i].input_count; j++) {
            uint32_t value = g->links[g->nodes[i].inputs + j];
            FUZZ_HOLDS(value == HT_ONNX_NOTHING || value < g->value_count);
        }
    }
}

/* The shape of the tiny encoders in the corpus. */
static void read_weights(const ht_onnx *onnx) {
    const ht_bert_shape shape = {.vocabulary = 12,
                                 .positions = 6,
                                 .types = 2,
                                 .width = 16,
                                 .layers = 1,
                                 .heads = 2,
                                 .inner = 32,
                                 .epsilon = 1e-12f,
                                 .bytes = true,
                                 .most = 6};
    ht_onnx_bert *found = NULL;
    ht_bert *bert = NULL;
    uint64_t digest;
    hither_error err;
    if (ht_onnx_bert_find(onnx, &shape, &found, &err) == HITHER_OK) {
        ht_weights weights = ht_onnx_bert_weights(found);
        FUZZ_HOLDS((ht_bert_load(&weights, &shape, &bert, &digest, &err) == HITHER_OK) == (bert != NULL));
    }
    ht_bert_free(bert);
    ht_onnx_bert_free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io, checked;
    ht_file *file;
    hither_error err;
    static const char *const paths[] = {"/model/model.onnx", "/model/beside.bin", "/outside.bin"};
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(io->make_folder(io->ctx, "/model", &err) == HITHER_OK);
    for (size_t i = 0; i < 3; i++) {
        FUZZ_HOLDS(io->open(io->ctx, paths[i], HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
        if (i == 0 && size)
            FUZZ_HOLDS(io->write_at(file, data, size, 0, &err) == HITHER_OK);
        if (i > 0)
            FUZZ_HOLDS(io->resize(file, 1 << 14, &err) == HITHER_OK);
        io->close(file);
    }
    ram = io;
    checked = *io;
    checked.open = open_checked;
    checked.stat = stat_checked;
    ht_onnx *onnx = NULL;
    FUZZ_HOLDS((ht_onnx_open(&checked, "/model", "model.onnx", &onnx, &err) == HITHER_OK) == (onnx != NULL));
    if (onnx) {
        read_numbers(onnx);
        read_weights(onnx);
    }
    ht_onnx_close(onnx);
    ht_io_ram_free(io);
    return 0;
}
