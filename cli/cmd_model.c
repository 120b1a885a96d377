/* cmd_model.c: model add, list, check and distill: the models of this machine. Each is a command of the table. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "commands.h"
#include "database.h"
#include "models.h"
#include "output.h"

enum { MAX_PATH = 4096, BLOCK = 1 << 20, SAMPLES = 6, COPIES = 64 };

/* ---- add */

/* What of a model's folder is read; of weights the first of a kind that is there. */
static const char *const files[] = {"config.json",
                                    "tokenizer.json",
                                    "vocab.txt",
                                    "tokenizer_config.json",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "1_Pooling/config.json",
                                    "LICENSE",
                                    "NOTICE",
                                    "README.md"};
static const char *const weights[] = {"model.safetensors", "model.onnx", "model_quantized.onnx", "onnx/model.onnx",
                                      "onnx/model_quantized.onnx"};

static hither_status fail_errno(const char *what, const char *path, hither_error *err) {
    return ht_fail(err,
                   errno == EEXIST   ? HITHER_EXISTS
                   : errno == ENOSPC ? HITHER_FULL
                                     : HITHER_IO,
                   "%s %.200s: %s", what, path, strerror(errno));
}

static hither_status copy_bytes(int from, int to, const char *path, hither_error *err) {
    char *block = ht_alloc(BLOCK);
    hither_status status = block ? HITHER_OK : ht_fail_nomem(err, BLOCK, "a copy");
    while (status == HITHER_OK) {
        ssize_t got = read(from, block, BLOCK), put = 0;
        if (got == 0)
            break;
        while (got > put) {
            ssize_t now = write(to, block + put, (size_t)(got - put));
            if (now < 0 && errno != EINTR)
                break;
            put += now > 0 ? now : 0;
        }
        if (got < 0 ? errno != EINTR : put < got)
            status = fail_errno("copy", path, err);
    }
    ht_release(block);
    if (status == HITHER_OK && fsync(to) != 0)
        status = fail_errno("copy", path, err);
    return status;
}

/* A file, or what a link leads to; *there says whether there is one. */
static hither_status copy_file(const char *folder, const char *name, const char *dest, bool *there, hither_error *err) {
    char from[MAX_PATH], to[MAX_PATH];
    struct stat facts;
    *there = false;
    if (snprintf(from, sizeof from, "%s/%s", folder, name) >= MAX_PATH ||
        snprintf(to, sizeof to, "%s/%s", dest, name) >= MAX_PATH)
        return ht_fail(err, HITHER_TOO_LARGE, "a path of more than %d bytes", MAX_PATH);
    if (stat(from, &facts) != 0 || !S_ISREG(facts.st_mode))
        return HITHER_OK;
    char *slash = strrchr(to, '/');
    *slash = '\0';
    (void)mkdir(to, 0777);
    *slash = '/';
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    hither_status status = out < 0 ? fail_errno("copy", in < 0 ? from : to, err) : copy_bytes(in, out, to, err);
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    *there = status == HITHER_OK;
    return status;
}

static hither_status copy_model(const char *folder, const char *dest, hither_error *err) {
    bool there = false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        HT_TRY(copy_file(folder, files[i], dest, &there, err));
    there = false;
    for (size_t i = 0; !there && i < sizeof weights / sizeof *weights; i++)
        HT_TRY(copy_file(folder, weights[i], dest, &there, err));
    return there ? HITHER_OK : ht_fail(err, HITHER_MODEL, "%.200s holds no weights of a model", folder);
}

static void remove_model(const char *folder) {
    static const char *const folders[] = {"1_Pooling", "onnx"};
    char path[MAX_PATH];
    for (size_t i = 0; i < (sizeof files + sizeof weights) / sizeof *files; i++) {
        const char *name = i < sizeof files / sizeof *files ? files[i] : weights[i - sizeof files / sizeof *files];
        if (snprintf(path, sizeof path, "%s/%s", folder, name) < MAX_PATH)
            (void)unlink(path);
    }
    for (size_t i = 0; i < 2; i++)
        if (snprintf(path, sizeof path, "%s/%s", folder, folders[i]) < MAX_PATH)
            (void)rmdir(path);
    (void)rmdir(folder);
}

/* Makes every folder on the way to `path`. */
static hither_status make_folders(const char *path, hither_error *err) {
    char *copy = ht_strdup(path);
    hither_status status = copy ? HITHER_OK : ht_fail_nomem(err, strlen(path), "a path");
    for (char *at = copy; status == HITHER_OK && at;) {
        at = strchr(at + 1, '/');
        if (at)
            *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = fail_errno("make", copy, err);
        if (at)
            *at = '/';
    }
    ht_release(copy);
    return status;
}

static const char *last_part(const char *path, size_t *length) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *length = end - begin;
    return path + begin;
}

/* Copies into a hidden folder, opens what is there, and gives it its name: a model is there whole or not at all. */
static hither_status add_model(const char *folder, const char *name, size_t length, ht_buf *path, hither_embedder **out,
                               hither_error *err) {
    char hidden[MAX_PATH];
    HT_TRY(ht_models_folder(path, err));
    HT_TRY(make_folders(path->data, err));
    if (length == 0 || name[0] == '.' || memchr(name, '/', length))
        return ht_fail(err, HITHER_INVALID, "\"%.*s\" is no name for a model; give one behind the folder",
                       (int)ht_min_size(length, 60), name);
    if (snprintf(hidden, sizeof hidden, "%s/.new-%ld", path->data, (long)getpid()) >= MAX_PATH)
        return ht_fail(err, HITHER_TOO_LARGE, "a path of more than %d bytes", MAX_PATH);
    ht_buf_printf(path, "/%.*s", (int)length, name);
    HT_TRY(ht_buf_check(path, "a path", err));
    if (access(path->data, F_OK) == 0)
        return ht_fail(err, HITHER_EXISTS, "there is a model of that name already: %.200s", path->data);
    hither_status status = mkdir(hidden, 0777) == 0 ? HITHER_OK : fail_errno("make", hidden, err);
    if (status == HITHER_OK)
        status = copy_model(folder, hidden, err);
    if (status == HITHER_OK)
        status = hither_embedder_open(hidden, NULL, out, err);
    if (status == HITHER_OK && rename(hidden, path->data) != 0)
        status = fail_errno("name", path->data, err);
    if (status != HITHER_OK)
        remove_model(hidden);
    return status;
}

static void print_model(const char *folder, const hither_embedder *embedder) {
    ht_buf line;
    size_t length;
    const char *name = last_part(folder, &length);
    ht_buf_init(&line, 2 * MAX_PATH);
    ht_buf_put(&line, name, length);
    ht_buf_printf(&line, "\t%s\t%u\t%s\n", hither_embedder_name(embedder), hither_embedder_dim(embedder), folder);
    ht_out_buf(&line);
    ht_buf_clear(&line);
}

int ht_run_model_add(const ht_args *args) {
    hither_error err;
    hither_embedder *embedder = NULL;
    ht_buf path;
    size_t length;
    const char *folder = args->operands[0], *name = last_part(folder, &length);
    if (args->count > 1) {
        name = args->operands[1];
        length = strlen(name);
    }
    ht_buf_init(&path, MAX_PATH);
    hither_status status = add_model(folder, name, length, &path, &embedder, &err);
    if (status == HITHER_OK)
        print_model(path.data, embedder);
    hither_embedder_close(embedder);
    ht_buf_clear(&path);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- list */

static bool list_one(void *ctx, const char *folder) {
    hither_error err;
    hither_embedder *embedder;
    (void)ctx;
    if (hither_embedder_open(folder, NULL, &embedder, &err) == HITHER_OK) {
        print_model(folder, embedder);
        hither_embedder_close(embedder);
    } else {
        ht_say("%.200s cannot be used: %s", folder, err.message);
    }
    return true;
}

int ht_run_model_list(const ht_args *args) {
    hither_error err;
    (void)args;
    hither_status status = ht_models_each(list_one, NULL, &err);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- check */

static const char *const samples[SAMPLES] = {
    "The owl hunts at night.",
    "A bird of prey",
    "Error: port 8080 refused the connection",
    "\303\234berall \346\227\245\346\234\254 \360\237\246\211",
    "one two three four five six seven eight nine ten",
    "\t",
};

/* The samples, each `copies` times, a round after the other. */
static hither_status embed_copies(hither_embedder *embedder, size_t copies, float *out, hither_error *err) {
    uint64_t offsets[COPIES * SAMPLES + 1] = {0};
    ht_buf text;
    ht_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < copies * SAMPLES; i++) {
        ht_buf_puts(&text, samples[i % SAMPLES]);
        offsets[i + 1] = text.size;
    }
    hither_status status = ht_buf_check(&text, "texts", err);
    const hither_strings all = {text.data, offsets, copies * SAMPLES, NULL};
    if (status == HITHER_OK)
        status = hither_embedder_embed(embedder, &all, out, err);
    ht_buf_clear(&text);
    return status;
}

static double product(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* One sample: its vector alone, among many, and in f32. */
static hither_status check_sample(hither_embedder *fast, size_t sample, const float *many, const float *exact,
                                  float *alone, double *least, hither_error *err) {
    const size_t dim = hither_embedder_dim(fast);
    const uint64_t span[2] = {0, strlen(samples[sample])};
    const hither_strings one = {samples[sample], span, 1, NULL};
    HT_TRY(hither_embedder_embed(fast, &one, alone, err));
    for (size_t i = sample; i < (size_t)COPIES * SAMPLES; i += SAMPLES)
        if (memcmp(many + i * dim, alone, dim * sizeof *alone) != 0)
            return ht_fail(err, HITHER_MODEL, "text %zu has another vector among many than alone", sample);
    const double length = sqrt(product(alone, alone, dim)), cosine = product(alone, exact + sample * dim, dim);
    if (length == 0)
        return HITHER_OK; /* without tokens */
    if (!(fabs(length - 1) < 1e-3))
        return ht_fail(err, HITHER_MODEL, "the vector of text %zu has the length %g, not 1", sample, length);
    *least = cosine < *least ? cosine : *least;
    return HITHER_OK;
}

static hither_status check_vectors(hither_embedder *fast, hither_embedder *exact, double *least, hither_error *err) {
    const size_t dim = hither_embedder_dim(fast);
    *least = 1;
    float *many = ht_calloc((COPIES + 2) * SAMPLES * dim, sizeof *many);
    if (!many)
        return ht_fail_nomem(err, (COPIES + 2) * SAMPLES * dim * sizeof *many, "vectors");
    float *reference = many + COPIES * SAMPLES * dim, *alone = reference + SAMPLES * dim;
    hither_status status = embed_copies(fast, COPIES, many, err);
    if (status == HITHER_OK)
        status = embed_copies(exact, 1, reference, err);
    for (size_t i = 0; status == HITHER_OK && i < SAMPLES; i++)
        status = check_sample(fast, i, many, reference, alone, least, err);
    ht_release(many);
    if (status == HITHER_OK && *least < 0.95)
        return ht_fail(err, HITHER_MODEL, "i8 is too coarse for this model: a cosine of %.4f to f32", *least);
    return status;
}

int ht_run_model_check(const ht_args *args) {
    hither_error err;
    hither_embedder *fast = NULL, *exact = NULL;
    ht_buf folder, out;
    double least = 0;
    ht_buf_init(&out, 4096);
    const hither_embedder_options options = {.size = sizeof options, .precision = HITHER_F32};
    hither_status status = ht_models_resolve(args->operands[0], &folder, &err);
    if (status == HITHER_OK)
        status = hither_embedder_open(folder.data, NULL, &fast, &err);
    if (status == HITHER_OK)
        status = hither_embedder_open(folder.data, &options, &exact, &err);
    if (status == HITHER_OK)
        status = check_vectors(fast, exact, &least, &err);
    if (status == HITHER_OK) {
        print_model(folder.data, fast);
        ht_buf_printf(&out, "a text's vector is the same bytes alone and among %d; cosine of i8 to f32 at least %.4f\n",
                      COPIES * SAMPLES, least);
        ht_out_buf(&out);
    }
    hither_embedder_close(fast);
    hither_embedder_close(exact);
    ht_buf_clear(&folder);
    ht_buf_clear(&out);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

/* ---- distill */

/* On a terminal, how far it is. */
static int show_progress(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    if (ht_out_terminal()->error_tty)
        (void)fprintf(stderr, "\r%llu of %llu tokens%s", (unsigned long long)done, (unsigned long long)total,
                      done == total ? "\n" : "");
    return 0;
}

int ht_run_model_distill(const ht_args *args) {
    hither_error err;
    hither_embedder *made = NULL;
    ht_buf folder;
    const hither_work_options options = {.size = sizeof options, .progress = show_progress};
    hither_status status = ht_models_resolve(args->operands[0], &folder, &err);
    if (status == HITHER_OK)
        status = hither_model_distill(folder.data, args->operands[1], (uint32_t)ht_args_number(args, HT_OPT_DIM, 0),
                                      &options, &err);
    if (status == HITHER_OK)
        status = hither_embedder_open(args->operands[1], NULL, &made, &err);
    if (status == HITHER_OK)
        print_model(args->operands[1], made);
    hither_embedder_close(made);
    ht_buf_clear(&folder);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}
