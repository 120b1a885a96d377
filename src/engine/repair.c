/*
 * repair.c: a backup of a database, a pack of it, and a new database of the rows that a damaged one still vouches for.
 * Any thread.
 */
#include <string.h>

#include "base/progress.h"
#include "engine/expiry.h"
#include "engine/named.h"
#include "engine/state.h"
#include "store/backup.h"
#include "store/draft.h"
#include "store/pack.h"

enum { BATCH_ROWS = 1000, BATCH_BYTES = 16 << 20 };

/* Where copies go: what is in memory only is copied to the disk, and a pack to where it lies itself. */
static const ht_io *outside(const ht_db *db) { return db->memory ? ht_io_posix() : db->pack ? db->around : NULL; }

hither_status ht_db_backup(ht_db *db, const char *path, ht_progress *progress, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    return ht_store_backup(db->store, outside(db), path, progress, err);
}

hither_status ht_db_pack(ht_db *db, const char *path, hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    return ht_store_pack(db->store, outside(db), path, err);
}

/* ---- repair */

typedef struct repair {
    ht_store *from;
    ht_db *db;
    ht_collection *c;      /* the one whose rows come, NULL before the first */
    int64_t cid;           /* of it, in `from` */
    hither_result *rows;   /* those not written yet */
    ht_collection_row row; /* its own */
    size_t bytes;
    hither_result *report;
    ht_progress *progress; /* counts rows */
    hither_error *err;
} repair;

static hither_status write_rows(repair *r) {
    size_t count = r->rows ? hither_result_count(r->rows, 0) : 0;
    hither_status status = HITHER_OK;
    if (count > 0)
        status = ht_result_check(r->rows, r->err);
    if (count > 0 && status == HITHER_OK) {
        hither_named named[HITHER_MAX_FIELDS];
        hither_batch batch = {.size = sizeof batch,
                              .ids = hither_result_ids(r->rows, 0),
                              .vectors = hither_result_vectors(r->rows, 0),
                              .metadata = hither_result_metadata(r->rows, 0),
                              .documents = hither_result_documents(r->rows, 0),
                              .named = named,
                              .named_count = r->row.field_count};
        for (uint32_t i = 0; i < r->row.field_count; i++)
            named[i] = hither_result_named(r->rows, 0, i + 1);
        status = ht_collection_put(r->c, HITHER_UPSERT, &batch, NULL, NULL, r->err);
    }
    hither_result_free(r->rows);
    r->rows = NULL;
    r->bytes = 0;
    return status == HITHER_OK ? ht_progress_step(r->progress, count, r->err) : status;
}

static hither_status take_finding(void *arg, const char *place, const char *problem) {
    repair *r = arg;
    ht_result_add_text(r->report, place, ht_utf8_valid_prefix(place, strlen(place)));
    ht_result_document(r->report, (ht_text){problem, ht_utf8_valid_prefix(problem, strlen(problem))});
    return HITHER_OK;
}

/* After its rows, for damage may have brought back one that does not fit: a schema that cannot be kept is a finding. */
static hither_status end_collection(repair *r) {
    ht_buf schema;
    hither_error why;
    HT_TRY(write_rows(r));
    if (!r->c)
        return HITHER_OK;
    ht_buf_init(&schema, HITHER_MAX_SCHEMA_BYTES);
    hither_status status = ht_store_schema(r->from, r->cid, &schema, &why);
    if (status == HITHER_OK && schema.size)
        status = ht_collection_set_schema(r->c, schema.data, &why);
    ht_buf_clear(&schema);
    return status == HITHER_OK ? HITHER_OK : take_finding(r, "a schema is not kept", why.message);
}

static hither_status take_collection(void *arg, const ht_collection_row *row, int64_t ttl) {
    repair *r = arg;
    HT_TRY(end_collection(r));
    HT_TRY(ht_progress_phase(r->progress, "rows", row->live_count, r->err));
    ht_collection_close(r->c);
    r->c = NULL;
    if (row->dtype != HITHER_F32)
        return ht_fail(r->err, HITHER_UNSUPPORTED, "collection '%s' has rows of type %s, which cannot be repaired yet",
                       row->name, ht_dtype_name(row->dtype));
    hither_field fields[HITHER_MAX_FIELDS];
    ht_fields_say(row, fields);
    ht_collection_spec spec = {.flags = HITHER_COLLECTION_NEW,
                               .dim = row->dim,
                               .dtype = row->dtype,
                               .metric = row->metric,
                               .embedder = row->embedder,
                               .fields = fields,
                               .field_count = row->field_count};
    r->row = *row;
    r->cid = row->cid;
    HT_TRY(ht_collection_open(r->db, row->name, &spec, &r->c, r->err));
    return ttl == HT_TTL_OFF ? HITHER_OK : ht_collection_set_ttl(r->c, ttl, r->err);
}

static hither_status new_rows(repair *r) {
    const uint32_t columns = HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS;
    HT_TRY(ht_result_new(columns, r->row.dim, false, &r->rows, r->err));
    return ht_fields_want(r->row.fields, r->row.field_count, HITHER_INCLUDE_FIELDS, r->rows, r->err);
}

static hither_status take_row(void *arg, const ht_row *row, const void *vector) {
    repair *r = arg;
    if (!r->rows)
        HT_TRY(new_rows(r));
    if (row->id_kind == HT_ID_INT)
        ht_result_add_int(r->rows, row->int_id);
    else
        ht_result_add_text(r->rows, row->text_id.data, row->text_id.bytes);
    ht_result_vector(r->rows, vector);
    ht_fields_add(r->row.fields, r->row.field_count, HITHER_INCLUDE_FIELDS, vector, r->rows);
    ht_result_metadata(r->rows, row->metadata);
    ht_result_document(r->rows, row->document);
    r->bytes += (size_t)r->row.width * sizeof(float) + row->metadata.bytes + row->document.bytes;
    return hither_result_count(r->rows, 0) < BATCH_ROWS && r->bytes < BATCH_BYTES ? HITHER_OK : write_rows(r);
}

/* Fills the draft: the new database is open from here to the end of it, and only then can be given its name. */
static hither_status fill(const ht_io *io, ht_store *from, const char *partial, ht_progress *progress,
                          hither_result *report, hither_error *err) {
    repair r = {.from = from, .report = report, .progress = progress, .err = err};
    const ht_salvage to = {take_collection, take_row, take_finding, &r};
    HT_TRY(ht_db_open_io(io, partial, 0, 0, &r.db, err));
    hither_status status = ht_store_salvage(from, &to, err);
    if (status == HITHER_OK)
        status = end_collection(&r);
    if (status == HITHER_OK)
        status = ht_db_flush(r.db, err);
    hither_result_free(r.rows);
    ht_collection_close(r.c);
    ht_db_close(r.db);
    return status;
}

static hither_status open_damaged(const ht_io *io, const char *path, ht_store **out, hither_error *err) {
    hither_error why = {0};
    hither_status status = ht_store_open(io, path, HT_STORE_READONLY | HT_STORE_EXISTING, 0, out, &why);
    if (status == HITHER_CORRUPT)
        return ht_fail(err, status,
                       "nothing says which rows there are, for the catalog cannot be opened (%s). sqlite3's .recover "
                       "may read what is sound in it",
                       why.message);
    if (err)
        *err = why;
    return status;
}

hither_status ht_db_repair_io(const ht_io *io, const char *path, const char *to, ht_progress *progress,
                              hither_result **report, hither_error *err) {
    ht_store *from;
    ht_io *pack;
    ht_draft draft = {0};
    hither_result *found = NULL;
    HT_TRY(ht_db_look(io, path, &pack, err));
    hither_status opened = open_damaged(pack ? pack : io, path, &from, err);
    if (opened != HITHER_OK) {
        ht_pack_close(pack);
        return opened;
    }
    hither_status status = ht_result_new(HITHER_INCLUDE_DOCUMENTS, 0, false, &found, err);
    if (status == HITHER_OK)
        status = ht_draft_begin(&draft, io, to, "folder", err);
    if (status == HITHER_OK)
        status = fill(io, from, draft.partial, progress, found, err);
    if (status == HITHER_OK)
        status = ht_result_check(found, err);
    if (status == HITHER_OK)
        status = ht_draft_finish(&draft, err);
    if (status != HITHER_OK)
        ht_draft_discard(&draft);
    ht_store_close(from);
    ht_pack_close(pack);
    if (status == HITHER_OK && report)
        *report = found;
    else
        hither_result_free(found);
    return status;
}

hither_status ht_db_repair(const char *path, const char *to, ht_progress *progress, hither_result **report,
                           hither_error *err) {
    return ht_db_repair_io(ht_io_posix(), path, to, progress, report, err);
}
