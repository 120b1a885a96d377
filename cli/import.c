/* import.c: what the sources share, and the two that need no parser: lines of text, and .npy arrays. See import.h. */
#include "import.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void ht_source_close(ht_source *source) {
    if (source)
        source->close(source);
}

/* ---- numbers */

/* The length of the JSON number text begins with; *integer if it has neither fraction nor exponent. 0: none. */
static size_t number_length(const char *text, size_t bytes, bool *integer) {
    size_t i = bytes && text[0] == '-', digits = i;
    while (i < bytes && text[i] >= '0' && text[i] <= '9')
        i++;
    if (i == digits || (text[digits] == '0' && i > digits + 1))
        return 0;
    *integer = true;
    if (i < bytes && text[i] == '.') {
        size_t point = i++;
        while (i < bytes && text[i] >= '0' && text[i] <= '9')
            i++;
        if (i == point + 1)
            return 0;
        *integer = false;
    }
    if (i < bytes && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < bytes && (text[i] == '+' || text[i] == '-'))
            i++;
        size_t start = i;
        while (i < bytes && text[i] >= '0' && text[i] <= '9')
            i++;
        if (i == start)
            return 0;
        *integer = false;
    }
    return i;
}

bool ht_canonical_int(const char *text, size_t bytes, int64_t *out) {
    bool integer;
    if (bytes == 0 || bytes > 20 || number_length(text, bytes, &integer) != bytes || !integer)
        return false;
    if (text[0] == '-' && text[1] == '0')
        return false;
    char copy[24];
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    errno = 0;
    long long value = strtoll(copy, NULL, 10);
    if (errno)
        return false;
    *out = value;
    return true;
}

bool ht_canonical_number(const char *text, size_t bytes) {
    bool integer;
    int64_t value;
    if (bytes == 0 || bytes > 32 || number_length(text, bytes, &integer) != bytes)
        return false;
    if (integer)
        return ht_canonical_int(text, bytes, &value);
    size_t digits = 0;
    for (size_t i = 0; i < bytes && text[i] != 'e' && text[i] != 'E'; i++)
        digits += text[i] >= '0' && text[i] <= '9';
    char copy[40];
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return digits <= 17 && isfinite(strtod(copy, NULL));
}

hither_status ht_json_parse_line(const char *text, size_t bytes, const char *where, json_t **out, hither_error *err) {
    static const char first[] = "(line 1, ";
    hither_status status = ht_json_parse(text, bytes, HT_IMPORT_MAX_LINE, where, out, err);
    char *at = status != HITHER_OK && err ? strstr(err->message, first) : NULL;
    if (at) /* "line 7: ... (line 1, column 3)" would be a riddle */
        memmove(at + 1, at + sizeof first - 1, strlen(at + sizeof first - 1) + 1);
    return status;
}

hither_status ht_json_vector(const char *text, size_t bytes, const char *where, ht_buf *out, hither_error *err) {
    if (bytes < 2 || text[0] != '[')
        return ht_fail(err, HITHER_SYNTAX, "%s: the vector must be an array of numbers", where);
    size_t count = 0;
    for (const char *p = text + 1, *stop = text + bytes - 1; p < stop;) {
        if (strchr(" \t\r\n,", *p)) { /* the text is JSON: commas stand where they should */
            p++;
            continue;
        }
        size_t n = 0;
        bool integer;
        n = number_length(p, (size_t)(stop - p), &integer);
        if (!n)
            return ht_fail(err, HITHER_SYNTAX, "%s: element %zu of the vector is not a number", where, count);
        if (count == HITHER_MAX_DIM)
            return ht_fail(err, HITHER_TOO_LARGE, "%s: the vector has more than %u elements", where, HITHER_MAX_DIM);
        float value = strtof(p, NULL); /* ends at the comma or bracket that is sure to follow */
        if (!isfinite(value))
            return ht_fail(err, HITHER_NOT_FINITE, "%s: element %zu of the vector is beyond the range of float32",
                           where, count);
        ht_buf_put(out, &value, sizeof value);
        count++;
        p += n;
    }
    if (!count)
        return ht_fail(err, HITHER_DIMENSION, "%s: the vector is empty", where);
    return ht_buf_check(out, "a vector", err);
}

/* ---- lines of text */

typedef struct text_source {
    ht_source base;
    ht_reader *reader;
    uint64_t line;
    char digits[24];
} text_source;

static hither_status text_next(ht_source *source, ht_row *row, bool *end, hither_error *err) {
    text_source *s = (text_source *)source;
    ht_line line;
    if (s->line == 0)
        HT_TRY(ht_reader_skip_bom(s->reader, err));
    hither_status status = ht_reader_line(s->reader, HITHER_MAX_TEXT_BYTES, false, &line, end, err);
    if (status == HITHER_TOO_LARGE)
        return ht_fail(err, status, "%s: line %llu is longer than %u bytes, the limit of a document; split it",
                       s->reader->name, (unsigned long long)s->line + 1, HITHER_MAX_TEXT_BYTES);
    if (status != HITHER_OK || *end)
        return status;
    s->line++;
    size_t good = ht_utf8_valid_prefix(line.data, line.bytes);
    if (good < line.bytes)
        return ht_fail(err, HITHER_ENCODING, "%s: line %llu is not UTF-8 at byte %zu; convert the file, e.g. by iconv",
                       s->reader->name, (unsigned long long)s->line, good);
    if (line.bytes && memchr(line.data, 0, line.bytes)) /* JSON text could not hold it on the way out */
        return ht_fail(err, HITHER_SYNTAX, "%s: line %llu holds a NUL byte; this is no text", s->reader->name,
                       (unsigned long long)s->line);
    *row = (ht_row){.place = s->line, .id_kind = HT_ROW_ID_LOOSE, .id = (int64_t)s->line};
    row->id_text.data = s->digits;
    row->id_text.bytes = (size_t)snprintf(s->digits, sizeof s->digits, "%llu", (unsigned long long)s->line);
    row->document = (ht_text){line.data, line.bytes};
    return HITHER_OK;
}

static void plain_close(ht_source *source) { ht_release(source); }

hither_status ht_source_text(ht_reader *r, ht_source **out, hither_error *err) {
    text_source *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "an importer");
    s->base = (ht_source){.next = text_next, .close = plain_close, .unit = "line", .texts = true};
    s->reader = r;
    *out = &s->base;
    return HITHER_OK;
}

/* ---- .npy */

typedef struct npy_source {
    ht_source base;
    ht_npy npy;
    ht_reader *ids;
    float *vector;
    char digits[24];
} npy_source;

static hither_status npy_id(npy_source *s, uint64_t number, ht_row *row, hither_error *err) {
    row->id = (int64_t)number;
    row->id_kind = HT_ROW_ID_LOOSE;
    if (!s->ids) {
        row->id_text.data = s->digits;
        row->id_text.bytes = (size_t)snprintf(s->digits, sizeof s->digits, "%llu", (unsigned long long)number);
        return HITHER_OK;
    }
    ht_line line;
    bool end;
    HT_TRY(ht_reader_line(s->ids, HITHER_MAX_ID_BYTES + 1, false, &line, &end, err));
    if (end)
        return ht_fail(err, HITHER_INVALID,
                       "%s ends after line %llu, but the array has %llu rows; one id a row is wanted", s->ids->name,
                       (unsigned long long)number, (unsigned long long)s->npy.rows);
    row->id_text = (ht_text){line.data, line.bytes};
    if (!ht_canonical_int(line.data, line.bytes, &row->id))
        row->id_kind = HT_ROW_ID_TEXT;
    return HITHER_OK;
}

static hither_status npy_next(ht_source *source, ht_row *row, bool *end, hither_error *err) {
    npy_source *s = (npy_source *)source;
    uint64_t number = s->npy.next;
    *end = number == s->npy.rows;
    if (*end && s->ids) {
        ht_line line;
        bool ids_end;
        HT_TRY(ht_reader_line(s->ids, HITHER_MAX_ID_BYTES + 1, false, &line, &ids_end, err));
        if (!ids_end)
            return ht_fail(err, HITHER_INVALID,
                           "%s has more ids than the array has rows (%llu); one id a row is wanted", s->ids->name,
                           (unsigned long long)s->npy.rows);
    }
    if (*end)
        return HITHER_OK;
    *row = (ht_row){.place = number, .vector = s->vector, .dim = s->npy.dim};
    HT_TRY(ht_npy_row(&s->npy, s->vector, err));
    return npy_id(s, number, row, err);
}

static void npy_close(ht_source *source) {
    npy_source *s = (npy_source *)source;
    ht_npy_close(&s->npy);
    ht_release(s->vector);
    ht_release(s);
}

hither_status ht_source_npy(ht_reader *r, ht_reader *ids, ht_source **out, hither_error *err) {
    npy_source *s = ht_calloc(1, sizeof *s);
    if (!s)
        return ht_fail_nomem(err, sizeof *s, "an importer");
    s->base = (ht_source){.next = npy_next, .close = npy_close, .unit = "row"};
    s->ids = ids;
    hither_status status = ht_npy_open(&s->npy, r, err);
    if (status == HITHER_OK && s->npy.flat)
        status = ht_fail(err, HITHER_DIMENSION,
                         "%s: the array has one dimension; two are wanted, rows and columns: use reshape", r->name);
    if (status == HITHER_OK && !(s->vector = ht_alloc((size_t)s->npy.dim * sizeof(float))))
        status = ht_fail_nomem(err, (size_t)s->npy.dim * sizeof(float), "a row");
    if (status != HITHER_OK) {
        npy_close(&s->base);
        return status;
    }
    s->base.dim = s->npy.dim;
    *out = &s->base;
    return HITHER_OK;
}
