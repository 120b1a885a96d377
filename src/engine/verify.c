/*
 * verify.c: whether a database is what it should be. The store checks bytes; here, whether rows are as the schema of
 * their collection says. What is damaged is judged no further.
 *
 * Any thread; writers go on meanwhile. A schema is read before the rows it is to hold for, and once more where they do
 * not fit: somebody may have changed it.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/reading.h"
#include "engine/rules.h"
#include "engine/unique.h"
#include "store/pack.h"

enum { ATTEMPTS = 5 };

static hither_status add_finding(void *arg, const char *place, const char *problem) {
    hither_result *report = arg;
    ht_result_add_text(report, place, ht_utf8_valid_prefix(place, strlen(place)));
    ht_result_document(report, (ht_text){problem, ht_utf8_valid_prefix(problem, strlen(problem))});
    return HITHER_OK;
}

/* The blocks of the file, which cover what the checks inside do not. */
static hither_status verify_pack(ht_io *pack, hither_result *report, const char *path, hither_error *err) {
    hither_error why = {0};
    hither_status status = ht_pack_verify(pack, &why);
    if (status == HITHER_CORRUPT)
        return add_finding(report, path, why.message);
    if (status != HITHER_OK && err)
        *err = why;
    return status;
}

/* ---- schemas */

static bool same_text(const ht_schema *a, const ht_schema *b) {
    return a && b && a->text.size == b->text.size && memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

static hither_status check_rows(ht_collection *c, const ht_schema *schema, ht_progress *progress, hither_error *err) {
    ht_reading v;
    ht_uniques found = {0};
    hither_status status = ht_reading_open(&v, c, HITHER_INCLUDE_NOTHING, err);
    if (status == HITHER_OK)
        status = ht_uniques_make(c, schema, v.snapshot, progress, &found, err);
    ht_uniques_clear(&found);
    ht_reading_close(&v);
    return status;
}

/* OK: all rows are as the schema says. INVALID, EXISTS: one is not. */
static hither_status check_until_sure(ht_db *db, ht_collection *c, int64_t cid, ht_progress *progress,
                                      hither_error *err) {
    hither_status status = HITHER_OK;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        ht_schema *schema, *again = NULL;
        HT_TRY(ht_rules_read(db, cid, &schema, err));
        status = schema ? check_rows(c, schema, progress, err) : HITHER_OK;
        bool odd = status == HITHER_INVALID || status == HITHER_EXISTS;
        hither_status read = odd ? ht_rules_read(db, cid, &again, NULL) : HITHER_OK;
        bool sure = status != HITHER_STALE && (!odd || (read == HITHER_OK && same_text(schema, again)));
        ht_schema_free(schema);
        ht_schema_free(again);
        if (sure)
            break;
    }
    return status;
}

static hither_status check_collection(ht_db *db, const ht_collection_row *row, ht_progress *progress,
                                      hither_error *err) {
    const ht_collection_spec existing = {.dtype = row->dtype, .flags = HITHER_COLLECTION_EXISTING};
    ht_collection *c = NULL;
    ht_schema *schema = NULL;
    HT_TRY(ht_rules_read(db, row->cid, &schema, err));
    if (!schema)
        return HITHER_OK;
    hither_status status = ht_collection_open(db, row->name, &existing, &c, err);
    if (status == HITHER_OK)
        status = ht_progress_phase(progress, "schemas", row->live_count, err);
    if (status == HITHER_OK)
        status = check_until_sure(db, c, row->cid, progress, err);
    ht_collection_close(c);
    ht_schema_free(schema);
    return status == HITHER_NOT_FOUND ? HITHER_OK : status; /* dropped meanwhile */
}

static hither_status check_schemas(ht_db *db, hither_result *report, ht_progress *progress, hither_error *err) {
    ht_collection_row *all = NULL;
    size_t count = 0;
    HT_TRY(ht_db_collections(db, &all, &count, err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < count && status == HITHER_OK; i++) {
        hither_error why = {0};
        char place[HITHER_MAX_NAME_BYTES + 32];
        snprintf(place, sizeof place, "collection '%s'", all[i].name);
        status = check_collection(db, &all[i], progress, &why);
        if (status == HITHER_INVALID || status == HITHER_EXISTS || status == HITHER_CORRUPT)
            status = add_finding(report, place, why.message);
        else if (status != HITHER_OK && err)
            *err = why;
    }
    ht_release(all);
    return status;
}

/* ---- all of it */

static hither_status judge(hither_result *report, hither_error *err) {
    size_t findings = hither_result_count(report, 0);
    HT_TRY(ht_result_check(report, err));
    if (findings == 0)
        return HITHER_OK;
    hither_strings places = hither_result_ids(report, 0).strings, problems = hither_result_documents(report, 0);
    ht_text place = ht_strings_at(&places, 0), problem = ht_strings_at(&problems, 0);
    return ht_fail(err, HITHER_CORRUPT, "%zu problem%s, the first: %.*s: %.*s", findings, findings == 1 ? "" : "s",
                   (int)place.bytes, place.data, (int)problem.bytes, problem.data);
}

static hither_status verify(ht_db *db, ht_depth depth, ht_progress *progress, hither_result **out, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    hither_result *report;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, false, &report, err));
    hither_status status = HITHER_OK;
    bool deep = depth == HT_VERIFY_DEEP;
    if (db->pack && deep)
        status = verify_pack(db->pack, report, ht_store_path(db->store), err);
    if (status == HITHER_OK)
        status = ht_store_verify(db->store, depth, add_finding, report, progress, err);
    if (status == HITHER_OK && deep && hither_result_count(report, 0) == 0)
        status = check_schemas(db, report, progress, err);
    if (status != HITHER_OK) {
        hither_result_free(report);
        return status;
    }
    status = judge(report, err);
    if (out && (status == HITHER_OK || status == HITHER_CORRUPT))
        *out = report;
    else
        hither_result_free(report);
    return status;
}

hither_status ht_db_verify(ht_db *db, ht_progress *progress, hither_result **out, hither_error *err) {
    return verify(db, HT_VERIFY_DEEP, progress, out, err);
}

hither_status ht_db_verify_fast(ht_db *db, hither_result **out, hither_error *err) {
    return verify(db, HT_VERIFY_FAST, NULL, out, err);
}
