/* queries.c: see queries.h. */
#include "queries.h"

#include <string.h>

#include "base/alloc.h"
#include "import.h"

/* The next line that is not blank, without space around it, parsed; `where` names it. */
static hither_status next_line(ht_reader *r, uint64_t *number, ht_text *out, char where[160], bool *end,
                               hither_error *err) {
    ht_line line;
    do {
        HT_TRY(ht_reader_line(r, HT_IMPORT_MAX_LINE, false, &line, end, err));
        if (*end)
            return HITHER_OK;
        ++*number;
        while (line.bytes && strchr(" \t\r", line.data[line.bytes - 1]))
            line.bytes--;
        while (line.bytes && strchr(" \t", *line.data))
            line.data++, line.bytes--;
    } while (!line.bytes);
    (void)snprintf(where, 160, "%.100s: line %llu", r->name, (unsigned long long)*number);
    json_t *parsed;
    HT_TRY(ht_json_parse_line(line.data, line.bytes, where, &parsed, err));
    json_decref(parsed);
    *out = (ht_text){line.data, line.bytes};
    return HITHER_OK;
}

/* A JSON array of numbers a line. */
static hither_status read_json_vectors(ht_reader *r, ht_buf *out, size_t *rows, uint32_t *dim, hither_error *err) {
    uint64_t number = 0;
    for (;;) {
        ht_text line;
        char where[160];
        bool end;
        HT_TRY(next_line(r, &number, &line, where, &end, err));
        if (end)
            return HITHER_OK;
        size_t before = out->size;
        HT_TRY(ht_json_vector(line.data, line.bytes, where, out, err));
        size_t have = (out->size - before) / sizeof(float);
        if (*rows && have != *dim)
            return ht_fail(err, HITHER_DIMENSION, "%s: the vector has %zu dimensions, those before it %u", where, have,
                           *dim);
        *dim = (uint32_t)have;
        ++*rows;
    }
}

/* By its first byte the file is an .npy array or lines of JSON. */
static hither_status read_vectors(ht_reader *r, float **out, size_t *rows, uint32_t *dim, hither_error *err) {
    hither_status status = HITHER_OK;
    int first = ht_reader_byte(r, &status, err);
    if (first >= 0) { /* back it goes: the byte still stands before r->begin */
        r->begin--;
        r->consumed--;
    }
    ht_buf all;
    ht_buf_init(&all, SIZE_MAX / 2);
    if (status == HITHER_OK && first == 0x93) {
        status = ht_npy_read(r, out, rows, dim, err);
    } else if (status == HITHER_OK) {
        status = read_json_vectors(r, &all, rows, dim, err);
        if (status == HITHER_OK && !*rows)
            status =
                ht_fail(err, HITHER_SYNTAX, "%s holds no vectors; an .npy array or JSON arrays are wanted", r->name);
    }
    if (status == HITHER_OK && first != 0x93)
        *out = (void *)all.data;
    else
        ht_buf_clear(&all);
    return status;
}

/* As the rows of a batch have entries: in an object with a member for the field. */
static hither_status read_entries(ht_reader *r, ht_file_queries *q, hither_error *err) {
    uint64_t number = 0;
    const char *name = q->field.fields[0].name;
    ht_buf row;
    ht_buf_init(&row, 2 * HT_IMPORT_MAX_LINE);
    hither_status status = HITHER_OK;
    while (status == HITHER_OK) {
        ht_text line;
        char where[160];
        bool end;
        status = next_line(r, &number, &line, where, &end, err);
        if (status != HITHER_OK || end)
            break;
        if (*line.data != '{') {
            status = ht_fail(err, HITHER_SYNTAX, "%s: {\"indices\": [...], \"values\": [...]} is wanted", where);
            break;
        }
        ht_buf_reset(&row);
        ht_buf_putc(&row, '{');
        ht_buf_json_string(&row, name, strlen(name));
        ht_buf_putc(&row, ':');
        ht_buf_put(&row, line.data, line.bytes);
        ht_buf_putc(&row, '}');
        status = ht_buf_check(&row, "a query", err);
        if (status == HITHER_OK)
            status = ht_row_fields_add(&q->entries, (ht_text){row.data, row.size}, where, err);
    }
    ht_buf_clear(&row);
    if (status == HITHER_OK && !q->entries.rows)
        status = ht_fail(err, HITHER_SYNTAX, "%s holds no queries; {\"indices\": [...], \"values\": [...]} is wanted",
                         r->name);
    return status;
}

static void name_columns(ht_file_queries *q, const hither_field *field) {
    const ht_fields_column *c = &q->entries.columns[0];
    q->named = (hither_named){.field = field->name, .count = q->count};
    if (field->kind == HITHER_SPARSE) {
        q->named.offsets = (const void *)c->offsets.data;
        q->named.indices = (const void *)c->indices.data;
        q->named.values = (const void *)c->numbers.data;
        return;
    }
    q->named.vectors = q->vectors;
    if (field->kind == HITHER_MULTI) {
        q->all[1] = q->vectors.rows;
        q->named.offsets = q->all;
        q->named.count = q->count = 1;
    }
}

hither_status ht_file_queries_read(const char *path, const hither_field *field, const char *holder,
                                   ht_file_queries *out, hither_error *err) {
    ht_reader r;
    uint32_t dim = 0;
    *out = (ht_file_queries){.field = {.fields = {*field}, .count = 1}};
    ht_row_fields_init(&out->entries, &out->field);
    HT_TRY(ht_reader_open(&r, path, err));
    hither_status status;
    if (field->kind == HITHER_SPARSE) {
        status = read_entries(&r, out, err);
        out->count = out->entries.rows;
    } else {
        status = read_vectors(&r, &out->floats, &out->count, &dim, err);
        if (status == HITHER_OK && out->count && dim != field->dim)
            status = ht_fail(err, HITHER_DIMENSION, "%.100s: the vectors have %u dimensions, %.100s has %u", path, dim,
                             holder, field->dim);
        out->vectors = (hither_matrix){.data = out->floats, .rows = out->count, .dim = dim, .dtype = HITHER_F32};
    }
    ht_reader_close(&r);
    if (status == HITHER_OK)
        name_columns(out, field);
    return status;
}

void ht_file_queries_clear(ht_file_queries *queries) {
    ht_release(queries->floats);
    ht_row_fields_clear(&queries->entries);
}

hither_named ht_file_queries_slice(const ht_file_queries *queries, size_t first, size_t count) {
    hither_named part = queries->named;
    part.count = count;
    if (part.indices) {
        part.offsets += first;
    } else if (!part.offsets) {
        part.vectors.data = (const float *)part.vectors.data + first * part.vectors.dim;
        part.vectors.rows = count;
    }
    return part;
}
