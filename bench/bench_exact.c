/*
 * bench_exact.c: how long exact search takes, from C and on one array: P50 and P99 of single queries, and queries a
 * second in a batch. One JSON object a line.
 *
 *   bench_exact [--rows N] [--dim D] [--queries Q] [-k K] [--metric NAME] [--threads T] [--kind KIND] [--recall R]
 * [--rounds R]
 *               [--base FILE --query FILE]
 *
 * FILEs hold packed little-endian f32 rows of D dimensions, without a header. Otherwise the rows are made from a seed:
 * clusters (1,000 centres with noise around them), noise, or spectrum (as embeddings of text are: a mean, and
 * directions whose variance falls like 1 / i, turned so that every dimension has a part in each; near duplicates among
 * them). Norms and 4-bit codes are made beforehand, as in a database; --norms 0 and
 * --codes 0 leave them out.
 */
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "index/codes.h"
#include "index/exact.h"
#include "kernels/kernels.h"

typedef struct options {
    size_t rows, dim, queries, k, rounds;
    hither_metric metric;
    unsigned threads;
    bool norms, codes;
    char kind;
    double recall;
    const char *base, *query;
} options;

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static float noise(uint64_t seed) { /* roughly normal: the sum of four uniform values */
    uint64_t r = ht_mix64(seed);
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (double)(r >> 16 * i & 0xffff) / 65536 - 0.5;
    return (float)(sum * 1.73);
}

/* A row of the spectrum: independent values of variance 1 / (j + 1), then random planes turned, which mixes them. */
static void spectral_row(float *x, size_t dim, uint64_t seed, uint64_t topic) {
    for (size_t j = 0; j < dim; j++)
        x[j] = (0.75f * noise(seed * dim + j + ((uint64_t)1 << 40)) + noise(topic * dim + j + ((uint64_t)1 << 50))) /
               sqrtf((float)j + 1);
    x[0] += 1;
    for (size_t round = 0; round < 4 * dim; round++) {
        size_t a = ht_mix64(2 * round + 7) % dim, b = ht_mix64(2 * round + 8) % dim;
        if (a == b)
            continue;
        float xa = x[a], xb = x[b];
        x[a] = 0.8f * xa + 0.6f * xb;
        x[b] = 0.8f * xb - 0.6f * xa;
    }
}

static float *make_rows(const options *o, size_t rows, uint64_t seed) {
    size_t dim = o->dim;
    float *data = ht_alloc_aligned(rows * dim * sizeof *data);
    for (size_t i = 0; data && i < rows; i++) {
        if (o->kind == 's') {
            spectral_row(data + i * dim, dim, seed + i, ht_mix64(seed + i) % 3000);
            continue;
        }
        if (o->kind == 'n') {
            for (size_t j = 0; j < dim; j++)
                data[i * dim + j] = noise((seed + i) * dim + j + ((uint64_t)1 << 40));
            continue;
        }
        uint64_t centre = ht_mix64(seed + i) % 1000;
        for (size_t j = 0; j < dim; j++)
            data[i * dim + j] = noise(centre * dim + j) + 0.7f * noise((seed + i) * dim + j + ((uint64_t)1 << 40));
    }
    return data;
}

static float *read_rows(const char *path, size_t dim, size_t *rows) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    size_t have = (size_t)ftell(file) / (dim * sizeof(float));
    *rows = have < *rows ? have : *rows;
    rewind(file);
    float *data = ht_alloc_aligned(*rows * dim * sizeof *data);
    if (!data || fread(data, dim * sizeof *data, *rows, file) != *rows) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return data;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static options read_options(int argc, char **argv) {
    options o = {100000, 384, 200, 10, 3, HITHER_COSINE, 1, true, true, 'c', 0, NULL, NULL};
    static const struct option names[] = {{"rows", 1, 0, 'n'},
                                          {"dim", 1, 0, 'd'},
                                          {"queries", 1, 0, 'q'},
                                          {"metric", 1, 0, 'm'},
                                          {"norms", 1, 0, 'N'},
                                          {"base", 1, 0, 'b'},
                                          {"threads", 1, 0, 't'},
                                          {"query", 1, 0, 'Q'},
                                          {"codes", 1, 0, 'c'},
                                          {"kind", 1, 0, 'K'},
                                          {"rounds", 1, 0, 'R'},
                                          {"recall", 1, 0, 'r'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "k:", names, NULL)) != -1;) {
        size_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (c == 'n')
            o.rows = number;
        else if (c == 'd')
            o.dim = number;
        else if (c == 'q')
            o.queries = number;
        else if (c == 'k')
            o.k = number;
        else if (c == 't')
            o.threads = (unsigned)number;
        else if (c == 'N')
            o.norms = number != 0;
        else if (c == 'c')
            o.codes = number != 0;
        else if (c == 'R')
            o.rounds = number;
        else if (c == 'K')
            o.kind = optarg[0];
        else if (c == 'r')
            o.recall = strtod(optarg, NULL);
        else if (c == 'b')
            o.base = optarg;
        else if (c == 'Q')
            o.query = optarg;
        else if (c == 'm')
            o.metric = optarg[0] == 'c'   ? HITHER_COSINE
                       : optarg[0] == 'd' ? HITHER_DOT
                       : optarg[1] == '2' ? HITHER_L2
                                          : HITHER_L1;
        else
            exit(2);
    }
    return o;
}

static void check(hither_status status, const hither_error *err) {
    if (status == HITHER_OK)
        return;
    fprintf(stderr, "%s: %s\n", hither_status_name(status), err->message);
    exit(1);
}

static double mean(uint64_t sum, const options *o) { return (double)sum / (double)o->queries; }

int main(int argc, char **argv) {
    options o = read_options(argc, argv);
    float *base = o.base ? read_rows(o.base, o.dim, &o.rows) : make_rows(&o, o.rows, 1);
    float *query = o.query ? read_rows(o.query, o.dim, &o.queries) : make_rows(&o, o.queries, 1 << 20);
    float *norms = ht_alloc(o.rows * sizeof *norms);
    ht_hit *hits = ht_calloc(o.queries * o.k, sizeof *hits);
    size_t *counts = ht_calloc(o.queries, sizeof *counts);
    double *times = ht_calloc(o.queries, sizeof *times);
    if (!base || !query || !norms || !hits || !counts || !times)
        return 1;
    size_t stride = o.dim * sizeof(float);
    ht_exact_norms(base, stride, o.rows, o.dim, norms);
    ht_part part = {.rows = base, .count = o.rows, .stride = stride, .norms = o.norms ? norms : NULL};
    double coding = now_us();
    if (o.codes) {
        part.coded_rows = o.rows / HT_CODE_ROWS * HT_CODE_ROWS;
        char *codes = ht_alloc_aligned(ht_codes_bytes(part.coded_rows, o.dim));
        if (!codes)
            return 1;
        ht_codes_make(base, stride, o.dim, 0, part.coded_rows, codes);
        part.codes = codes;
    }
    coding = now_us() - coding;
    ht_vectors v = {.dtype = HITHER_F32,
                    .metric = o.metric,
                    .dim = (uint32_t)o.dim,
                    .parts = &part,
                    .part_count = 1,
                    .recall = o.recall};
    ht_exact_stats stats = {0};
    ht_exact_scratch scratch = {0};
    hither_error err;
    for (size_t j = 0; j < o.queries; j++) {
        double start = now_us();
        check(ht_exact_search_in(&scratch, &v, query + j * o.dim, stride, 1, NULL, NULL, o.k, o.threads, hits, counts,
                                 &stats, &err),
              &err);
        times[j] = now_us() - start;
    }
    qsort(times, o.queries, sizeof *times, by_value);
    double batch = INFINITY;
    for (size_t round = 0; round < o.rounds; round++) {
        double start = now_us();
        check(ht_exact_search(&v, query, stride, o.queries, NULL, NULL, o.k, o.threads, hits, counts, NULL, &err),
              &err);
        batch = fmin(batch, now_us() - start);
    }
    printf("{\"engine\": \"hither\", \"simd\": \"%s\", \"rows\": %zu, \"dim\": %zu, \"k\": %zu, \"metric\": %d, "
           "\"threads\": %u, \"p50_us\": %.1f, \"p99_us\": %.1f, \"gb_s\": %.1f, \"batch_qps\": %.0f, "
           "\"coarse\": %.0f, \"fine\": %.0f, \"kept\": %.1f, \"full\": %.1f, \"rescored\": %.1f, \"coding_us_a_row\": "
           "%.2f}\n",
           ht_kernels_get()->name, o.rows, o.dim, o.k, (int)o.metric, o.threads, times[o.queries / 2],
           times[o.queries * 99 / 100], (double)(o.rows * stride) / times[o.queries / 2] * 1e-3,
           (double)o.queries / batch * 1e6, mean(stats.rows_coarse, &o), mean(stats.rows_fine, &o),
           mean(stats.rows_fine_kept, &o), mean(stats.rows_full, &o), mean(stats.rows_rescored, &o),
           coding / (double)o.rows);
    ht_exact_scratch_clear(&scratch);
    return 0;
}
