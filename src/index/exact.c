/*
 * exact.c: exact search by estimate, bound and D. The rows are cut into units of 4,096 that threads take one at a
 * time; a unit is worked through in groups of 64 rows, one mask word each, against a block of up to 64 queries. Groups
 * that have codes are estimated from these (exact_codes.c), for the queries that can be. Each worker keeps the k best
 * by D of what it saw; the k-th best is the threshold of its rules (bound.h), in a search within a radius it is that.
 * What must stay true: a row is dropped only by such a rule, and a threshold only ever comes from D of live, allowed
 * rows.
 */
#include "index/exact_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/values.h"
#include "index/mask.h"

enum {
    FIRST_ROWS = 16,         /* of a group, at a time until there is a threshold */
    SPARSE_ROWS = 3,         /* of a group: no more than these are read in full at once, codes or not */
    HITS_A_WORKER = 1 << 18, /* room for the heaps of one worker: fewer queries at once when k is large */
    TOUCH_GROUPS = 16,       /* are checked at a time */
    MANY_BLOCKS = 4,         /* blocks of queries a thread from which threads take whole blocks */
    ALONE_BYTES = 32 << 20,  /* one query that reads no more than this runs on its caller */
    ALONE_SUMS = 1 << 20     /* so does a search of so few products that waking a thread costs more */
};

const ht_part *ht_vectors_part(const ht_vectors *vectors, uint64_t slot, size_t *part, size_t *row) {
    size_t low = 0, high = vectors->part_count;
    if (high == 0)
        return NULL;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (vectors->parts[middle].first_slot <= slot)
            low = middle;
        else
            high = middle;
    }
    const ht_part *found = &vectors->parts[low];
    if (slot < found->first_slot || slot - found->first_slot >= found->count)
        return NULL;
    *part = low;
    *row = (size_t)(slot - found->first_slot);
    return found;
}

static const void *query_at(const ht_search *s, size_t i) { return (const char *)s->queries + i * s->query_stride; }

void ht_exact_norms(const void *rows, size_t stride, size_t count, size_t dim, float *norms) {
    const ht_kernels *kernels = ht_kernels_get();
    for (size_t i = 0; i < count; i++) {
        const float *row = (const float *)(const void *)((const char *)rows + i * stride);
        double norm = sqrt(kernels->ref_dot_f32(row, row, dim)) * (1 + 0x1p-38);
        float rounded = (float)norm;
        norms[i] = (double)rounded < norm ? nextafterf(rounded, INFINITY) : rounded;
    }
}

/* ---- one worker, one block of queries */

static void root_norms(ht_worker *w, size_t at, size_t count) {
    for (size_t i = at; i < at + count; i++)
        w->norms[i] = sqrtf(w->norms[i]);
}

/* Some of the queries of a block. */
typedef struct span {
    size_t from, to;
} span;

/* Estimates for `count` rows as f32, which are at `at` in their group, and their norms where the rules need them. */
static void estimate_f32(ht_worker *w, span some, const ht_bound *bound, const ht_part *part, const void *rows,
                         size_t stride, size_t at, size_t count) {
    const ht_search *s = w->s;
    const ht_kernels *kernels = s->kernels;
    const float *query = w->state[some.from].query;
    float *out = w->estimates + some.from * HT_GROUP_ROWS + at;
    size_t queries = some.to - some.from;
    size_t dim = s->vectors->dim, query_stride = w->rounded ? dim * sizeof(float) : s->query_stride;
    if (bound->direct) {
        for (size_t j = some.from; j < some.to; j++, out += HT_GROUP_ROWS) {
            if (s->vectors->metric == HITHER_L1)
                kernels->l1_f32(w->state[j].query, rows, stride, count, dim, out);
            else
                kernels->l2_f32(w->state[j].query, rows, stride, count, dim, out);
        }
        if (bound->widened > 0 && !part->norms) {
            kernels->norm_f32(rows, stride, count, dim, w->norms + at);
            root_norms(w, at, count);
        }
        return;
    }
    if (queries == 1 && part->norms) {
        kernels->dot_f32(query, rows, stride, count, dim, out);
        return;
    }
    if (queries == 1) {
        kernels->dot_norm_f32(query, rows, stride, count, dim, out, w->norms + at);
    } else {
        if (!part->norms)
            kernels->norm_f32(rows, stride, count, dim, w->norms + at);
        kernels->dots_f32(query, query_stride, queries, rows, stride, count, dim, out, HT_GROUP_ROWS);
    }
    if (!part->norms)
        root_norms(w, at, count);
}

/* Whether rows of i8 are estimated from their bytes as they are. */
static bool by_bytes(const ht_worker *w, bool norms) { return w->bytes && norms && isfinite(w->byte_error); }

/* The same for rows [at, at + count) of the group that begins at row `first`. */
static void estimate(ht_worker *w, span some, const ht_bound *bound, const ht_part *part, size_t first, size_t at,
                     size_t count) {
    const ht_search *s = w->s;
    ht_layout layout = ht_layout_of(s->vectors, part);
    if (part->places && count > 1) {
        for (size_t i = at; i < at + count; i++)
            estimate(w, some, bound, part, first, i, 1);
        return;
    }
    w->stats.rows_full += count * (some.to - some.from);
    w->stats.rows_scanned += count * (some.to - some.from);
    if (layout.dtype == HITHER_B1) {
        for (size_t j = some.from; j < some.to; j++)
            s->kernels->hamming_b1(w->state[j].given, ht_row_at(part, first + at), part->stride, count, layout.dim,
                                   w->estimates + j * HT_GROUP_ROWS + at);
        return;
    }
    if (by_bytes(w, part->norms != NULL)) {
        for (size_t j = some.from; j < some.to; j++)
            s->kernels->dot_i8(&w->bytes[j], ht_row_at(part, first + at), part->stride, count, layout.dim, layout.bare,
                               w->estimates + j * HT_GROUP_ROWS + at);
        return;
    }
    bool halves = layout.dtype == HITHER_F16 || layout.dtype == HITHER_BF16;
    if (halves && some.to - some.from == 1 && !bound->direct && part->norms) {
        (layout.dtype == HITHER_F16 ? s->kernels->dot_f16 : s->kernels->dot_bf16)(
            w->state[some.from].query, ht_row_at(part, first + at), part->stride, count, layout.dim,
            w->estimates + some.from * HT_GROUP_ROWS + at);
        return;
    }
    if (!w->tile) {
        estimate_f32(w, some, bound, part, ht_row_at(part, first + at), part->stride, at, count);
        return;
    }
    for (size_t done = 0, n; done < count; done += n) {
        n = ht_min_size(w->tile_rows, count - done);
        ht_stored_widen(s->kernels, &layout, ht_row_at(part, first + at + done), part->stride, n, w->tile);
        estimate_f32(w, some, bound, part, w->tile, layout.dim * sizeof(float), at + done, n);
    }
}

hither_status ht_exact_read(ht_worker *w, size_t j, const ht_part *part, size_t row) {
    const ht_vectors *v = w->s->vectors;
    if (v->touch_codes && v->touch)
        HT_TRY(v->touch(v->touch_ctx, (size_t)(part - v->parts), row, row + 1, &w->error));
    estimate(w, (span){j, j + 1}, &w->band, part, row, 0, 1);
    w->stats.rows_scanned--; /* it was, by its code */
    return ht_exact_estimated(w, j, &w->band, part, row, w->estimates[j * HT_GROUP_ROWS], part->norms[row]);
}

/* Takes those estimates of rows [some.from, some.to) of a group into account that the rule keeps. */
static hither_status take_estimates(ht_worker *w, size_t j, const ht_bound *bound, const ht_part *part, size_t first,
                                    span some, uint64_t word) {
    const float *estimates = w->estimates + j * HT_GROUP_ROWS;
    const float *norms = bound->direct && bound->widened == 0 ? NULL : part->norms ? part->norms + first : w->norms;
    uint64_t kept = w->s->kernels->keep_f32(estimates + some.from, norms ? norms + some.from : NULL,
                                            some.to - some.from, &w->state[j].rule);
    for (kept &= word >> some.from; kept != 0; kept &= kept - 1) {
        size_t i = some.from + (size_t)__builtin_ctzll(kept);
        HT_TRY(ht_exact_estimated(w, j, bound, part, first + i, estimates[i], norms ? norms[i] : 0));
    }
    return HITHER_OK;
}

hither_status ht_exact_read_group(ht_worker *w, size_t j, const ht_part *part, size_t first, uint64_t word) {
    const ht_vectors *v = w->s->vectors;
    span all = {0, HT_GROUP_ROWS};
    if (v->touch_codes && v->touch)
        HT_TRY(v->touch(v->touch_ctx, (size_t)(part - v->parts), first, first + HT_GROUP_ROWS, &w->error));
    estimate(w, (span){j, j + 1}, &w->band, part, first, all.from, all.to);
    w->stats.rows_scanned -= HT_GROUP_ROWS; /* they were, by their codes */
    w->state[j].limit = NAN;                /* the rule is for codes */
    ht_exact_refresh_rule(w, &w->band, j);
    HT_TRY(take_estimates(w, j, &w->band, part, first, all, word));
    w->state[j].limit = NAN;
    return HITHER_OK;
}

/* word: the rows of this group that take part, at least one. */
static hither_status scan_group(ht_worker *w, span some, const ht_bound *bound, const ht_part *part, size_t first,
                                size_t count, uint64_t word) {
    if ((size_t)__builtin_popcountll(word) * 2 >= count) {
        estimate(w, some, bound, part, first, 0, count);
    } else {
        for (uint64_t left = word; left != 0;) {
            size_t at = (size_t)__builtin_ctzll(left);
            size_t run = (size_t)__builtin_ctzll(~(left >> at));
            estimate(w, some, bound, part, first, at, run);
            left &= ~((((uint64_t)1 << run) - 1) << at);
        }
    }
    for (size_t j = some.from; j < some.to; j++) {
        size_t some_rows = count;
        for (size_t at = 0; at < count; at += some_rows) {
            ht_exact_refresh_rule(w, bound, j);
            if (isinf(w->state[j].limit)) /* as long as anything is among the best so far, they are few at a time */
                some_rows = FIRST_ROWS;
            HT_TRY(take_estimates(w, j, bound, part, first, (span){at, ht_min_size(at + some_rows, count)}, word));
        }
    }
    return HITHER_OK;
}

/* ---- a unit of rows */

/* The rows of a unit that take part: those to be estimated from codes, and those in f32. */
typedef struct selection {
    uint64_t coded[HT_UNIT_GROUPS], plain[HT_UNIT_GROUPS];
    bool any_coded, any_plain;
} selection;

static selection select_rows(ht_worker *w, const ht_part *part, size_t begin, size_t end) {
    const ht_search *s = w->s;
    selection chosen = {.any_coded = false};
    bool codes = part->codes && part->norms && ht_exact_by_codes(w);
    for (size_t first = begin, g = 0; first < end; first += HT_GROUP_ROWS, g++) {
        size_t count = ht_min_size(HT_GROUP_ROWS, end - first);
        uint64_t word = ht_mask_rows(s->live, s->allow, part, first, count);
        if (codes && first + HT_GROUP_ROWS <= part->coded_rows && __builtin_popcountll(word) > SPARSE_ROWS) {
            chosen.coded[g] = word;
            chosen.any_coded = true;
        } else {
            chosen.plain[g] = word;
            chosen.any_plain |= word != 0;
        }
    }
    return chosen;
}

/* Has the unit checked before anything of it is read; with touch_codes, rows scored from codes are checked one by one
 * when they are scored. */
static hither_status touch_unit(ht_worker *w, size_t p, size_t begin, size_t end, const selection *chosen) {
    const ht_vectors *v = w->s->vectors;
    for (size_t g = 0, first = begin; first < end; g += TOUCH_GROUPS, first += TOUCH_GROUPS * HT_GROUP_ROWS) {
        size_t to = ht_min_size(first + TOUCH_GROUPS * HT_GROUP_ROWS, end);
        uint64_t coded = 0, plain = 0;
        for (size_t i = g; i < g + TOUCH_GROUPS; i++) {
            coded |= chosen->coded[i];
            plain |= chosen->plain[i];
        }
        if (v->touch_codes && coded)
            HT_TRY(v->touch_codes(v->touch_ctx, p, first, ht_min_size(to, v->parts[p].coded_rows), &w->error));
        if (v->touch && (plain || (coded && (!v->touch_codes || w->coded < w->queries))))
            HT_TRY(v->touch(v->touch_ctx, p, first, to, &w->error));
    }
    return HITHER_OK;
}

static ht_bound bound_of(const ht_worker *w, const ht_layout *layout, size_t queries, bool norms) {
    bool rounds = ht_stored_rounds(layout);
    if (by_bytes(w, norms)) /* an estimate within error * |q| * |x|, as one from codes is */
        return ht_bound_make_codes(w->s->vectors->metric, (uint32_t)layout->dim, w->byte_error);
    ht_bound bound =
        ht_bound_make(w->s->vectors->metric, queries > 1 || rounds, norms, w->s->kernels, (uint32_t)layout->dim);
    if (rounds)
        ht_bound_widen(&bound, (uint32_t)layout->dim);
    return bound;
}

static hither_status scan_groups(ht_worker *w, span some, const ht_part *part, size_t begin, size_t end,
                                 const uint64_t *words) {
    const ht_vectors *v = w->s->vectors;
    ht_layout layout = ht_layout_of(v, part);
    ht_bound bound = bound_of(w, &layout, some.to - some.from, part->norms != NULL);
    for (size_t j = some.from; j < some.to; j++)
        w->state[j].limit = NAN; /* rules are a part's own, as norms may be */
    bool alone = some.to - some.from == 1 && layout.dtype == HITHER_F32 && part->norms && !bound.direct;
    uint64_t sparse[HT_UNIT_GROUPS] = {0}, any = 0;
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++) {
        size_t first = begin + g * HT_GROUP_ROWS;
        if (words[g] == 0)
            continue;
        size_t count = ht_min_size(HT_GROUP_ROWS, end - first);
        if (alone && ht_exact_is_sparse(words[g], count))
            any |= sparse[g] = words[g];
        else
            HT_TRY(scan_group(w, some, &bound, part, first, count, words[g]));
    }
    return any ? ht_exact_scan_sparse(w, some.from, &bound, part, begin, sparse) : HITHER_OK;
}

/* For a large k: reads the first groups in full that could be read by codes, and has them say whether the others are.
 */
static hither_status foresee(ht_worker *w, size_t p, size_t begin, size_t end, selection *chosen) {
    const ht_part *part = &w->s->vectors->parts[p];
    selection sample = {.any_coded = true};
    for (size_t g = 0, left = ht_exact_sample_groups(w->s); g < HT_UNIT_GROUPS && left > 0; g++) {
        if (chosen->coded[g] == 0)
            continue;
        sample.coded[g] = sample.plain[g] = chosen->coded[g];
        chosen->coded[g] = 0;
        left--;
    }
    HT_TRY(touch_unit(w, p, begin, end, &sample));
    HT_TRY(scan_groups(w, (span){0, w->queries}, part, begin, end, sample.plain));
    ht_exact_foresee(w, part, begin, sample.coded);
    chosen->any_coded = false;
    for (size_t g = 0; g < HT_UNIT_GROUPS; g++) {
        if (w->in_full != 0) {
            chosen->plain[g] |= chosen->coded[g];
            chosen->coded[g] = 0;
        }
        chosen->any_coded |= chosen->coded[g] != 0;
        chosen->any_plain |= chosen->plain[g] != 0;
    }
    return HITHER_OK;
}

static hither_status scan_unit(ht_worker *w, size_t unit) {
    const ht_search *s = w->s;
    const ht_vectors *v = s->vectors;
    size_t p = 0;
    while (unit >= s->first_unit[p + 1])
        p++;
    const ht_part *part = &v->parts[p];
    size_t begin = (unit - s->first_unit[p]) * HT_UNIT_ROWS;
    size_t end = ht_min_size(begin + HT_UNIT_ROWS, part->count);
    selection chosen = select_rows(w, part, begin, end);
    if (chosen.any_coded && s->puts_off && !w->judged)
        HT_TRY(foresee(w, p, begin, end, &chosen));
    HT_TRY(touch_unit(w, p, begin, end, &chosen));
    if (chosen.any_coded) {
        uint64_t before = w->stats.rows_full;
        HT_TRY(ht_exact_scan_codes(w, part, begin, chosen.coded));
        ht_exact_judge(w, chosen.coded, w->stats.rows_full - before);
        for (size_t j = 0; j < w->queries; j++) /* the others read these rows in full, one by one */
            if (!w->state[j].coded)
                HT_TRY(scan_groups(w, (span){j, j + 1}, part, begin, end, chosen.coded));
    }
    return chosen.any_plain ? scan_groups(w, (span){0, w->queries}, part, begin, end, chosen.plain) : HITHER_OK;
}

/* ---- a block of queries, alone or shared */

static void read_query(ht_worker *w, ht_query_state *state, size_t j) {
    const ht_search *s = w->s;
    size_t dim = s->vectors->dim;
    state->wild = false;
    if (s->vectors->dtype == HITHER_B1)
        return;
    if (s->vectors->dtype != HITHER_F64) {
        state->query = state->given;
        state->qq = s->kernels->ref_dot_f32(state->query, state->query, dim);
        return;
    }
    float *rounded = w->rounded + j * dim;
    s->kernels->widen_f64(state->given, 0, 1, dim, rounded);
    state->query = rounded;
    state->qq = s->kernels->ref_dot_f64(state->given, state->given, dim);
    state->wild = !(state->qq >= 0x1p-120 && state->qq <= 0x1p+120);
}

static void begin_block(ht_worker *w, size_t block, ht_hit *room) {
    const ht_search *s = w->s;
    size_t first = block * s->block_queries;
    w->queries = ht_min_size(s->block_queries, s->query_count - first);
    w->coded = w->put_off_count = 0;
    w->in_full = w->in_full_next = 0;
    w->judged = w->chosen = false;
    ht_layout layout = ht_layout_of(s->vectors, NULL);
    w->byte_error = 0;
    w->band = bound_of(w, &layout, 1, true);
    for (size_t j = 0; j < w->queries; j++) {
        ht_query_state *state = &w->state[j];
        state->given = query_at(s, first + j);
        state->waiting = 0;
        read_query(w, state, j);
        state->length = ht_bound_length(state->qq);
        if (!s->within) {
            ht_topk_init(&state->top, room + j * s->k, s->k);
            ht_topk_init(&state->ceilings, w->ceilings + j * s->k, s->k);
        }
        state->finalists = w->finalists ? w->finalists + j * w->finalist_room : NULL;
        state->finalist_count = 0;
        double error = INFINITY;
        if (w->bytes && !ht_byte_query_make(state->query, layout.dim, state->qq,
                                            w->byte_room + j * ht_byte_query_room(layout.dim), &w->bytes[j], &error))
            error = INFINITY;
        w->byte_error = w->bytes && error < w->byte_error ? w->byte_error : error;
        state->coded = false;
        if (w->code_room)
            ht_exact_prepare_codes(w, j);
    }
}

static ht_hit *hits_of_block(const ht_search *s, size_t block) { return s->hits + block * s->block_queries * s->k; }

static int by_distance(const void *a, const void *b) {
    const ht_hit *x = a, *y = b;
    return ht_hit_before(*x, *y) ? -1 : ht_hit_before(*y, *x);
}

static void finish_block(ht_worker *w, size_t block) {
    ht_search *s = w->s;
    for (size_t j = 0; j < w->queries; j++) {
        size_t query = block * s->block_queries + j;
        if (s->within) {
            ht_found *found = &w->state[j].found;
            if (found->count > 0)
                qsort(found->hits, found->count, sizeof *found->hits, by_distance);
            s->found[query] = *found;
            *found = (ht_found){0};
            continue;
        }
        ht_topk_sort(&w->state[j].top);
        s->counts[query] = w->state[j].top.count;
    }
}

static hither_status settle(ht_worker *w) {
    HT_TRY(ht_exact_settle(w));
    for (size_t j = 0; j < w->queries; j++)
        HT_TRY(ht_exact_score_finalists(w, j));
    return HITHER_OK;
}

static void worker_fail(ht_worker *w, hither_status status) {
    w->status = status;
    atomic_store_explicit(&w->s->failed, 1, memory_order_relaxed);
}

/* The work of one thread: units of the shared block, or whole blocks. */
static void work(void *ctx, size_t item) {
    ht_search *s = ctx;
    ht_worker *w = &s->workers[item];
    ht_fp_state fp = ht_fp_enter();
    size_t todo = s->by_blocks ? s->blocks : s->units;
    size_t taken;
    if (!s->by_blocks)
        begin_block(w, s->block, item == 0 ? hits_of_block(s, s->block) : w->room);
    while (!atomic_load_explicit(&s->failed, memory_order_relaxed) &&
           (taken = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < todo) {
        w->took_part = true;
        hither_status status = HITHER_OK;
        if (s->by_blocks) {
            begin_block(w, taken, hits_of_block(s, taken));
            for (size_t unit = 0; unit < s->units && status == HITHER_OK; unit++)
                status = scan_unit(w, unit);
            if (status == HITHER_OK)
                status = settle(w);
            finish_block(w, taken);
        } else {
            status = scan_unit(w, taken);
        }
        if (status != HITHER_OK)
            worker_fail(w, status);
    }
    if (!s->by_blocks && w->status == HITHER_OK) {
        hither_status status = settle(w);
        if (status != HITHER_OK)
            worker_fail(w, status);
    }
    ht_fp_leave(fp);
}

/* What worker i found for the shared block goes to the first worker. */
static hither_status gather(ht_search *s, unsigned i) {
    ht_worker *first = &s->workers[0];
    for (size_t j = 0; j < first->queries; j++) {
        ht_query_state *from = &s->workers[i].state[j], *to = &first->state[j];
        for (size_t h = 0; h < from->found.count; h++)
            HT_TRY(ht_found_add(&to->found, from->found.hits[h], &first->error));
        from->found.count = 0;
        for (size_t h = 0; !s->within && h < from->top.count; h++)
            ht_topk_push(&to->top, from->top.hits[h]);
    }
    return HITHER_OK;
}

static void share_blocks(ht_search *s) {
    for (s->block = 0; s->block < s->blocks && !atomic_load(&s->failed); s->block++) {
        atomic_store(&s->next, 0);
        for (size_t j = 0; j < HT_BLOCK_QUERIES; j++)
            atomic_store_explicit(&s->limits[j], (double)INFINITY, memory_order_relaxed);
        ht_parallel(s->threads, s->threads, work, s);
        ht_worker *first = &s->workers[0];
        for (unsigned i = 1; i < s->threads && !atomic_load(&s->failed); i++) {
            hither_status status = gather(s, i);
            if (status != HITHER_OK)
                worker_fail(first, status);
        }
        if (!atomic_load(&s->failed))
            finish_block(first, s->block);
    }
}

/* ---- setting up */

static hither_status check(const ht_vectors *v, hither_error *err) {
    bool bits = v->dtype == HITHER_B1;
    if (v->dtype < HITHER_F32 || v->dtype > HITHER_B1)
        return ht_fail(err, HITHER_UNSUPPORTED, "exact search: rows of dtype %d", (int)v->dtype);
    if (v->metric < HITHER_COSINE || v->metric > HITHER_HAMMING || bits != (v->metric == HITHER_HAMMING))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s has no meaning for %s rows; hamming is for b1, and only it",
                       ht_metric_name(v->metric), ht_dtype_name(v->dtype));
    if (!(v->recall >= 0 && v->recall <= 1))
        return ht_fail(err, HITHER_INVALID, "a recall of %g; from 0 to 1 is possible", v->recall);
    return HITHER_OK;
}

static void plan(ht_search *s, unsigned threads) {
    unsigned most = ht_pool_threads();
    s->threads = threads == 0 || threads > most ? most : threads;
    double sums = (double)s->rows * s->vectors->dim * (double)s->query_count;
    if (sums <= ALONE_SUMS || (s->query_count == 1 && s->bytes <= ALONE_BYTES))
        s->threads = 1;
    s->block_queries = ht_min_size(HT_BLOCK_QUERIES, s->query_count);
    if (s->k > 0)
        s->block_queries = ht_min_size(s->block_queries, HITS_A_WORKER / s->k + 1);
    s->puts_off = s->coded && !s->within && s->k >= HT_PUT_OFF_K;
    if (s->puts_off)
        s->block_queries = ht_min_size(s->block_queries, HT_PUT_OFF_QUERIES);
    if (s->query_count == 1 && s->threads > s->units)
        s->threads = s->units > 0 ? (unsigned)s->units : 1;
    s->by_blocks = s->threads == 1 || (s->units < 2 * (size_t)s->threads && s->query_count > 1) ||
                   s->query_count / s->block_queries >= MANY_BLOCKS * (size_t)s->threads;
    if (s->by_blocks && s->threads > 1)
        s->block_queries = ht_min_size(s->block_queries, (s->query_count - 1) / (2 * (size_t)s->threads) + 1);
    s->blocks = (s->query_count - 1) / s->block_queries + 1;
    if (s->by_blocks && s->threads > s->blocks)
        s->threads = (unsigned)s->blocks;
}

static void add_stats(const ht_search *s, ht_exact_stats *stats) {
    const ht_vectors *v = s->vectors;
    size_t half = s->coded ? ht_codes_bytes(HT_CODE_ROWS, v->dim) / HT_CODE_ROWS / 2 : 0;
    uint32_t threads = 0;
    bool by_codes = false;
    for (unsigned i = 0; i < s->threads; i++) {
        const ht_worker *w = &s->workers[i];
        const ht_exact_stats *did = &w->stats;
        stats->rows_scanned += did->rows_scanned;
        stats->rows_coarse += did->rows_coarse;
        stats->rows_coarse_kept += did->rows_coarse_kept;
        stats->rows_fine += did->rows_fine;
        stats->rows_fine_kept += did->rows_fine_kept;
        stats->rows_full += did->rows_full;
        stats->rows_full_kept += did->rows_full_kept;
        stats->rows_rescored += did->rows_rescored;
        stats->bytes_read += (did->rows_coarse + did->rows_fine + w->whole) * half +
                             (did->rows_full + did->rows_rescored) * s->row_bytes;
        by_codes |= did->rows_coarse + did->rows_fine > 0;
        threads += w->took_part;
    }
    stats->threads = threads > stats->threads ? threads : stats->threads;
    stats->plan = by_codes ? "codes" : "full";
    stats->bound = !by_codes ? "rounding" : s->standard_errors > 0 ? "standard error" : "residual";
}

/* Does the planned search. Its answers are in the scratch, or in s->found. */
static hither_status run(ht_search *s, ht_exact_scratch *scratch, ht_exact_stats *stats, hither_error *err) {
    HT_TRY(ht_exact_lay_out(s, scratch, err));
    if (s->by_blocks)
        ht_parallel(s->threads, s->threads, work, s);
    else
        share_blocks(s);
    hither_status status = HITHER_OK;
    for (unsigned i = 0; i < s->threads; i++) {
        const ht_worker *w = &s->workers[i];
        if (w->status != HITHER_OK && status == HITHER_OK) {
            status = w->status;
            if (err)
                *err = w->error;
        }
        for (size_t j = 0; s->within && j < s->block_queries; j++)
            ht_release(w->state[j].found.hits);
    }
    if (stats && status == HITHER_OK)
        add_stats(s, stats);
    return status;
}

static ht_search search_of(const ht_vectors *vectors, const void *queries, size_t query_stride, size_t query_count,
                           const ht_mask *live, const ht_mask *allow) {
    ht_search s = {.vectors = vectors,
                   .queries = queries,
                   .query_stride = query_stride,
                   .query_count = query_count,
                   .live = live,
                   .allow = allow,
                   .kernels = ht_kernels_get(),
                   .row_bytes = ht_row_bytes(vectors->dtype, vectors->dim, false),
                   .standard_errors = ht_bound_standard_errors(vectors->recall)};
    ht_exact_count(&s);
    return s;
}

/* For many queries and a large k: whether codes help, by what the first unit says of some of them. In full, more
 * queries share a block than by codes. */
static hither_status try_codes(ht_search *s, ht_exact_scratch *scratch, hither_error *err) {
    ht_search trial = *s;
    trial.query_count = HT_PUT_OFF_QUERIES;
    trial.units = 1;
    plan(&trial, 1);
    HT_TRY(run(&trial, scratch, NULL, err));
    s->coded = trial.workers->in_full == 0;
    return HITHER_OK;
}

hither_status ht_exact_search_in(ht_exact_scratch *scratch, const ht_vectors *vectors, const void *queries,
                                 size_t query_stride, size_t query_count, const ht_mask *live, const ht_mask *allow,
                                 size_t k, unsigned threads, ht_hit *hits, size_t *counts, ht_exact_stats *stats,
                                 hither_error *err) {
    HT_TRY(check(vectors, err));
    if (query_count == 0)
        return HITHER_OK;
    ht_search s = search_of(vectors, queries, query_stride, query_count, live, allow);
    s.k = ht_min_size(k, s.rows);
    if (s.coded && s.k >= HT_PUT_OFF_K && query_count > HT_PUT_OFF_QUERIES)
        HT_TRY(try_codes(&s, scratch, err));
    plan(&s, threads);
    HT_TRY(run(&s, scratch, stats, err));
    for (size_t j = 0; j < query_count; j++) {
        counts[j] = s.counts[j];
        if (s.counts[j] > 0)
            memcpy(hits + j * k, s.hits + j * s.k, s.counts[j] * sizeof *hits);
    }
    return HITHER_OK;
}

hither_status ht_exact_search(const ht_vectors *vectors, const void *queries, size_t query_stride, size_t query_count,
                              const ht_mask *live, const ht_mask *allow, size_t k, unsigned threads, ht_hit *hits,
                              size_t *counts, ht_exact_stats *stats, hither_error *err) {
    ht_exact_scratch scratch = {0};
    hither_status status = ht_exact_search_in(&scratch, vectors, queries, query_stride, query_count, live, allow, k,
                                              threads, hits, counts, stats, err);
    ht_exact_scratch_clear(&scratch);
    return status;
}

hither_status ht_exact_within(ht_exact_scratch *scratch, const ht_vectors *vectors, const void *queries,
                              size_t query_stride, size_t query_count, const ht_mask *live, const ht_mask *allow,
                              float radius, unsigned threads, ht_found *found, ht_exact_stats *stats,
                              hither_error *err) {
    ht_exact_scratch own = {0};
    HT_TRY(check(vectors, err));
    if (isnan(radius))
        return ht_fail(err, HITHER_INVALID, "the radius is not a number");
    if (query_count == 0)
        return HITHER_OK;
    ht_search s = search_of(vectors, queries, query_stride, query_count, live, allow);
    s.within = true;
    s.radius = radius;
    s.radius_limit = (double)nextafterf(radius, INFINITY); /* a D above it rounds to more than the radius */
    s.found = ht_calloc(query_count, sizeof *s.found);
    if (!s.found)
        return ht_fail_nomem(err, query_count * sizeof *s.found, "queries");
    plan(&s, threads);
    hither_status status = run(&s, scratch ? scratch : &own, stats, err);
    for (size_t j = 0; status != HITHER_OK && j < query_count; j++)
        ht_release(s.found[j].hits);
    if (status == HITHER_OK)
        memcpy(found, s.found, query_count * sizeof *found);
    ht_release(s.found);
    ht_exact_scratch_clear(&own);
    return status;
}
