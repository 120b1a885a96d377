/*
 * import_csv.c: rows from CSV after RFC 4180: a header line, fields in quotes where they hold commas, quotes (doubled)
 * or line ends. Lines end with \n or \r\n; blank lines are passed over. A quote inside an unquoted field is itself.
 *
 * An unquoted cell that is a canonical number becomes a number in the metadata, an unquoted empty cell is left out,
 * every other cell is a string: what export writes comes back as it was. See import.h.
 */
#include <string.h>

#include "base/alloc.h"
#include "import.h"

enum { CELLS_MAX = 4096 };

typedef struct cell {
    size_t begin, bytes; /* in the record's text */
    bool quoted;
} cell;

typedef struct csv_source {
    ht_source base;
    ht_reader *reader;
    ht_fields fields;
    uint64_t line, record; /* lines begun; records given out */
    uint64_t began;        /* line on which the current record began */
    ht_buf text, cells;    /* of the current record */
    ht_buf names_text, names;
    size_t columns;
    size_t id, document, vector; /* column numbers, SIZE_MAX for none */
    ht_buf metadata, floats;
    char digits[24];
} csv_source;

static size_t cell_count(const ht_buf *cells) { return cells->size / sizeof(cell); }
static cell cell_at(const ht_buf *cells, size_t i) {
    cell c;
    memcpy(&c, cells->data + i * sizeof c, sizeof c);
    return c;
}
static ht_text cell_text(const ht_buf *text, cell c) {
    return (ht_text){text->data ? text->data + c.begin : "", c.bytes};
}
static ht_text name_at(const csv_source *s, size_t column) {
    return cell_text(&s->names_text, cell_at(&s->names, column));
}

/* A quoted field after its opening quote; *next is the byte that follows the closing one. */
static hither_status read_quoted(csv_source *s, int *next, hither_error *err) {
    hither_status status = HITHER_OK;
    uint64_t opened = s->line;
    for (;;) {
        int c = ht_reader_byte(s->reader, &status, err);
        if (c == '"') {
            c = ht_reader_byte(s->reader, &status, err);
            if (c != '"') {
                *next = c;
                return c < 0 ? status : HITHER_OK;
            }
        } else if (c < 0) {
            HT_TRY(status);
            return ht_fail(err, HITHER_SYNTAX,
                           "%s: the quoted field that begins on line %llu never ends; a closing "
                           "quote is missing",
                           s->reader->name, (unsigned long long)opened);
        }
        s->line += c == '\n';
        ht_buf_putc(&s->text, (char)c);
        if (s->text.failed)
            return HITHER_OK; /* the caller sees it */
    }
}

static hither_status read_unquoted(csv_source *s, int first, int *next, hither_error *err) {
    hither_status status = HITHER_OK;
    const size_t begin = s->text.size;
    int c = first;
    while (c >= 0 && c != ',' && c != '\n' && !s->text.failed) {
        ht_buf_putc(&s->text, (char)c);
        c = ht_reader_byte(s->reader, &status, err);
    }
    if (c == '\n' || c < 0) /* a carriage return before the line's end is part of that */
        if (s->text.size > begin && s->text.data[s->text.size - 1] == '\r')
            s->text.size--;
    *next = c;
    return c < 0 ? status : HITHER_OK;
}

/* One field; *next is ',', '\n' or -1, what ended it. */
static hither_status read_field(csv_source *s, int first, int *next, hither_error *err) {
    cell c = {.begin = s->text.size, .quoted = first == '"'};
    HT_TRY((c.quoted ? read_quoted(s, next, err) : read_unquoted(s, first, next, err)));
    c.bytes = s->text.size - c.begin;
    hither_status status = HITHER_OK;
    if (c.quoted && *next == '\r')
        *next = ht_reader_byte(s->reader, &status, err);
    HT_TRY(status);
    if (s->text.failed)
        return ht_fail(err, HITHER_TOO_LARGE,
                       "%s: the record that begins on line %llu is longer than %zu bytes; is a "
                       "quote missing?",
                       s->reader->name, (unsigned long long)s->began, HT_IMPORT_MAX_LINE);
    if (*next != ',' && *next != '\n' && *next >= 0)
        return ht_fail(err, HITHER_SYNTAX,
                       "%s: line %llu: a comma or the line's end must follow a closing quote; a "
                       "quote inside a quoted field is written twice",
                       s->reader->name, (unsigned long long)s->line);
    if (cell_count(&s->cells) == CELLS_MAX)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: line %llu has more than %d fields", s->reader->name,
                       (unsigned long long)s->began, CELLS_MAX);
    ht_buf_put(&s->cells, &c, sizeof c);
    return ht_buf_check(&s->cells, "fields", err);
}

/* Field by field: the bytes of a character may stand on both sides of a comma, and then they are none. */
static hither_status check_text(const csv_source *s, hither_error *err) {
    for (size_t i = 0; i < cell_count(&s->cells); i++) {
        ht_text text = cell_text(&s->text, cell_at(&s->cells, i));
        if (ht_utf8_valid_prefix(text.data, text.bytes) < text.bytes)
            return ht_fail(err, HITHER_ENCODING,
                           "%s: line %llu, field %zu is not UTF-8; convert the file, e.g. by iconv", s->reader->name,
                           (unsigned long long)s->began, i + 1);
        if (memchr(text.data, 0, text.bytes))
            return ht_fail(err, HITHER_SYNTAX, "%s: line %llu, field %zu holds a NUL byte; this is no CSV",
                           s->reader->name, (unsigned long long)s->began, i + 1);
    }
    return HITHER_OK;
}

/* A record into s->text and s->cells. */
static hither_status read_record(csv_source *s, bool *end, hither_error *err) {
    hither_status status = HITHER_OK;
    ht_buf_reset(&s->text);
    ht_buf_reset(&s->cells);
    int c;
    do {
        s->began = ++s->line;
        c = ht_reader_byte(s->reader, &status, err);
        if (c == '\r') {
            c = ht_reader_byte(s->reader, &status, err);
            if (c >= 0 && c != '\n')
                return ht_fail(err, HITHER_SYNTAX, "%s: line %llu begins with a carriage return", s->reader->name,
                               (unsigned long long)s->line);
        }
    } while (c == '\n');
    HT_TRY(status);
    *end = c < 0;
    if (*end)
        return HITHER_OK;
    for (;;) {
        int next = -1;
        HT_TRY(read_field(s, c, &next, err));
        if (next != ',')
            break;
        c = ht_reader_byte(s->reader, &status, err);
        HT_TRY(status);
    }
    return check_text(s, err);
}

static size_t find_column(const csv_source *s, const char *name) {
    for (size_t i = 0; name && i < s->columns; i++) {
        ht_text have = name_at(s, i);
        if (have.bytes == strlen(name) && !memcmp(have.data, name, have.bytes))
            return i;
    }
    return SIZE_MAX;
}

/* The column asked for, which must be there, or one of the defaults, which need not. */
static hither_status choose_column(const csv_source *s, const char *asked, const char *first, const char *second,
                                   size_t *out, hither_error *err) {
    *out = find_column(s, asked ? asked : first);
    if (!asked && *out == SIZE_MAX)
        *out = find_column(s, second);
    if (!asked || *out != SIZE_MAX)
        return HITHER_OK;
    ht_buf have;
    ht_buf_init(&have, 100);
    for (size_t i = 0; i < s->columns; i++)
        ht_buf_printf(&have, "%s%.*s", i ? ", " : "", (int)name_at(s, i).bytes, name_at(s, i).data);
    hither_status status = ht_fail(err, HITHER_NOT_FOUND, "%s: no column \"%.40s\" in the header; it has: %s%s",
                                   s->reader->name, asked, have.data ? have.data : "", have.failed ? ", ..." : "");
    ht_buf_clear(&have);
    return status;
}

static hither_status read_header(csv_source *s, bool *end, hither_error *err) {
    HT_TRY(ht_reader_skip_bom(s->reader, err));
    HT_TRY(read_record(s, end, err));
    if (*end)
        return HITHER_OK;
    s->columns = cell_count(&s->cells);
    ht_buf_put(&s->names_text, s->text.data, s->text.size);
    ht_buf_put(&s->names, s->cells.data, s->cells.size);
    HT_TRY(ht_buf_check(&s->names_text, "a header", err));
    HT_TRY(ht_buf_check(&s->names, "a header", err));
    for (size_t i = 0; i < s->columns; i++)
        for (size_t j = 0; j < i; j++) {
            ht_text a = name_at(s, i), b = name_at(s, j);
            if (a.bytes == b.bytes && !memcmp(a.data, b.data, a.bytes))
                return ht_fail(err, HITHER_INVALID, "%s: columns %zu and %zu have the same name, \"%.*s\"",
                               s->reader->name, j + 1, i + 1, (int)ht_min_size(a.bytes, 60), a.data);
        }
    HT_TRY(choose_column(s, s->fields.id, "id", NULL, &s->id, err));
    HT_TRY(choose_column(s, s->fields.text, "document", "text", &s->document, err));
    HT_TRY(choose_column(s, s->fields.vector, "vector", "embedding", &s->vector, err));
    if (s->document == SIZE_MAX && s->vector == SIZE_MAX && !s->fields.parts) {
        hither_error inner;
        size_t none;
        hither_status status = choose_column(s, "text", "", NULL, &none, &inner);
        return ht_fail(err, status, "%s; say which column holds the text with --text, or the vector with --vector",
                       inner.message);
    }
    return HITHER_OK;
}

static void take_id(csv_source *s, ht_row *row) {
    if (s->id == SIZE_MAX) {
        row->id_kind = HT_ROW_ID_LOOSE;
        row->id = (int64_t)s->record;
        row->id_text.data = s->digits;
        row->id_text.bytes = (size_t)snprintf(s->digits, sizeof s->digits, "%llu", (unsigned long long)s->record);
        return;
    }
    cell c = cell_at(&s->cells, s->id);
    row->id_text = cell_text(&s->text, c);
    bool number = !c.quoted && ht_canonical_int(row->id_text.data, row->id_text.bytes, &row->id);
    row->id_kind = number ? HT_ROW_ID_LOOSE : HT_ROW_ID_TEXT;
}

static hither_status take_metadata(csv_source *s, ht_row *row, hither_error *err) {
    size_t count = 0;
    ht_buf_reset(&s->metadata);
    for (size_t i = 0; i < s->columns; i++) {
        cell c = cell_at(&s->cells, i);
        ht_text value = cell_text(&s->text, c), name = name_at(s, i);
        if (i == s->id || i == s->document || i == s->vector || (!value.bytes && !c.quoted))
            continue;
        ht_buf_putc(&s->metadata, count++ ? ',' : '{');
        ht_buf_json_string(&s->metadata, name.data, name.bytes);
        ht_buf_putc(&s->metadata, ':');
        if (!c.quoted && ht_canonical_number(value.data, value.bytes))
            ht_buf_put(&s->metadata, value.data, value.bytes);
        else
            ht_buf_json_string(&s->metadata, value.data, value.bytes);
    }
    if (count)
        ht_buf_putc(&s->metadata, '}');
    HT_TRY(ht_buf_check(&s->metadata, "metadata", err));
    if (count)
        row->metadata = (ht_text){s->metadata.data, s->metadata.size};
    return HITHER_OK;
}

static hither_status take_vector(csv_source *s, ht_row *row, hither_error *err) {
    char where[160];
    snprintf(where, sizeof where, "%.100s: line %llu", s->reader->name, (unsigned long long)s->began);
    ht_text text = cell_text(&s->text, cell_at(&s->cells, s->vector));
    if (!text.bytes)
        return HITHER_OK;
    json_t *parsed;
    HT_TRY(ht_json_parse_line(text.data, text.bytes, where, &parsed, err));
    json_decref(parsed);
    ht_buf_reset(&s->floats);
    while (text.bytes && strchr(" \t\r\n", *text.data))
        text.data++, text.bytes--;
    while (text.bytes && strchr(" \t\r\n", text.data[text.bytes - 1]))
        text.bytes--;
    HT_TRY(ht_json_vector(text.data, text.bytes, where, &s->floats, err));
    row->vector = (const void *)s->floats.data;
    row->dim = (uint32_t)(s->floats.size / sizeof(float));
    return HITHER_OK;
}

static hither_status csv_next(ht_source *source, ht_row *row, bool *end, hither_error *err) {
    csv_source *s = (csv_source *)source;
    if (!s->columns)
        HT_TRY(read_header(s, end, err));
    if (s->columns)
        HT_TRY(read_record(s, end, err));
    if (*end)
        return HITHER_OK;
    size_t count = cell_count(&s->cells);
    if (count != s->columns)
        return ht_fail(err, HITHER_SYNTAX,
                       "%s: line %llu has %zu fields, the header has %zu; fields that hold commas "
                       "stand in quotes",
                       s->reader->name, (unsigned long long)s->began, count, s->columns);
    s->record++;
    *row = (ht_row){.place = s->began};
    take_id(s, row);
    if (s->document != SIZE_MAX) {
        cell c = cell_at(&s->cells, s->document);
        if (c.bytes || c.quoted)
            row->document = cell_text(&s->text, c);
    }
    if (s->vector != SIZE_MAX)
        HT_TRY(take_vector(s, row, err));
    HT_TRY(take_metadata(s, row, err));
    if (!row->vector && !row->document.data && !s->fields.parts) {
        if (s->document == SIZE_MAX || s->vector != SIZE_MAX)
            return ht_fail(err, HITHER_INVALID, "%s: line %llu has neither a text nor a vector", s->reader->name,
                           (unsigned long long)s->began);
        row->document = (ht_text){"", 0};
    }
    return HITHER_OK;
}

static void csv_close(ht_source *source) {
    csv_source *s = (csv_source *)source;
    ht_buf *bufs[] = {&s->text, &s->cells, &s->names_text, &s->names, &s->metadata, &s->floats};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        ht_buf_clear(bufs[i]);
    ht_release(s);
}

hither_status ht_source_csv(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err) {
    csv_source *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "an importer");
    s->base = (ht_source){.next = csv_next, .close = csv_close, .unit = "line"};
    s->reader = r;
    s->fields = *fields;
    ht_buf_init(&s->text, HT_IMPORT_MAX_LINE);
    ht_buf_init(&s->names_text, HT_IMPORT_MAX_LINE);
    ht_buf_init(&s->cells, CELLS_MAX * sizeof(cell));
    ht_buf_init(&s->names, CELLS_MAX * sizeof(cell));
    ht_buf_init(&s->metadata, 8 * HT_IMPORT_MAX_LINE);
    ht_buf_init(&s->floats, (size_t)HITHER_MAX_DIM * sizeof(float));
    *out = &s->base;
    return HITHER_OK;
}
