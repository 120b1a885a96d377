/*
 * cursor.c: all rows of one version, in order of writing, a block at a time; or the hits of a search, the nearest first
 * (cursor.h). A cursor holds its snapshot by count, and belongs to one thread at a time.
 */
#include "engine/cursor.h"

#include <string.h>

struct ht_cursor {
    ht_collection *c;
    ht_snapshot *snapshot; /* held by count */
    ht_selection selected; /* of the snapshot; words NULL: all */
    uint64_t slot;         /* where to go on */
    uint32_t include;
    ht_search_cursor *search; /* NULL: of all rows */
};

static hither_status scan(ht_collection *c, const ht_filter *filter, uint32_t include, ht_cursor **out,
                          hither_error *err) {
    ht_reading v;
    ht_selection selected = {0};
    ht_cursor *cursor = ht_calloc(1, sizeof *cursor);
    if (!cursor)
        return ht_fail_nomem(err, sizeof *cursor, "a cursor");
    hither_status status = ht_reading_open(&v, c, include, err);
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
    ht_reading_close(&v);
    return status;
}

hither_status ht_collection_scan(ht_collection *c, const ht_filter *filter, uint32_t include, ht_cursor **out,
                                 hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = scan(c, filter, include, out, err);
    return status;
}

static hither_status search_on(ht_collection *c, const float *query, size_t dim, const ht_search *search,
                               ht_cursor **out, hither_error *err) {
    ht_reading v;
    ht_search_cursor *found = NULL;
    ht_cursor *cursor = ht_calloc(1, sizeof *cursor);
    if (!cursor)
        return ht_fail_nomem(err, sizeof *cursor, "a cursor");
    hither_status status = ht_reading_open(&v, c, search->include, err);
    if (status == HITHER_OK && search->embedder && strcmp(search->embedder, v.snapshot->shape->embedder) != 0)
        status = ht_fail(err, HITHER_STALE, "the collection was moved to another embedder meanwhile");
    if (status == HITHER_OK)
        status = ht_search_cursor_new(&v, query, dim, search, &found, err);
    if (status == HITHER_OK) {
        ht_snapshot_hold(v.snapshot);
        ht_db_acquire(c->db);
        *cursor = (ht_cursor){.c = ht_collection_ref(c), .snapshot = v.snapshot, .search = found, .include = v.include};
        *out = cursor;
    } else {
        ht_release(cursor);
    }
    ht_reading_close(&v);
    return status;
}

hither_status ht_collection_search_on(ht_collection *c, const float *query, size_t dim, const ht_search *search,
                                      ht_cursor **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = search_on(c, query, dim, search, out, err);
    return status;
}

/* The first row of the cursor at or after a slot. */
static uint64_t cursor_slot(const ht_cursor *cursor, uint64_t slot) {
    return cursor->selected.words ? ht_selection_next(&cursor->selected, slot)
                                  : ht_snapshot_next(cursor->snapshot, slot);
}

static hither_status next_rows(ht_cursor *cursor, size_t limit, hither_result *result, hither_error *err) {
    ht_reading v = {.c = cursor->c, .snapshot = cursor->snapshot, .include = cursor->include};
    uint64_t slot = cursor_slot(cursor, cursor->slot);
    hither_status status = HITHER_OK;
    if (slot < v.snapshot->slot_limit)
        status = ht_reading_reader(&v, err);
    for (size_t n = 0; n < limit && slot < v.snapshot->slot_limit && status == HITHER_OK; n++) {
        status = ht_reading_add_row(&v, slot, NULL, result, err);
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
    const ht_reading v = {.c = c, .snapshot = cursor->snapshot, .include = cursor->include};
    if (cursor->search)
        return ht_search_cursor_next(cursor->search, &v, limit, out, err);
    HT_TRY(ht_reading_result(&v, false, &result, err));
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
    ht_search_cursor_free(cursor->search);
    ht_release(cursor);
    ht_db_close(db);
}
