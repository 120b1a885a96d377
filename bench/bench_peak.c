/*
 * bench_peak.c: what this machine can do at most, for the shares that bench/run.py exact prints: bytes a second read by
 * one thread from memory far beyond the caches, and products of one-byte integers a second, summed in 32 bits, by each
 * of T threads at once. One JSON object.
 *
 *   bench_peak [--mib N] [--threads T]
 *
 * Reads are 64 bytes wide where the processor has AVX-512. A processor without integer dot products (VNNI) has 0.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Many short tries, of which the best counts: on a busy machine some of them run alone. */
enum { CHAINS = 12, ROUNDS = 1000000, MOST_THREADS = 256, REPEATS = 100, PASSES = 4, SLICE = 32 << 20 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static volatile uint64_t kept; /* so that nothing is left out for want of a use */

static uint64_t read_words(const uint64_t *data, size_t words) {
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 8 <= words; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] += data[i + j];
    return sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static uint64_t read_wide(const uint64_t *data, size_t words) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i + 32 <= words; i += 32) {
        a = _mm512_add_epi64(a, _mm512_loadu_si512(data + i));
        b = _mm512_add_epi64(b, _mm512_loadu_si512(data + i + 8));
        c = _mm512_add_epi64(c, _mm512_loadu_si512(data + i + 16));
        d = _mm512_add_epi64(d, _mm512_loadu_si512(data + i + 24));
    }
    a = _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
    return (uint64_t)_mm512_reduce_add_epi64(a);
}

__attribute__((target("avx512f,avx512vnni"))) static uint64_t multiply(void) {
    __m512i sums[CHAINS], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
    for (int j = 0; j < CHAINS; j++)
        sums[j] = _mm512_set1_epi32(j);
    for (int i = 0; i < ROUNDS; i++)
        for (int j = 0; j < CHAINS; j++)
            sums[j] = _mm512_dpbusd_epi32(sums[j], x, y);
    __m512i all = sums[0];
    for (int j = 1; j < CHAINS; j++)
        all = _mm512_add_epi32(all, sums[j]);
    return (uint64_t)(uint32_t)_mm512_reduce_add_epi32(all);
}
#endif

static uint64_t read_slice(const uint64_t *data, size_t words) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return read_wide(data, words);
#endif
    return read_words(data, words);
}

static double read_rate(size_t bytes) {
    char *data = malloc(bytes);
    double best = 0;
    if (!data)
        return 0;
    memset(data, 1, bytes);
    for (int i = 0; i < PASSES; i++) {
        for (size_t at = 0; at + SLICE <= bytes; at += SLICE) {
            double began = now();
            kept = read_slice((const uint64_t *)(const void *)(data + at), SLICE / 8);
            double rate = SLICE / (now() - began);
            best = rate > best ? rate : best;
        }
    }
    free(data);
    return best;
}

static void *multiply_thread(void *out) {
    double began = now();
#if defined(__x86_64__)
    kept = multiply();
#endif
    *(double *)out = 64.0 * CHAINS * ROUNDS / (now() - began);
    return NULL;
}

/* The mean of the threads', in the best of a few tries. */
static double product_rate(unsigned threads) {
    double best = 0;
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx512vnni"))
        return 0;
    for (int i = 0; i < REPEATS; i++) {
        pthread_t thread[MOST_THREADS];
        double rate[MOST_THREADS] = {0}, sum = 0;
        unsigned made = 0;
        while (made < threads && pthread_create(&thread[made], NULL, multiply_thread, &rate[made]) == 0)
            made++;
        for (unsigned t = 0; t < made; t++) {
            pthread_join(thread[t], NULL);
            sum += rate[t];
        }
        best = made && sum / made > best ? sum / made : best;
    }
#else
    (void)threads;
    (void)multiply_thread;
#endif
    return best;
}

int main(int argc, char **argv) {
    static const struct option names[] = {{"mib", 1, 0, 'm'}, {"threads", 1, 0, 't'}, {0}};
    size_t mib = 1024;
    unsigned threads = 1;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'm')
            mib = strtoull(optarg, NULL, 10);
        else if (c == 't')
            threads = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    printf("{\"read_bytes_s\": %.4g, \"products_s\": %.4g, \"threads\": %u}\n", read_rate(mib << 20),
           product_rate(threads), threads);
    return 0;
}
