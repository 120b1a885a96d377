/* rows.c: see rows.h. */
#include "rows.h"

#include <limits.h>
#include <string.h>

#include "row_fields.h"

uint32_t ht_include_of(const ht_args *args) {
    return HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS |
           (ht_args_has(args, HT_OPT_VECTORS) ? HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_FIELDS : 0u);
}

ht_rows ht_rows_of(const hither_result *result, size_t group) {
    return (ht_rows){.result = result,
                     .group = group,
                     .count = hither_result_count(result, group),
                     .ids = hither_result_ids(result, group),
                     .distances = hither_result_distances(result, group),
                     .scores = hither_result_scores(result, group),
                     .vectors = hither_result_vectors(result, group),
                     .metadata = hither_result_metadata(result, group),
                     .documents = hither_result_documents(result, group)};
}

void ht_json_floats(ht_buf *out, const float *numbers, size_t count) {
    ht_buf_putc(out, '[');
    for (size_t j = 0; j < count; j++) {
        if (j)
            ht_buf_putc(out, ',');
        ht_json_float(out, numbers[j]);
    }
    ht_buf_putc(out, ']');
}

void ht_row_json_vector(ht_buf *out, const ht_rows *rows, size_t i) {
    const hither_matrix *m = &rows->vectors;
    const size_t stride = m->stride ? m->stride : m->dim * sizeof(float);
    ht_json_floats(out, (const void *)((const char *)m->data + i * stride), m->dim);
}

static void put_rows(ht_buf *out, const hither_matrix *m, uint64_t begin, uint64_t end) {
    const size_t stride = m->stride ? m->stride : m->dim * sizeof(float);
    for (uint64_t r = begin; r < end; r++) {
        if (r > begin)
            ht_buf_putc(out, ',');
        ht_json_floats(out, (const void *)((const char *)m->data + r * stride), m->dim);
    }
}

static void put_entries(ht_buf *out, const hither_named *named, uint64_t begin, uint64_t end) {
    ht_buf_puts(out, "{\"indices\":[");
    for (uint64_t e = begin; e < end; e++)
        ht_buf_printf(out, "%s%u", e > begin ? "," : "", named->indices[e]);
    ht_buf_puts(out, "],\"values\":");
    ht_json_floats(out, named->values ? named->values + begin : NULL, end - begin);
    ht_buf_putc(out, '}');
}

/* The object of all it has in fields, its brace the end of `intro`; false where it has nothing: nothing is appended. */
static bool put_fields(ht_buf *out, const ht_rows *rows, size_t i, const char *intro) {
    bool any = false;
    for (uint32_t f = 1; f <= HITHER_MAX_FIELDS; f++) {
        const hither_named named = hither_result_named(rows->result, rows->group, f);
        if (!named.field || (named.valid && !(named.valid[i / 8] >> i % 8 & 1)))
            continue;
        const uint64_t begin = named.offsets ? named.offsets[i] : i, end = named.offsets ? named.offsets[i + 1] : i + 1;
        if (begin == end)
            continue; /* the same as nothing */
        ht_buf_puts(out, any ? "," : intro);
        any = true;
        ht_buf_json_string(out, named.field, strlen(named.field));
        ht_buf_putc(out, ':');
        if (named.indices) {
            put_entries(out, &named, begin, end);
        } else {
            if (named.offsets)
                ht_buf_putc(out, '[');
            put_rows(out, &named.vectors, begin, end);
            if (named.offsets)
                ht_buf_putc(out, ']');
        }
    }
    if (any)
        ht_buf_putc(out, '}');
    return any;
}

void ht_row_json_fields(ht_buf *out, const ht_rows *rows, size_t i) {
    put_fields(out, rows, i, ",\"" HT_ROW_FIELDS "\":{");
}

void ht_row_json_vectors(ht_buf *out, const ht_rows *rows, size_t i) {
    if (rows->vectors.data) {
        ht_buf_puts(out, ",\"vector\":");
        ht_row_json_vector(out, rows, i);
    }
    ht_row_json_fields(out, rows, i);
}

void ht_row_json_payload(ht_buf *out, const ht_rows *rows, size_t i) {
    ht_text metadata = ht_strings_at(&rows->metadata, i), document = ht_strings_at(&rows->documents, i);
    ht_buf_puts(out, ",\"metadata\":");
    if (metadata.data)
        ht_json_stored(out, metadata.data, metadata.bytes);
    else
        ht_buf_puts(out, "null");
    ht_buf_puts(out, ",\"document\":");
    if (document.data)
        ht_buf_json_string(out, document.data, document.bytes);
    else
        ht_buf_puts(out, "null");
}

void ht_row_json(ht_buf *out, const ht_rows *rows, size_t i) {
    ht_buf_puts(out, "{\"id\":");
    ht_json_id(out, &rows->ids, i);
    ht_row_json_payload(out, rows, i);
    ht_row_json_vectors(out, rows, i);
    ht_buf_putc(out, '}');
}

static void label(ht_buf *out, const char *name) {
    ht_show_dim(out, true);
    ht_buf_printf(out, "%-10s", name);
    ht_show_dim(out, false);
}

void ht_row_block(ht_buf *out, const ht_rows *rows, size_t i) {
    ht_text metadata = ht_strings_at(&rows->metadata, i), document = ht_strings_at(&rows->documents, i);
    label(out, "id");
    ht_show_bold(out, true);
    ht_show_id(out, &rows->ids, i);
    ht_show_bold(out, false);
    ht_buf_putc(out, '\n');
    if (document.data) {
        label(out, "document");
        ht_show_block(out, document.data, document.bytes);
        ht_buf_putc(out, '\n');
    }
    if (metadata.data) {
        label(out, "metadata");
        ht_show_block(out, metadata.data, metadata.bytes);
        ht_buf_putc(out, '\n');
    }
    if (rows->vectors.data) {
        label(out, "vector");
        ht_row_json_vector(out, rows, i);
        ht_buf_putc(out, '\n');
    }
    ht_buf fields;
    ht_buf_init(&fields, SIZE_MAX / 2);
    if (put_fields(&fields, rows, i, "{") && !fields.failed) {
        label(out, HT_ROW_FIELDS);
        ht_buf_put(out, fields.data, fields.size);
        ht_buf_putc(out, '\n');
    }
    ht_buf_clear(&fields);
}

void ht_row_payload(ht_buf *out, const ht_rows *rows, size_t i, unsigned used) {
    unsigned width = ht_out_terminal()->width;
    unsigned room = width == UINT_MAX ? UINT_MAX : width > used + 20 ? width - used : 20;
    ht_text metadata = ht_strings_at(&rows->metadata, i), document = ht_strings_at(&rows->documents, i);
    if (document.data)
        ht_show_text(out, document.data, document.bytes, room);
    if (metadata.data) {
        if (document.data)
            ht_buf_printf(out, "\n%*s", (int)used, "");
        ht_show_dim(out, true);
        ht_show_text(out, metadata.data, metadata.bytes, room);
        ht_show_dim(out, false);
    }
    while (!document.bytes && !metadata.data && out->size && out->data[out->size - 1] == ' ')
        out->size--; /* nothing follows the spaces that were to align it */
    ht_buf_putc(out, '\n');
}
