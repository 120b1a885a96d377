/*
 * kmeans.c: see kmeans.h. A round assigns part of the sample to its nearest centres, in parallel; sorts it by centre;
 * and makes every centre the mean of its rows, centre by centre in parallel. Early rounds take a part of the sample
 * each: where centres are far from where they will be, a quarter of the rows moves them as well.
 *
 * A centre that nothing is nearest to takes over the row that is farthest from its own in the list whose rows are
 * farthest in sum. So many equal rows do not get many centres: their distances are zero.
 */
#include "index/kmeans.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/pool.h"

enum {
    LINE = 64,
    CENTRES_AT_ONCE = 256, /* of which the codes stay in a cache while probes go by */
    ROWS_AT_ONCE = 256,    /* of one thread */
    LEAST_A_LIST = 12,     /* rows of a part of the sample, for each centre */
    SEEDS_A_LIST = 8,      /* rows among which centres are first picked, for each */
    SEEDS_AT_ONCE = 64     /* between two looks at progress */
};
static const float LEAST = 0x1p-100F; /* of a largest element: its inverse is finite */

/* ---- comparing */

static float largest(const float *row, size_t dim) {
    float most = 0;
    for (size_t j = 0; j < dim; j++)
        most = fabsf(row[j]) > most ? fabsf(row[j]) : most;
    return most;
}

/* To the nearest integer, ties to even, for |x| < 2^22: what lies below the point falls off the end of the sum. */
static float nearest(float x) { return (x + 0x1.8p23F) - 0x1.8p23F; }

/* The row as bytes -127 ... 127, and what they are multiplied with; all zero for a row that is next to nothing. */
static float to_bytes(const float *row, uint32_t dim, int8_t *out) {
    const float most = largest(row, dim), inverse = 127 / most;
    if (!(most >= LEAST))
        return 0;
    for (size_t j = 0; j < dim; j++)
        out[j] = (int8_t)(int32_t)nearest(row[j] * inverse);
    return most / 127;
}

void ht_probe_make(const float *row, uint32_t dim, ht_probe *out) {
    memset(out->bytes, 0, ht_probe_bytes(dim));
    out->scale = to_bytes(row, dim, out->bytes);
    out->total = 0;
    for (size_t j = 0; j < dim; j++)
        out->total += out->bytes[j];
}

hither_status ht_centres_new(uint32_t dim, uint32_t count, ht_centres **out, hither_error *err) {
    const size_t bytes = ht_probe_bytes(dim);
    size_t codes, rows;
    if (!ht_mul_size(count, bytes, &codes) || !ht_mul_size((size_t)count * dim, sizeof(float), &rows))
        return ht_fail_nomem(err, SIZE_MAX, "centres");
    ht_centres *c = ht_calloc(1, sizeof *c);
    if (!c)
        return ht_fail_nomem(err, sizeof *c, "centres");
    *c = (ht_centres){.dim = dim,
                      .count = count,
                      .rows = ht_alloc_aligned(rows + LINE),
                      .codes = ht_alloc_aligned(codes + LINE),
                      .scales = ht_calloc((size_t)count + 1, sizeof *c->scales),
                      .squares = ht_calloc((size_t)count + 1, sizeof *c->squares),
                      .all = ht_alloc(((size_t)count + 1) * sizeof *c->all)};
    if (!c->rows || !c->codes || !c->scales || !c->squares || !c->all) {
        ht_centres_free(c);
        return ht_fail_nomem(err, codes + rows, "centres");
    }
    memset(c->rows, 0, rows);
    memset(c->codes, 128, codes);
    for (uint32_t i = 0; i < count; i++)
        c->all[i] = i;
    *out = c;
    return HITHER_OK;
}

void ht_centres_free(ht_centres *c) {
    if (!c)
        return;
    ht_release(c->rows);
    ht_release(c->codes);
    ht_release(c->scales);
    ht_release(c->squares);
    ht_release(c->all);
    ht_release(c);
}

uint64_t ht_centres_bytes(const ht_centres *c) {
    return (uint64_t)c->count * (c->dim * sizeof *c->rows + ht_probe_bytes(c->dim) + sizeof *c->scales +
                                 sizeof *c->squares + sizeof *c->all);
}

void ht_centres_code(ht_centres *c, uint32_t i) {
    const float *row = c->rows + (size_t)i * c->dim;
    uint8_t *code = c->codes + i * ht_probe_bytes(c->dim);
    double square = 0;
    memset(code, 0, ht_probe_bytes(c->dim));
    c->scales[i] = to_bytes(row, c->dim, (int8_t *)code);
    for (size_t j = 0; j < ht_probe_bytes(c->dim); j++)
        code[j] ^= 128;
    for (size_t j = 0; j < c->dim; j++)
        square += (double)row[j] * (double)row[j];
    c->squares[i] = (float)square;
}

void ht_centres_keys(const ht_centres *c, const ht_probe *probe, bool product, uint32_t from, uint32_t to,
                     int32_t *sums, float *keys) {
    const size_t bytes = ht_probe_bytes(c->dim);
    const int32_t offset = 128 * probe->total;
    ht_kernels_get()->dots_u8(probe->bytes, c->codes + from * bytes, bytes, c->all, to - from, sums);
    for (uint32_t i = 0; i < to - from; i++)
        keys[i] = -(probe->scale * c->scales[from + i]) * (float)(sums[i] - offset);
    if (!product)
        for (uint32_t i = 0; i < to - from; i++)
            keys[i] += 0.5F * c->squares[from + i];
}

void ht_centres_nearest(const ht_centres *c, const ht_probe *probes, size_t count, uint32_t *nearest_one, float *keys) {
    int32_t sums[CENTRES_AT_ONCE];
    float some[CENTRES_AT_ONCE];
    for (size_t p = 0; p < count; p++) {
        nearest_one[p] = 0;
        keys[p] = INFINITY;
    }
    for (uint32_t from = 0; from < c->count; from += CENTRES_AT_ONCE) {
        const uint32_t to = (uint32_t)ht_min_size((size_t)from + CENTRES_AT_ONCE, c->count);
        for (size_t p = 0; p < count; p++) {
            ht_centres_keys(c, &probes[p], false, from, to, sums, some);
            for (uint32_t i = 0; i < to - from; i++)
                if (some[i] < keys[p]) {
                    keys[p] = some[i];
                    nearest_one[p] = from + i;
                }
        }
    }
}

/* ---- a round */

typedef struct round {
    const ht_kmeans *what;
    ht_centres *centres;
    uint32_t *rows;      /* of the sample that take part, */
    size_t count;        /* so many */
    uint32_t *list;      /* of each of them: its centre, */
    float *far;          /* and half the square of its distance */
    uint32_t *order;     /* of them, by centre */
    size_t *begins;      /* where a centre's rows are in that; one more than there are centres */
    double *errors;      /* of each list: the sum of `far` */
    _Atomic int no_room; /* a worker had no memory */
} round_;

static ht_probe row_of(const ht_sample *s, size_t i) {
    const size_t bytes = ht_probe_bytes(s->dim);
    ht_probe p = {.bytes = s->bytes + i * bytes, .scale = s->scales[i]};
    for (size_t j = 0; j < s->dim; j++)
        p.total += p.bytes[j];
    return p;
}

/* Half the square of the row's length. */
static float half_square(const ht_sample *s, const ht_probe *p) {
    int64_t sum = 0;
    for (size_t j = 0; j < s->dim; j++)
        sum += p->bytes[j] * p->bytes[j];
    return (float)(0.5 * (double)p->scale * (double)p->scale * (double)sum);
}

static void assign_slice(void *ctx, size_t item) {
    round_ *r = ctx;
    const ht_sample *s = r->what->sample;
    const size_t end = ht_min_size((item + 1) * ROWS_AT_ONCE, r->count);
    ht_fp_state fp = ht_fp_enter();
    for (size_t i = item * ROWS_AT_ONCE, n; i < end; i += n) {
        ht_probe probes[HT_NEAREST_PROBES];
        n = ht_min_size(HT_NEAREST_PROBES, end - i);
        for (size_t p = 0; p < n; p++)
            probes[p] = row_of(s, r->rows[i + p]);
        ht_centres_nearest(r->centres, probes, n, r->list + i, r->far + i);
        for (size_t p = 0; p < n; p++) {
            const float far = r->far[i + p] + half_square(s, &probes[p]);
            r->far[i + p] = far > 0 ? far : 0;
        }
    }
    ht_fp_leave(fp);
}

static void sort_by_list(round_ *r) {
    const uint32_t lists = r->centres->count;
    memset(r->begins, 0, ((size_t)lists + 1) * sizeof *r->begins);
    memset(r->errors, 0, lists * sizeof *r->errors);
    for (size_t i = 0; i < r->count; i++) {
        r->begins[r->list[i] + 1]++;
        r->errors[r->list[i]] += (double)r->far[i];
    }
    for (uint32_t l = 0; l < lists; l++)
        r->begins[l + 1] += r->begins[l];
    for (size_t i = 0; i < r->count; i++)
        r->order[r->begins[r->list[i]]++] = (uint32_t)i;
    for (uint32_t l = lists; l > 0; l--)
        r->begins[l] = r->begins[l - 1];
    r->begins[0] = 0;
}

static void make_unit(double *sums, size_t dim) {
    double square = 0;
    for (size_t j = 0; j < dim; j++)
        square += sums[j] * sums[j];
    for (size_t j = 0; j < dim && square > 0; j++)
        sums[j] /= sqrt(square);
}

static void mean_of_list(void *ctx, size_t l) {
    round_ *r = ctx;
    const ht_sample *s = r->what->sample;
    const size_t begin = r->begins[l], end = r->begins[l + 1], bytes = ht_probe_bytes(s->dim);
    if (begin == end)
        return;
    double *sums = ht_calloc(s->dim, sizeof *sums);
    if (!sums) {
        atomic_store(&r->no_room, 1);
        return;
    }
    ht_fp_state fp = ht_fp_enter();
    for (size_t i = begin; i < end; i++) {
        const size_t row = r->rows[r->order[i]];
        const double scale = (double)s->scales[row];
        const int8_t *x = s->bytes + row * bytes;
        for (size_t j = 0; j < s->dim; j++)
            sums[j] += scale * x[j];
    }
    if (r->what->unit)
        make_unit(sums, s->dim);
    for (size_t j = 0; j < s->dim; j++)
        r->centres->rows[l * s->dim + j] = (float)(r->what->unit ? sums[j] : sums[j] / (double)(end - begin));
    ht_centres_code(r->centres, (uint32_t)l);
    ht_fp_leave(fp);
    ht_release(sums);
}

/* The centre becomes that row. */
static void put_row(ht_centres *c, uint32_t at, const ht_sample *s, size_t row) {
    const int8_t *x = s->bytes + row * ht_probe_bytes(s->dim);
    for (size_t j = 0; j < s->dim; j++)
        c->rows[(size_t)at * s->dim + j] = s->scales[row] * x[j];
    ht_centres_code(c, at);
}

static void fill_empty(round_ *r) {
    for (uint32_t l = 0; l < r->centres->count; l++) {
        uint32_t worst = 0;
        if (r->begins[l + 1] > r->begins[l])
            continue;
        for (uint32_t other = 1; other < r->centres->count; other++)
            worst = r->errors[other] > r->errors[worst] ? other : worst;
        if (!(r->errors[worst] > 0)) /* every row is a centre already */
            return;
        size_t farthest = r->begins[worst];
        for (size_t i = r->begins[worst]; i < r->begins[worst + 1]; i++)
            farthest = r->far[r->order[i]] > r->far[r->order[farthest]] ? i : farthest;
        put_row(r->centres, l, r->what->sample, r->rows[r->order[farthest]]);
        r->errors[worst] /= 2;
        r->far[r->order[farthest]] = 0;
    }
}

/* About one row in `step`, by a number that has nothing to do with their order. */
static size_t pick_part(size_t rows, size_t step, uint64_t salt, uint32_t *out) {
    size_t count = 0;
    for (size_t i = 0; i < rows; i++)
        if (step == 1 || ht_mix64(ht_mix64(i + 1) + salt) % step == 0)
            out[count++] = (uint32_t)i;
    if (count == 0)
        out[count++] = 0;
    return count;
}

static hither_status run_round(round_ *r, unsigned number, hither_error *err) {
    const ht_sample *s = r->what->sample;
    const ht_hnsw_progress *progress = r->what->progress;
    size_t step = number < 2 ? 4 : number < 4 ? 2 : 1;
    while (step > 1 && s->count / step < (size_t)LEAST_A_LIST * r->centres->count)
        step /= 2;
    r->count = pick_part(s->count, step, number, r->rows);
    if (ht_hnsw_stops(progress, (uint64_t)number * s->count, r->what->of))
        return ht_fail(err, HITHER_INTERRUPTED, "finding the centres of lists was stopped");
    ht_parallel(r->what->threads, (r->count - 1) / ROWS_AT_ONCE + 1, assign_slice, r);
    sort_by_list(r);
    ht_parallel(r->what->threads, r->centres->count, mean_of_list, r);
    if (atomic_load(&r->no_room))
        return ht_fail_nomem(err, s->dim * sizeof(double), "a mean");
    if (step == 1)
        fill_empty(r);
    return HITHER_OK;
}

/* ---- where centres begin: k-means++ (Arthur and Vassilvitskii, 2007) among a part of the sample, so that each of many
 * tight clusters gets a centre */

typedef struct seeding {
    uint32_t *rows; /* of the sample that take part, */
    size_t count;   /* so many */
    uint8_t *codes; /* of these: 128 + a byte */
    float *squares; /* half of a length's square */
    float *far;     /* half the square of the distance to the nearest centre so far */
    int32_t *sums;
    uint32_t *all;
} seeding;

static void seeding_clear(seeding *s) {
    ht_release(s->rows);
    ht_release(s->codes);
    ht_release(s->squares);
    ht_release(s->far);
    ht_release(s->sums);
    ht_release(s->all);
}

static hither_status seeding_make(seeding *s, const ht_sample *sample, uint32_t lists, hither_error *err) {
    const size_t bytes = ht_probe_bytes(sample->dim);
    const size_t step = sample->count / ((size_t)lists * SEEDS_A_LIST);
    s->rows = ht_alloc(sample->count * sizeof *s->rows);
    if (!s->rows)
        return ht_fail_nomem(err, sample->count * sizeof *s->rows, "a sample of the rows");
    s->count = pick_part(sample->count, step ? step : 1, UINT32_MAX, s->rows);
    s->codes = ht_alloc_aligned(s->count * bytes);
    s->squares = ht_alloc(s->count * sizeof *s->squares);
    s->far = ht_alloc(s->count * sizeof *s->far);
    s->sums = ht_alloc(s->count * sizeof *s->sums);
    s->all = ht_alloc(s->count * sizeof *s->all);
    if (!s->codes || !s->squares || !s->far || !s->sums || !s->all)
        return ht_fail_nomem(err, s->count * bytes, "a sample of the rows");
    for (size_t i = 0; i < s->count; i++) {
        const ht_probe p = row_of(sample, s->rows[i]);
        for (size_t j = 0; j < bytes; j++)
            s->codes[i * bytes + j] = (uint8_t)p.bytes[j] ^ 128;
        s->squares[i] = half_square(sample, &p);
        s->far[i] = FLT_MAX;
        s->all[i] = (uint32_t)i;
    }
    return HITHER_OK;
}

/* Measures from one more centre, a row of the sample; the sum of `far`. */
static double seeding_put(seeding *s, const ht_sample *sample, size_t row) {
    const ht_probe p = row_of(sample, row);
    const float square = half_square(sample, &p);
    const int32_t offset = 128 * p.total;
    double sum = 0;
    const size_t bytes = ht_probe_bytes(sample->dim);
    ht_kernels_get()->dots_u8(p.bytes, s->codes, bytes, s->all, s->count, s->sums);
    for (size_t i = 0; i < s->count; i++) {
        const float product = p.scale * sample->scales[s->rows[i]] * (float)(s->sums[i] - offset);
        const float far = s->squares[i] + square - product;
        s->far[i] = far < s->far[i] ? far : s->far[i];
    }
    for (size_t i = 0; i < s->count; i++) {
        s->far[i] = s->far[i] > 0 ? s->far[i] : 0;
        sum += (double)s->far[i];
    }
    return sum;
}

/* A row of the sample, each as likely as it is far; a number in [0, 1) says which. */
static size_t seeding_pick(const seeding *s, double sum, double number) {
    double left = number * sum;
    size_t last = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!(s->far[i] > 0))
            continue;
        last = i;
        left -= (double)s->far[i];
        if (left < 0)
            break;
    }
    return s->rows[last];
}

static hither_status begin(const ht_kmeans *what, ht_centres *c, hither_error *err) {
    seeding s = {0};
    hither_status status = seeding_make(&s, what->sample, c->count, err);
    double sum = 0;
    for (uint32_t i = 0; i < c->count && status == HITHER_OK; i++) {
        const uint64_t random = ht_mix64(ht_mix64(i + 1) ^ what->seed);
        const double number = (double)(random >> 11) * 0x1p-53;
        const size_t row = sum > 0 ? seeding_pick(&s, sum, number) : s.rows[random % s.count];
        put_row(c, i, what->sample, row);
        sum = seeding_put(&s, what->sample, row);
        if (i % SEEDS_AT_ONCE == 0 && ht_hnsw_stops(what->progress, 0, what->of))
            status = ht_fail(err, HITHER_INTERRUPTED, "finding the centres of lists was stopped");
    }
    seeding_clear(&s);
    return status;
}

uint64_t ht_kmeans_bytes(uint32_t dim, uint64_t sample, uint32_t lists) {
    const uint64_t row = ht_probe_bytes(dim) + sizeof(float);
    const uint64_t seeds = (uint64_t)SEEDS_A_LIST * lists < sample ? (uint64_t)SEEDS_A_LIST * lists : sample;
    return sample * (row + 4 * sizeof(uint32_t)) + 2 * seeds * (row + 4 * sizeof(uint32_t)) +
           lists * (2 * row + dim * sizeof(float) + 64);
}

hither_status ht_kmeans_run(const ht_kmeans *what, ht_centres *centres, hither_error *err) {
    const size_t count = what->sample->count, lists = centres->count;
    round_ r = {.what = what, .centres = centres};
    r.rows = ht_alloc((count + 1) * sizeof *r.rows);
    r.list = ht_alloc((count + 1) * sizeof *r.list);
    r.far = ht_alloc((count + 1) * sizeof *r.far);
    r.order = ht_alloc((count + 1) * sizeof *r.order);
    r.begins = ht_alloc((lists + 1) * sizeof *r.begins);
    r.errors = ht_alloc((lists + 1) * sizeof *r.errors);
    hither_status status = HITHER_OK;
    if (!r.rows || !r.list || !r.far || !r.order || !r.begins || !r.errors)
        status = ht_fail_nomem(err, count * 4 * sizeof(uint32_t), "lists of sampled rows");
    if (status == HITHER_OK)
        status = begin(what, centres, err);
    for (unsigned number = 0; number < HT_KMEANS_ROUNDS && status == HITHER_OK; number++)
        status = run_round(&r, number, err);
    ht_release(r.errors);
    ht_release(r.begins);
    ht_release(r.order);
    ht_release(r.far);
    ht_release(r.list);
    ht_release(r.rows);
    return status;
}
