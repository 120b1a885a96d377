/*
 * test_embedder_model.c: a sentence model from its folder through hither.h: the smallest there can be, made here. The
 * numbers themselves are held to those of a twin by tests/python/test_embed_models.py.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc_fault.h"
#include "cmocka_all.h"
#include "hither.h"

enum { WIDTH = 16, INNER = 32, TOKENS = 8, PLACES = 6, FILE_BYTES = 64 << 10 };

static char folder[] = "/tmp/hither-model-XXXXXX";

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text) { write_file(name, text, strlen(text)); }

typedef struct tensors {
    char header[FILE_BYTES];
    float data[FILE_BYTES / sizeof(float)];
    size_t header_bytes, count;
} tensors;

static void add(tensors *t, const char *name, size_t rows, size_t columns) {
    t->header_bytes += (size_t)snprintf(t->header + t->header_bytes, sizeof t->header - t->header_bytes,
                                        "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}",
                                        t->header_bytes ? ',' : '{', name, rows, columns, t->count * sizeof(float),
                                        (t->count + rows * columns) * sizeof(float));
    for (size_t i = 0; i < rows * columns; i++, t->count++)
        t->data[t->count] = (float)((t->count * 2654435761u >> 7) % 257) / 256 - 0.5f;
}

static void add_pair(tensors *t, const char *name, size_t rows, size_t columns) {
    char full[128];
    (void)snprintf(full, sizeof full, "%s.weight", name);
    add(t, full, rows, columns);
    (void)snprintf(full, sizeof full, "%s.bias", name);
    add(t, full, 1, rows == 1 ? columns : rows);
}

static void make_model(void) {
    static tensors t;
    static char file[8 + sizeof t.header + sizeof t.data];
    assert_non_null(mkdtemp(folder));
    add(&t, "bert.embeddings.word_embeddings.weight", TOKENS, WIDTH);
    add(&t, "bert.embeddings.position_embeddings.weight", PLACES, WIDTH);
    add(&t, "bert.embeddings.token_type_embeddings.weight", 1, WIDTH);
    add_pair(&t, "bert.embeddings.LayerNorm", 1, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.attention.self.query", WIDTH, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.attention.self.key", WIDTH, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.attention.self.value", WIDTH, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.attention.output.dense", WIDTH, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.attention.output.LayerNorm", 1, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.intermediate.dense", INNER, WIDTH);
    add_pair(&t, "bert.encoder.layer.0.output.dense", WIDTH, INNER);
    add_pair(&t, "bert.encoder.layer.0.output.LayerNorm", 1, WIDTH);
    t.header[t.header_bytes++] = '}';
    uint64_t length = t.header_bytes;
    memcpy(file, &length, sizeof length);
    memcpy(file + 8, t.header, t.header_bytes);
    memcpy(file + 8 + t.header_bytes, t.data, t.count * sizeof(float));
    write_file("model.safetensors", file, 8 + t.header_bytes + t.count * sizeof(float));
    write_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nowl\n##s\nhunt\n.\n");
    write_text("config.json", "{\"model_type\":\"bert\",\"vocab_size\":8,\"hidden_size\":16,\"num_hidden_layers\":1,"
                              "\"num_attention_heads\":2,\"intermediate_size\":32,\"max_position_embeddings\":6,"
                              "\"type_vocab_size\":1,\"hidden_act\":\"gelu\"}");
}

static void remove_model(void) {
    static const char *const names[] = {"model.safetensors", "vocab.txt", "config.json"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static const char text[] = "Owls hunt.owls hunt hunt hunt";
static const uint64_t offsets[] = {0, 10, 10, 14, 29};
static const hither_strings texts = {text, offsets, 4, NULL};

static void test_vectors(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *bytes, *exact;
    float a[4 * WIDTH], b[4 * WIDTH];
    ASSERT_OK(hither_embedder_open(folder, NULL, &bytes, &err));
    ASSERT_OK(
        hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .precision = HITHER_F32), &exact, &err));
    assert_int_equal(hither_embedder_dim(bytes), WIDTH);
    assert_string_not_equal(hither_embedder_name(bytes), hither_embedder_name(exact));
    ASSERT_OK(hither_embedder_embed(bytes, &texts, a, &err));
    ASSERT_OK(hither_embedder_embed(exact, &texts, b, &err));
    for (size_t i = 0; i < 4; i++) {
        double dot = 0, norm = 0;
        for (size_t j = 0; j < WIDTH; j++) {
            dot += (double)a[i * WIDTH + j] * b[i * WIDTH + j];
            norm += (double)b[i * WIDTH + j] * b[i * WIDTH + j];
        }
        assert_true(fabs(norm - 1) < 1e-6 && dot > 0.999);
    }
    ASSERT_OK(hither_embedder_embed_queries(bytes, &texts, b, &err));
    assert_memory_equal(a, b, sizeof a);
    hither_embedder_close(bytes);
    hither_embedder_close(exact);
}

static void test_options(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *e;
    float a[4 * WIDTH], b[4 * WIDTH];
    ASSERT_FAILS(hither_embedder_open(NULL, NULL, &e, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_open(folder, NULL, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_open("/nowhere", NULL, &e, &err), HITHER_MODEL);
    ASSERT_FAILS(
        hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .precision = HITHER_F64), &e, &err),
        HITHER_UNSUPPORTED);
    ASSERT_FAILS(hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .max_tokens = 7), &e, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .max_tokens = 2), &e, &err),
                 HITHER_INVALID);
    ASSERT_FAILS(
        hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .query_prefix = "\xff"), &e, &err),
        HITHER_ENCODING);
    assert_null(e);
    ASSERT_OK(hither_embedder_open(
        folder, HITHER_OPTIONS(hither_embedder_options, .max_tokens = 3, .query_prefix = "hunt "), &e, &err));
    ASSERT_OK(hither_embedder_embed(e, &texts, a, &err));
    assert_memory_equal(a, a + 2 * WIDTH, WIDTH * sizeof *a); /* "owl" is all that counts of "owls hunt" */
    ASSERT_OK(hither_embedder_embed_queries(e, &texts, b, &err));
    for (size_t i = 1; i < 4; i++)
        assert_memory_equal(b, b + i * WIDTH, WIDTH * sizeof *b); /* and of these the prefix */
    hither_embedder_close(e);
}

static int stop_at(void *ctx, uint64_t done, uint64_t total) {
    uint64_t *most = ctx;
    return done > *most || total < done;
}

static void test_distill(void **state) {
    (void)state;
    hither_error err = {0};
    hither_embedder *e;
    float a[4 * INNER];
    char dest[sizeof folder + 8], path[sizeof folder + 40];
    uint64_t most = 0;
    (void)snprintf(dest, sizeof dest, "%s-static", folder);
    ASSERT_FAILS(hither_model_distill(folder, NULL, 0, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_model_distill(folder, folder, 0, NULL, &err), HITHER_EXISTS);
    ASSERT_FAILS(hither_model_distill(folder, dest, WIDTH + 1, NULL, &err), HITHER_INVALID);
    ASSERT_FAILS(hither_model_distill(folder, dest, 4,
                                      HITHER_OPTIONS(hither_work_options, .progress = stop_at, .ctx = &most), &err),
                 HITHER_INTERRUPTED);
    assert_int_not_equal(access(dest, F_OK), 0);
    most = TOKENS;
    ASSERT_OK(hither_model_distill(folder, dest, 4,
                                   HITHER_OPTIONS(hither_work_options, .progress = stop_at, .ctx = &most), &err));
    ASSERT_OK(hither_embedder_open(dest, NULL, &e, &err));
    assert_int_equal(hither_embedder_dim(e), 4);
    ASSERT_OK(hither_embedder_embed(e, &texts, a, &err));
    for (size_t i = 0; i < 4; i++) {
        double square = 0;
        for (size_t j = 0; j < 4; j++)
            square += (double)a[i * 4 + j] * a[i * 4 + j];
        assert_true(fabs(square - (i != 1)) < 1e-5); /* the second text is empty */
    }
    hither_embedder_close(e);
    static const char *const names[] = {"model.safetensors", "vocab.txt", "config.json"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dest, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(dest), 0);
}

/* Whatever cannot be had, opening and embedding fail whole and give everything back. */
static void test_no_memory(void **state) {
    (void)state;
    hither_error err = {0};
    int64_t before = alloc_fault_live();
    for (uint64_t n = 1; n > 0; n++) {
        hither_embedder *e = NULL;
        float a[4 * WIDTH];
        alloc_fault_arm(n, false);
        hither_status status =
            hither_embedder_open(folder, HITHER_OPTIONS(hither_embedder_options, .document_prefix = "owl "), &e, &err);
        if (status == HITHER_OK)
            status = hither_embedder_embed(e, &texts, a, &err);
        bool hit = alloc_fault_hit();
        alloc_fault_arm(0, false);
        hither_embedder_close(e);
        assert_int_equal(alloc_fault_live(), before);
        if (status != (hit ? HITHER_NOMEM : HITHER_OK))
            fail_msg("request %llu: %s", (unsigned long long)n, err.message);
        if (!hit)
            return;
    }
}

int main(void) {
    alloc_fault_install();
    make_model();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_distill),
        cmocka_unit_test(test_no_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_model();
    return failed;
}
