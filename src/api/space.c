/*
 * space.c: compacting, purging and moving to another embedder, as hither.h has it. Any thread.
 */
#include "api/collection.h"
#include "engine/compact.h"

#define DEFAULT_WAIT_MS 1000u

static hither_status read_options(const hither_work_options *options, ht_progress *out, hither_error *err) {
    hither_work_options o;
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_work_options", err));
    *out = (ht_progress){.call = o.progress, .ctx = o.ctx, .wait_ms = o.wait_ms ? o.wait_ms : DEFAULT_WAIT_MS};
    return HITHER_OK;
}

hither_status hither_db_compact(hither_db *db, const hither_work_options *options, hither_error *err) {
    ht_progress progress;
    if (!db)
        return ht_fail(err, HITHER_INVALID, "the database is NULL");
    HT_TRY(read_options(options, &progress, err));
    return ht_db_compact(ht_db_in(db), &progress, err);
}

hither_status hither_db_purge(hither_db *db, const hither_work_options *options, hither_error *err) {
    ht_progress progress;
    if (!db)
        return ht_fail(err, HITHER_INVALID, "the database is NULL");
    HT_TRY(read_options(options, &progress, err));
    return ht_db_purge(ht_db_in(db), &progress, err);
}

hither_status hither_collection_compact(hither_collection *c, const hither_work_options *options, hither_error *err) {
    ht_progress progress;
    if (!c)
        return ht_fail(err, HITHER_INVALID, "the collection is NULL");
    HT_TRY(read_options(options, &progress, err));
    return ht_collection_compact(ht_collection_in(c), &progress, err);
}

hither_status hither_collection_reembed(hither_collection *c, hither_embedder *embedder,
                                        const hither_work_options *options, hither_error *err) {
    ht_progress progress;
    if (!c || !embedder)
        return ht_fail(err, HITHER_INVALID, "the %s is NULL", c ? "embedder" : "collection");
    HT_TRY(read_options(options, &progress, err));
    return ht_reembed(c, ht_embedder_in(embedder), &progress, err);
}
