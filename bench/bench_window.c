/*
 * bench_window.c: searches of a window while others push into it. First R threads search a full window that nobody
 * pushes into; then as many search while W threads push N vectors. Reported are the percentiles of a search in
 * processor time of its own thread (so that a machine with fewer cores than threads tells the same), pushes, and
 * whether each was counted. One JSON object.
 *
 *   bench_window [--records N] [--capacity N] [--dim N] [--writers N] [--readers N]
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hither.h"

enum { K = 5, BLOCK = 32, IDLE_SEARCHES = 3000, MOST_TIMES = 2000000, MOST_THREADS = 64 };

typedef struct bench {
    hither_window *window;
    unsigned long records, capacity, dim, writers, readers;
    atomic_bool done;
    atomic_ulong pushed, wrong;
} bench;

typedef struct reader {
    bench *b;
    unsigned number;
    size_t most, count;
    double *times;
} reader;

static double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(hither_status status, const hither_error *err) {
    if (status == HITHER_OK)
        return;
    fprintf(stderr, "bench_window: %s\n", err->message);
    exit(1);
}

static void *must_have(void *memory) {
    if (!memory)
        exit(1);
    return memory;
}

static float draw(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*seed >> 33) * 0x1p-30F - 1;
}

/* Around a few hundred centres, as vectors of sentences are. */
static void make_rows(float *rows, size_t count, size_t dim, uint64_t seed) {
    for (size_t i = 0; i < count; i++, seed++) {
        uint64_t centre = (seed * 2654435761u) % 300 + 7, own = seed * 77 + 1;
        for (size_t j = 0; j < dim; j++)
            rows[i * dim + j] = draw(&centre) + 0.7F * draw(&own);
    }
}

static void push(bench *b, uint64_t first, size_t count, float *rows) {
    hither_error err = {0};
    make_rows(rows, count, b->dim, first);
    const hither_window_rows r = {.size = sizeof r,
                                  .vectors = {.data = rows, .rows = count, .dim = b->dim, .dtype = HITHER_F32}};
    must(hither_window_push_rows(b->window, &r, NULL, &err), &err);
    atomic_fetch_add(&b->pushed, count);
}

static void *write_records(void *arg) {
    bench *b = arg;
    static atomic_ulong next;
    float *rows = must_have(malloc(BLOCK * b->dim * sizeof *rows));
    for (unsigned long at; (at = atomic_fetch_add(&next, BLOCK)) < b->records;)
        push(b, 1000000 + at, b->records - at < BLOCK ? b->records - at : BLOCK, rows);
    free(rows);
    return NULL;
}

static void *read_records(void *arg) {
    reader *r = arg;
    bench *b = r->b;
    hither_error err = {0};
    float *query = must_have(malloc(b->dim * sizeof *query));
    r->times = must_have(malloc(r->most * sizeof *r->times));
    for (uint64_t i = 0; r->count < r->most && !atomic_load(&b->done); i++) {
        make_rows(query, 1, b->dim, 900000 + i * 64 + r->number);
        const hither_query q = {.size = sizeof q,
                                .vectors = {.data = query, .rows = 1, .dim = b->dim, .dtype = HITHER_F32}};
        hither_result *found;
        const double began = thread_seconds();
        must(hither_window_search(b->window, &q, K, &found, &err), &err);
        r->times[r->count++] = thread_seconds() - began;
        if (hither_result_count(found, 0) != K)
            atomic_fetch_add(&b->wrong, 1);
        hither_result_free(found);
    }
    free(query);
    return NULL;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Microseconds below which so many in a hundred searches were, of all readers. */
static void percentiles(reader *readers, unsigned long count, double *half, double *most) {
    size_t total = 0;
    for (unsigned long i = 0; i < count; i++)
        total += readers[i].count;
    double *all = must_have(malloc((total ? total : 1) * sizeof *all));
    for (unsigned long i = 0, at = 0; i < count; at += readers[i++].count)
        memcpy(all + at, readers[i].times, readers[i].count * sizeof *all);
    qsort(all, total, sizeof *all, by_size);
    *half = total ? all[total / 2] * 1e6 : 0;
    *most = total ? all[total * 99 / 100] * 1e6 : 0;
    free(all);
}

static size_t run(bench *b, unsigned long writers, size_t most, double *half, double *high) {
    pthread_t threads[MOST_THREADS];
    reader readers[MOST_THREADS];
    size_t searches = 0;
    atomic_store(&b->done, false);
    for (unsigned long i = 0; i < b->readers; i++) {
        readers[i] = (reader){.b = b, .number = (unsigned)i, .most = most};
        pthread_create(&threads[writers + i], NULL, read_records, &readers[i]);
    }
    for (unsigned long i = 0; i < writers; i++)
        pthread_create(&threads[i], NULL, write_records, b);
    for (unsigned long i = 0; i < writers; i++)
        pthread_join(threads[i], NULL);
    if (writers > 0)
        atomic_store(&b->done, true);
    for (unsigned long i = 0; i < b->readers; i++)
        pthread_join(threads[writers + i], NULL);
    percentiles(readers, b->readers, half, high);
    for (unsigned long i = 0; i < b->readers; i++) {
        searches += readers[i].count;
        free(readers[i].times);
    }
    return searches;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"records", 1, NULL, 'n'}, {"capacity", 1, NULL, 'c'},
                                            {"dim", 1, NULL, 'd'},     {"writers", 1, NULL, 'w'},
                                            {"readers", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
    static bench b = {.records = 200000, .capacity = 5000, .dim = 384, .writers = 4, .readers = 4};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned long *const values[] = {&b.records, &b.capacity, &b.dim, &b.writers, &b.readers};
        const char *const letters = "ncdwr", *at = strchr(letters, o);
        if (o == '?' || !at)
            return 2;
        *values[at - letters] = strtoul(optarg, NULL, 10);
    }
    if (b.writers + b.readers > MOST_THREADS || b.capacity < K)
        return 2;
    hither_error err = {0};
    must(hither_window_new(HITHER_OPTIONS(hither_window_options, .capacity = (uint32_t)b.capacity,
                                          .dim = (uint32_t)b.dim, .no_novelty = 1, .wait_ms = 60000),
                           &b.window, &err),
         &err);
    float *rows = must_have(malloc(BLOCK * b.dim * sizeof *rows));
    for (unsigned long at = 0; at < b.capacity + BLOCK; at += BLOCK)
        push(&b, at, BLOCK, rows);
    free(rows);
    double idle_half, idle_high, half, high;
    run(&b, 0, IDLE_SEARCHES, &idle_half, &idle_high);
    const size_t searches = run(&b, b.writers, MOST_TIMES, &half, &high);
    hither_result *info;
    must(hither_window_info(b.window, &info, &err), &err);
    const hither_strings facts = hither_result_metadata(info, 0);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"pushed\":%lu,", atomic_load(&b.pushed));
    const bool counted = strstr(facts.bytes, wanted) != NULL;
    printf(
        "{\"records\":%lu,\"searches\":%zu,\"idle_p50_us\":%.1f,\"idle_p99_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
        "\"p99_ratio\":%.2f,\"counted\":%s,\"wrong\":%lu}\n",
        b.records, searches, idle_half, idle_high, half, high, high / idle_high, counted ? "true" : "false",
        atomic_load(&b.wrong));
    hither_result_free(info);
    hither_window_close(b.window);
    return counted && atomic_load(&b.wrong) == 0 ? 0 : 1;
}
