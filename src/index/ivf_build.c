/*
 * ivf_build.c: making lists, and adding rows to them.
 *
 * Centres come from a sample of the rows (kmeans.h). Then all rows go by twice, in the order of their slots, so that
 * rows behind a disk are read in a row: the first time each is given the list of its nearest centre, and once the sizes
 * of the lists are known, the second time what it differs from that centre by is coded into its place. Both are done in
 * parallel, row by row, and what comes of a row depends on it and the centres alone.
 *
 * Rows that are added go to the lists there are. Where that has made the centres a bad fit (twice the rows they were
 * made for, or a list four times as long as the longest then), all rows are taken, and everything is made anew.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/pool.h"
#include "index/build_failure.h"
#include "index/ivf_inside.h"

enum {
    SAMPLED = 32,      /* rows a list */
    LEAST_SAMPLED = 8, /* where memory is short */
    CHUNK = 1 << 16,   /* rows between two looks at progress */
    LEAST_ROWS = 64,   /* a list, on average, where it is up to us */
    OUTGROWN = 2,      /* times the rows the centres were made for */
    LOPSIDED = 4,      /* times the longest list there was then */
};
#define LISTS_OF 8.0 /* times the square root of the rows, */
#define LIST_ROWS                                                                                                      \
    88.0 /* or one for so many of them, where that is more: rows beyond half a million are more clusters */

typedef struct build {
    ivf *v;
    const ht_vectors *vectors;
    const uint64_t *slots;
    size_t count;
    uint32_t *lists, *places; /* of each row */
    ht_sample sample;
    size_t begin, end; /* being worked on */
    unsigned threads;
    const ht_hnsw_progress *progress;
    uint64_t done, of;
    uint64_t seed;
    ht_build_failure failure;
} build;

/* ---- row by row */

/* Of the sample: one row out of each share of all. */
static size_t sampled_row(const build *b, size_t i) {
    const size_t from = (size_t)((double)i * (double)b->count / (double)b->sample.count);
    size_t to = (size_t)((double)(i + 1) * (double)b->count / (double)b->sample.count);
    to = to > from ? to : from + 1;
    return ht_min_size(from + (size_t)(ht_mix64(ht_mix64(i + 1) + b->seed) % (to - from)), b->count - 1);
}

static void sample_slice(void *ctx, size_t item) {
    build *b = ctx;
    const uint32_t dim = b->v->spec.dim;
    const size_t end = ht_min_size((item + 1) * IVF_AT_ONCE, b->sample.count);
    float *row = ht_alloc_aligned(dim * sizeof *row);
    ht_fp_state fp = ht_fp_enter();
    if (!row)
        ht_build_fail(&b->failure, HITHER_NOMEM);
    for (size_t i = item * IVF_AT_ONCE; row && i < end && !ht_build_failed(&b->failure); i++) {
        const uint64_t slot = b->slots[sampled_row(b, i)];
        ht_probe probe = {.bytes = b->sample.bytes + i * ht_probe_bytes(dim)};
        hither_status status = ivf_row(b->v, b->vectors, slot, row, NULL);
        if (status != HITHER_OK)
            ht_build_fail_row(&b->failure, slot, status);
        else
            ht_probe_make(row, dim, &probe);
        b->sample.scales[i] = probe.scale;
    }
    ht_fp_leave(fp);
    ht_release(row);
}

/* A few rows to their lists. room: HT_NEAREST_PROBES probes. */
static void assign_some(build *b, size_t first, size_t count, float *row, int8_t *room) {
    const uint32_t dim = b->v->spec.dim;
    ht_probe probes[HT_NEAREST_PROBES];
    float keys[HT_NEAREST_PROBES];
    for (size_t i = 0; i < count; i++) {
        probes[i].bytes = room + i * ht_probe_bytes(dim);
        hither_status status = ivf_row(b->v, b->vectors, b->slots[first + i], row, NULL);
        if (status != HITHER_OK) {
            ht_build_fail_row(&b->failure, b->slots[first + i], status);
            return;
        }
        ht_probe_make(row, dim, &probes[i]);
    }
    ht_centres_nearest(b->v->centres, probes, count, b->lists + first, keys);
}

static void assign_slice(void *ctx, size_t item) {
    build *b = ctx;
    const uint32_t dim = b->v->spec.dim;
    const size_t begin = b->begin + item * IVF_AT_ONCE, end = ht_min_size(begin + IVF_AT_ONCE, b->end);
    float *row = ht_alloc_aligned(dim * sizeof *row);
    int8_t *room = ht_alloc_aligned(HT_NEAREST_PROBES * ht_probe_bytes(dim));
    ht_fp_state fp = ht_fp_enter();
    if (!row || !room)
        ht_build_fail(&b->failure, HITHER_NOMEM);
    for (size_t i = begin; row && room && i < end && !ht_build_failed(&b->failure); i += HT_NEAREST_PROBES)
        assign_some(b, i, ht_min_size(HT_NEAREST_PROBES, end - i), row, room);
    ht_fp_leave(fp);
    ht_release(room);
    ht_release(row);
}

static void code_slice(void *ctx, size_t item) {
    build *b = ctx;
    ivf *v = b->v;
    const size_t dim = v->spec.dim;
    const size_t begin = b->begin + item * IVF_AT_ONCE, end = ht_min_size(begin + IVF_AT_ONCE, b->end);
    float *row = ht_alloc_aligned(dim * sizeof *row);
    ht_fp_state fp = ht_fp_enter();
    if (!row)
        ht_build_fail(&b->failure, HITHER_NOMEM);
    for (size_t i = begin; row && i < end && !ht_build_failed(&b->failure); i++) {
        const float *centre = v->centres->rows + b->lists[i] * dim;
        const uint32_t place = b->places[i];
        float norm = 0;
        hither_status status = ivf_row(v, b->vectors, b->slots[i], row, &norm);
        if (status != HITHER_OK) {
            ht_build_fail_row(&b->failure, b->slots[i], status);
            break;
        }
        for (size_t j = 0; j < dim; j++)
            row[j] -= centre[j];
        ht_codes_make_row(row, dim, ivf_block(v, place / HT_CODE_ROWS), place % HT_CODE_ROWS);
        v->slots[place] = (uint32_t)b->slots[i];
        if (v->norms)
            v->norms[place] = norm;
    }
    ht_fp_leave(fp);
    ht_release(row);
}

/* Has all rows go by. */
static hither_status go_by(build *b, void (*slice)(void *ctx, size_t item), hither_error *err) {
    for (b->begin = 0; b->begin < b->count; b->begin = b->end) {
        if (ht_hnsw_stops(b->progress, b->done, b->of))
            return ht_fail(err, HITHER_INTERRUPTED, "making lists was stopped at row %zu of %zu", b->begin, b->count);
        b->end = ht_min_size(b->begin + CHUNK, b->count);
        ht_parallel(b->threads, (b->end - b->begin - 1) / IVF_AT_ONCE + 1, slice, b);
        HT_TRY(ht_build_failure_say(&b->failure, "a row", err));
        b->done += b->end - b->begin;
    }
    return HITHER_OK;
}

/* ---- centres */

static uint32_t lists_for(const ht_approx_spec *spec, size_t rows) {
    const double count = (double)rows;
    const double wished = spec->lists ? spec->lists : ceil(fmax(LISTS_OF * sqrt(count), count / LIST_ROWS));
    const double most = spec->lists ? count : count / LEAST_ROWS;
    const double lists = fmax(1, fmin(fmin(wished, floor(most)), IVF_MOST_LISTS));
    return (uint32_t)lists;
}

/* What a build takes beside its sample: codes, and the list and place of each row. */
static uint64_t lists_bytes(const build *b, uint64_t before) {
    const uint64_t row = b->v->block_bytes / HT_CODE_ROWS + 2 * sizeof(uint32_t) + 2 * sizeof(uint32_t);
    return (before + b->count + HT_CODE_ROWS) * row;
}

static hither_status too_large(const build *b, uint64_t wanted, hither_error *err) {
    return ht_fail(err, HITHER_TOO_LARGE, "lists of %zu rows take %llu bytes; %llu are allowed", b->count,
                   (unsigned long long)wanted, (unsigned long long)b->progress->memory);
}

/* A smaller sample where memory is short. */
static hither_status choose_sample(build *b, uint32_t lists, hither_error *err) {
    const uint64_t memory = b->progress ? b->progress->memory : 0, others = lists_bytes(b, 0);
    uint64_t wanted = 0;
    for (size_t each = SAMPLED; each >= LEAST_SAMPLED; each /= 2) {
        b->sample.count = ht_min_size(b->count, (size_t)lists * each);
        wanted = others + ht_kmeans_bytes(b->v->spec.dim, b->sample.count, lists);
        if (memory == 0 || wanted <= memory)
            return HITHER_OK;
    }
    return too_large(b, wanted, err);
}

static hither_status train(build *b, hither_error *err) {
    ivf *v = b->v;
    const uint32_t lists = lists_for(&v->spec, b->count), dim = v->spec.dim;
    ht_sample *s = &b->sample;
    size_t bytes;
    s->dim = dim;
    HT_TRY(choose_sample(b, lists, err));
    if (!ht_mul_size(s->count, ht_probe_bytes(dim), &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "a sample of the rows");
    HT_TRY(ht_centres_new(dim, lists, &v->centres, err));
    s->bytes = ht_alloc_aligned(bytes);
    s->scales = ht_alloc(s->count * sizeof *s->scales);
    if (!s->bytes || !s->scales)
        return ht_fail_nomem(err, bytes, "a sample of the rows");
    b->of += (uint64_t)HT_KMEANS_ROUNDS * s->count;
    ht_parallel(b->threads, (s->count - 1) / IVF_AT_ONCE + 1, sample_slice, b);
    HT_TRY(ht_build_failure_say(&b->failure, "a row", err));
    const ht_kmeans what = {.sample = s,
                            .unit = v->spec.metric == HITHER_COSINE,
                            .seed = b->seed,
                            .threads = b->threads,
                            .progress = b->progress,
                            .of = b->of};
    HT_TRY(ht_kmeans_run(&what, v->centres, err));
    b->done += (uint64_t)HT_KMEANS_ROUNDS * s->count;
    v->trained = b->count;
    return HITHER_OK;
}

static void release_sample(build *b) {
    ht_release(b->sample.bytes);
    ht_release(b->sample.scales);
    b->sample = (ht_sample){0};
}

/* ---- places */

/* Rows of the lists before (NULL: none), and behind them, in each list, the new ones. */
static hither_status place_rows(build *b, const ivf *from, hither_error *err) {
    ivf *v = b->v;
    const uint32_t lists = v->centres->count;
    uint32_t *counts = ht_calloc((size_t)lists + 1, sizeof *counts), *next;
    if (!counts)
        return ht_fail_nomem(err, lists * sizeof *counts, "lists");
    for (uint32_t l = 0; from && l < lists; l++)
        counts[l] = from->counts[l];
    for (size_t i = 0; i < b->count; i++)
        counts[b->lists[i]]++;
    HT_TRY(ivf_make_room(v, counts, err));
    next = ht_alloc((size_t)lists * sizeof *next + 1);
    if (!next)
        return ht_fail_nomem(err, lists * sizeof *next, "lists");
    for (uint32_t l = 0; l < lists; l++) {
        const size_t to = v->begins[l], had = from ? from->counts[l] : 0;
        next[l] = (uint32_t)(to + had);
        v->largest = !from && counts[l] > v->largest ? counts[l] : v->largest;
        for (size_t i = 0; i < had; i++)
            ivf_copy_row(from, (size_t)from->begins[l] + i, v, to + i);
    }
    for (size_t i = 0; i < b->count; i++)
        b->places[i] = next[b->lists[i]]++;
    ht_release(next);
    return HITHER_OK;
}

static hither_status take_centres(build *b, const ivf *from, hither_error *err) {
    ivf *v = b->v;
    const uint64_t wanted = lists_bytes(b, from->count) + ht_centres_bytes(from->centres);
    if (b->progress && b->progress->memory && wanted > b->progress->memory)
        return too_large(b, wanted, err);
    HT_TRY(ht_centres_new(v->spec.dim, from->centres->count, &v->centres, err));
    memcpy(v->centres->rows, from->centres->rows,
           (size_t)from->centres->count * v->spec.dim * sizeof *v->centres->rows);
    for (uint32_t i = 0; i < v->centres->count; i++)
        ht_centres_code(v->centres, i);
    v->trained = from->trained;
    v->largest = from->largest;
    return HITHER_OK;
}

static hither_status build_all(build *b, const ivf *from, hither_error *err) {
    b->of = 2 * (uint64_t)b->count;
    hither_status status = from ? take_centres(b, from, err) : train(b, err);
    release_sample(b);
    if (status == HITHER_OK)
        status = go_by(b, assign_slice, err);
    if (status == HITHER_OK)
        status = place_rows(b, from, err);
    return status == HITHER_OK ? go_by(b, code_slice, err) : status;
}

/* ---- all of it */

/* Whether the centres no longer fit. */
static bool outgrown(const ivf *v, size_t more) {
    uint64_t largest = 0;
    for (uint32_t l = 0; l < v->centres->count; l++)
        largest = v->counts[l] > largest ? v->counts[l] : largest;
    return v->count + more >= OUTGROWN * v->trained ||
           (largest > LOPSIDED * v->largest && v->count > v->trained + v->trained / 4);
}

/* The rows of the lists that are still there, and the others, by slot. */
static hither_status all_slots(const ivf *from, const ht_vectors *vectors, const uint64_t *slots, size_t count,
                               uint64_t **out, size_t *out_count, hither_error *err) {
    const size_t words = (size_t)(slots[count - 1] / 64 + 1);
    uint64_t *set = ht_calloc(words, sizeof *set), *all = ht_alloc((from->count + count) * sizeof *all);
    size_t n = 0, at, row;
    if (!set || !all) {
        ht_release(set);
        ht_release(all);
        return ht_fail_nomem(err, from->count * sizeof *all, "the rows of lists");
    }
    for (size_t i = 0; i < from->blocks * HT_CODE_ROWS; i++)
        if (from->slots[i] != IVF_NO_SLOT && ht_vectors_part(vectors, from->slots[i], &at, &row))
            set[from->slots[i] / 64] |= (uint64_t)1 << from->slots[i] % 64;
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = set[w]; left; left &= left - 1)
            all[n++] = w * 64 + (uint64_t)__builtin_ctzll(left);
    memcpy(all + n, slots, count * sizeof *all);
    ht_release(set);
    *out = all;
    *out_count = n + count;
    return HITHER_OK;
}

static hither_status run(build *b, const ivf *from, hither_error *err) {
    b->lists = ht_alloc(b->count * sizeof *b->lists);
    b->places = ht_alloc(b->count * sizeof *b->places);
    ht_build_failure_begin(&b->failure);
    hither_status status = HITHER_OK;
    if (!b->lists || !b->places)
        status = ht_fail_nomem(err, b->count * 2 * sizeof *b->lists, "the lists of rows");
    if (status == HITHER_OK)
        status = build_all(b, from, err);
    ht_release(b->places);
    ht_release(b->lists);
    return status;
}

hither_status ivf_extended(const ht_approx *approx, const ht_approx_spec *spec, const ht_vectors *vectors,
                           const uint64_t *slots, size_t count, unsigned threads, const ht_hnsw_progress *progress,
                           ht_approx **out, hither_error *err) {
    const ivf *from = approx && ivf_in(approx)->centres && ivf_in(approx)->count ? ivf_in(approx) : NULL;
    if (count > 0 && slots[count - 1] >= IVF_NO_SLOT)
        return ht_fail(err, HITHER_TOO_LARGE, "lists of a row at slot %llu; %u are possible",
                       (unsigned long long)slots[count - 1], IVF_NO_SLOT);
    if (count == 0 && from)
        return ivf_repaired(approx, NULL, false, threads, out, err); /* a copy */
    ivf *fresh = ivf_new(spec);
    if (!fresh)
        return ht_fail_nomem(err, sizeof *fresh, "lists");
    build b = {.v = fresh,
               .vectors = vectors,
               .slots = slots,
               .count = count,
               .threads = threads,
               .progress = progress,
               .seed = spec->seed};
    uint64_t *all = NULL;
    hither_status status = HITHER_OK;
    if (from && count > 0 && outgrown(from, count)) {
        status = all_slots(from, vectors, slots, count, &all, &b.count, err);
        b.slots = all;
        from = NULL;
    }
    if (status == HITHER_OK && b.count > 0)
        status = run(&b, from, err);
    ht_release(all);
    if (status == HITHER_OK)
        *out = &fresh->base;
    else
        ivf_free(&fresh->base);
    return status;
}
