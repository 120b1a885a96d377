/*
 * index.c: the index part of hither.h over index/flat.h. A handle is the flat index itself. Any thread.
 */
#include <inttypes.h>
#include <math.h>

#include "api/answers.h"
#include "api/api.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/values.h"
#include "index/flat.h"
#include "index/stored.h"
#include "kernels/kernels.h"

static ht_flat *in(hither_index *index) { return (ht_flat *)index; }
static hither_index *give(ht_flat *flat) { return (hither_index *)flat; }

static hither_status check_call(const hither_index *index, const void *needed, hither_error *err) {
    if (!index)
        return ht_fail(err, HITHER_INVALID, "the index is NULL");
    if (!needed)
        return ht_fail(err, HITHER_INVALID, "a pointer that is needed is NULL");
    return HITHER_OK;
}

static hither_status check_metric(hither_metric metric, hither_error *err) {
    if (metric < HITHER_COSINE || metric > HITHER_HAMMING)
        return ht_fail(err, HITHER_INVALID, "metric %d is none of hither_metric", (int)metric);
    return HITHER_OK;
}

/* ---- making */

hither_status hither_index_new(const hither_index_options *options, hither_index **out, hither_error *err) {
    hither_index_options o;
    if (!out)
        return ht_fail(err, HITHER_INVALID, "out is NULL");
    *out = NULL;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_index_options", err));
    ht_flat_spec spec = {.dtype = o.dtype ? o.dtype : HITHER_F32, .dim = o.dim};
    spec.metric = ht_metric_or_default(o.metric, spec.dtype);
    spec.approx = (ht_approx_spec){
        .kind = o.kind, .m = o.m, .ef_build = o.ef_build, .bits = o.bits, .lists = o.lists, .seed = o.seed};
    HT_TRY(check_metric(spec.metric, err));
    if (o.kind && o.kind != HITHER_EXACT && !ht_approx_kind_of(o.kind))
        return ht_fail(err, HITHER_INVALID, "kind %d is none of hither_kind", (int)o.kind);
    ht_flat *flat;
    HT_TRY(ht_flat_new(&spec, &flat, err));
    *out = give(flat);
    return HITHER_OK;
}

/* Every value once, in the one place where rows are taken as they are. */
static hither_status check_finite(const hither_matrix *m, hither_error *err) {
    ht_floats floats;
    const ht_layout layout = {m->dtype, true, m->dim};
    if (m->dtype == HITHER_F32)
        return ht_floats_read(m, "rows", &floats, err);
    for (size_t i = 0; i < m->rows; i++) {
        size_t column = ht_stored_not_finite(&layout, (const char *)m->data + i * m->stride);
        if (column < m->dim)
            return ht_fail(err, HITHER_NOT_FINITE, "rows: row %zu, column %zu is not finite", i, column);
    }
    return HITHER_OK;
}

hither_status hither_index_wrap(const hither_matrix *rows, hither_metric metric, hither_index **out,
                                hither_error *err) {
    if (!out || !rows)
        return ht_fail(err, HITHER_INVALID, "wrap: %s is NULL", out ? "rows" : "out");
    *out = NULL;
    metric = ht_metric_or_default(metric, rows->dtype);
    HT_TRY(check_metric(metric, err));
    hither_matrix view = *rows;
    ht_fp_state fp = ht_fp_enter();
    ht_flat *flat = NULL;
    hither_status status = ht_matrix_check(&view, "rows", err);
    if (status == HITHER_OK)
        status = check_finite(&view, err);
    if (status == HITHER_OK)
        status = ht_flat_wrap(&view, metric, 0, &flat, err);
    ht_fp_leave(fp);
    if (status == HITHER_OK)
        *out = give(flat);
    return status;
}

hither_status hither_index_open(const char *path, hither_index **out, hither_error *err) {
    if (!out || !path)
        return ht_fail(err, HITHER_INVALID, "open: %s is NULL", out ? "path" : "out");
    *out = NULL;
    ht_flat *flat;
    HT_TRY(ht_flat_open(ht_io_posix(), path, &flat, err));
    *out = give(flat);
    return HITHER_OK;
}

void hither_index_close(hither_index *index) { ht_flat_release(in(index)); }

/* ---- changing */

hither_status hither_index_add(hither_index *index, const hither_matrix *rows, const int64_t *labels, int64_t *first,
                               hither_error *err) {
    HT_TRY(check_call(index, rows, err));
    hither_matrix view = *rows;
    if (!view.rows) /* of no shape in particular */
        view = (hither_matrix){.dim = ht_flat_spec_of(in(index))->dim, .dtype = ht_flat_spec_of(in(index))->dtype};
    HT_TRY(ht_matrix_check(&view, "rows", err));
    return ht_flat_add(in(index), &view, labels, first, err);
}

hither_status hither_index_remove(hither_index *index, const int64_t *labels, size_t count, size_t *removed,
                                  hither_error *err) {
    HT_TRY(check_call(index, count ? labels : (const void *)index, err));
    return ht_flat_remove(in(index), labels, count, removed, err);
}

hither_status hither_index_build(hither_index *index, const hither_index_build_options *options, hither_error *err) {
    HT_TRY(check_call(index, index, err));
    hither_index_build_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_index_build_options", err));
    ht_flat_building how = {.due = o.due != 0, .threads = o.threads, .progress = {o.step, o.ctx, o.memory}};
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_flat_build(in(index), &how, err);
    ht_fp_leave(fp);
    return status;
}

/* ---- searching */

static hither_status read_search(hither_index *index, const hither_index_search_options *options, uint32_t k,
                                 size_t queries, ht_flat_search *out, hither_error *err) {
    hither_index_search_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_index_search_options", err));
    HT_TRY(ht_k_check(k, err));
    if (o.metric)
        HT_TRY(check_metric(o.metric, err));
    double recall;
    HT_TRY(ht_recall_read(o.recall, &recall, err));
    const hither_kind kind = ht_flat_spec_of(in(index))->approx.kind;
    if (o.recall == 0 && kind != HITHER_EXACT && kind != HITHER_AUTO)
        recall = HT_FLAT_RECALL;
    *out = (ht_flat_search){.metric = o.metric,
                            .k = k,
                            .recall = recall,
                            .effort = kind == HITHER_IVF ? o.nprobe : o.ef,
                            .probes = o.nprobe,
                            .threads = o.threads      ? o.threads
                                       : queries == 1 ? 1
                                                      : 0,
                            .allow = o.allow,
                            .allow_bits = o.allow_bits};
    return HITHER_OK;
}

static hither_status search(hither_index *index, const hither_matrix *queries, const ht_flat_search *what,
                            int64_t *labels, float *distances, ht_flat_stats *stats, hither_error *err) {
    ht_floats floats;
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_queries_read(queries, ht_flat_spec_of(in(index))->dtype, &floats, err);
    if (status == HITHER_OK) {
        status = ht_flat_knn(in(index), &floats.view, what, labels, distances, stats, err);
        ht_floats_clear(&floats);
    }
    ht_fp_leave(fp);
    return status;
}

hither_status hither_index_search(hither_index *index, const hither_matrix *queries, uint32_t k,
                                  const hither_index_search_options *options, int64_t *labels, float *distances,
                                  hither_error *err) {
    HT_TRY(check_call(index, queries, err));
    if (queries->rows)
        HT_TRY(check_call(index, labels && distances ? index : NULL, err));
    ht_flat_search what;
    HT_TRY(read_search(index, options, k, queries->rows, &what, err));
    return search(index, queries, &what, labels, distances, NULL, err);
}

static uint64_t rows_of(hither_index *index) {
    ht_flat_info info;
    ht_flat_describe(in(index), &info);
    return info.rows;
}

hither_status hither_index_explain(hither_index *index, const hither_matrix *queries, uint32_t k,
                                   const hither_index_search_options *options, hither_result **out, hither_error *err) {
    HT_TRY(check_call(index, queries && out ? out : NULL, err));
    *out = NULL;
    size_t count, bytes;
    ht_flat_search what;
    HT_TRY(read_search(index, options, k, queries->rows, &what, err));
    if (!ht_mul_size(queries->rows, k, &count) || !ht_mul_size(count, sizeof(int64_t), &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    int64_t *labels = ht_alloc(bytes);
    float *distances = ht_alloc(bytes / 2);
    ht_searched searched = {.rows = rows_of(index), .recall = what.recall};
    hither_status status = labels && distances ? HITHER_OK : ht_fail_nomem(err, bytes, "hits");
    if (status == HITHER_OK)
        status = search(index, queries, &what, labels, distances, &searched.stats, err);
    if (status == HITHER_OK)
        status = ht_answers_nearest(queries->rows, k, labels, distances, &searched, out, err);
    ht_release(distances);
    ht_release(labels);
    return status;
}

/* The part of hither_index_within behind the checks: found has room for the queries. */
static hither_status within(hither_index *index, const hither_matrix *queries, float radius, const ht_flat_search *what,
                            ht_found *found, ht_exact_stats *stats, hither_error *err) {
    ht_floats floats;
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_queries_read(queries, ht_flat_spec_of(in(index))->dtype, &floats, err);
    if (status == HITHER_OK) {
        status = ht_flat_within(in(index), &floats.view, what, radius, found, stats, err);
        ht_floats_clear(&floats);
    }
    ht_fp_leave(fp);
    return status;
}

hither_status hither_index_within(hither_index *index, const hither_matrix *queries, float radius,
                                  const hither_index_search_options *options, hither_result **out, hither_error *err) {
    HT_TRY(check_call(index, queries && out ? out : NULL, err));
    *out = NULL;
    ht_flat_search what;
    HT_TRY(read_search(index, options, 1, queries->rows, &what, err));
    if ((!options || options->recall == 0) && what.recall == HT_FLAT_RECALL)
        what.recall = 1;
    if (what.recall < 1)
        return ht_fail(err, HITHER_INVALID, "a recall of %g within a radius: all rows are all", what.recall);
    ht_found *found = ht_calloc(queries->rows, sizeof *found);
    if (!found)
        return ht_fail_nomem(err, queries->rows, "queries");
    ht_searched searched = {.rows = rows_of(index), .recall = what.recall};
    hither_status status = within(index, queries, radius, &what, found, &searched.stats.exact, err);
    if (status == HITHER_OK)
        status = ht_answers_found(queries->rows, found, &searched, out, err);
    for (size_t j = 0; j < queries->rows; j++)
        ht_release(found[j].hits);
    ht_release(found);
    return status;
}

/* ---- files and facts */

hither_status hither_index_save(hither_index *index, const char *path, hither_error *err) {
    HT_TRY(check_call(index, path, err));
    return ht_flat_save(in(index), ht_io_posix(), path, err);
}

hither_status hither_index_verify(hither_index *index, hither_error *err) {
    HT_TRY(check_call(index, index, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_flat_verify(in(index), err);
    ht_fp_leave(fp);
    return status;
}

/* One record whose metadata is the text, which must be JSON. */
static hither_status give_json(ht_buf *json, hither_result **out, hither_error *err) {
    hither_result *result = NULL;
    hither_status status = ht_buf_check(json, "facts about an index", err);
    if (status == HITHER_OK)
        status = ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err);
    if (status == HITHER_OK) {
        ht_result_add_text(result, "index", 5);
        ht_result_metadata(result, (ht_text){json->data, json->size});
        status = ht_result_check(result, err);
    }
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    ht_buf_clear(json);
    return status;
}

static void put_built(ht_buf *out, const ht_flat_info *info, const ht_approx_kind *kind) {
    static const double recalls[] = {0.9, 0.95, 0.99, 0.999};
    const ht_approx_facts *f = &info->facts;
    ht_buf_printf(out,
                  ",\"built\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"stray\":%" PRIu64 ",\"levels\":%" PRIu64
                  ",\"links\":%" PRIu64 ",\"lists\":%" PRIu64 ",\"bytes_built\":%" PRIu64 ",\"recall\":{",
                  f->rows, info->waiting, info->stray, f->levels, f->links, f->lists, f->bytes);
    for (size_t i = 0; info->approximate && i < sizeof recalls / sizeof *recalls; i++)
        ht_buf_printf(out, "%s\"%g\":%zu", i ? "," : "", recalls[i], ht_approx_effort(&info->curve, recalls[i], 10));
    ht_buf_printf(out, "},\"effort\":\"%s\"", (info->built ? info->built : kind)->effort);
    if (kind == &ht_approx_auto)
        ht_buf_printf(out, ",\"picked\":\"%s\"", info->built ? info->built->name : "exact");
}

hither_status hither_index_info(hither_index *index, hither_result **out, hither_error *err) {
    HT_TRY(check_call(index, out, err));
    *out = NULL;
    ht_flat_info info;
    ht_buf json;
    ht_flat_describe(in(index), &info);
    const ht_approx_kind *kind = ht_approx_kind_of(info.spec.approx.kind);
    ht_buf_init(&json, SIZE_MAX / 2);
    ht_buf_printf(&json, "{\"kind\":\"%s\",\"dim\":%u,\"dtype\":\"%s\",\"metric\":\"%s\",\"rows\":%" PRIu64,
                  kind ? kind->name : "exact", info.spec.dim, ht_dtype_name(info.spec.dtype),
                  ht_metric_name(info.spec.metric), info.rows);
    ht_buf_printf(&json, ",\"bytes_rows\":%" PRIu64 ",\"bytes_extra\":%" PRIu64 ",\"mapped\":%s,\"borrowed\":%s",
                  info.bytes_rows, info.bytes_extra, info.mapped ? "true" : "false", info.borrowed ? "true" : "false");
    if (kind)
        put_built(&json, &info, kind);
    ht_buf_puts(&json, "}");
    return give_json(&json, out, err);
}

hither_status hither_index_tune(hither_index *index, hither_result **out, hither_error *err) {
    HT_TRY(check_call(index, out, err));
    *out = NULL;
    ht_flat_info info;
    ht_buf json;
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_flat_tune(in(index), 0, err);
    ht_fp_leave(fp);
    if (status != HITHER_OK)
        return status;
    ht_flat_describe(in(index), &info);
    ht_buf_init(&json, SIZE_MAX / 2);
    ht_buf_printf(&json, "{\"effort\":\"%s\",\"own\":%u,\"asked\":%u,\"curve\":[", info.built ? info.built->effort : "",
                  info.curve.own, info.curve.asked);
    for (size_t i = 0; i < info.curve.count; i++) {
        const ht_approx_point *p = &info.curve.points[i];
        ht_buf_printf(&json, "%s{\"effort\":%u,\"visited\":%u,\"recall10\":%.4f,\"recall100\":%.4f}", i ? "," : "",
                      p->effort, p->visited, (double)p->recall10, (double)p->recall100);
    }
    ht_buf_puts(&json, "]}");
    return give_json(&json, out, err);
}
