/*
 * near_search.c: searching a snapshot by what near.h describes: what a walk finds among the rows it covers, and the
 * exact answer of the rows that came later, merged. Any thread, with a scratch of its own.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "engine/near.h"
#include "engine/parts.h"
#include "index/codes.h"
#include "kernels/kernels.h"

/* What things cost, about, in nanoseconds: of a row in a scan of all rows (by codes), and of a row in a scan of few.
 * Measured at 384 dimensions; the ratios are what matters. */
#define SCAN_NS 6.0
#define PICK_NS 60.0
#define MOST_K  1000 /* more is found exactly */

#define DEFAULT_RECALL   0.95
#define OWN_ROWS_FLATTER 3

#define NOTE_EACH    8u  /* query, once there are enough */
#define MEASURE_WITH 32u /* queries, and again after MEASURE_EACH of those noted */
#define MEASURE_EACH 4096u

static double scan_cost(uint64_t rows, bool restricted, uint64_t all) {
    double every = (double)all * SCAN_NS, some = (double)rows * PICK_NS;
    return restricted && some < every ? some : every;
}

size_t ht_near_effort(const ht_snapshot *s, const ht_search *search, size_t k, uint64_t rows, bool restricted) {
    const ht_near *near = s->near;
    if (!near || k == 0 || k > MOST_K || s->live_count == 0)
        return 0;
    const ht_approx_kind *kind = near->approx->kind;
    const uint32_t named = kind->number == HITHER_IVF ? search->probes : search->effort;
    double recall = search->recall > 0 ? search->recall : near->picked && !named ? 1 : DEFAULT_RECALL;
    if (near->curve.asked < MEASURE_WITH) /* rows are easier to find than what people ask for */
        recall = 1 - (1 - recall) / OWN_ROWS_FLATTER;
    if (recall >= 1)
        return 0;
    size_t effort = named ? named : ht_approx_effort(&near->curve, recall, k);
    if (effort == 0)
        return 0;
    double share = restricted ? (double)rows / (double)s->live_count : 1;
    double walk = ht_approx_visits(&near->curve, effort) * kind->visit * SCAN_NS / (share > 0.1 ? share : 0.1);
    uint64_t later = s->slot_limit - near->limit;
    double cost = named ? 0 : walk + (double)later * SCAN_NS; /* who names an effort has decided */
    return share > 0.1 && cost < scan_cost(rows, restricted, s->live_count) ? effort : 0;
}

void ht_near_note(ht_collection *c, const float *query, uint32_t dim) {
    ht_asked *a = &c->asked;
    uint32_t seen = atomic_fetch_add_explicit(&a->seen, 1, memory_order_relaxed);
    if ((seen >= HT_ASKED && seen % NOTE_EACH) || pthread_mutex_trylock(&a->lock) != 0)
        return;
    bool due = false, ours = dim == c->dim; /* or else it was asked of rows by another embedder */
    if (!a->rows && ours)
        a->rows = ht_alloc((size_t)HT_ASKED * dim * sizeof *a->rows);
    if (a->rows && ours) {
        memcpy(a->rows + (size_t)a->next * dim, query, dim * sizeof *query);
        a->next = (a->next + 1) % HT_ASKED;
        const bool full = a->count == HT_ASKED;
        a->count += !full;
        due = full ? seen % MEASURE_EACH == 0 : a->count == MEASURE_WITH || a->count == HT_ASKED;
    }
    pthread_mutex_unlock(&a->lock);
    if (due) {
        atomic_store_explicit(&a->due, true, memory_order_release);
        ht_upkeep_wake(c->db);
    }
}

/* ---- rows that came later */

/* Leaves in the scratch's parts only rows from `begin` on, a multiple of 64. Codes kept on disk do not begin anywhere
 * else than at their first row. */
static void trim_parts(ht_scratch *scratch, uint64_t begin, uint32_t dim) {
    size_t left = 0;
    for (size_t i = 0; i < scratch->part_count; i++) {
        ht_part part = scratch->parts[i];
        if (part.first_slot + part.count <= begin)
            continue;
        size_t skip = begin > part.first_slot ? (size_t)(begin - part.first_slot) : 0;
        bool codes = part.codes && part.coded_rows > skip && !(skip && ht_parts_kept(scratch, i));
        part.rows = (const char *)part.rows + skip * part.stride;
        part.norms += skip;
        part.codes = codes ? (const char *)part.codes + ht_codes_bytes(skip, dim) : NULL;
        part.coded_rows = codes ? part.coded_rows - skip : 0;
        part.first_slot += skip;
        part.count -= skip;
        ht_parts_move(scratch, i, left, skip);
        scratch->parts[left++] = part;
    }
    scratch->part_count = left;
}

/* Two answers by (D, slot) as one of at most k; a row may be in both. */
static size_t merge(const ht_hit *a, size_t a_count, const ht_hit *b, size_t b_count, size_t k, ht_hit *out) {
    size_t count = 0;
    while (count < k && (a_count || b_count)) {
        bool from_a = a_count && (!b_count || !ht_hit_before(*b, *a));
        if (from_a && b_count && a->slot == b->slot) {
            b++;
            b_count--;
        }
        out[count++] = from_a ? *a : *b;
        if (from_a) {
            a++;
            a_count--;
        } else {
            b++;
            b_count--;
        }
    }
    return count;
}

typedef struct one {
    const ht_snapshot *s;
    ht_scratch *scratch;
    hither_metric metric;
    const float *query;
    const ht_mask *allow;
    uint64_t rows;
    size_t k, effort;
    ht_near_stats *stats;
    ht_exact_stats *exact;
} one;

static hither_status search_later(const one *o, ht_vectors *vectors, const ht_mask *live, ht_hit *hits, size_t *count,
                                  hither_error *err) {
    uint64_t begin = o->s->near->limit / 64 * 64;
    *count = 0;
    if (begin >= o->s->slot_limit)
        return HITHER_OK;
    trim_parts(o->scratch, begin, vectors->dim);
    vectors->part_count = o->scratch->part_count;
    return ht_exact_search_in(&o->scratch->exact, vectors, o->query, 0, 1, live, o->allow, o->k, 1, hits, count,
                              o->exact, err);
}

static hither_status search_exactly(const one *o, ht_hit *hits, size_t *count, hither_error *err) {
    hither_matrix query = {o->query, 1, ((const ht_extent *)o->s->extents[0])->dim, 0, HITHER_F32};
    o->stats->exact++;
    return ht_parts_search(o->s, o->scratch, 0, o->metric, &query, o->allow, o->k, 1, hits, count, o->exact, err);
}

/* The scratch has room for 3 * k hits behind each other: found, later, merged. */
static hither_status search_one(const one *o, ht_hit *room, ht_hit *out, size_t *count, hither_error *err) {
    const ht_near *near = o->s->near;
    const ht_approx_kind *kind = near->approx->kind;
    ht_vectors vectors;
    ht_mask live = ht_snapshot_mask(o->s);
    size_t found = 0, later = 0;
    uint32_t dim = o->s->extents[0]->dim;
    HT_TRY(ht_parts_make(o->s, o->scratch, dim, o->metric, 0, &vectors, err));
    if (o->scratch->walk && o->scratch->walk_free != kind->scratch_free) { /* another kind's, of a search before */
        o->scratch->walk_free(o->scratch->walk);
        o->scratch->walk = NULL;
    }
    if (!o->scratch->walk) {
        o->scratch->walk = kind->scratch_new();
        o->scratch->walk_free = kind->scratch_free;
    }
    if (!o->scratch->walk)
        return ht_fail_nomem(err, 0, "a walk");
    const ht_approx_search what = {.k = o->k,
                                   .effort = o->effort,
                                   .live = o->s->near_live == near->rows ? NULL : &live,
                                   .allow = o->allow,
                                   .share = (double)o->rows / (double)o->s->live_count};
    HT_TRY(kind->find(near->approx, o->scratch->walk, &vectors, o->query, &what, room, &found, &o->stats->walk, err));
    HT_TRY(search_later(o, &vectors, &live, room + o->k, &later, err));
    *count = merge(room, found, room + o->k, later, o->k, out);
    size_t wanted = o->rows < o->k ? (size_t)o->rows : o->k;
    return *count < wanted ? search_exactly(o, out, count, err) : HITHER_OK;
}

/* ---- all queries */

typedef struct many {
    one first; /* what all have in common */
    ht_scratch_pool *pool;
    const hither_matrix *queries;
    ht_hit *hits;
    size_t *counts;
    ht_near_stats *stats;
    ht_exact_stats *exact;
    pthread_mutex_t lock; /* of the two, and of status */
    hither_status status;
    hither_error *err;
} many;

static void add_stats(many *m, const ht_near_stats *near, const ht_exact_stats *exact) {
    m->stats->walk.visited += near->walk.visited;
    m->stats->walk.steps += near->walk.steps;
    m->stats->walk.rescored += near->walk.rescored;
    m->stats->exact += near->exact;
    m->exact->rows_scanned += exact->rows_scanned;
    m->exact->rows_rescored += exact->rows_rescored;
    m->exact->bytes_read += exact->bytes_read;
}

static hither_status query_at(const many *m, size_t i, ht_scratch *scratch, ht_near_stats *near, ht_exact_stats *exact,
                              hither_error *err) {
    one o = m->first;
    o.scratch = scratch;
    o.query = (const float *)(const void *)((const char *)m->queries->data + i * m->queries->stride);
    o.stats = near;
    o.exact = exact;
    HT_TRY(ht_scratch_walk(scratch, 2 * o.k, err));
    return search_one(&o, scratch->walk_hits, m->hits + i * o.k, &m->counts[i], err);
}

static void search_item(void *ctx, size_t i) {
    many *m = ctx;
    ht_near_stats near = {0};
    ht_exact_stats exact = {0};
    hither_error problem;
    ht_scratch *scratch = NULL;
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_scratch_take(m->pool, &scratch, &problem);
    if (status == HITHER_OK)
        status = query_at(m, i, scratch, &near, &exact, &problem);
    ht_scratch_give(scratch);
    ht_fp_leave(fp);
    pthread_mutex_lock(&m->lock);
    add_stats(m, &near, &exact);
    if (status != HITHER_OK && m->status == HITHER_OK) {
        m->status = status;
        if (m->err)
            *m->err = problem;
    }
    pthread_mutex_unlock(&m->lock);
}

hither_status ht_near_search(const ht_snapshot *s, ht_scratch_pool *pool, ht_scratch *scratch, hither_metric metric,
                             const hither_matrix *queries, const ht_mask *allow, uint64_t rows, size_t k, size_t effort,
                             unsigned threads, ht_hit *hits, size_t *counts, ht_near_stats *stats,
                             ht_exact_stats *exact, hither_error *err) {
    many m = {.first = {.s = s, .metric = metric, .allow = allow, .rows = rows, .k = k, .effort = effort},
              .pool = pool,
              .queries = queries,
              .hits = hits,
              .counts = counts,
              .stats = stats,
              .exact = exact,
              .err = err};
    stats->effort = effort;
    if (queries->rows == 1 || threads == 1) {
        hither_status status = HITHER_OK;
        ht_fp_state fp = ht_fp_enter();
        for (size_t i = 0; i < queries->rows && status == HITHER_OK; i++)
            status = query_at(&m, i, scratch, stats, exact, err);
        ht_fp_leave(fp);
        return status;
    }
    (void)pthread_mutex_init(&m.lock, NULL);
    ht_parallel(threads, queries->rows, search_item, &m);
    (void)pthread_mutex_destroy(&m.lock);
    return m.status;
}
