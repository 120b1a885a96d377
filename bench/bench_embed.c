/*
 * bench_embed.c: the matrix products of an encoder by bytes, as MiniLM-L6 has them (6 layers of 384 to 1,152, 384 to
 * 384, 384 to 1,536 and back), alone: products of one byte a second, by each of T threads at once, for texts of some
 * lengths. One JSON object, to be put beside bench_peak's.
 *
 *   bench_embed [--threads T]
 */
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"

enum { LAYERS = 6, SHAPES = 4, MOST_ROWS = 48, WIDEST = 1536, MOST_THREADS = 64, TRIES = 40 };
static const size_t depths[SHAPES] = {384, 384, 384, 1536}, columns[SHAPES] = {1152, 384, 1536, 384};
static const size_t lengths[] = {8, 16, 32, 48};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static int8_t *weights[LAYERS][SHAPES]; /* shared by all threads, as an encoder's are */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int8_t *numbers(size_t count) {
    int8_t *out = aligned_alloc(64, (count + 63) / 64 * 64);
    if (!out)
        exit(1);
    for (size_t i = 0; i < count; i++)
        out[i] = (int8_t)(i * 2654435761u >> 24);
    return out;
}

typedef struct thread_job {
    size_t rows;
    double rate;
} thread_job;

/* The best of a few tries: on a busy machine some of them run alone. */
static void *run(void *arg) {
    thread_job *job = arg;
    const ht_kernels *k = ht_kernels_get();
    uint8_t *bytes = (uint8_t *)numbers(MOST_ROWS * WIDEST);
    float *out = (float *)(void *)numbers(MOST_ROWS * WIDEST * sizeof *out);
    float *ones = (float *)(void *)numbers(2 * WIDEST * sizeof *ones);
    int32_t *totals = (int32_t *)(void *)numbers(2 * WIDEST * sizeof *totals);
    for (size_t i = 0; i < 2 * WIDEST; i++) {
        ones[i] = 1;
        totals[i] = 0;
    }
    const ht_byte_rows rows = {bytes, ones, totals};
    double products = 0, best = 0;
    for (size_t s = 0; s < SHAPES; s++)
        products += (double)LAYERS * (double)(depths[s] * columns[s] * job->rows);
    for (int i = 0; i < TRIES; i++) {
        double began = now();
        for (size_t l = 0; l < LAYERS; l++)
            for (size_t s = 0; s < SHAPES; s++)
                k->linear_u8(
                    &rows, job->rows,
                    &(ht_byte_columns){depths[s], columns[s], weights[l][s], ones, ones + WIDEST, totals + WIDEST},
                    false, out);
        double rate = products / (now() - began);
        best = rate > best ? rate : best;
    }
    job->rate = best;
    free(bytes);
    free(out);
    free(ones);
    free(totals);
    return NULL;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"threads", required_argument, NULL, 't'}, {0}};
    unsigned threads = 1;
    for (int c; (c = getopt_long(argc, argv, "t:", options, NULL)) != -1;)
        threads = c == 't' ? (unsigned)strtoul(optarg, NULL, 10) : 0;
    if (threads < 1 || threads > MOST_THREADS)
        return 2;
    for (size_t l = 0; l < LAYERS; l++)
        for (size_t s = 0; s < SHAPES; s++)
            weights[l][s] = numbers(depths[s] * columns[s]);
    printf("{\"simd\": \"%s\", \"threads\": %u", ht_kernels_get()->name, threads);
    for (size_t n = 0; n < LENGTHS; n++) {
        pthread_t thread[MOST_THREADS];
        thread_job jobs[MOST_THREADS];
        double sum = 0;
        unsigned made = 0;
        for (; made < threads; made++) {
            jobs[made] = (thread_job){.rows = lengths[n]};
            if (pthread_create(&thread[made], NULL, run, &jobs[made]) != 0)
                break;
        }
        for (unsigned t = 0; t < made; t++) {
            pthread_join(thread[t], NULL);
            sum += jobs[t].rate;
        }
        printf(", \"products_per_s_%zu\": %.0f", lengths[n], made ? sum / made : 0);
    }
    printf("}\n");
    for (size_t l = 0; l < LAYERS; l++)
        for (size_t s = 0; s < SHAPES; s++)
            free(weights[l][s]);
    return 0;
}
