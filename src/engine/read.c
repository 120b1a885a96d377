/*
 * read.c: get, search and scan. Any thread; none of them waits for a writer.
 *
 * A search pins a snapshot, finds slots in memory, and only then reads the payloads of its hits, by slot; a row version
 * never changes, so it does not matter that the payload reader may stand on a later commit. A lookup by id is the other
 * way round: it needs a catalog at least as new as the snapshot, so the reader begins first and the snapshot is pinned
 * after; should a commit fall between the two, the reader begins again.
 */
#include <stdio.h>
#include <string.h>

#include "engine/parts.h"
#include "engine/plan.h"

/* Hits held at once; a batch of more queries is answered in parts. */
#define HITS_AT_ONCE ((size_t)1 << 20)

struct ht_cursor {
    ht_collection *c;
    ht_snapshot *snapshot; /* held by count */
    ht_selection selected; /* of the snapshot; words NULL: all */
    uint64_t slot;         /* where to go on */
    uint32_t include;
};

/* What a reading call stands on. */
typedef struct view {
    ht_collection *c;
    ht_scratch *scratch;
    ht_snapshot *snapshot;
    ht_reader *reader; /* NULL until needed */
    uint32_t include;
} view;

static uint32_t include_of(uint32_t include) {
    return include ? include : HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS;
}

/* A view may hold a reader and a pin whether or not opening it succeeded. */
static void view_close(view *v) {
    ht_reader_end(v->reader);
    ht_scratch_give(v->scratch);
}

static hither_status view_open(view *v, ht_collection *c, uint32_t include, hither_error *err) {
    *v = (view){.c = c, .include = include_of(include)};
    HT_TRY(ht_collection_enter(c, err));
    HT_TRY(ht_scratch_take(&c->db->scratches, &v->scratch, err));
    v->snapshot = ht_snapshot_pin(&c->home, v->scratch);
    return HITHER_OK;
}

/* Begins a reader that sees at least the view's snapshot. */
static hither_status need_reader(view *v, hither_error *err) {
    return v->reader ? HITHER_OK : ht_collection_reader(v->c, v->snapshot, &v->reader, err);
}

/* The newest snapshot that the catalog, as this view's reader sees it, covers. */
static hither_status view_open_for_ids(view *v, ht_collection *c, uint32_t include, hither_error *err) {
    HT_TRY(view_open(v, c, include, err));
    for (;;) {
        uint64_t seq;
        HT_TRY(ht_reader_begin(c->db->store, c->cid, &v->reader, &seq, err));
        v->snapshot = ht_snapshot_pin(&c->home, v->scratch);
        if (v->snapshot->seq < ht_reader_floor(v->reader))
            return ht_fail(err, HITHER_STALE, "compaction has overtaken this read");
        if (v->snapshot->seq <= seq)
            return HITHER_OK;
        ht_reader_end(v->reader);
        v->reader = NULL;
    }
}

/* Appends the row at a slot, its parts as the view includes them, if it matches the filter. */
static hither_status add_row(view *v, uint64_t slot, const ht_filter *filter, hither_result *out, hither_error *err) {
    ht_row row;
    hither_status status = ht_reader_row(v->reader, slot, &row, err);
    if (status == HITHER_NOT_FOUND)
        return ht_fail(err, HITHER_CORRUPT, "the catalog has no row for slot %llu; run `hither verify`",
                       (unsigned long long)slot);
    HT_TRY(status);
    bool matches = true;
    if (filter)
        HT_TRY(ht_row_matches(filter, &row, &matches, err));
    if (!matches)
        return HITHER_OK;
    if (row.id_kind == HT_ID_INT)
        ht_result_add_int(out, row.int_id);
    else
        ht_result_add_text(out, row.text_id.data, row.text_id.bytes);
    if (v->include & HITHER_INCLUDE_METADATA)
        ht_result_metadata(out, row.metadata);
    if (v->include & HITHER_INCLUDE_DOCUMENTS)
        ht_result_document(out, row.document);
    if (v->include & HITHER_INCLUDE_VECTORS) {
        const float *vector;
        HT_TRY(ht_snapshot_row(v->snapshot, slot, &vector, err));
        ht_result_vector(out, vector);
    }
    return HITHER_OK;
}

static hither_status hand_over(hither_status status, hither_result *result, hither_result **out, hither_error *err) {
    if (status == HITHER_OK)
        status = ht_result_check(result, err);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}

/* ---- get */

static hither_status find(view *v, const hither_ids *ids, size_t i, uint64_t *slot, hither_error *err) {
    return ht_reader_find(v->reader, ids, i, v->snapshot->seq, v->snapshot->slot_limit, slot, err);
}

static hither_status get_rows(view *v, const hither_ids *ids, const ht_filter *filter, hither_result *result,
                              hither_error *err) {
    HT_TRY(ht_id_kind_check(v->snapshot->id_kind, ids, err));
    for (size_t i = 0; i < ids->count; i++) {
        uint64_t slot;
        HT_TRY(find(v, ids, i, &slot, err));
        if (slot != UINT64_MAX)
            HT_TRY(add_row(v, slot, filter, result, err));
    }
    return HITHER_OK;
}

static hither_status get(ht_collection *c, const hither_ids *ids, const ht_filter *filter, uint32_t include,
                         hither_result **out, hither_error *err) {
    view v;
    hither_result *result = NULL;
    hither_status status = view_open_for_ids(&v, c, include, err);
    if (status == HITHER_OK)
        status = ht_result_new(v.include, c->dim, false, &result, err);
    if (status == HITHER_OK)
        status = get_rows(&v, ids, filter, result, err);
    view_close(&v);
    return hand_over(status, result, out, err);
}

hither_status ht_collection_get(ht_collection *c, const hither_ids *ids, const ht_filter *filter, uint32_t include,
                                hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = get(c, ids, filter, include, out, err);
    return status;
}

/* ---- search */

/* The queries of a search by ids: the vectors of those rows, packed. */
static hither_status gather(view *v, const hither_ids *ids, float **out, hither_error *err) {
    size_t dim = v->c->dim, bytes;
    float *vectors = ht_mul_size(ids->count, dim * sizeof(float), &bytes) ? ht_alloc(bytes) : NULL;
    if (!vectors)
        return ht_fail_nomem(err, ids->count, "the vectors to search by");
    hither_status status = ht_id_kind_check(v->snapshot->id_kind, ids, err);
    for (size_t i = 0; i < ids->count && status == HITHER_OK; i++) {
        uint64_t slot = UINT64_MAX;
        const float *row = NULL;
        status = find(v, ids, i, &slot, err);
        if (status == HITHER_OK && slot == UINT64_MAX) {
            char shown[HT_ID_SHOWN];
            status = ht_fail(err, HITHER_NOT_FOUND, "no id %s in the collection", ht_id_show(ids, i, shown));
        }
        if (status == HITHER_OK)
            status = ht_snapshot_row(v->snapshot, slot, &row, err);
        if (status == HITHER_OK)
            memcpy(vectors + i * dim, row, dim * sizeof(float));
    }
    if (status == HITHER_OK)
        *out = vectors;
    else
        ht_release(vectors);
    return status;
}

/* Groups for `count` queries from their hits; the result's first group is there already. */
static hither_status add_groups(view *v, size_t first, size_t count, size_t k, hither_result *result,
                                hither_error *err) {
    for (size_t j = 0; j < count; j++) {
        if (first + j)
            ht_result_next_group(result);
        if (v->scratch->counts[j])
            HT_TRY(need_reader(v, err));
        for (size_t i = 0; i < v->scratch->counts[j]; i++) {
            const ht_hit *hit = &v->scratch->hits[j * k + i];
            HT_TRY(add_row(v, hit->slot, NULL, result, err));
            ht_result_distance(result, (float)hit->distance);
        }
    }
    return HITHER_OK;
}

static void say_plan(hither_result *result, const ht_exact_stats *stats, const ht_selection *selected) {
    char plan[320];
    int length =
        snprintf(plan, sizeof plan, "{\"kind\":\"exact\",\"rows_scanned\":%llu,\"rows_rescored\":%llu,\"threads\":%u",
                 (unsigned long long)stats->rows_scanned, (unsigned long long)stats->rows_rescored,
                 stats->threads ? stats->threads : 1);
    if (selected)
        length += snprintf(plan + length, sizeof plan - (size_t)length,
                           ",\"filter\":{\"plan\":\"%s\",\"rows_matched\":%llu,\"rows_checked\":%llu,"
                           "\"rows_parsed\":%llu}",
                           selected->plan, (unsigned long long)selected->count, (unsigned long long)selected->checked,
                           (unsigned long long)selected->parsed);
    (void)snprintf(plan + length, sizeof plan - (size_t)length, "}");
    ht_result_plan(result, plan);
}

/* selected NULL: every row. */
static hither_status search_all(view *v, const hither_matrix *queries, size_t k, unsigned threads,
                                const ht_selection *selected, hither_result *result, hither_error *err) {
    const ht_snapshot *s = v->snapshot;
    ht_exact_stats stats = {0};
    ht_mask allow = selected ? ht_selection_mask(selected) : (ht_mask){0};
    uint64_t rows = selected ? selected->count : s->live_count;
    k = rows < k ? (size_t)rows : k;
    if (!threads && queries->rows == 1)
        threads = 1;
    size_t at_once = ht_min_size(queries->rows, k ? 1 + (HITS_AT_ONCE - 1) / k : queries->rows);
    HT_TRY(ht_scratch_reserve(v->scratch, at_once * k, at_once, err));
    for (size_t first = 0; first < queries->rows; first += at_once) {
        size_t n = ht_min_size(at_once, queries->rows - first);
        hither_matrix some = *queries;
        some.data = (const char *)queries->data + first * queries->stride;
        some.rows = n;
        if (k)
            HT_TRY(ht_parts_search(s, v->scratch, v->c->metric, &some, selected ? &allow : NULL, k, threads,
                                   v->scratch->hits, v->scratch->counts, &stats, err));
        else
            memset(v->scratch->counts, 0, n * sizeof *v->scratch->counts);
        HT_TRY(add_groups(v, first, n, k, result, err));
    }
    say_plan(result, &stats, selected);
    return HITHER_OK;
}

static hither_status check_queries(const view *v, const hither_matrix *queries, hither_error *err) {
    if (queries->rows && queries->dim != v->c->dim)
        return ht_fail(err, HITHER_DIMENSION, "the queries have %zu dimensions, the collection has %u", queries->dim,
                       v->c->dim);
    return HITHER_OK;
}

static hither_status search(ht_collection *c, const hither_matrix *queries, const hither_ids *ids, uint32_t k,
                            const ht_filter *filter, uint32_t include, uint32_t threads, hither_result **out,
                            hither_error *err) {
    view v;
    ht_selection selected = {0};
    hither_result *result = NULL;
    float *gathered = NULL;
    hither_matrix rows = {.dim = c->dim, .stride = c->dim * sizeof(float), .dtype = HITHER_F32};
    hither_status status = queries ? view_open(&v, c, include, err) : view_open_for_ids(&v, c, include, err);
    if (status == HITHER_OK && queries) {
        status = check_queries(&v, queries, err);
        rows = *queries;
        if (!rows.stride)
            rows.stride = rows.dim * sizeof(float);
    } else if (status == HITHER_OK) {
        status = gather(&v, ids, &gathered, err);
        rows.data = gathered;
        rows.rows = ids->count;
    }
    if (status == HITHER_OK)
        status = ht_result_new(v.include, c->dim, true, &result, err);
    if (status == HITHER_OK && filter)
        status = ht_select(c, v.snapshot, filter, &v.reader, &selected, err);
    if (status == HITHER_OK)
        status = search_all(&v, &rows, k, threads, filter ? &selected : NULL, result, err);
    ht_selection_clear(&selected);
    ht_release(gathered);
    view_close(&v);
    return hand_over(status, result, out, err);
}

hither_status ht_collection_search(ht_collection *c, const hither_matrix *queries, const hither_ids *ids, uint32_t k,
                                   const ht_filter *filter, uint32_t include, uint32_t threads, hither_result **out,
                                   hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = search(c, queries, ids, k, filter, include, threads, out, err);
    return status;
}

/* ---- scan */

static hither_status scan(ht_collection *c, const ht_filter *filter, uint32_t include, ht_cursor **out,
                          hither_error *err) {
    view v;
    ht_selection selected = {0};
    ht_cursor *cursor = ht_calloc(1, sizeof *cursor);
    if (!cursor)
        return ht_fail_nomem(err, sizeof *cursor, "a cursor");
    hither_status status = view_open(&v, c, include, err);
    if (status == HITHER_OK && filter)
        status = ht_select(c, v.snapshot, filter, &v.reader, &selected, err);
    if (status == HITHER_OK) {
        ht_snapshot_hold(v.snapshot);
        ht_db_acquire(c->db);
        *cursor =
            (ht_cursor){.c = ht_collection_ref(c), .snapshot = v.snapshot, .selected = selected, .include = v.include};
        *out = cursor;
    } else {
        ht_release(cursor);
    }
    view_close(&v);
    return status;
}

hither_status ht_collection_scan(ht_collection *c, const ht_filter *filter, uint32_t include, ht_cursor **out,
                                 hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = scan(c, filter, include, out, err);
    return status;
}

/* The first row of the cursor at or after a slot. */
static uint64_t cursor_slot(const ht_cursor *cursor, uint64_t slot) {
    return cursor->selected.words ? ht_selection_next(&cursor->selected, slot)
                                  : ht_snapshot_next(cursor->snapshot, slot);
}

static hither_status next_rows(ht_cursor *cursor, size_t limit, hither_result *result, hither_error *err) {
    view v = {.c = cursor->c, .snapshot = cursor->snapshot, .include = cursor->include};
    uint64_t slot = cursor_slot(cursor, cursor->slot);
    hither_status status = HITHER_OK;
    if (slot < v.snapshot->slot_limit)
        status = need_reader(&v, err);
    for (size_t n = 0; n < limit && slot < v.snapshot->slot_limit && status == HITHER_OK; n++) {
        status = add_row(&v, slot, NULL, result, err);
        slot = cursor_slot(cursor, slot + 1);
    }
    ht_reader_end(v.reader);
    if (status == HITHER_OK)
        status = ht_result_check(result, err);
    if (status == HITHER_OK)
        cursor->slot = slot;
    return status;
}

hither_status ht_cursor_next(ht_cursor *cursor, size_t limit, hither_result **out, hither_error *err) {
    ht_collection *c = cursor->c;
    hither_result *result;
    HT_TRY(ht_fork_check(c->db->generation, err));
    if (atomic_load_explicit(&c->dropped, memory_order_acquire))
        return ht_fail(err, HITHER_NOT_FOUND, "the collection was dropped");
    HT_TRY(ht_result_new(cursor->include, c->dim, false, &result, err));
    hither_status status = next_rows(cursor, limit, result, err);
    if (status == HITHER_OK)
        *out = result;
    else
        hither_result_free(result);
    return status;
}

void ht_cursor_close(ht_cursor *cursor) {
    if (!cursor)
        return;
    ht_db *db = cursor->c->db;
    ht_snapshot_unhold(cursor->snapshot);
    /* If the snapshot was replaced meanwhile, free it now, unless a writer is at work: then its next commit does. */
    if (db->generation == ht_fork_generation() && pthread_mutex_trylock(&db->writer) == 0) {
        ht_graveyard_sweep(&db->graveyard, &db->scratches);
        pthread_mutex_unlock(&db->writer);
    }
    ht_collection_unref(cursor->c);
    ht_selection_clear(&cursor->selected);
    ht_release(cursor);
    ht_db_close(db);
}
