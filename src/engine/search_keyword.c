/*
 * search_keyword.c: searches by words (BM25 over the documents), alone or fused with a search by vectors. The postings
 * are made of the documents when a search first needs them, and extended by the rows written since. docs/keyword.md has
 * the rules of both.
 *
 * Any thread. Postings are shared and only read; whoever finds rows that they lack reads them under the table's lock.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "engine/derived.h"
#include "engine/search.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"
#include "keyword/rank.h"

#define RRF 60.0 /* the rank at which a place in a list is worth half of what lies far above it */

/* ---- the postings */

static hither_status documents_of(void *ctx, uint64_t begin, uint64_t end,
                                  hither_status (*each)(void *arg, uint64_t slot, ht_text document), void *arg,
                                  hither_error *err) {
    ht_reading *v = ctx;
    HT_TRY(ht_reading_reader(v, err));
    return ht_reader_documents(v->reader, begin, end, each, arg, err);
}

static void load_words(void *ctx) {
    const ht_reading *v = ctx;
    ht_derived_load_words(v->c, v->snapshot);
}

/* The postings that cover the run's snapshot, held; *read counts the documents that had to be read. */
static hither_status open_postings(ht_run *run, ht_keyword_view *out, uint64_t *read, hither_error *err) {
    ht_collection *c = run->view.c;
    const ht_snapshot *s = run->view.snapshot;
    ht_document_source source = {.rows = documents_of, .load = load_words, .ctx = &run->view};
    HT_TRY(ht_keyword_table_cover(&s->made->keywords, s->slot_limit, &source, read, err));
    /* They may have been made by a reader who came after a compaction. */
    if (atomic_load_explicit(&c->floor, memory_order_acquire) > s->seq)
        return ht_fail(err, HITHER_STALE, "compaction has overtaken this search");
    return ht_keyword_table_view(&s->made->keywords, out, err);
}

/* ---- what the plan says */

static void say_job(ht_buf *out, const ht_job *job, const ht_query *query, uint64_t read) {
    ht_job_stats said = ht_job_said(job);
    ht_buf shown;
    ht_buf_init(&shown, SIZE_MAX);
    ht_buf_printf(out,
                  ",\"keywords\":{\"documents_read\":%" PRIu64 ",\"rows_with_words\":%" PRIu64
                  ",\"mean_length\":%.17g,\"postings\":%" PRIu64 ",\"postings_read\":%" PRIu64 ",\"clauses\":[",
                  read, said.rows, said.rows ? (double)said.length / (double)said.rows : 0.0, said.postings,
                  said.postings_read);
    for (uint32_t i = 0; i < query->clause_count; i++) {
        ht_buf_reset(&shown);
        ht_query_show(query, i, &shown);
        ht_buf_puts(out, i ? ",{\"clause\":" : "{\"clause\":");
        if (!shown.failed)
            ht_buf_json_string(out, shown.data, shown.size);
        ht_buf_printf(out, ",\"rows\":%" PRIu64 ",\"weight\":%.17g}", ht_job_clause_rows(job, i),
                      ht_job_clause_weight(job, i));
    }
    ht_buf_puts(out, "]}");
    ht_buf_clear(&shown);
}

/* ---- fusion */

/* A row that one of the halves, or both, brought. */
typedef struct fused {
    uint64_t slot;
    uint32_t vector_rank, beside_rank, keyword_rank; /* from 1; 0: not among the candidates of that list */
    double distance, beside, words, score;           /* D, and by the second list; BM25; what they make together */
} fused;

static int by_slot(const void *a, const void *b) {
    const fused *x = a, *y = b;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int by_score(const void *a, const void *b) {
    const fused *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1) : by_slot(a, b);
}

/* What is asked of one query: its vector, one in a second field, its words; NULL: none. */
typedef struct asked {
    const float *vector, *beside;
    ht_job *job;
} asked;

/* The lists in one, each row once; `all` has room for them. */
static size_t join(const ht_hit *const lists[3], const size_t counts[3], fused *all) {
    size_t count = 0, kept = 0;
    for (int l = 0; l < 3; l++)
        for (size_t i = 0; i < counts[l]; i++) {
            uint32_t rank = (uint32_t)i + 1;
            all[count++] = (fused){.slot = lists[l][i].slot,
                                   .vector_rank = l == 0 ? rank : 0,
                                   .beside_rank = l == 1 ? rank : 0,
                                   .keyword_rank = l == 2 ? rank : 0};
        }
    qsort(all, count, sizeof *all, by_slot);
    for (size_t i = 0; i < count; i++) {
        if (!kept || all[kept - 1].slot != all[i].slot) {
            all[kept++] = all[i];
        } else {
            all[kept - 1].vector_rank += all[i].vector_rank;
            all[kept - 1].beside_rank += all[i].beside_rank;
            all[kept - 1].keyword_rank += all[i].keyword_rank;
        }
    }
    return kept;
}

/* Every row gets its distances and its score by words, whichever list brought it. */
static hither_status measure(ht_run *run, const asked *a, fused *all, size_t count, hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        all[i].distance = all[i].beside = NAN;
        ht_run_aim(run, run->search->field);
        if (a->vector)
            HT_TRY(ht_run_distance(run, a->vector, all[i].slot, &all[i].distance, err));
        if (a->beside) {
            ht_run_aim(run, run->search->beside_field);
            HT_TRY(ht_run_distance(run, a->beside, all[i].slot, &all[i].beside, err));
        }
        if (!a->job || !ht_job_score(a->job, all[i].slot, &all[i].words))
            all[i].words = 0;
    }
    return HITHER_OK;
}

/* The least and the largest of numbers that lie sizeof(fused) apart; NAN counts for nothing. */
typedef struct range {
    double least, most;
} range;

static void widen(range *r, double x) {
    r->least = x < r->least ? x : r->least;
    r->most = x > r->most ? x : r->most;
}

/* A distance scaled to 0...1, 1 the nearest. */
static double nearness(const range *r, double x) {
    return isnan(x) ? 0 : r->most > r->least ? (r->most - x) / (r->most - r->least) : 1;
}

static double rank_share(uint32_t rank) { return rank ? 1 / (RRF + (double)rank) : 0; }

static void fuse(const ht_search *search, const asked *a, fused *all, size_t count) {
    range near = {INFINITY, -INFINITY}, beside = near;
    double most = 0, lists = (a->vector != NULL) + (a->beside != NULL) + (a->job != NULL);
    double w = a->job ? search->vector_weight : 1, one = a->vector && a->beside ? w / 2 : w;
    for (size_t i = 0; i < count; i++) {
        widen(&near, all[i].distance);
        widen(&beside, all[i].beside);
        most = all[i].words > most ? all[i].words : most;
    }
    for (size_t i = 0; i < count; i++) {
        double words = most > 0 ? all[i].words / most : 0;
        if (search->fusion == HITHER_WEIGHTED)
            all[i].score =
                one * nearness(&near, all[i].distance) + one * nearness(&beside, all[i].beside) + (1 - w) * words;
        else
            all[i].score = lists * one * rank_share(all[i].vector_rank) + lists * one * rank_share(all[i].beside_rank) +
                           lists * (1 - w) * rank_share(all[i].keyword_rank);
    }
    qsort(all, count, sizeof *all, by_score);
}

static void say_rank(ht_buf *out, const char *name, uint32_t rank) {
    if (rank)
        ht_buf_printf(out, "\"%s\":%u,", name, rank);
    else
        ht_buf_printf(out, "\"%s\":null,", name);
}

static void say_distance(ht_buf *out, const char *name, double distance) {
    if (isnan(distance)) /* nothing in the field */
        ht_buf_printf(out, "\"%s\":null,", name);
    else
        ht_buf_printf(out, "\"%s\":%.17g,", name, distance);
}

static void say_fusion(ht_buf *out, const ht_search *search, const fused *all, size_t count) {
    ht_buf_printf(out, ",\"fusion\":{\"kind\":\"%s\",\"vector_weight\":%.17g,\"candidates\":%u,\"hits\":[",
                  search->fusion == HITHER_WEIGHTED ? "weighted" : "rrf", search->vector_weight, search->candidates);
    for (size_t i = 0; i < count; i++) {
        ht_buf_puts(out, i ? ",{" : "{");
        say_rank(out, "vector_rank", all[i].vector_rank);
        if (search->beside) {
            say_rank(out, "beside_rank", all[i].beside_rank);
            say_distance(out, "beside_distance", all[i].beside);
        }
        say_rank(out, "keyword_rank", all[i].keyword_rank);
        say_distance(out, "distance", all[i].distance);
        ht_buf_printf(out, "\"keyword_score\":%.17g,\"score\":%.17g}", all[i].words, all[i].score);
    }
    ht_buf_puts(out, "]}");
}

/* ---- one query */

static hither_status add_hits(ht_run *run, const fused *hits, size_t count, hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        HT_TRY(ht_reading_add_row(&run->view, hits[i].slot, NULL, run->result, err));
        ht_result_distance(run->result, (float)hits[i].distance);
        ht_result_score(run->result, hits[i].score);
    }
    run->returned += count;
    ht_explain_stage(&run->explain, "payload", NULL, count, count);
    return HITHER_OK;
}

/* Rows that may be hits by their words. */
static uint64_t word_rows(const ht_run *run) {
    return run->search->filter ? run->selected.count : run->view.snapshot->live_count;
}

/* One half: the `wanted` best rows by words. */
static hither_status best_by_words(ht_run *run, ht_job *job, size_t wanted, ht_hit *hits, size_t *count,
                                   hither_error *err) {
    ht_mask live = ht_snapshot_mask(run->view.snapshot);
    ht_mask selected = ht_selection_mask(&run->selected); /* whether or not they have a vector in the field */
    HT_TRY(ht_job_top(job, &live, run->search->filter ? &selected : NULL, wanted, hits, count, err));
    ht_explain_stage(&run->explain, "keywords", NULL, word_rows(run), *count);
    return HITHER_OK;
}

static hither_status by_words_alone(ht_run *run, ht_job *job, hither_error *err) {
    size_t wanted = run->rows < run->search->k ? (size_t)run->rows : run->search->k, count = 0;
    HT_TRY(ht_scratch_reserve(run->view.scratch, wanted, 1, err));
    HT_TRY(best_by_words(run, job, wanted, run->view.scratch->hits, &count, err));
    fused *hits = ht_alloc(count * sizeof *hits);
    if (!hits)
        return ht_fail_nomem(err, count * sizeof *hits, "the hits of a search");
    for (size_t i = 0; i < count; i++) {
        const ht_hit *hit = &run->view.scratch->hits[i];
        hits[i] = (fused){.slot = hit->slot, .distance = NAN, .score = -hit->distance};
    }
    hither_status status = add_hits(run, hits, count, err);
    ht_release(hits);
    return status;
}

/* One list: the nearest rows by what they have in a field, at most `candidates`. Of a sparse one only those that share
 * something with the query: the order of the others says nothing. */
static hither_status nearest_in(ht_run *run, uint32_t field, const float *query, ht_hit **out, size_t *count,
                                hither_error *err) {
    if (run->search->beside)
        HT_TRY(ht_run_turn(run, field, err));
    const ht_vector_field *f = field ? &run->view.snapshot->shape->fields[field - 1] : NULL;
    size_t n = run->rows < run->search->candidates ? (size_t)run->rows : run->search->candidates;
    ht_hit *hits = *out = ht_calloc(n, sizeof *hits);
    if (!hits)
        return ht_fail_nomem(err, n * sizeof *hits, "the candidates of a search");
    HT_TRY(ht_run_nearest(run, query, run->dim * sizeof(float), 1, n, hits, count, err));
    while (f && f->kind == HITHER_SPARSE && *count && !(hits[*count - 1].distance < 0))
        --*count;
    return HITHER_OK;
}

static hither_status fuse_lists(ht_run *run, const asked *a, ht_hit *const lists[3], const size_t counts[3],
                                ht_buf *plan, hither_error *err) {
    size_t total = counts[0] + counts[1] + counts[2];
    const ht_hit *const given[3] = {lists[0], lists[1], lists[2]};
    fused *all = ht_calloc(total, sizeof *all);
    if (!all)
        return ht_fail_nomem(err, total * sizeof *all, "the candidates of a search");
    size_t count = join(given, counts, all);
    hither_status status = measure(run, a, all, count, err);
    if (status == HITHER_OK) {
        fuse(run->search, a, all, count);
        ht_explain_stage(&run->explain, "fusion", NULL, total, count);
        count = ht_min_size(count, run->search->k);
        if (plan)
            say_fusion(plan, run->search, all, count);
        status = add_hits(run, all, count, err);
    }
    ht_release(all);
    return status;
}

static hither_status by_several(ht_run *run, const asked *a, ht_buf *plan, hither_error *err) {
    ht_hit *lists[3] = {NULL, NULL, NULL};
    size_t counts[3] = {0, 0, 0}, most = run->search->candidates;
    hither_status status = HITHER_OK;
    if (a->vector)
        status = nearest_in(run, run->search->field, a->vector, &lists[0], &counts[0], err);
    if (status == HITHER_OK && a->beside)
        status = nearest_in(run, run->search->beside_field, a->beside, &lists[1], &counts[1], err);
    if (status == HITHER_OK && a->job) {
        size_t n = word_rows(run) < most ? (size_t)word_rows(run) : most;
        lists[2] = ht_calloc(n, sizeof *lists[2]);
        status = lists[2] ? best_by_words(run, a->job, n, lists[2], &counts[2], err)
                          : ht_fail_nomem(err, n * sizeof *lists[2], "the candidates of a search");
    }
    if (status == HITHER_OK)
        status = fuse_lists(run, a, lists, counts, plan, err);
    for (int l = 0; l < 3; l++)
        ht_release(lists[l]);
    return status;
}

/* vector NULL: by words alone. plan NULL: another query's is told. */
static hither_status search_one(ht_run *run, ht_text text, asked *a, const ht_keyword_view *postings, ht_buf *plan,
                                uint64_t read, hither_error *err) {
    ht_query query;
    ht_mask live = ht_snapshot_mask(run->view.snapshot);
    hither_status status = ht_query_parse(&query, text, err);
    if (status == HITHER_OK)
        status = ht_job_new(postings->parts, postings->count, &query, &live, &a->job, err);
    if (status == HITHER_OK)
        status = a->vector || a->beside ? by_several(run, a, plan, err) : by_words_alone(run, a->job, err);
    if (status == HITHER_OK && plan)
        say_job(plan, a->job, &query, read);
    ht_job_free(a->job);
    ht_query_clear(&query);
    return status;
}

static const float *row_of(const hither_matrix *m, size_t i) {
    return m && m->data ? (const float *)(const void *)((const char *)m->data + i * m->stride) : NULL;
}

hither_status ht_search_keywords(ht_run *run, const hither_matrix *queries, hither_error *err) {
    const hither_strings *texts = run->search->keywords;
    const hither_matrix *beside = run->search->beside;
    size_t count = texts ? texts->count : beside->rows;
    ht_keyword_view postings = {0};
    uint64_t read = 0;
    ht_result_want_scores(run->result);
    hither_status status = texts ? open_postings(run, &postings, &read, err) : HITHER_OK;
    if (status == HITHER_OK && texts)
        ht_explain_stage(&run->explain, "postings", read ? "read" : "kept", read, read);
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        asked a = {.vector = row_of(queries, i), .beside = row_of(beside, i)};
        ht_buf *plan = i ? NULL : &run->explain.members;
        if (i)
            ht_result_next_group(run->result);
        status = texts ? search_one(run, ht_strings_at(texts, i), &a, &postings, plan, read, err)
                       : by_several(run, &a, plan, err);
    }
    ht_keyword_view_clear(&postings);
    return status;
}
