/* distill.c: see distill.h. */
#include "embed/distill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "embed/model_files.h"
#include "embed/reduce.h"

/* A token's weight is SIF / (SIF + p), and p falls with its number as Zipf says: vocabularies are sorted that way. */
#define SIF 1e-4
enum { MAX_WIDTH = 2048, AT_ONCE = 512, MAX_HEADER = 512 };

typedef struct distilling {
    const ht_io *io;
    ht_embedder *encoder;
    uint32_t tokens, width, dim;
    float *vectors, *table;
    size_t begin; /* of the tokens under way */
    atomic_int failed;
    hither_status status;
    hither_error error;
} distilling;

/* ---- what the encoder gives for each token */

static void token_item(void *ctx, size_t item) {
    distilling *d = ctx;
    size_t token = d->begin + item;
    hither_error error = {0};
    hither_status status = d->encoder->token(d->encoder, (uint32_t)token, d->vectors + token * d->width, &error);
    int nobody = 0;
    if (status != HITHER_OK && atomic_compare_exchange_strong(&d->failed, &nobody, 1)) {
        d->status = status;
        d->error = error;
    }
}

static hither_status take_vectors(distilling *d, ht_progress *progress, hither_error *err) {
    HT_TRY(ht_progress_phase(progress, "tokens", d->tokens, err));
    for (d->begin = 0; d->begin < d->tokens; d->begin += AT_ONCE) {
        size_t count = ht_min_size(d->tokens - d->begin, AT_ONCE);
        ht_parallel(0, count, token_item, d);
        if (d->status != HITHER_OK) {
            if (err)
                *err = d->error;
            return d->status;
        }
        HT_TRY(ht_progress_step(progress, count, err));
    }
    return HITHER_OK;
}

static hither_status make_table(distilling *d, hither_error *err) {
    if (d->dim == d->width)
        memcpy(d->table, d->vectors, (size_t)d->tokens * d->width * sizeof *d->table);
    else
        HT_TRY(ht_reduce(d->vectors, d->tokens, d->width, d->dim, d->table, err));
    double all = 0;
    for (uint32_t i = 0; i < d->tokens; i++)
        all += 1 / (double)(i + 2);
    for (uint32_t i = 0; i < d->tokens; i++) {
        const double p = 1 / (double)(i + 2) / all;
        for (uint32_t j = 0; j < d->dim; j++)
            d->table[(size_t)i * d->dim + j] = (float)((double)d->table[(size_t)i * d->dim + j] * (SIF / (SIF + p)));
    }
    return HITHER_OK;
}

/* ---- files */

static hither_status write_file(const ht_io *io, const char *folder, const char *name, const ht_buf *head,
                                const void *data, size_t bytes, hither_error *err) {
    ht_file *file;
    char *path = ht_path_join(folder, name);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    hither_status status =
        io->open(io->ctx, path, HITHER_IO_WRITE | HITHER_IO_CREATE | HITHER_IO_EXCLUSIVE, &file, err);
    ht_release(path);
    HT_TRY(status);
    if (head && head->size)
        status = io->write_at(file, head->data, head->size, 0, err);
    if (status == HITHER_OK && bytes)
        status = io->write_at(file, data, bytes, head ? head->size : 0, err);
    if (status == HITHER_OK)
        status = io->sync(file, err);
    io->close(file);
    return status;
}

static hither_status write_table(const distilling *d, const char *dest, hither_error *err) {
    ht_buf head;
    const uint64_t bytes = (uint64_t)d->tokens * d->dim * sizeof *d->table;
    ht_buf_init(&head, MAX_HEADER);
    (void)ht_buf_grow(&head, sizeof(uint64_t));
    ht_buf_printf(&head, "{\"embeddings\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[0,%" PRIu64 "]}}",
                  d->tokens, d->dim, bytes);
    while (head.size % 8)
        ht_buf_putc(&head, ' ');
    hither_status status = ht_buf_check(&head, "a header", err);
    for (size_t i = 0; status == HITHER_OK && i < 8; i++)
        head.data[i] = (char)((head.size - 8) >> (8 * i));
    if (status == HITHER_OK)
        status = write_file(d->io, dest, "model.safetensors", &head, d->table, (size_t)bytes, err);
    ht_buf_clear(&head);
    return status;
}

static hither_status write_config(const distilling *d, const char *dest, hither_error *err) {
    ht_buf text;
    ht_buf_init(&text, MAX_HEADER);
    ht_buf_puts(&text, "{\"model_type\":\"model2vec\",\"architectures\":[\"StaticModel\"],\"tokenizer_name\":");
    const char *name = ht_embedder_name(d->encoder);
    ht_buf_json_string(&text, name, strlen(name));
    ht_buf_printf(&text, ",\"apply_pca\":%u,\"sif_coefficient\":%g,\"hidden_dim\":%u,\"normalize\":true}\n", d->dim,
                  SIF, d->dim);
    hither_status status = ht_buf_check(&text, "settings", err);
    if (status == HITHER_OK)
        status = write_file(d->io, dest, "config.json", NULL, text.data, text.size, err);
    ht_buf_clear(&text);
    return status;
}

static const char *const copied[] = {
    "tokenizer.json", "vocab.txt", "tokenizer_config.json", "config_sentence_transformers.json", "LICENSE", "NOTICE"};

static hither_status copy_files(const distilling *d, const char *folder, const char *dest, hither_error *err) {
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        ht_buf text;
        bool there;
        hither_status status = ht_model_read_file(d->io, folder, copied[i], HT_TOKENIZER_MAX_FILE, &text, &there, err);
        if (status == HITHER_OK && there)
            status = write_file(d->io, dest, copied[i], NULL, text.data, text.size, err);
        ht_buf_clear(&text);
        HT_TRY(status);
    }
    return HITHER_OK;
}

static void remove_all(const ht_io *io, const char *dest) {
    static const char *const made[] = {"model.safetensors", "config.json"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied + 2; i++) {
        char *path = ht_path_join(dest, i < 2 ? made[i] : copied[i - 2]);
        if (path)
            (void)io->remove(io->ctx, path, NULL);
        ht_release(path);
    }
    (void)io->remove(io->ctx, dest, NULL);
}

static hither_status write_all(const distilling *d, const char *folder, const char *dest, hither_error *err) {
    HT_TRY(d->io->make_folder(d->io->ctx, dest, err));
    hither_status status = write_table(d, dest, err);
    if (status == HITHER_OK)
        status = write_config(d, dest, err);
    if (status == HITHER_OK)
        status = copy_files(d, folder, dest, err);
    if (status == HITHER_OK)
        status = d->io->sync_folder(d->io->ctx, dest, err);
    if (status != HITHER_OK)
        remove_all(d->io, dest);
    return status;
}

/* ---- the whole */

static hither_status run(distilling *d, const char *folder, const char *dest, uint32_t dim, ht_progress *progress,
                         hither_error *err) {
    d->tokens = d->encoder->tokens;
    if (!d->encoder->token)
        return ht_fail(err, HITHER_MODEL, "%.150s holds %.60s; static models are made from encoders", folder,
                       ht_embedder_name(d->encoder));
    d->width = ht_embedder_dim(d->encoder);
    d->dim = dim ? dim : d->width < 256 ? d->width : 256;
    if (d->dim > d->width || d->width > MAX_WIDTH)
        return ht_fail(err, HITHER_INVALID, "a static model of %u dimensions from one of %u; at most that, and %d",
                       d->dim, d->width, MAX_WIDTH);
    size_t bytes = (size_t)d->tokens * d->width * sizeof *d->vectors;
    d->vectors = ht_alloc(bytes);
    d->table = ht_alloc(bytes);
    if (!d->vectors || !d->table)
        return ht_fail_nomem(err, 2 * bytes, "a model");
    HT_TRY(take_vectors(d, progress, err));
    HT_TRY(make_table(d, err));
    return write_all(d, folder, dest, err);
}

hither_status ht_distill(const ht_io *io, const char *folder, const char *dest, uint32_t dim, ht_progress *progress,
                         hither_error *err) {
    distilling d = {.io = io, .status = HITHER_OK};
    ht_io_kind kind;
    uint64_t bytes;
    HT_TRY(io->stat(io->ctx, dest, &kind, &bytes, err));
    if (kind != HT_IO_ABSENT)
        return ht_fail(err, HITHER_EXISTS, "%.150s is there already; name a folder that is not", dest);
    const ht_model_options options = {.bytes = true, .query_prefix = "", .document_prefix = ""};
    HT_TRY(ht_embedder_model(io, folder, &options, &d.encoder, err));
    hither_status status = run(&d, folder, dest, dim, progress, err);
    ht_release(d.vectors);
    ht_release(d.table);
    ht_embedder_release(d.encoder);
    return status;
}
