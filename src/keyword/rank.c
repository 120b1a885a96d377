/*
 * rank.c: see rank.h. Rows are taken in windows of WINDOW. In a window the blocks of each clause bound what it can add
 * to a score. Where all bounds together do not reach the k-th best score so far, the window is passed over; else the
 * clauses whose bounds together still do not reach it need not be read to find candidates: the others are added up row
 * by row, and only rows whose sum can still reach it are scored in full (MaxScore, over blocks). Looking a row up in a
 * list costs as much as adding many rows of it up, so clauses are left out only as far as that is likely to pay.
 *
 * Bounds are sums of another order than scores, so they carry a slack; a row is left out only where it is certain that
 * its score is no better than the k-th best. Rows rise, so a tie loses to what is there.
 */
#include "keyword/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "keyword/resolve.h"

#define K1     1.2
#define B      0.75
#define WINDOW 4096u
#define WORDS  (WINDOW / 64)
/* More than the relative error of a sum of HITHER_MAX_KEYWORDS terms in another order. */
#define SLACK (1.0 + 1e-12)
/* What looking a candidate up in one list costs, in rows of a list added up; and how many rows of those that were added
 * up become candidates. Measured; no answer depends on them. */
#define LOOK_UP 12.0
#define PASSING 0.25
#define COUNTS  4u /* counts and lengths whose shares of a score are kept ready */
#define LENGTHS 255u

typedef struct clause_facts {
    uint64_t rows;
    double weight;
} clause_facts;

/* A clause in one part. */
typedef struct resolved {
    ht_list list;
    bool made;
} resolved;

/* A clause while a part is read. */
typedef struct lane {
    ht_cursor_list cursor;
    const ht_clause *clause;
    double weight, bound; /* the largest share of a row's score, in this window */
    uint32_t first, end;  /* its blocks that reach into the window */
} lane;

struct ht_job {
    ht_postings **parts;
    size_t part_count, parts_held;
    const ht_query *query;
    clause_facts *clauses;
    resolved *resolved; /* per part and clause */
    ht_lists *made;     /* per part */
    ht_job_stats stats;
    double mean; /* length of a row */
    bool musts;
    lane *lanes; /* per clause, of the part that is open */
    size_t open; /* part */
    double share[COUNTS][LENGTHS];
};

/* ---- the formula */

static double share_of(double mean, uint32_t count, uint32_t length) {
    double norm = K1 * (1 - B + B * (double)length / mean);
    return (double)count * (K1 + 1) / ((double)count + norm);
}

static double share(const ht_job *job, const ht_postings *p, uint32_t row, uint32_t count) {
    uint32_t length = p->short_lengths[row];
    if (length < LENGTHS && count <= COUNTS)
        return job->share[count - 1][length];
    return share_of(job->mean, count, p->lengths[row]);
}

static double share_bound(const ht_job *job, const ht_block *block) {
    double once = share_of(job->mean, 1, block->shortest_once), more = 0;
    if (block->most > 1)
        more = block->most < UINT16_MAX ? share_of(job->mean, block->most, block->shortest_more) : K1 + 1;
    return once > more ? once : more;
}

/* ---- what lives */

static bool all_alive(const ht_postings *p, const ht_mask *live) {
    uint64_t alive = 0;
    for (uint64_t slot = p->base; slot < p->end; slot += 64) {
        uint64_t word = ht_mask_word(live, slot);
        if (slot < p->first)
            word &= ~(uint64_t)0 << (p->first - slot);
        if (p->end - slot < 64)
            word &= ((uint64_t)1 << (p->end - slot)) - 1;
        alive += (uint64_t)__builtin_popcountll(word);
    }
    return alive == p->end - p->first;
}

static uint64_t live_rows(lane *l, const ht_postings *p, const ht_mask *live) {
    uint64_t rows = 0;
    for (uint32_t block = 0; block < l->cursor.block_count; block++) {
        ht_list_decode(&l->cursor, block);
        for (uint32_t i = 0; i < l->cursor.block_rows; i++)
            rows += ht_mask_has(live, p->base + l->cursor.row[i]);
    }
    return rows;
}

static void open_part(ht_job *job, size_t part) {
    for (uint32_t i = 0; i < job->query->clause_count; i++) {
        const resolved *r = &job->resolved[part * job->query->clause_count + i];
        ht_list_open(&job->lanes[i].cursor, r->made ? &job->made[part] : &job->parts[part]->stored, r->list);
        job->lanes[i].first = 0;
    }
    job->open = part;
}

static void count_part(ht_job *job, size_t part, const ht_mask *live) {
    const ht_postings *p = job->parts[part];
    bool whole = all_alive(p, live);
    open_part(job, part);
    for (uint32_t i = 0; i < job->query->clause_count; i++)
        job->clauses[i].rows += whole ? job->lanes[i].cursor.rows : live_rows(&job->lanes[i], p, live);
    if (whole) {
        job->stats.rows += p->rows;
        job->stats.length += p->length;
        return;
    }
    for (uint64_t row = 0; row < p->end - p->base; row++) {
        if (p->lengths[row] && ht_mask_has(live, p->base + row)) {
            job->stats.rows++;
            job->stats.length += p->lengths[row];
        }
    }
}

/* ---- making a job */

static hither_status resolve_part(ht_job *job, size_t part, hither_error *err) {
    const ht_query *q = job->query;
    ht_lists *made = &job->made[part];
    for (uint32_t i = 0; i < q->clause_count; i++) {
        resolved *r = &job->resolved[part * q->clause_count + i];
        HT_TRY(ht_clause_resolve(job->parts[part], q, ht_query_clause(q, i), made, &r->list, &r->made, err));
    }
    return ht_lists_check(made, err);
}

static void weigh(ht_job *job) {
    job->mean = job->stats.rows ? (double)job->stats.length / (double)job->stats.rows : 1;
    for (uint32_t i = 0; i < job->query->clause_count; i++) {
        const ht_clause *clause = ht_query_clause(job->query, i);
        double rows = (double)job->clauses[i].rows, all = (double)job->stats.rows;
        double weight = log(1 + (all - rows + 0.5) / (rows + 0.5)) * (double)clause->times;
        job->clauses[i].weight = job->lanes[i].weight = clause->never ? 0 : weight;
        job->lanes[i].clause = clause;
        job->musts = job->musts || clause->must;
        job->stats.postings += clause->never ? 0 : job->clauses[i].rows;
    }
    for (uint32_t count = 1; count <= COUNTS; count++)
        for (uint32_t length = 0; length < LENGTHS; length++)
            job->share[count - 1][length] = share_of(job->mean, count, length);
}

static hither_status make(ht_job *job, ht_postings *const *parts, const ht_mask *live, hither_error *err) {
    size_t clauses = job->query->clause_count, cells;
    job->parts = ht_calloc(job->part_count, sizeof(*job->parts));
    job->clauses = ht_calloc(clauses, sizeof *job->clauses);
    job->lanes = ht_calloc(clauses, sizeof *job->lanes);
    job->made = ht_calloc(job->part_count, sizeof *job->made);
    job->resolved = ht_mul_size(clauses, job->part_count, &cells) ? ht_calloc(cells, sizeof *job->resolved) : NULL;
    if (!job->parts || !job->clauses || !job->lanes || !job->made || !job->resolved)
        return ht_fail_nomem(err, clauses * sizeof *job->lanes, "a keyword search");
    for (; job->parts_held < job->part_count; job->parts_held++) {
        ht_postings_hold(job->parts[job->parts_held] = parts[job->parts_held]);
        ht_lists_init(&job->made[job->parts_held]);
    }
    for (size_t part = 0; part < job->part_count; part++) {
        HT_TRY(resolve_part(job, part, err));
        count_part(job, part, live);
    }
    weigh(job);
    return HITHER_OK;
}

hither_status ht_job_new(ht_postings *const *parts, size_t count, const ht_query *query, const ht_mask *live,
                         ht_job **out, hither_error *err) {
    ht_job *job = ht_calloc(1, sizeof *job);
    if (!job)
        return ht_fail_nomem(err, sizeof *job, "a keyword search");
    job->query = query;
    job->part_count = count;
    hither_status status = make(job, parts, live, err);
    if (status == HITHER_OK)
        *out = job;
    else
        ht_job_free(job);
    return status;
}

void ht_job_free(ht_job *job) {
    if (!job)
        return;
    for (size_t i = 0; i < job->parts_held; i++) {
        ht_postings_release(job->parts[i]);
        ht_lists_clear(&job->made[i]);
    }
    ht_release((void *)job->parts);
    ht_release(job->clauses);
    ht_release(job->lanes);
    ht_release(job->made);
    ht_release(job->resolved);
    ht_release(job);
}

/* ---- one row */

/* Adds up the shares of a row of the open part; false if it does not match. */
static bool score_row(ht_job *job, uint32_t row, double *out) {
    const ht_postings *p = job->parts[job->open];
    double score = 0;
    bool found = false;
    for (uint32_t i = 0; i < job->query->clause_count; i++) {
        lane *l = &job->lanes[i];
        uint32_t at;
        bool here = ht_list_advance(&l->cursor, row, &at) && l->cursor.row[at] == row;
        if (here ? l->clause->never : l->clause->must)
            return false;
        if (here)
            score += l->weight * share(job, p, row, l->cursor.count[at]);
        found = found || here;
    }
    *out = score;
    return found;
}

bool ht_job_score(ht_job *job, uint64_t slot, double *score) {
    for (size_t part = 0; part < job->part_count; part++) {
        const ht_postings *p = job->parts[part];
        if (slot < p->first || slot >= p->end)
            continue;
        if (job->open != part)
            open_part(job, part);
        return score_row(job, (uint32_t)(slot - p->base), score);
    }
    return false;
}

/* ---- a window */

typedef struct bounded {
    double bound;
    uint32_t clause;
} bounded;

typedef struct window {
    ht_job *job;
    const ht_postings *part;
    ht_topk top;
    uint32_t begin, rows;
    uint64_t words[WORDS]; /* rows that may be hits */
    uint64_t some[WORDS];  /* rows of some clause that was read */
    double sums[WINDOW];   /* what those clauses add up to */
    double rest;           /* at most this from the clauses that were not */
    bool whole;            /* there are none of those, so the sums are the scores */
    bounded order[HITHER_MAX_KEYWORDS];
    bool left_out[HITHER_MAX_KEYWORDS]; /* clauses that were not read */
} window;

static double least(const window *w) { return -ht_topk_limit(&w->top); } /* -inf while there is room */

static void take(window *w, uint32_t row, double score) {
    if (score > least(w))
        ht_topk_push(&w->top, (ht_hit){-score, w->part->base + row});
}

/* Finds the blocks of each clause in the window and bounds what they add; gives the sum of the bounds. */
static double bound_window(window *w) {
    double sum = 0;
    for (uint32_t i = 0; i < w->job->query->clause_count; i++) {
        lane *l = &w->job->lanes[i];
        const ht_block *blocks = l->cursor.blocks;
        l->bound = 0;
        l->first = ht_list_seek(&l->cursor, l->first, w->begin);
        for (l->end = l->first; l->end < l->cursor.block_count; l->end++) {
            if (l->end && blocks[l->end - 1].last >= w->begin + WINDOW - 1)
                break;
            double bound = l->clause->never ? 0 : l->weight * share_bound(w->job, &blocks[l->end]);
            l->bound = bound > l->bound ? bound : l->bound;
        }
        sum += l->bound;
    }
    return sum;
}

/* Marks the rows of a clause in the window; with shares they are added up as well. */
static void read_lane(window *w, lane *l, uint64_t *marks, bool shares) {
    for (uint32_t block = l->first; block < l->end; block++) {
        ht_list_decode(&l->cursor, block);
        w->job->stats.postings_read += shares ? l->cursor.block_rows : 0;
        for (uint32_t i = 0; i < l->cursor.block_rows; i++) {
            uint32_t r = l->cursor.row[i] - w->begin;
            if (r >= WINDOW)
                continue;
            marks[r / 64] |= (uint64_t)1 << r % 64;
            if (shares)
                w->sums[r] += l->weight * share(w->job, w->part, w->begin + r, l->cursor.count[i]);
        }
    }
}

/* Takes out of the window's rows those that lack what must be there, or have what must not. */
static void demand(window *w) {
    for (uint32_t i = 0; i < w->job->query->clause_count; i++) {
        lane *l = &w->job->lanes[i];
        uint64_t marks[WORDS] = {0};
        if (!l->clause->must && !l->clause->never)
            continue;
        read_lane(w, l, marks, false);
        for (size_t j = 0; j < WORDS; j++)
            w->words[j] &= l->clause->must ? marks[j] : ~marks[j];
    }
}

static int by_bound(const void *a, const void *b) {
    const bounded *x = a, *y = b;
    if (x->bound != y->bound)
        return x->bound < y->bound ? -1 : 1;
    return (x->clause > y->clause) - (x->clause < y->clause);
}

/* About how many rows of the window a clause has, if not fewer. */
static double rows_in(const lane *l) {
    double rows = (double)(l->end - l->first) * HT_POSTING_BLOCK;
    return rows < WINDOW ? rows : WINDOW;
}

/* How many of the clauses with the smallest bounds to leave out: together they do not reach the k-th best score, and
 * looking candidates up in them costs less than reading them. */
static uint32_t count_left_out(const window *w, uint32_t count) {
    double sum = 0, read = 0, cheapest;
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++)
        read += rows_in(&w->job->lanes[w->order[i].clause]);
    cheapest = read;
    for (uint32_t i = 0; i < count; i++) {
        sum += w->order[i].bound;
        if (sum * SLACK > least(w))
            break;
        read -= rows_in(&w->job->lanes[w->order[i].clause]);
        double cost = read * (1 + PASSING * LOOK_UP * count);
        if (cost <= cheapest) {
            cheapest = cost;
            best = i + 1;
        }
    }
    return best;
}

/* Reads the clauses that are needed to find candidates, in the order of the query. */
static void add_up(window *w) {
    ht_job *job = w->job;
    uint32_t count = 0, left_out;
    for (uint32_t i = 0; i < job->query->clause_count; i++) {
        w->left_out[i] = false;
        if (job->lanes[i].bound > 0)
            w->order[count++] = (bounded){job->lanes[i].bound, i};
    }
    qsort(w->order, count, sizeof *w->order, by_bound);
    left_out = count_left_out(w, count);
    w->rest = 0;
    for (uint32_t i = 0; i < left_out; i++) {
        w->left_out[w->order[i].clause] = true;
        w->rest += w->order[i].bound;
    }
    w->whole = !left_out;
    for (uint32_t i = 0; i < job->query->clause_count; i++)
        if (job->lanes[i].bound > 0 && !w->left_out[i])
            read_lane(w, &job->lanes[i], w->some, true);
}

/* Makes the sums 0 again, and the marks. */
static void wipe(window *w) {
    for (size_t j = 0; j < WORDS; j++) {
        if (w->some[j])
            memset(w->sums + j * 64, 0, 64 * sizeof *w->sums);
        w->some[j] = 0;
    }
}

static void take_candidates(window *w) {
    for (size_t j = 0; j < WORDS; j++) {
        for (uint64_t left = w->words[j] & w->some[j]; left; left &= left - 1) {
            uint32_t r = (uint32_t)(j * 64 + (size_t)__builtin_ctzll(left));
            double score = w->sums[r];
            if ((score + w->rest) * SLACK <= least(w))
                continue;
            if (w->whole || score_row(w->job, w->begin + r, &score))
                take(w, w->begin + r, score);
        }
    }
}

/* Where something must be there, that finds the candidates. */
static void take_demanded(window *w) {
    for (size_t j = 0; j < WORDS; j++) {
        for (uint64_t left = w->words[j]; left; left &= left - 1) {
            uint32_t row = w->begin + (uint32_t)(j * 64 + (size_t)__builtin_ctzll(left));
            double score;
            if (score_row(w->job, row, &score))
                take(w, row, score);
        }
    }
}

static void read_window(window *w, const ht_mask *live, const ht_mask *allow) {
    uint64_t any = 0;
    double most = bound_window(w);
    if (most == 0 || most * SLACK <= least(w))
        return;
    for (size_t j = 0; j < WORDS; j++) {
        uint64_t slot = w->part->base + w->begin + j * 64;
        w->words[j] = slot < w->part->end ? ht_mask_word(live, slot) & ht_mask_word(allow, slot) : 0;
        any |= w->words[j];
    }
    if (!any)
        return;
    demand(w);
    if (w->job->musts) {
        take_demanded(w);
        return;
    }
    add_up(w);
    take_candidates(w);
    wipe(w);
}

hither_status ht_job_top(ht_job *job, const ht_mask *live, const ht_mask *allow, size_t k, ht_hit *hits, size_t *count,
                         hither_error *err) {
    window *w = ht_alloc(sizeof *w);
    if (!w)
        return ht_fail_nomem(err, sizeof *w, "a keyword search");
    w->job = job;
    memset(w->some, 0, sizeof w->some);
    memset(w->sums, 0, sizeof w->sums);
    ht_topk_init(&w->top, hits, k);
    for (size_t part = 0; part < job->part_count; part++) {
        w->part = job->parts[part];
        open_part(job, part);
        for (uint64_t begin = 0; begin < w->part->end - w->part->base; begin += WINDOW) {
            w->begin = (uint32_t)begin;
            read_window(w, live, allow);
        }
    }
    ht_topk_sort(&w->top);
    *count = w->top.count;
    ht_release(w);
    return HITHER_OK;
}

ht_job_stats ht_job_said(const ht_job *job) { return job->stats; }

uint64_t ht_job_clause_rows(const ht_job *job, uint32_t clause) { return job->clauses[clause].rows; }

double ht_job_clause_weight(const ht_job *job, uint32_t clause) { return job->clauses[clause].weight; }
