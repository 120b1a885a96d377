/* row_fields.c: see row_fields.h. */
#include "row_fields.h"

#include <string.h>

#include "base/alloc.h"
#include "import.h"

void ht_row_fields_init(ht_row_fields *rows, const ht_field_list *fields) {
    rows->fields = fields;
    rows->rows = 0;
    for (size_t f = 0; f < HITHER_MAX_FIELDS; f++) {
        ht_fields_column *c = &rows->columns[f];
        ht_buf *bufs[] = {&c->numbers, &c->indices, &c->offsets, &c->valid};
        for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
            ht_buf_init(bufs[i], SIZE_MAX / 2);
    }
}

void ht_row_fields_clear(ht_row_fields *rows) {
    for (size_t f = 0; f < HITHER_MAX_FIELDS; f++) {
        ht_fields_column *c = &rows->columns[f];
        ht_buf *bufs[] = {&c->numbers, &c->indices, &c->offsets, &c->valid};
        for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
            ht_buf_clear(bufs[i]);
    }
    rows->rows = 0;
}

size_t ht_row_fields_bytes(const ht_row_fields *rows) {
    size_t bytes = 0;
    for (size_t f = 0; f < rows->fields->count; f++)
        bytes += rows->columns[f].numbers.size + rows->columns[f].indices.size;
    return bytes;
}

static size_t floats(const ht_buf *buf) { return buf->size / sizeof(float); }

/* A vector of the field's dimensions. */
static hither_status take_vector(ht_buf *numbers, const hither_field *field, ht_text text, const char *where,
                                 hither_error *err) {
    const size_t before = floats(numbers);
    HT_TRY(ht_json_vector(text.data, text.bytes, where, numbers, err));
    if (floats(numbers) - before != field->dim)
        return ht_fail(err, HITHER_DIMENSION, "%s: the vector has %zu dimensions, the field %u", where,
                       floats(numbers) - before, field->dim);
    return HITHER_OK;
}

static hither_status take_vectors(ht_fields_column *c, const hither_field *field, ht_text text, const char *where,
                                  hither_error *err) {
    if (*text.data != '[')
        return ht_fail(err, HITHER_SYNTAX, "%s: an array of vectors is wanted", where);
    size_t at = 1;
    for (ht_text item; ht_json_item(text.data, text.bytes, &at, &item);)
        HT_TRY(take_vector(&c->numbers, field, item, where, err));
    return HITHER_OK;
}

static hither_status take_indices(ht_buf *indices, ht_text text, const char *where, hither_error *err) {
    size_t at = 1;
    if (*text.data != '[')
        return ht_fail(err, HITHER_SYNTAX, "%s: \"indices\" is not an array", where);
    for (ht_text item; ht_json_item(text.data, text.bytes, &at, &item);) {
        int64_t value;
        if (!ht_canonical_int(item.data, item.bytes, &value) || value < 0 || value > UINT32_MAX)
            return ht_fail(err, HITHER_SYNTAX, "%s: the index %.*s is not a whole number from 0 to %u", where,
                           (int)ht_utf8_valid_prefix(item.data, ht_min_size(item.bytes, 40)), item.data, UINT32_MAX);
        const uint32_t index = (uint32_t)value;
        ht_buf_put(indices, &index, sizeof index);
    }
    return ht_buf_check(indices, "a sparse vector", err);
}

static bool is(ht_text text, const char *word) {
    return text.bytes == strlen(word) && !memcmp(text.data, word, text.bytes);
}

static hither_status take_entries(ht_fields_column *c, ht_text text, const char *where, hither_error *err) {
    size_t at = 0;
    const size_t before = c->numbers.size;
    ht_member m;
    ht_text indices = {0}, values = {0};
    while (*text.data == '{' && ht_json_member(text.data, text.bytes, &at, &m)) {
        if (is(m.key, "indices"))
            indices = m.value;
        else if (is(m.key, "values"))
            values = m.value;
    }
    if (!indices.data || !values.data)
        return ht_fail(err, HITHER_SYNTAX, "%s: {\"indices\": [...], \"values\": [...]} is wanted", where);
    const size_t first = c->indices.size;
    HT_TRY(take_indices(&c->indices, indices, where, err));
    size_t inside = 1;
    ht_text item;
    if (*values.data != '[' || ht_json_item(values.data, values.bytes, &inside, &item))
        HT_TRY(ht_json_vector(values.data, values.bytes, where, &c->numbers, err));
    if (c->indices.size - first != c->numbers.size - before) /* both are of four bytes */
        return ht_fail(err, HITHER_DIMENSION, "%s: %zu indices for %zu values", where, (c->indices.size - first) / 4,
                       (c->numbers.size - before) / 4);
    return HITHER_OK;
}

/* The number of the field that the member is of. */
static hither_status find(const ht_field_list *fields, const ht_member *m, const char *where, size_t *out,
                          hither_error *err) {
    for (size_t f = 0; f < fields->count; f++)
        if (ht_key_is(m, fields->fields[f].name)) {
            *out = f;
            return HITHER_OK;
        }
    return ht_fail(err, HITHER_NOT_FOUND, "%s: there is no vector field \"%.*s\"", where,
                   (int)ht_utf8_valid_prefix(m->key.data, ht_min_size(m->key.bytes, 63)), m->key.data);
}

static hither_status take_field(ht_row_fields *rows, size_t f, ht_text text, const char *where, hither_error *err) {
    const hither_field *field = &rows->fields->fields[f];
    ht_fields_column *c = &rows->columns[f];
    char place[260];
    (void)snprintf(place, sizeof place, "%.180s: field \"%.63s\"", where, field->name);
    return field->kind == HITHER_SPARSE  ? take_entries(c, text, place, err)
           : field->kind == HITHER_MULTI ? take_vectors(c, field, text, place, err)
                                         : take_vector(&c->numbers, field, text, place, err);
}

/* The row that was read ends in every column, in which it may have nothing. */
static hither_status end_row(ht_row_fields *rows, const bool *there, hither_error *err) {
    for (size_t f = 0; f < rows->fields->count; f++) {
        const hither_field *field = &rows->fields->fields[f];
        ht_fields_column *c = &rows->columns[f];
        const float zero = 0;
        for (uint32_t j = 0; !there[f] && field->kind == HITHER_DENSE && j < field->dim; j++)
            ht_buf_put(&c->numbers, &zero, sizeof zero);
        const uint64_t width = field->kind == HITHER_SPARSE ? 1 : field->dim;
        const uint64_t end = floats(&c->numbers) / width;
        ht_buf_put(&c->offsets, &end, sizeof end);
        if (rows->rows % 8 == 0)
            ht_buf_putc(&c->valid, 0);
        if (there[f] && !c->valid.failed)
            c->valid.data[rows->rows / 8] = (char)((unsigned char)c->valid.data[rows->rows / 8] | 1u << rows->rows % 8);
        HT_TRY(ht_buf_check(&c->numbers, "a batch", err));
        HT_TRY(ht_buf_check(&c->offsets, "a batch", err));
        HT_TRY(ht_buf_check(&c->valid, "a batch", err));
    }
    rows->rows++;
    return HITHER_OK;
}

hither_status ht_row_fields_add(ht_row_fields *rows, ht_text text, const char *where, hither_error *err) {
    bool there[HITHER_MAX_FIELDS] = {false};
    size_t at = 0;
    ht_member m;
    if (text.data && !is(text, "null") && *text.data != '{')
        return ht_fail(err, HITHER_SYNTAX, "%s: \"" HT_ROW_FIELDS "\" is not an object", where);
    if (rows->rows == 0) /* offsets begin with a zero */
        for (size_t f = 0; f < rows->fields->count; f++)
            ht_buf_put(&rows->columns[f].offsets, &(uint64_t){0}, sizeof(uint64_t));
    while (text.data && *text.data == '{' && ht_json_member(text.data, text.bytes, &at, &m)) {
        size_t f = 0;
        HT_TRY(find(rows->fields, &m, where, &f, err));
        if (is(m.value, "null"))
            continue;
        HT_TRY(take_field(rows, f, m.value, where, err));
        there[f] = true;
    }
    return end_row(rows, there, err);
}

size_t ht_row_fields_view(const ht_row_fields *rows, hither_named out[HITHER_MAX_FIELDS]) {
    size_t count = 0;
    for (size_t f = 0; f < rows->fields->count; f++) {
        const hither_field *field = &rows->fields->fields[f];
        const ht_fields_column *c = &rows->columns[f];
        hither_named named = {.field = field->name, .count = rows->rows, .valid = (const void *)c->valid.data};
        if (!c->numbers.size)
            continue; /* no column: no row has anything */
        if (field->kind != HITHER_DENSE)
            named.offsets = (const void *)c->offsets.data;
        if (field->kind == HITHER_SPARSE) {
            named.indices = (const void *)c->indices.data;
            named.values = (const void *)c->numbers.data;
        } else {
            named.vectors = (hither_matrix){.data = c->numbers.data,
                                            .rows = floats(&c->numbers) / field->dim,
                                            .dim = field->dim,
                                            .dtype = HITHER_F32};
        }
        out[count++] = named;
    }
    return count;
}
