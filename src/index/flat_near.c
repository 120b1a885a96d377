/*
 * flat_near.c: searching an index by what approx.h has, and keeping that up to date.
 *
 * A walk covers the rows there were when it was built; those that came since are searched exactly beside it, and both
 * answers are merged by (D, slot). Rows that were removed are passed over. Where that finds fewer than there are, the
 * query is searched exactly.
 *
 * A build works on a copy of what it must know (which rows there are, which live), without the lock: rows never move,
 * and what it makes replaces the old in one moment under the lock.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "index/codes.h"
#include "index/flat_inside.h"

enum {
    TAIL_PARTS = 64,
    QUERIES_AT_ONCE = 8, /* of one thread */
    LEAST_WAITING = 1024,
    WAITING_SHARE = 64,   /* a build is due once one row in so many waits, */
    STRAY_SHARE = 8,      /* or one in so many is gone */
    REMEMBER_ONE_IN = 8,  /* queries */
    CHANGED_SHARE = 8,    /* recall is measured again once so large a part of the rows changed */
    FEWEST_MATCHES = 500, /* fewer are searched exactly */
    PICK_COSTS = 28,      /* a row that is picked out, in rows an exact search scans */
    THIN_COSTS = 6        /* a walk that sees through most nodes, times one that does not */
};
#define THIN       0.4  /* shares of rows that match: below it walks see through nodes, */
#define EXACT_THIN 0.04 /* and below it they find too little */

/* ---- walkers */

static void free_walker(flat_walker *w) {
    if (!w)
        return;
    w->kind->scratch_free(w->scratch);
    ht_exact_scratch_clear(&w->exact);
    ht_release(w->hits);
    ht_release(w);
}

static flat_walker *new_walker(const ht_approx_kind *kind) {
    flat_walker *w = ht_calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->kind = kind;
    w->scratch = kind->scratch_new();
    if (w->scratch)
        return w;
    ht_release(w);
    return NULL;
}

/* With room for k hits of rows beside the walk and k merged ones; NULL without memory. */
static flat_walker *take_walker(ht_flat *flat, size_t k) {
    flat_walker *w = NULL;
    for (size_t i = 0; i < FLAT_WALKERS && !w; i++)
        w = atomic_exchange(&flat->walkers[i], NULL);
    if (!w)
        w = new_walker(flat->kind);
    if (w && w->room < 2 * k) {
        ht_release(w->hits);
        w->hits = ht_alloc(2 * k * sizeof *w->hits);
        w->room = w->hits ? 2 * k : 0;
    }
    if (w && !w->hits) {
        free_walker(w);
        return NULL;
    }
    return w;
}

static void give_walker(ht_flat *flat, flat_walker *w) {
    for (size_t i = 0; i < FLAT_WALKERS; i++) {
        flat_walker *none = NULL;
        if (atomic_compare_exchange_strong(&flat->walkers[i], &none, w))
            return;
    }
    free_walker(w);
}

/* ---- beginning and ending */

hither_status ht_flat_near_init(ht_flat *flat, hither_error *err) {
    ht_approx_spec *spec = &flat->spec.approx;
    pthread_mutex_init(&flat->building, NULL);
    pthread_mutex_init(&flat->queries.lock, NULL);
    spec->kind = spec->kind ? spec->kind : HITHER_EXACT;
    spec->dtype = flat->spec.dtype;
    spec->metric = flat->spec.metric;
    spec->dim = flat->spec.dim;
    const ht_approx_kind *kind = ht_approx_kind_of(spec->kind);
    if (!kind || !kind->takes(spec->dtype, spec->metric))
        return HITHER_OK;
    HT_TRY(kind->complete(spec, err));
    flat->kind = kind;
    return HITHER_OK;
}

void ht_flat_near_clear(ht_flat *flat) {
    for (size_t i = 0; i < FLAT_WALKERS; i++)
        free_walker(atomic_load(&flat->walkers[i]));
    if (flat->approx)
        flat->kind->free(flat->approx);
    ht_release(flat->queries.rows);
    pthread_mutex_destroy(&flat->queries.lock);
    pthread_mutex_destroy(&flat->building);
}

/* ---- queries to measure with */

static size_t query_bytes(const ht_flat *flat) {
    return flat->spec.dim * (flat->spec.dtype == HITHER_F64 ? sizeof(double) : sizeof(float));
}

/* Now and then; never waits, and is never missed where it cannot. */
static void remember(ht_flat *flat, const void *query) {
    flat_queries *q = &flat->queries;
    const size_t bytes = query_bytes(flat);
    if (atomic_fetch_add_explicit(&q->turn, 1, memory_order_relaxed) % REMEMBER_ONE_IN != 0 ||
        pthread_mutex_trylock(&q->lock) != 0)
        return;
    if (!q->rows)
        q->rows = ht_alloc(FLAT_QUERIES * bytes);
    if (q->rows) {
        memcpy(q->rows + q->next * bytes, query, bytes);
        q->next = (q->next + 1) % FLAT_QUERIES;
        q->count = q->count < FLAT_QUERIES ? q->count + 1 : q->count;
    }
    pthread_mutex_unlock(&q->lock);
}

/* A copy; *count is 0 where there is none. */
static char *remembered(ht_flat *flat, size_t *count) {
    flat_queries *q = &flat->queries;
    const size_t bytes = query_bytes(flat);
    pthread_mutex_lock(&q->lock);
    char *copy = q->count ? ht_alloc(q->count * bytes) : NULL;
    *count = copy ? q->count : 0;
    if (copy)
        memcpy(copy, q->rows, q->count * bytes);
    pthread_mutex_unlock(&q->lock);
    return copy;
}

/* ---- whether to walk */

static uint64_t count_matches(const ht_flat *flat, const flat_target *t) {
    uint64_t matches = 0;
    if (!t->only_allowed)
        return flat->labels.alive;
    for (uint64_t slot = 0; slot < flat->labels.slots; slot += 64)
        matches += (uint64_t)__builtin_popcountll(ht_mask_word(t->only_live, slot) &
                                                  ht_mask_word(t->only_allowed, slot) & ht_mask_word(&t->live, slot));
    return matches;
}

static size_t tail_parts(const ht_flat *flat) {
    size_t count = 0;
    for (size_t p = flat->part_count; p-- > 0 && flat->parts[p].first_slot + flat->parts[p].count > flat->covered;)
        count++;
    return count;
}

/* By what both were measured to cost, in rows that an exact search scans. */
static bool exact_wins(const ht_flat *flat, const flat_target *t, size_t effort) {
    const double matches = (double)t->matches, slots = (double)flat->labels.slots, share = matches / slots;
    const ht_approx_kind *kind = flat->approx->kind;
    const double more = share < THIN && kind->thins ? THIN_COSTS : 1 / share;
    const double walk = ht_approx_visits(&flat->curve, effort) * more * kind->visit;
    return share < EXACT_THIN || walk > fmin(slots, matches * PICK_COSTS);
}

static const char *why_exact(const ht_flat *flat, flat_target *t, const ht_flat_search *s, size_t *effort) {
    const double recall = s->recall > 0 ? s->recall : HT_FLAT_RECALL;
    if (!flat->approx)
        return "nothing is built";
    const bool lists = flat->kind == &ht_approx_auto && flat->approx->kind == &ht_approx_ivf;
    const size_t named = lists ? s->probes : s->effort;
    if (t->vectors.metric != flat->spec.metric)
        return "another metric";
    if (recall >= 1 && named == 0)
        return "a recall of 1";
    if (tail_parts(flat) > TAIL_PARTS)
        return "many rows wait";
    *effort = named ? named : ht_approx_effort(&flat->curve, recall, s->k);
    if (*effort == 0)
        return "no effort measured has that recall";
    t->matches = count_matches(flat, t);
    if (t->matches < FEWEST_MATCHES)
        return "few rows match";
    return named == 0 && exact_wins(flat, t, *effort) ? "exact search is as fast" : NULL;
}

bool ht_flat_nears(const ht_flat *flat, flat_target *t, const ht_flat_search *search, size_t *effort,
                   ht_flat_stats *stats) {
    const char *why = why_exact(flat, t, search, effort);
    if (stats) {
        stats->why = flat->approx || flat->kind != &ht_approx_auto ? why : NULL; /* it was to be exact so far */
        stats->walked = !why;
        stats->kind = why ? NULL : flat->approx->kind;
        stats->effort = why ? 0 : *effort;
        stats->expected = why ? 0 : ht_approx_recall(&flat->curve, *effort, search->k);
    }
    return !why;
}

/* ---- rows beside the walk */

typedef struct tail {
    ht_flat *flat;
    size_t part, row; /* of the index, where it begins */
    ht_part parts[TAIL_PARTS];
    ht_vectors vectors;
} tail;

static hither_status touch_tail(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    const tail *t = ctx;
    const size_t skip = part == 0 ? t->row : 0;
    return ht_flat_touch(t->flat, t->part + part, begin + skip, end + skip, err);
}
static hither_status touch_tail_codes(void *ctx, size_t part, size_t begin, size_t end, hither_error *err) {
    const tail *t = ctx;
    const size_t skip = part == 0 ? t->row : 0;
    return ht_flat_touch_codes(t->flat, t->part + part, begin + skip, end + skip, err);
}

/* From the slot on, a multiple of 64. */
static void make_tail(ht_flat *flat, const flat_target *target, tail *t) {
    const uint64_t from = flat->covered / 64 * 64;
    t->flat = flat;
    t->row = 0;
    t->vectors = target->vectors;
    t->vectors.parts = t->parts;
    t->vectors.part_count = tail_parts(flat);
    t->part = flat->part_count - t->vectors.part_count;
    memcpy(t->parts, flat->parts + t->part, t->vectors.part_count * sizeof *t->parts);
    ht_part *first = &t->parts[0];
    if (t->vectors.part_count > 0 && first->first_slot < from) {
        const size_t skip = t->row = (size_t)(from - first->first_slot);
        first->rows = (const char *)first->rows + skip * first->stride;
        first->first_slot = from;
        first->count -= skip;
        first->norms = first->norms ? first->norms + skip : NULL;
        if (first->coded_rows > skip)
            first->codes = (const char *)first->codes + ht_codes_bytes(skip, flat->spec.dim);
        first->coded_rows -= ht_min_size(skip, first->coded_rows);
    }
    t->vectors.touch = flat->file ? touch_tail : NULL;
    t->vectors.touch_codes = flat->file ? touch_tail_codes : NULL;
    t->vectors.want = NULL; /* most of what waits is in memory */
    t->vectors.touch_ctx = t;
}

/* The k best of two lists, each by (D, slot); one that is in both counts once. */
static size_t merge(const ht_hit *a, size_t as, const ht_hit *b, size_t bs, size_t k, ht_hit *out) {
    size_t count = 0, i = 0, j = 0;
    while (count < k && (i < as || j < bs)) {
        if (i < as && j < bs && a[i].slot == b[j].slot)
            j++;
        else if (j == bs || (i < as && ht_hit_before(a[i], b[j])))
            out[count++] = a[i++];
        else
            out[count++] = b[j++];
    }
    return count;
}

/* ---- searching */

typedef struct nearing {
    ht_flat *flat;
    const flat_target *target;
    const hither_matrix *queries;
    const ht_flat_search *search;
    ht_approx_search what;
    tail *tail; /* NULL: no rows wait */
    ht_hit *hits;
    size_t *counts;
    ht_flat_stats *stats;
    pthread_mutex_t lock; /* of what follows, and of stats */
    hither_status status;
    hither_error error;
} nearing;

static hither_status near_one(const nearing *n, flat_walker *w, size_t j, ht_flat_stats *stats, hither_error *err) {
    const flat_target *t = n->target;
    const size_t k = n->search->k, stride = n->queries->stride;
    const char *query = (const char *)n->queries->data + j * stride;
    ht_hit *hits = n->hits + j * k;
    size_t found;
    HT_TRY(n->flat->kind->find(n->flat->approx, w->scratch, &t->vectors, query, &n->what, hits, &found, &stats->approx,
                               err));
    if (n->tail) {
        size_t waiting;
        HT_TRY(ht_exact_search_in(&w->exact, &n->tail->vectors, query, stride, 1, t->only_live, t->only_allowed, k, 1,
                                  w->hits, &waiting, &stats->exact, err));
        found = merge(hits, found, w->hits, waiting, k, w->hits + k);
        memcpy(hits, w->hits + k, found * sizeof *hits);
    }
    if (found < k && found < t->matches) {
        stats->fallback++;
        HT_TRY(ht_exact_search_in(&w->exact, &t->vectors, query, stride, 1, t->only_live, t->only_allowed, k, 1, hits,
                                  &found, &stats->exact, err));
    }
    n->counts[j] = found;
    remember(n->flat, query);
    return HITHER_OK;
}

static void add_stats(ht_flat_stats *to, const ht_flat_stats *more) {
    to->approx.visited += more->approx.visited;
    to->approx.steps += more->approx.steps;
    to->approx.rescored += more->approx.rescored;
    to->fallback += more->fallback;
    ht_exact_stats *e = &to->exact;
    const ht_exact_stats *m = &more->exact;
    e->rows_scanned += m->rows_scanned;
    e->rows_coarse += m->rows_coarse;
    e->rows_coarse_kept += m->rows_coarse_kept;
    e->rows_fine += m->rows_fine;
    e->rows_fine_kept += m->rows_fine_kept;
    e->rows_full += m->rows_full;
    e->rows_full_kept += m->rows_full_kept;
    e->rows_rescored += m->rows_rescored;
    e->bytes_read += m->bytes_read;
    e->threads = e->threads > m->threads ? e->threads : m->threads;
    e->plan = m->plan ? m->plan : e->plan;
    e->bound = m->bound ? m->bound : e->bound;
}

static void near_slice(void *ctx, size_t item) {
    nearing *n = ctx;
    ht_flat_stats stats = {0};
    hither_error error;
    flat_walker *w = take_walker(n->flat, n->search->k);
    hither_status status = w ? HITHER_OK : ht_fail_nomem(&error, n->search->k * sizeof(ht_hit), "a walk");
    const size_t end = ht_min_size((item + 1) * QUERIES_AT_ONCE, n->queries->rows);
    ht_fp_state fp = ht_fp_enter();
    for (size_t j = item * QUERIES_AT_ONCE; j < end && status == HITHER_OK; j++)
        status = near_one(n, w, j, &stats, &error);
    ht_fp_leave(fp);
    if (w)
        give_walker(n->flat, w);
    if (status == HITHER_OK && !n->stats)
        return;
    pthread_mutex_lock(&n->lock);
    if (status != HITHER_OK) {
        n->status = status;
        n->error = error;
    }
    if (n->stats)
        add_stats(n->stats, &stats);
    pthread_mutex_unlock(&n->lock);
}

hither_status ht_flat_near(ht_flat *flat, const flat_target *t, const hither_matrix *queries,
                           const ht_flat_search *search, size_t effort, ht_hit *hits, size_t *counts,
                           ht_flat_stats *stats, hither_error *err) {
    tail rest;
    nearing n = {.flat = flat, .target = t, .queries = queries, .search = search, .hits = hits, .counts = counts};
    n.what = (ht_approx_search){.k = search->k,
                                .effort = effort,
                                .live = flat->stray ? &t->live : NULL,
                                .allow = t->only_allowed,
                                .share = (double)t->matches / (double)flat->labels.slots};
    n.stats = stats;
    if (flat->covered < flat->labels.slots) {
        make_tail(flat, t, &rest);
        n.tail = &rest;
    }
    if (pthread_mutex_init(&n.lock, NULL) != 0)
        return ht_fail_nomem(err, sizeof n.lock, "a lock");
    if (queries->rows > 0)
        ht_parallel(search->threads, (queries->rows - 1) / QUERIES_AT_ONCE + 1, near_slice, &n);
    pthread_mutex_destroy(&n.lock);
    if (n.status != HITHER_OK && err)
        *err = n.error;
    return n.status;
}

/* ---- building */

/* What a build must know, as it was at one moment. */
typedef struct moment {
    ht_part *parts;
    ht_vectors vectors;
    uint64_t **chunks; /* of the living: copies */
    ht_mask live;
    uint64_t *slots; /* of living rows to build in */
    size_t count;
    uint64_t end; /* slots there were */
    uint64_t stray;
    bool anew;     /* all of it is to be made, of all rows */
    uint64_t gone; /* what flat->gone will be */
    uint64_t alive;
    char *queries;
    size_t query_count;
} moment;

static void moment_clear(moment *m) {
    for (size_t i = 0; m->chunks && i < m->live.chunk_count; i++)
        ht_release(m->chunks[i]);
    ht_release(m->chunks);
    ht_release(m->parts);
    ht_release(m->slots);
    ht_release(m->queries);
}

static hither_status copy_living(const ht_labels *labels, moment *m, hither_error *err) {
    const size_t bytes = 65536 / 8;
    m->live = ht_labels_mask(labels);
    m->chunks = ht_calloc(labels->chunk_count + 1, sizeof *m->chunks);
    if (!m->chunks)
        return ht_fail_nomem(err, labels->chunk_count * sizeof *m->chunks, "the living rows");
    m->live.chunks = (const uint64_t *const *)m->chunks;
    for (size_t i = 0; i < labels->chunk_count; i++) {
        if (!labels->chunks[i])
            continue;
        m->chunks[i] = ht_alloc(bytes);
        if (!m->chunks[i])
            return ht_fail_nomem(err, bytes, "the living rows");
        memcpy(m->chunks[i], labels->chunks[i], bytes);
    }
    return HITHER_OK;
}

/* Under the lock. */
static hither_status moment_take(ht_flat *flat, moment *m, hither_error *err) {
    const uint64_t rows = flat->labels.alive;
    m->anew = !flat->approx || ht_approx_worn(rows, flat->gone + flat->stray) ||
              flat->approx->kind != ht_approx_granted(&flat->spec.approx, rows);
    const uint64_t from = m->anew ? 0 : flat->covered;
    const size_t waiting = (size_t)(flat->labels.slots - from);
    m->parts = ht_alloc((flat->part_count + 1) * sizeof *m->parts);
    m->slots = ht_alloc((waiting + 1) * sizeof *m->slots);
    if (!m->parts || !m->slots)
        return ht_fail_nomem(err, waiting * sizeof *m->slots, "rows that wait");
    HT_TRY(copy_living(&flat->labels, m, err));
    memcpy(m->parts, flat->parts, flat->part_count * sizeof *m->parts);
    m->vectors = ht_flat_vectors(flat, m->parts, flat->part_count);
    m->end = flat->labels.slots;
    m->alive = flat->labels.alive;
    m->stray = m->anew ? 0 : flat->stray;
    m->gone = m->anew ? 0 : flat->gone + flat->stray;
    for (uint64_t slot = from; slot < m->end; slot++)
        if (ht_labels_alive(&flat->labels, slot))
            m->slots[m->count++] = slot;
    m->queries = remembered(flat, &m->query_count);
    return HITHER_OK;
}

/* Under the lock. */
static bool wanted(const ht_flat *flat, bool due) {
    const uint64_t waiting = flat->labels.slots - flat->covered, rows = flat->labels.alive;
    if (!flat->approx) /* one that picks is begun by who asks for it, not by adding rows */
        return rows >= flat->kind->least && !(due && flat->kind == &ht_approx_auto);
    if (!due)
        return waiting > 0 || flat->stray > 0;
    const uint64_t share = flat->covered / WAITING_SHARE;
    return waiting >= (share > LEAST_WAITING ? share : LEAST_WAITING) || flat->stray > rows / STRAY_SHARE;
}

static hither_status make(ht_flat *flat, const moment *m, const ht_flat_building *how, ht_approx **out,
                          hither_error *err) {
    const ht_approx_kind *kind = flat->kind;
    const ht_hnsw_progress *progress = &how->progress;
    ht_approx *cleared = NULL;
    if (m->stray)
        HT_TRY(kind->repaired(flat->approx, &m->live, false, how->threads, &cleared, err));
    const ht_approx *from = m->anew ? NULL : cleared ? cleared : flat->approx;
    if (m->count == 0 && cleared) {
        *out = cleared;
        return HITHER_OK;
    }
    hither_status status =
        kind->extended(from, &flat->spec.approx, &m->vectors, m->slots, m->count, how->threads, progress, out, err);
    if (cleared)
        kind->free(cleared);
    return status;
}

static hither_status measure(const ht_approx *approx, const moment *m, uint64_t covered, unsigned threads,
                             ht_approx_curve *out, hither_error *err) {
    ht_mask live = m->live;
    live.limit = covered;
    return ht_approx_measure(approx, &m->vectors, &live, covered, m->queries, m->query_count, threads, out, err);
}

/* Only a build changes approx, covered and curve, so what it read without the lock still holds. */
static void publish(ht_flat *flat, ht_approx *fresh, uint64_t covered, uint64_t gone, const ht_approx_curve *curve) {
    pthread_rwlock_wrlock(&flat->lock);
    ht_approx *old = flat->approx;
    flat->approx = fresh;
    flat->covered = covered;
    flat->gone = gone;
    flat->curve = *curve;
    const ht_mask live = ht_labels_mask(&flat->labels);
    ht_approx_facts facts;
    flat->kind->describe(fresh, &facts);
    flat->stray = facts.rows - flat->kind->living(fresh, &live);
    pthread_rwlock_unlock(&flat->lock);
    if (old && old != fresh)
        flat->kind->free(old);
}

static bool changed(const ht_approx_curve *curve, uint64_t rows) {
    const uint64_t apart = curve->rows > rows ? curve->rows - rows : rows - curve->rows;
    return curve->count == 0 || apart > curve->rows / CHANGED_SHARE;
}

static hither_status build(ht_flat *flat, moment *m, const ht_flat_building *how, hither_error *err) {
    ht_approx *fresh;
    ht_approx_curve curve = flat->curve;
    HT_TRY(make(flat, m, how, &fresh, err));
    hither_status status = HITHER_OK;
    if (!how->due || m->stray || m->anew || changed(&curve, m->alive))
        status = measure(fresh, m, m->end, how->threads, &curve, err);
    if (status == HITHER_OK)
        publish(flat, fresh, m->end, m->gone, &curve);
    else
        flat->kind->free(fresh);
    return status;
}

hither_status ht_flat_build(ht_flat *flat, const ht_flat_building *how, hither_error *err) {
    if (!flat->kind)
        return HITHER_OK;
    moment m = {0};
    pthread_mutex_lock(&flat->building);
    pthread_rwlock_rdlock(&flat->lock);
    const bool go = wanted(flat, how->due);
    hither_status status = go ? moment_take(flat, &m, err) : HITHER_OK;
    pthread_rwlock_unlock(&flat->lock);
    if (go && status == HITHER_OK)
        status = build(flat, &m, how, err);
    pthread_mutex_unlock(&flat->building);
    moment_clear(&m);
    return status;
}

hither_status ht_flat_tune(ht_flat *flat, unsigned threads, hither_error *err) {
    if (!flat->kind)
        return HITHER_OK;
    moment m = {0};
    ht_approx_curve curve;
    pthread_mutex_lock(&flat->building);
    pthread_rwlock_rdlock(&flat->lock);
    const bool go = flat->approx != NULL;
    hither_status status = go ? moment_take(flat, &m, err) : HITHER_OK;
    pthread_rwlock_unlock(&flat->lock);
    if (go && status == HITHER_OK)
        status = measure(flat->approx, &m, flat->covered, threads, &curve, err);
    if (go && status == HITHER_OK)
        publish(flat, flat->approx, flat->covered, flat->gone, &curve);
    pthread_mutex_unlock(&flat->building);
    moment_clear(&m);
    return status;
}
