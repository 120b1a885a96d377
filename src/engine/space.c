/*
 * space.c: compacting a database or one of its collections, and purging. Any thread; the work is compact.c's.
 */
#include <stdio.h>
#include <time.h>

#include "engine/compact.h"
#include "store/compact.h"

#define POLL_MS 10u

hither_status ht_space_begin(ht_db *db, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    if (db->readonly)
        return ht_fail(err, HITHER_READONLY, "this handle was opened read-only");
    if (atomic_exchange_explicit(&db->compacting, true, memory_order_acquire))
        return ht_fail(err, HITHER_BUSY,
                       "another thread is compacting this database, or moving a collection to another embedder");
    return HITHER_OK;
}

void ht_space_end(ht_db *db) { atomic_store_explicit(&db->compacting, false, memory_order_release); }

hither_status ht_collection_compact(ht_collection *c, ht_progress *progress, hither_error *err) {
    HT_TRY(ht_space_begin(c->db, err));
    hither_status status = ht_compact_rows(c, HT_COMPACT_WORTHWHILE, progress, err);
    if (status == HITHER_OK)
        status = ht_compact_catalog(c->db, progress, err);
    ht_space_end(c->db);
    return status;
}

/* After a BUSY: whether there is time left to try again. */
static bool wait_a_little(ht_progress *progress, hither_status *status, hither_error *err) {
    if (*status != HITHER_BUSY || progress->waited_ms >= progress->wait_ms)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    progress->waited_ms += POLL_MS;
    *status = ht_progress_step(progress, 0, err);
    return *status == HITHER_OK;
}

/* Every collection there is, by name. One that is dropped meanwhile needs no compaction. */
static hither_status every_collection(ht_db *db, ht_thoroughness how, ht_progress *progress, hither_error *err) {
    hither_result *list;
    HT_TRY(ht_db_list(db, &list, err));
    hither_strings names = hither_result_ids(list, 0).strings;
    const ht_collection_spec old = {.flags = HITHER_COLLECTION_EXISTING};
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < names.count && status == HITHER_OK; i++) {
        char name[HITHER_MAX_NAME_BYTES + 1];
        ht_text text = ht_strings_at(&names, i);
        ht_collection *c = NULL;
        (void)snprintf(name, sizeof name, "%.*s", (int)text.bytes, text.data);
        status = ht_collection_open(db, name, &old, &c, err);
        if (status == HITHER_OK) {
            do
                status = ht_compact_rows(c, how, progress, err);
            while (wait_a_little(progress, &status, err));
        }
        ht_collection_close(c);
        if (status == HITHER_NOT_FOUND)
            status = HITHER_OK;
    }
    hither_result_free(list);
    return status;
}

hither_status ht_db_compact(ht_db *db, ht_progress *progress, hither_error *err) {
    HT_TRY(ht_space_begin(db, err));
    hither_status status = every_collection(db, HT_COMPACT_WORTHWHILE, progress, err);
    if (status == HITHER_OK)
        status = ht_compact_catalog(db, progress, err);
    ht_space_end(db);
    return status;
}

hither_status ht_db_purge(ht_db *db, ht_progress *progress, hither_error *err) {
    HT_TRY(ht_space_begin(db, err));
    hither_status status = ht_queue_flush(db, err); /* what is acknowledged and waits may replace rows */
    if (status == HITHER_OK)
        status = every_collection(db, HT_COMPACT_ALL, progress, err);
    if (status == HITHER_OK) {
        do {
            pthread_mutex_lock(&db->writer);
            status = ht_store_scrub(db->store, err);
            pthread_mutex_unlock(&db->writer);
        } while (wait_a_little(progress, &status, err));
    }
    ht_space_end(db);
    return status;
}
