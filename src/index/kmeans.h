/*
 * kmeans.h: centres of rows, for cutting them into lists: Lloyd's algorithm on a sample, over bytes.
 *
 * Rows and centres are compared as signed bytes with a scale each, by exact integer sums; centres are means in f64,
 * summed in the order of the sample. So the same sample, seed and count give the same centres at any number of threads
 * and at every SIMD level, and a sample takes a quarter of the memory of its rows.
 *
 * Any thread; the caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_INDEX_KMEANS_H
#define HT_INDEX_KMEANS_H

#include <stdbool.h>

#include "base/error.h"
#include "index/hnsw.h"
#include "kernels/kernels.h"

/* ---- what is compared */

/* A row, as scale * bytes; ht_probe_bytes(dim) of them, aligned to 64, zeros past the dimension. */
typedef struct ht_probe {
    int8_t *bytes;
    int32_t total; /* of the bytes */
    float scale;
} ht_probe;

static inline size_t ht_probe_bytes(uint32_t dim) { return ((size_t)dim + 63) / 64 * 64; }
/* Of a finite row. */
void ht_probe_make(const float *row, uint32_t dim, ht_probe *out);

/* Centres, to compare probes with. */
typedef struct ht_centres {
    uint32_t dim, count;
    float *rows;    /* dim each: what they are */
    uint8_t *codes; /* ht_probe_bytes each: 128 + a byte */
    float *scales, *squares;
    uint32_t *all; /* 0, 1, 2 ... */
} ht_centres;

HT_NODISCARD hither_status ht_centres_new(uint32_t dim, uint32_t count, ht_centres **out, hither_error *err);
void ht_centres_free(ht_centres *centres);
/* To be called once centres->rows + i * dim is written. */
void ht_centres_code(ht_centres *centres, uint32_t i);
/* Bytes of memory. */
uint64_t ht_centres_bytes(const ht_centres *centres);

/* Something that rises with the distance from the probe, for centres from ... to - 1: the negated product, or half the
 * square of the distance, less half of the probe's own. sums and keys have room for to - from. */
void ht_centres_keys(const ht_centres *centres, const ht_probe *probe, bool product, uint32_t from, uint32_t to,
                     int32_t *sums, float *keys);

/* The nearest centre to each of a few probes, and its key; the first of equal ones. Half squares of distances count. */
enum { HT_NEAREST_PROBES = 16 };
void ht_centres_nearest(const ht_centres *centres, const ht_probe *probes, size_t count, uint32_t *nearest,
                        float *keys);

/* ---- the algorithm */

typedef struct ht_sample {
    uint32_t dim;
    size_t count;
    int8_t *bytes; /* ht_probe_bytes(dim) each */
    float *scales;
} ht_sample;

enum { HT_KMEANS_ROUNDS = 6 };

typedef struct ht_kmeans {
    const ht_sample *sample; /* at least as many rows as centres */
    bool unit;               /* centres have length 1, as the rows do; zero where rows cancel out */
    uint64_t seed;
    unsigned threads;
    const ht_hnsw_progress *progress; /* NULL: none; counts sampled rows, for HT_KMEANS_ROUNDS rounds */
    uint64_t of;                      /* what progress is told there is to do */
} ht_kmeans;

/* About as many bytes as that takes, the sample's and the centres' among them. */
uint64_t ht_kmeans_bytes(uint32_t dim, uint64_t sample, uint32_t lists);
/* Fills in the centres. NOMEM, INTERRUPTED. */
HT_NODISCARD hither_status ht_kmeans_run(const ht_kmeans *what, ht_centres *centres, hither_error *err);

#endif
