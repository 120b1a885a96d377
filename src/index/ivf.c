/*
 * ivf.c: inverted lists as a kind of approx.h: their memory, facts about them, and what becomes of them when rows go.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "index/ivf_inside.h"

/* ---- memory */

ivf *ivf_new(const ht_approx_spec *spec) {
    ivf *v = ht_calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->base.kind = &ht_approx_ivf;
    v->spec = *spec;
    v->block_bytes = ht_codes_bytes(HT_CODE_ROWS, spec->dim);
    return v;
}

void ivf_free(ht_approx *approx) {
    ivf *v = (ivf *)approx;
    if (!v)
        return;
    ht_centres_free(v->centres);
    ht_release(v->begins);
    if (!v->mapped) {
        ht_release(v->counts);
        ht_release(v->slots);
        ht_release(v->norms);
        ht_release(v->codes);
    }
    ht_release(v);
}

bool ivf_lay_out(ivf *v) {
    uint64_t rows = 0;
    for (uint32_t l = 0; l < v->centres->count; l++) {
        v->begins[l] = (uint32_t)rows;
        rows += v->counts[l];
        if (rows > UINT32_MAX - HT_CODE_ROWS)
            return false;
    }
    v->begins[v->centres->count] = (uint32_t)rows;
    v->blocks = (rows + HT_CODE_ROWS - 1) / HT_CODE_ROWS;
    v->count = rows;
    return true;
}

hither_status ivf_make_room(ivf *v, uint32_t *counts, hither_error *err) {
    size_t bytes;
    v->counts = counts;
    v->begins = ht_alloc(((size_t)v->centres->count + 1) * sizeof *v->begins);
    if (!v->begins)
        return ht_fail_nomem(err, v->centres->count * sizeof *v->begins, "lists");
    if (!ivf_lay_out(v))
        return ht_fail(err, HITHER_TOO_LARGE, "lists of more than %u rows", UINT32_MAX);
    const size_t places = v->blocks * HT_CODE_ROWS;
    if (!ht_mul_size(v->blocks, v->block_bytes, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "codes of lists");
    v->codes = ht_alloc_aligned(bytes + 1);
    v->slots = ht_alloc_aligned(places * sizeof *v->slots + 1);
    if (v->spec.metric == HITHER_L2)
        v->norms = ht_alloc_aligned(places * sizeof *v->norms + 1);
    if (!v->codes || !v->slots || (v->spec.metric == HITHER_L2 && !v->norms))
        return ht_fail_nomem(err, bytes, "codes of lists");
    memset(v->codes, 0, bytes);
    memset(v->slots, 0xff, places * sizeof *v->slots);
    if (v->norms)
        memset(v->norms, 0, places * sizeof *v->norms);
    return HITHER_OK;
}

/* ---- rows */

hither_status ivf_row(const ivf *v, const ht_vectors *vectors, uint64_t slot, float *out, float *norm) {
    const size_t dim = v->spec.dim;
    size_t at, row;
    double square = 0;
    const ht_part *part = ht_vectors_part(vectors, slot, &at, &row);
    if (!part)
        return HITHER_CORRUPT;
    if (vectors->touch)
        HT_TRY(vectors->touch(vectors->touch_ctx, at, row, row + 1, NULL));
    const ht_layout layout = {v->spec.dtype, part->bare, dim};
    ht_stored_widen(ht_kernels_get(), &layout, (const char *)part->rows + row * part->stride, part->stride, 1, out);
    for (size_t j = 0; j < dim; j++) {
        if (!isfinite(out[j]))
            return HITHER_NOT_FINITE;
        square += (double)out[j] * (double)out[j];
    }
    const double length = sqrt(square);
    if (norm)
        *norm = (float)length;
    for (size_t j = 0; v->spec.metric == HITHER_COSINE && square > 0 && j < dim; j++)
        out[j] = (float)((double)out[j] / length);
    return HITHER_OK;
}

void ivf_copy_row(const ivf *from, size_t was, ivf *to, size_t place) {
    to->slots[place] = from->slots[was];
    if (to->norms)
        to->norms[place] = from->norms[was];
    ht_codes_copy_row(ivf_block(from, was / HT_CODE_ROWS), was % HT_CODE_ROWS, from->spec.dim,
                      ivf_block(to, place / HT_CODE_ROWS), place % HT_CODE_ROWS);
}

/* ---- rows that go */

static uint32_t count_living(const ivf *v, uint32_t list, const ht_mask *live) {
    const uint32_t *slots = v->slots + v->begins[list];
    uint32_t living = 0;
    for (uint32_t i = 0; i < v->counts[list]; i++)
        living += ht_mask_has(live, slots[i]);
    return living;
}

static void copy_living(const ivf *from, uint32_t list, const ht_mask *live, ivf *to) {
    size_t place = to->begins[list];
    for (uint32_t i = 0; i < from->counts[list]; i++) {
        const size_t was = (size_t)from->begins[list] + i;
        if (!ht_mask_has(live, from->slots[was]))
            continue;
        ivf_copy_row(from, was, to, place++);
    }
}

/* The largest slot, plus one. */
static uint64_t limit_of(const ivf *v) {
    uint64_t limit = 0;
    for (uint32_t l = 0; v->centres && l < v->centres->count; l++)
        if (v->counts[l]) {
            const uint64_t last = v->slots[v->begins[l + 1] - 1];
            limit = last >= limit ? last + 1 : limit;
        }
    return limit;
}

/* Each slot becomes the number of those before it that are in `live`. */
static hither_status renumber(ivf *v, const ht_mask *live, hither_error *err) {
    const size_t words = (size_t)(limit_of(v) / 64 + 1);
    uint32_t *before = ht_alloc(words * sizeof *before);
    if (!before)
        return ht_fail_nomem(err, words * sizeof *before, "new numbers of rows");
    uint32_t sum = 0;
    for (size_t i = 0; i < words; i++) {
        before[i] = sum;
        sum += (uint32_t)__builtin_popcountll(ht_mask_word(live, (uint64_t)i * 64));
    }
    for (uint32_t l = 0; l < v->centres->count; l++) {
        uint32_t *slots = v->slots + v->begins[l];
        for (uint32_t i = 0; i < v->counts[l]; i++) {
            const uint64_t word = ht_mask_word(live, slots[i] / 64 * 64), below = ((uint64_t)1 << slots[i] % 64) - 1;
            slots[i] = before[slots[i] / 64] + (uint32_t)__builtin_popcountll(word & below);
        }
    }
    ht_release(before);
    return HITHER_OK;
}

static hither_status copy_centres(const ivf *from, ivf *to, hither_error *err) {
    HT_TRY(ht_centres_new(from->spec.dim, from->centres->count, &to->centres, err));
    memcpy(to->centres->rows, from->centres->rows,
           (size_t)from->centres->count * from->spec.dim * sizeof *from->centres->rows);
    for (uint32_t i = 0; i < to->centres->count; i++)
        ht_centres_code(to->centres, i);
    return HITHER_OK;
}

static hither_status repair(const ivf *from, const ht_mask *live, bool renumbers, ivf *to, hither_error *err) {
    HT_TRY(copy_centres(from, to, err));
    to->trained = from->trained;
    to->largest = from->largest;
    uint32_t *counts = ht_alloc((size_t)from->centres->count * sizeof *counts + 1);
    if (!counts)
        return ht_fail_nomem(err, from->centres->count * sizeof *counts, "lists");
    for (uint32_t l = 0; l < from->centres->count; l++)
        counts[l] = count_living(from, l, live);
    HT_TRY(ivf_make_room(to, counts, err));
    for (uint32_t l = 0; l < from->centres->count; l++)
        copy_living(from, l, live, to);
    return renumbers ? renumber(to, live, err) : HITHER_OK;
}

hither_status ivf_repaired(const ht_approx *approx, const ht_mask *live, bool renumbers, unsigned threads,
                           ht_approx **out, hither_error *err) {
    const ivf *from = ivf_in(approx);
    (void)threads; /* as fast as memory with one */
    ivf *fresh = ivf_new(&from->spec);
    if (!fresh)
        return ht_fail_nomem(err, sizeof *fresh, "lists");
    hither_status status = from->centres ? repair(from, live, renumbers, fresh, err) : HITHER_OK;
    if (status == HITHER_OK)
        *out = &fresh->base;
    else
        ivf_free(&fresh->base);
    return status;
}

/* ---- facts */

static bool takes(hither_dtype dtype, hither_metric metric) {
    return dtype != HITHER_B1 && (metric == HITHER_COSINE || metric == HITHER_DOT || metric == HITHER_L2);
}

static hither_status complete(ht_approx_spec *spec, hither_error *err) {
    if (!takes(spec->dtype, spec->metric))
        return ht_fail(err, HITHER_UNSUPPORTED, "lists take cosine, dot and l2, of all row types but b1");
    if (spec->dim == 0 || spec->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "lists of %u dimensions; 1 to %u are possible", spec->dim,
                       HITHER_MAX_DIM);
    if (spec->lists > IVF_MOST_LISTS)
        return ht_fail(err, HITHER_INVALID, "%u lists; at most %d are possible, and 0 is as many as suit the rows",
                       spec->lists, IVF_MOST_LISTS);
    return HITHER_OK;
}

static size_t efforts(const ht_approx *approx, uint32_t *out) {
    static const uint32_t all[] = {1,  2,   3,   4,   6,   8,   12,  16,   24,   32,   48,   64,
                                   96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192};
    const ivf *v = ivf_in(approx);
    const uint32_t lists = v->centres ? v->centres->count : 1;
    size_t count = 0;
    while (count < HT_APPROX_EFFORTS && (count == 0 || out[count - 1] < lists)) {
        out[count] = all[count] < lists ? all[count] : lists;
        count++;
    }
    return count;
}

static void describe(const ht_approx *approx, ht_approx_facts *out) {
    const ivf *v = ivf_in(approx);
    *out = (ht_approx_facts){.rows = v->count, .lists = v->centres ? v->centres->count : 0};
    if (v->centres)
        out->bytes =
            v->blocks * (v->block_bytes + HT_CODE_ROWS * (sizeof *v->slots + (v->norms ? sizeof *v->norms : 0))) +
            (uint64_t)v->centres->count * (sizeof *v->counts + sizeof *v->begins) + ht_centres_bytes(v->centres);
}

static uint64_t living(const ht_approx *approx, const ht_mask *live) {
    const ivf *v = ivf_in(approx);
    uint64_t sum = 0;
    for (uint32_t l = 0; v->centres && l < v->centres->count; l++)
        sum += count_living(v, l, live);
    return sum;
}

const ht_approx_kind ht_approx_ivf = {
    .number = HITHER_IVF,
    .name = "ivf",
    .effort = "nprobe",
    .pooled = false,
    .least = 2000,
    .visit = 1.2,
    .thins = false,
    .takes = takes,
    .complete = complete,
    .extended = ivf_extended,
    .repaired = ivf_repaired,
    .free = ivf_free,
    .scratch_new = ivf_scratch_new,
    .scratch_free = ivf_scratch_free,
    .find = ivf_find,
    .efforts = efforts,
    .describe = describe,
    .living = living,
    .check = ivf_check,
    .put = ivf_put,
    .get = ivf_get,
};
