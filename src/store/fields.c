/*
 * fields.c: the vector fields of a collection: its own vectors, which are field 0 and without a name, and those beside
 * them; and where each lies in a row. Reading: any thread. Writing: within the writer's transaction.
 */
#include <inttypes.h>
#include <string.h>

#include "store/inside.h"

enum { ALIGN = 16 /* floats: a field begins at a multiple of 64 bytes */ };

/* fields.layout: what a field is, and for MULTI how many vectors a row may have. */
enum { LAYOUT_OWN = 0, LAYOUT_DENSE = 1, LAYOUT_MULTI = 2, LAYOUT_SPARSE = 3, LAYOUT_MOST = 256 };

static uint64_t payload_of(const ht_vector_field *f) {
    return f->kind == HITHER_SPARSE ? 2 * (uint64_t)f->most : (uint64_t)f->most * f->dim;
}

hither_status ht_fields_place(ht_collection_row *row, hither_error *err) {
    uint64_t at = row->dim;
    for (uint32_t i = 0; i < row->field_count; i++) {
        ht_vector_field *f = &row->fields[i];
        uint64_t payload = payload_of(f), begin = (at + ALIGN - 1) / ALIGN * ALIGN;
        if (payload > HT_MAX_WIDTH || begin + payload + 1 > HT_MAX_WIDTH)
            return ht_fail(err, HITHER_TOO_LARGE,
                           "field '%s': with it a row has more than %d numbers; fewer dimensions, or fewer vectors or "
                           "entries a row, are possible",
                           f->name, HT_MAX_WIDTH);
        f->at = (uint32_t)begin;
        f->payload = (uint32_t)payload;
        at = begin + payload + 1;
    }
    row->width = (uint32_t)at;
    return HITHER_OK;
}

static hither_status write_field(ht_conn *conn, int64_t cid, const ht_collection_row *row, uint32_t number,
                                 hither_error *err) {
    const ht_vector_field *f = number ? &row->fields[number - 1] : NULL;
    sqlite3_stmt *stmt;
    int64_t layout = LAYOUT_OWN;
    if (f)
        layout = f->kind == HITHER_DENSE   ? LAYOUT_DENSE
                 : f->kind == HITHER_MULTI ? LAYOUT_MULTI + (int64_t)LAYOUT_MOST * f->most
                                           : LAYOUT_SPARSE;
    HT_TRY(ht_conn_prepare(conn, SQL_FIELD_ADD, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, cid);
    sqlite3_bind_int64(stmt, 2, number);
    sqlite3_bind_text(stmt, 3, f ? f->name : "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, !f ? row->dim : f->kind == HITHER_SPARSE ? f->most : f->dim);
    sqlite3_bind_int64(stmt, 5, row->dtype);
    sqlite3_bind_int64(stmt, 6, f ? f->metric : row->metric);
    sqlite3_bind_int64(stmt, 7, layout);
    return ht_conn_run(conn, stmt, "adding a field", err);
}

hither_status ht_fields_write(ht_conn *conn, int64_t cid, const ht_collection_row *row, hither_error *err) {
    for (uint32_t i = 0; i <= row->field_count; i++)
        HT_TRY(write_field(conn, cid, row, i, err));
    return HITHER_OK;
}

/* One row of SQL_FIELDS behind the first; false where it makes no sense. */
static bool read_field(sqlite3_stmt *stmt, ht_text name, const ht_collection_row *row, ht_vector_field *out) {
    int64_t dim = sqlite3_column_int64(stmt, 2), metric = sqlite3_column_int64(stmt, 4);
    int64_t layout = sqlite3_column_int64(stmt, 5), most = layout / LAYOUT_MOST;
    if (name.bytes < 1 || name.bytes > HITHER_MAX_FIELD_BYTES || memchr(name.data, 0, name.bytes) || dim < 1 ||
        dim > HITHER_MAX_DIM || sqlite3_column_int64(stmt, 3) != row->dtype || metric < HITHER_COSINE ||
        metric > HITHER_L1 || layout < 0)
        return false;
    *out = (ht_vector_field){.dim = (uint32_t)dim, .most = 1, .metric = (hither_metric)metric};
    memcpy(out->name, name.data, name.bytes);
    switch (layout % LAYOUT_MOST) {
    case LAYOUT_DENSE:
        out->kind = HITHER_DENSE;
        return most == 0;
    case LAYOUT_MULTI:
        out->kind = HITHER_MULTI;
        out->most = (uint32_t)most;
        return most >= 1 && most <= HT_MAX_FIELD_VECTORS && metric == HITHER_DOT;
    case LAYOUT_SPARSE:
        out->kind = HITHER_SPARSE;
        out->most = out->dim;
        out->dim = 0;
        return most == 0 && metric == HITHER_DOT;
    default:
        return false;
    }
}

/* The next row of SQL_FIELDS, which must be of field `number`. */
static hither_status take_field(ht_conn *conn, sqlite3_stmt *stmt, uint32_t number, ht_collection_row *row,
                                hither_error *err) {
    ht_text name;
    if (!ht_column_text(stmt, 1, &name))
        return ht_conn_fail(conn, "reading a field", err);
    bool good = number <= HITHER_MAX_FIELDS && sqlite3_column_int64(stmt, 0) == number;
    if (good && number)
        good = read_field(stmt, name, row, &row->fields[number - 1]);
    else if (good) /* what the catalog says twice must agree */
        good = sqlite3_column_int64(stmt, 2) == row->dim && sqlite3_column_int64(stmt, 3) == row->dtype &&
               sqlite3_column_int64(stmt, 4) == row->metric;
    if (!good)
        return ht_fail(err, HITHER_CORRUPT, "catalog: field %" PRIu32 " of collection '%s' makes no sense", number,
                       row->name);
    row->field_count = number;
    return HITHER_OK;
}

hither_status ht_fields_read(ht_conn *conn, ht_collection_row *row, hither_error *err) {
    sqlite3_stmt *stmt;
    HT_TRY(ht_conn_prepare(conn, SQL_FIELDS, 0, &stmt, err));
    sqlite3_bind_int64(stmt, 1, row->cid);
    hither_status status = HITHER_OK;
    uint32_t number = 0;
    int rc = SQLITE_DONE;
    while (status == HITHER_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        status = take_field(conn, stmt, number++, row, err);
    if (status == HITHER_OK && rc != SQLITE_DONE)
        status = ht_conn_fail(conn, "reading fields", err);
    else if (status == HITHER_OK && number == 0)
        status = ht_fail(err, HITHER_CORRUPT, "catalog: collection '%s' has no fields", row->name);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (status == HITHER_OK && ht_fields_place(row, NULL) != HITHER_OK)
        return ht_fail(err, HITHER_CORRUPT, "catalog: the fields of collection '%s' are too large", row->name);
    return status;
}
