/*
 * window.c: hither_window_*. Joins the window with an embedder, which neither knows the other. Any thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "base/alloc.h"
#include "base/json.h"
#include "engine/filter.h"
#include "engine/fork.h"
#include "kernels/kernels.h"
#include "stream/window.h"

#define DEFAULT_CAPACITY 16384u
#define DEFAULT_K        10u

struct hither_window {
    ht_window *window;
    ht_embedder *embedder; /* NULL: vectors only */
    uint32_t dim;
    uint64_t generation; /* of forks */
};

static hither_status embed_form(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err) {
    return ht_embedder_one(ctx, HT_EMBED_DOCUMENT, text, bytes, vector, err);
}

static hither_status check_options(const hither_window_options *o, hither_error *err) {
    if (o->capacity > HT_WINDOW_MOST_RECORDS)
        return ht_fail(err, HITHER_INVALID, "window: a capacity of %" PRIu32 " records; at most %u are possible",
                       o->capacity, HT_WINDOW_MOST_RECORDS);
    if (o->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "window: %" PRIu32 " dimensions; 1 to %u are possible", o->dim,
                       HITHER_MAX_DIM);
    if (o->no_centroid > 1)
        return ht_fail(err, HITHER_INVALID, "window: no_centroid is %" PRIu32 "; 0 or 1 is possible", o->no_centroid);
    if (!(o->alarm_rate >= 0 && o->alarm_rate <= 1))
        return ht_fail(err, HITHER_INVALID, "window: an alarm_rate of %g; it is a share of the records, from 0 to 1",
                       o->alarm_rate);
    if (!(o->alarms_per_day >= 0 && o->alarms_per_day <= 1e12))
        return ht_fail(err, HITHER_INVALID, "window: %g alarms_per_day; 0 to 1e12 are possible", o->alarms_per_day);
    if (o->alarm_rate > 0 && o->alarms_per_day > 0)
        return ht_fail(err, HITHER_INVALID, "window: alarm_rate and alarms_per_day; give one of them");
    if (!(o->half_life >= 0 && o->half_life <= 1e12))
        return ht_fail(err, HITHER_INVALID, "window: a half_life of %g records; 0 to 1e12 are possible", o->half_life);
    if (o->half_life > 0 && o->no_centroid)
        return ht_fail(err, HITHER_INVALID, "window: half_life is of the centroid, which no_centroid leaves out");
    if (o->no_novelty > 1)
        return ht_fail(err, HITHER_INVALID, "window: no_novelty is %" PRIu32 "; 0 or 1 is possible", o->no_novelty);
    if (o->slack > HT_WINDOW_MOST_RECORDS)
        return ht_fail(err, HITHER_INVALID, "window: a slack of %" PRIu32 " records; at most %u are possible", o->slack,
                       HT_WINDOW_MOST_RECORDS);
    return HITHER_OK;
}

/* What a window without novelty cannot do, which has no order of all its records. */
static hither_status check_spec(const ht_window_spec *spec, hither_error *err) {
    if (!spec->no_novelty)
        return HITHER_OK;
    if (spec->alarm_rate > 0 || spec->alarms_per_day > 0 || spec->half_life > 0)
        return ht_fail(err, HITHER_UNSUPPORTED, "window: no_novelty leaves out alarms and half_life; give one of them");
    if (spec->age_ms > 0 && !spec->no_centroid)
        return ht_fail(err, HITHER_UNSUPPORTED, "window: with no_novelty an age needs no_centroid");
    return HITHER_OK;
}

/* What embeds the texts of a window of `dim` dimensions (0: as many as that makes), or NULL. */
static hither_status find_embedder(hither_embedder *given, uint32_t dim, ht_embedder **out, hither_error *err) {
    *out = NULL;
    if (!given)
        return dim ? HITHER_OK : ht_embedder_builtin(out, err);
    uint32_t made = ht_embedder_dim(ht_embedder_in(given));
    if (dim && dim != made)
        return ht_fail(err, HITHER_DIMENSION, "window: dim is %" PRIu32 ", but the embedder makes %" PRIu32, dim, made);
    *out = ht_embedder_acquire(ht_embedder_in(given));
    return HITHER_OK;
}

/* The spec as the options change it. */
static void apply(const hither_window_options *o, ht_window_spec *spec) {
    spec->capacity = o->capacity ? o->capacity : spec->capacity;
    spec->age_ms = o->age_ms ? o->age_ms : spec->age_ms;
    spec->no_centroid = spec->no_centroid || o->no_centroid;
    spec->no_novelty = spec->no_novelty || o->no_novelty;
    spec->slack = o->slack;
    spec->wait_ms = o->wait_ms;
    if (o->alarm_rate > 0 || o->alarms_per_day > 0) {
        spec->alarm_rate = o->alarm_rate;
        spec->alarms_per_day = o->alarms_per_day;
    }
    spec->alarm_after = o->alarm_after ? o->alarm_after : spec->alarm_after;
    spec->alarm_below = o->alarm_below ? o->alarm_below : spec->alarm_below;
    spec->half_life = o->half_life > 0 ? o->half_life : spec->half_life;
}

/* Takes the embedder over, whatever happens. */
static hither_status make(ht_window_spec *spec, ht_embedder *embedder, ht_text rules, hither_window **out,
                          hither_error *err) {
    hither_window *w = ht_calloc(1, sizeof *w);
    if (!w) {
        ht_embedder_release(embedder);
        return ht_fail_nomem(err, sizeof *w, "a window");
    }
    w->generation = ht_fork_generation();
    w->embedder = embedder;
    w->dim = spec->dim = embedder ? ht_embedder_dim(embedder) : spec->dim;
    spec->embed = embedder ? embed_form : NULL;
    spec->embed_ctx = embedder;
    hither_status status = check_spec(spec, err);
    if (status == HITHER_OK && rules.bytes > 0)
        status = ht_rules_new(rules.data, rules.bytes, &spec->rules, err);
    if (status == HITHER_OK)
        status = ht_window_new(spec, &w->window, err);
    if (status == HITHER_OK)
        *out = w;
    else
        hither_window_close(w);
    return status;
}

hither_status hither_window_new(const hither_window_options *options, hither_window **out, hither_error *err) {
    if (!out)
        return ht_fail(err, HITHER_INVALID, "window: out is NULL");
    *out = NULL;
    hither_window_options o;
    ht_embedder *embedder;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_window_options", err));
    HT_TRY(check_options(&o, err));
    HT_TRY(find_embedder(o.embedder, o.dim, &embedder, err));
    ht_window_spec spec = {.capacity = DEFAULT_CAPACITY, .dim = o.dim, .alarm_below = 2};
    apply(&o, &spec);
    return make(&spec, embedder, (ht_text){o.rules, o.rules ? strlen(o.rules) : 0}, out, err);
}

/* ---- saved */

hither_status hither_window_save(hither_window *w, const char *path, hither_error *err) {
    if (!w || !path)
        return ht_fail(err, HITHER_INVALID, "save: %s is NULL", w ? "path" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status =
        ht_window_save(w->window, ht_io_posix(), path, w->embedder ? ht_embedder_name(w->embedder) : "", err);
    ht_fp_leave(fp);
    return status;
}

/* The embedder that the window was saved with: the one given, or the built-in one. */
static hither_status same_embedder(const hither_window_options *o, const ht_window_spec *spec, ht_text saved,
                                   ht_embedder **out, hither_error *err) {
    bool builtin = saved.bytes == strlen(HT_BUILTIN_NAME) && memcmp(saved.data, HT_BUILTIN_NAME, saved.bytes) == 0;
    if (o->dim && o->dim != spec->dim)
        return ht_fail(err, HITHER_DIMENSION, "window: dim is %" PRIu32 ", but it was saved with %" PRIu32, o->dim,
                       spec->dim);
    HT_TRY(find_embedder(o->embedder, builtin ? 0 : spec->dim, out, err));
    const char *name = *out ? ht_embedder_name(*out) : "";
    if (strlen(name) == saved.bytes && memcmp(name, saved.data, saved.bytes) == 0 &&
        (!*out || ht_embedder_dim(*out) == spec->dim))
        return HITHER_OK;
    ht_embedder_release(*out);
    return ht_fail(err, HITHER_MODEL, "window: saved with the embedder \"%.*s\", opened with \"%s\"",
                   (int)ht_min_size(saved.bytes, 64), saved.data, name);
}

static hither_status open_saved(ht_window_saved *saved, ht_window_spec *spec, ht_text embedder_name,
                                const hither_window_options *o, hither_window **out, hither_error *err) {
    ht_text rules = ht_window_saved_rules(saved);
    ht_embedder *embedder;
    if (o->rules && (strlen(o->rules) != rules.bytes || memcmp(o->rules, rules.data, rules.bytes) != 0))
        return ht_fail(err, HITHER_INVALID, "window: it was saved with other rules, which its forms were masked by");
    HT_TRY(same_embedder(o, spec, embedder_name, &embedder, err));
    apply(o, spec);
    hither_window *w;
    HT_TRY(make(spec, embedder, rules, &w, err));
    hither_status status = ht_window_restore(w->window, saved, err);
    if (status == HITHER_OK)
        *out = w;
    else
        hither_window_close(w);
    return status;
}

hither_status hither_window_open(const char *path, const hither_window_options *options, hither_window **out,
                                 hither_error *err) {
    if (out)
        *out = NULL;
    if (!path || !out)
        return ht_fail(err, HITHER_INVALID, "window: %s is NULL", path ? "out" : "path");
    hither_window_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_window_options", err));
    HT_TRY(check_options(&o, err));
    ht_window_saved *saved;
    ht_window_spec spec;
    ht_text embedder_name;
    HT_TRY(ht_window_saved_open(ht_io_posix(), path, &saved, &spec, &embedder_name, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = open_saved(saved, &spec, embedder_name, &o, out, err);
    ht_fp_leave(fp);
    ht_window_saved_close(saved);
    return status;
}

hither_status hither_window_explain(hither_window *w, const hither_score *score, hither_result **out,
                                    hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !score || !out)
        return ht_fail(err, HITHER_INVALID, "explain: %s is NULL", !w ? "window" : !score ? "score" : "out");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_explain(w->window, score, out, err);
    ht_fp_leave(fp);
    return status;
}

void hither_window_close(hither_window *w) {
    if (!w)
        return;
    ht_window_free(w->window);
    ht_embedder_release(w->embedder);
    ht_release(w);
}

/* Pointers, offsets and lengths; the bytes may be anything. */
static hither_status check_texts(const hither_strings *texts, hither_error *err) {
    if (texts->count == 0)
        return HITHER_OK;
    if (!texts->offsets)
        return ht_fail(err, HITHER_INVALID, "texts: %zu strings without offsets", texts->count);
    for (size_t i = 0; i < texts->count; i++) {
        uint64_t begin = texts->offsets[i], end = texts->offsets[i + 1];
        if (end < begin)
            return ht_fail(err, HITHER_INVALID, "texts: row %zu ends at offset %" PRIu64 ", before its start %" PRIu64,
                           i, end, begin);
        if (end - begin > HITHER_MAX_TEXT_BYTES)
            return ht_fail(err, HITHER_TOO_LARGE, "texts: row %zu has %" PRIu64 " bytes, the limit is %u", i,
                           end - begin, HITHER_MAX_TEXT_BYTES);
    }
    if (!texts->bytes && texts->offsets[texts->count] != texts->offsets[0])
        return ht_fail(err, HITHER_INVALID, "texts: offsets promise bytes but there are none");
    return HITHER_OK;
}

static hither_status check_embedder(const hither_window *w, hither_error *err) {
    if (!w->embedder)
        return ht_fail(err, HITHER_MODEL, "the window has no embedder, so texts need vectors beside them");
    return HITHER_OK;
}

/* Vectors as f32 rows of the window's dimension. */
static hither_status read_vectors(const hither_window *w, const hither_matrix *m, const char *what, ht_floats *out,
                                  hither_error *err) {
    HT_TRY(ht_floats_read(m, what, out, err));
    if (out->view.dim == w->dim)
        return HITHER_OK;
    ht_floats_clear(out);
    return ht_fail(err, HITHER_DIMENSION, "%s have %zu dimensions, the window has %" PRIu32, what, m->dim, w->dim);
}

/* NULL in *given where there are none. */
static hither_status check_metadata(const hither_strings **given, size_t rows, hither_error *err) {
    const hither_strings *m = *given;
    if (m->count == 0) {
        *given = NULL;
        return HITHER_OK;
    }
    if (m->count != rows)
        return ht_fail(err, HITHER_INVALID, "push: %zu records with %zu metadata", rows, m->count);
    HT_TRY(ht_strings_check(m, "metadata", HT_WINDOW_METADATA_BYTES, err));
    for (size_t i = 0; i < m->count; i++) {
        char where[48];
        ht_text text = ht_strings_at(m, i);
        snprintf(where, sizeof where, "row %zu: metadata", i);
        if (text.data)
            HT_TRY(ht_json_check_object(text.data, text.bytes, where, err));
    }
    return HITHER_OK;
}

/* matches: NULL where they are not asked for. */
static hither_status push_inner(hither_window *w, const ht_window_rows *rows, hither_score *scores,
                                hither_result *matches, hither_error *err) {
    return matches ? ht_window_push_matched(w->window, rows, scores, matches, err)
                   : ht_window_push(w->window, rows, scores, err);
}

static hither_status push_rows(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                               hither_result *matches, hither_error *err) {
    const hither_strings *texts = &rows->texts;
    HT_TRY(check_texts(texts, err));
    if (!rows->vectors.rows) {
        if (texts->count)
            HT_TRY(check_embedder(w, err));
        const hither_strings *metadata = &rows->metadata;
        HT_TRY(check_metadata(&metadata, texts->count, err));
        const ht_window_rows inner = {.texts = texts, .metadata = metadata, .times_ms = rows->times_ms};
        return push_inner(w, &inner, scores, matches, err);
    }
    if (texts->count && texts->count != rows->vectors.rows)
        return ht_fail(err, HITHER_INVALID, "push: %zu vectors with %zu texts", rows->vectors.rows, texts->count);
    const hither_strings *metadata = &rows->metadata;
    HT_TRY(check_metadata(&metadata, rows->vectors.rows, err));
    ht_floats vectors;
    HT_TRY(read_vectors(w, &rows->vectors, "vectors", &vectors, err));
    const ht_window_rows inner = {.texts = texts->count ? texts : NULL,
                                  .vectors = &vectors.view,
                                  .metadata = metadata,
                                  .times_ms = rows->times_ms};
    hither_status status = push_inner(w, &inner, scores, matches, err);
    ht_floats_clear(&vectors);
    return status;
}

static hither_status push_given(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                                hither_result *matches, hither_error *err) {
    if (!w || !rows)
        return ht_fail(err, HITHER_INVALID, "push: %s is NULL", w ? "rows" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    hither_window_rows r;
    HT_TRY(ht_options_read(&r, sizeof r, rows, "hither_window_rows", err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = push_rows(w, &r, scores, matches, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_push_rows(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                                      hither_error *err) {
    return push_given(w, rows, scores, NULL, err);
}

hither_status hither_window_push_matched(hither_window *w, const hither_window_rows *rows, hither_score *scores,
                                         hither_result **matches, hither_error *err) {
    if (!matches)
        return ht_fail(err, HITHER_INVALID, "push: matches is NULL");
    *matches = NULL;
    hither_result *result;
    HT_TRY(ht_result_new(0, 0, true, &result, err));
    hither_status status = push_given(w, rows, scores, result, err);
    return ht_result_hand_over(status, result, matches, err);
}

hither_status hither_window_push(hither_window *w, const hither_strings *texts, hither_score *scores,
                                 hither_error *err) {
    if (!w || !texts)
        return ht_fail(err, HITHER_INVALID, "push: %s is NULL", w ? "texts" : "window");
    return hither_window_push_rows(w, HITHER_OPTIONS(hither_window_rows, .texts = *texts), scores, err);
}

/* ---- standing queries */

static hither_status set_queries(hither_window *w, const hither_window_queries *q, hither_error *err) {
    const size_t count = q->vectors.rows ? q->vectors.rows : q->texts.count;
    if (q->vectors.rows && q->texts.count)
        return ht_fail(err, HITHER_INVALID, "queries: they are texts or vectors, not both");
    if (count > HT_STANDING_MOST)
        return ht_fail(err, HITHER_TOO_LARGE, "queries: %zu of them; at most %u are possible", count, HT_STANDING_MOST);
    if (count && !q->radius)
        return ht_fail(err, HITHER_INVALID, "queries: radius is NULL; give one a query");
    for (size_t i = 0; i < count; i++)
        if (q->radius[i] != q->radius[i])
            return ht_fail(err, HITHER_INVALID, "queries: the radius of query %zu is not a number", i);
    ht_window_queries inner = {.radius = q->radius, .count = (uint32_t)count, .first_only = q->first_only != 0};
    if (!q->vectors.rows) {
        inner.texts = &q->texts;
        if (count)
            HT_TRY(check_embedder(w, err));
        HT_TRY(check_texts(&q->texts, err));
        return ht_window_queries_set(w->window, &inner, err);
    }
    ht_floats vectors;
    HT_TRY(read_vectors(w, &q->vectors, "queries", &vectors, err));
    inner.vectors = &vectors.view;
    hither_status status = ht_window_queries_set(w->window, &inner, err);
    ht_floats_clear(&vectors);
    return status;
}

hither_status hither_window_queries_set(hither_window *w, const hither_window_queries *queries, hither_error *err) {
    if (!w || !queries)
        return ht_fail(err, HITHER_INVALID, "queries: %s is NULL", w ? "queries" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    hither_window_queries q;
    HT_TRY(ht_options_read(&q, sizeof q, queries, "hither_window_queries", err));
    if (q.first_only > 1)
        return ht_fail(err, HITHER_INVALID, "queries: first_only is %" PRIu32 "; 0 or 1 is possible", q.first_only);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = set_queries(w, &q, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_get(hither_window *w, const uint64_t *records, size_t count, hither_result **out,
                                hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out || (!records && count > 0))
        return ht_fail(err, HITHER_INVALID, "get: %s is NULL", !w ? "window" : !out ? "out" : "records");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter(); /* records may leave, and with them a part of the centroid */
    hither_status status = ht_window_get(w->window, records, count, out, err);
    ht_fp_leave(fp);
    return status;
}

/* ---- looking at the whole window */

static hither_status check_k(const char *what, uint32_t k, hither_error *err) {
    if (k < 1)
        return ht_fail(err, HITHER_INVALID, "%s is 0; ask for at least 1 record", what);
    if (k > HITHER_MAX_K)
        return ht_fail(err, HITHER_TOO_LARGE, "%s is %" PRIu32 "; at most %u are possible", what, k, HITHER_MAX_K);
    return HITHER_OK;
}

static hither_status matches_where(void *ctx, ht_text metadata, ht_text document, bool *match, hither_error *err) {
    json_t *parsed = NULL;
    if (metadata.data)
        HT_TRY(ht_json_parse(metadata.data, metadata.bytes, HT_WINDOW_METADATA_BYTES, "metadata", &parsed, err));
    *match = ht_filter_matches(ctx, parsed, document);
    json_decref(parsed);
    return HITHER_OK;
}

static hither_status look(hither_window *w, const hither_query *q, const hither_window_find_options *o,
                          const ht_window_filter *filter, hither_result **out, hither_error *err) {
    bool texts = q->texts.count > 0, vectors = q->vectors.rows > 0;
    if (texts == vectors || q->ids.count > 0 || q->keywords.count > 0)
        return ht_fail(err, HITHER_INVALID, "search: a query is %s",
                       texts == vectors && texts ? "vectors or texts, not both" : "vectors or texts");
    ht_floats rows = {.owned = NULL};
    if (texts) {
        HT_TRY(check_embedder(w, err));
        HT_TRY(check_texts(&q->texts, err));
    } else {
        HT_TRY(read_vectors(w, &q->vectors, "queries", &rows, err));
    }
    const hither_strings *t = texts ? &q->texts : NULL;
    const hither_matrix *v = texts ? NULL : &rows.view;
    hither_status status = o->within ? ht_window_within(w->window, t, v, o->radius, filter, out, err)
                                     : ht_window_search(w->window, t, v, o->k, filter, out, err);
    if (vectors)
        ht_floats_clear(&rows);
    return status;
}

static hither_status find(hither_window *w, const hither_query *q, const hither_window_find_options *o,
                          hither_result **out, hither_error *err) {
    ht_filter *where = NULL;
    if (o->where)
        HT_TRY(ht_filter_parse(o->where, strlen(o->where), &where, err));
    const ht_window_filter filter = {
        .since_ms = o->since_ms ? o->since_ms : INT64_MIN,
        .until_ms = o->until_ms ? o->until_ms : INT64_MAX,
        .matches = where ? matches_where : NULL,
        .ctx = where,
    };
    bool filtered = where || o->since_ms || o->until_ms;
    hither_status status = look(w, q, o, filtered ? &filter : NULL, out, err);
    ht_filter_free(where);
    return status;
}

hither_status hither_window_find(hither_window *w, const hither_query *query, const hither_window_find_options *options,
                                 hither_result **out, hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !query || !out)
        return ht_fail(err, HITHER_INVALID, "search: %s is NULL", !w ? "window" : !query ? "query" : "out");
    HT_TRY(ht_fork_check(w->generation, err));
    hither_query q;
    hither_window_find_options o;
    HT_TRY(ht_options_read(&q, sizeof q, query, "hither_query", err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_window_find_options", err));
    if (o.within > 1 || (o.within && o.k))
        return ht_fail(err, HITHER_INVALID, "search: within is %" PRIu32 " and k is %" PRIu32 "; give one of them",
                       o.within, o.k);
    if (o.within && o.radius != o.radius)
        return ht_fail(err, HITHER_INVALID, "search: the radius is not a number");
    o.k = o.k || o.within ? o.k : DEFAULT_K;
    if (!o.within)
        HT_TRY(check_k("k", o.k, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = find(w, &q, &o, out, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_search(hither_window *w, const hither_query *query, uint32_t k, hither_result **out,
                                   hither_error *err) {
    if (out)
        *out = NULL;
    HT_TRY(check_k("k", k, err));
    return hither_window_find(w, query, HITHER_OPTIONS(hither_window_find_options, .k = k), out, err);
}

hither_status hither_window_snapshot(hither_window *w, hither_window **out, hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out)
        return ht_fail(err, HITHER_INVALID, "snapshot: %s is NULL", w ? "out" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    hither_window *copy = ht_calloc(1, sizeof *copy);
    if (!copy)
        return ht_fail_nomem(err, sizeof *copy, "a snapshot");
    *copy = (hither_window){.dim = w->dim, .generation = w->generation};
    copy->embedder = w->embedder ? ht_embedder_acquire(w->embedder) : NULL;
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_snapshot(w->window, &copy->window, err);
    ht_fp_leave(fp);
    if (status == HITHER_OK)
        *out = copy;
    else
        hither_window_close(copy);
    return status;
}

hither_status hither_window_centroid(hither_window *w, float *mean, size_t dim, hither_error *err) {
    if (!w || !mean)
        return ht_fail(err, HITHER_INVALID, "centroid: %s is NULL", w ? "mean" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    if (dim != w->dim)
        return ht_fail(err, HITHER_DIMENSION, "centroid: room for %zu dimensions, the window has %" PRIu32, dim,
                       w->dim);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_centroid(w->window, mean, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_outliers(hither_window *w, uint32_t n, double below, hither_result **out,
                                     hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out)
        return ht_fail(err, HITHER_INVALID, "outliers: %s is NULL", w ? "out" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    HT_TRY(check_k("n", n, err));
    if (below != below)
        return ht_fail(err, HITHER_INVALID, "outliers: below is not a number");
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_outliers(w->window, n, below, out, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_window_info(hither_window *w, hither_result **out, hither_error *err) {
    if (out)
        *out = NULL;
    if (!w || !out)
        return ht_fail(err, HITHER_INVALID, "info: %s is NULL", w ? "out" : "window");
    HT_TRY(ht_fork_check(w->generation, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_window_info(w->window, out, err);
    ht_fp_leave(fp);
    return status;
}
