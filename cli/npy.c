/* npy.c: see npy.h. The header is a Python dictionary literal; only the shape numpy itself writes is accepted. */
#include "npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { HEADER_MAX = 1 << 16, DIMS_MAX = 8 };

typedef struct literal {
    const char *at, *end;
    const char *name; /* of the file */
} literal;

static void spaces(literal *l) {
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\n' || *l->at == '\t'))
        l->at++;
}

static bool take(literal *l, const char *word) {
    size_t n = strlen(word);
    spaces(l);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, word, n))
        return false;
    l->at += n;
    return true;
}

/* 'text' or "text", without escapes. */
static bool take_string(literal *l, ht_text *out) {
    spaces(l);
    if (l->at == l->end || (*l->at != '\'' && *l->at != '"'))
        return false;
    const char *stop = memchr(l->at + 1, *l->at, (size_t)(l->end - l->at) - 1);
    if (!stop)
        return false;
    *out = (ht_text){l->at + 1, (size_t)(stop - l->at) - 1};
    l->at = stop + 1;
    return memchr(out->data, '\\', out->bytes) == NULL;
}

static bool take_size(literal *l, uint64_t *out) {
    spaces(l);
    const char *from = l->at;
    uint64_t value = 0;
    while (l->at < l->end && *l->at >= '0' && *l->at <= '9') {
        uint64_t digit = (uint64_t)(*l->at++ - '0');
        if (value > (UINT64_MAX / 2 - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return l->at > from;
}

/* (), (3,) or (3, 4) */
static bool take_shape(literal *l, uint64_t dims[DIMS_MAX], unsigned *count) {
    if (!take(l, "("))
        return false;
    *count = 0;
    while (!take(l, ")")) {
        if (*count == DIMS_MAX || !take_size(l, &dims[*count]))
            return false;
        ++*count;
        if (take(l, ","))
            continue;
        return *count > 1 && take(l, ")");
    }
    return true;
}

static hither_status bad_header(const literal *l, hither_error *err) {
    return ht_fail(err, HITHER_SYNTAX,
                   "%s: the .npy header is not what numpy writes: {'descr': ..., 'fortran_order': ..., 'shape': ...}",
                   l->name);
}

/* "<f4" and the like; a single byte has no order, and numpy writes '|'. */
static bool take_type(ht_npy *npy, ht_text type, bool any) {
    if (type.bytes != 3)
        return false;
    char kind = type.data[1], item = type.data[2];
    bool one = type.data[0] == '|' && (kind == 'i' || kind == 'u') && item == '1';
    if (!(type.data[0] == '<' && kind == 'f' && memchr("248", item, 3)) &&
        !(any && (one || !memcmp(type.data, "<u2", 3))))
        return false;
    npy->kind = kind;
    npy->item = (unsigned)(item - '0');
    return true;
}

static hither_status check_type(ht_npy *npy, const literal *l, ht_text type, bool any, hither_error *err) {
    if (take_type(npy, type, any))
        return HITHER_OK;
    bool object = memchr(type.data, 'O', type.bytes) != NULL;
    return ht_fail(err, HITHER_UNSUPPORTED,
                   "%s: the array's type is '%.*s'%s; float16, float32%s float64 (little-endian)%s are read: save it "
                   "with .astype('<f4')",
                   l->name, (int)ht_min_size(type.bytes, 40), type.data,
                   object ? ", Python objects, which are never unpickled" : "", any ? "," : " and",
                   any ? ", int8, uint8 and uint16" : "");
}

static hither_status check_shape(ht_npy *npy, const literal *l, const uint64_t *dims, unsigned count,
                                 hither_error *err) {
    if (count == 0 || count > 2)
        return ht_fail(err, HITHER_DIMENSION,
                       "%s: the array has %u dimensions; two are wanted, rows and columns: use reshape", l->name,
                       count);
    npy->flat = count == 1;
    npy->rows = npy->flat ? 1 : dims[0];
    uint64_t dim = npy->flat ? dims[0] : dims[1];
    if (dim == 0 || dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "%s: rows have %llu columns; 1 to %u are possible", l->name,
                       (unsigned long long)dim, HITHER_MAX_DIM);
    npy->dim = (uint32_t)dim;
    return HITHER_OK;
}

static hither_status parse_header(ht_npy *npy, literal *l, bool any, hither_error *err) {
    ht_text type = {0};
    uint64_t dims[DIMS_MAX];
    unsigned count = 0;
    bool fortran = false, have_order = false, have_shape = false;
    if (!take(l, "{"))
        return bad_header(l, err);
    while (!take(l, "}")) {
        ht_text key;
        if (!take_string(l, &key) || !take(l, ":"))
            return bad_header(l, err);
        bool fine = false;
        if (key.bytes == 5 && !memcmp(key.data, "descr", 5) && !type.data) {
            fine = take_string(l, &type);
            spaces(l);
            if (!fine && l->at < l->end && *l->at == '[')
                return ht_fail(err, HITHER_UNSUPPORTED, "%s: a structured array; plain float columns are wanted",
                               l->name);
        } else if (key.bytes == 13 && !memcmp(key.data, "fortran_order", 13) && !have_order) {
            fine = have_order = take(l, "False") || (fortran = take(l, "True"));
        } else if (key.bytes == 5 && !memcmp(key.data, "shape", 5) && !have_shape) {
            fine = have_shape = take_shape(l, dims, &count);
        }
        if (!fine || (!take(l, ",") && (spaces(l), l->at == l->end || *l->at != '}')))
            return bad_header(l, err);
    }
    spaces(l);
    if (l->at != l->end || !type.data || !have_order || !have_shape)
        return bad_header(l, err);
    HT_TRY(check_type(npy, l, type, any, err));
    if (fortran && count > 1)
        return ht_fail(err, HITHER_UNSUPPORTED,
                       "%s: the array is in Fortran order; save it with numpy.ascontiguousarray", l->name);
    return check_shape(npy, l, dims, count, err);
}

/* What a regular file holds must be what its shape says, before the first row is believed. */
static hither_status check_size(const ht_npy *npy, hither_error *err) {
    const ht_reader *r = npy->reader;
    uint64_t bytes;
    if (__builtin_mul_overflow(npy->rows, (uint64_t)npy->dim * npy->item, &bytes))
        return ht_fail(err, HITHER_TOO_LARGE, "%s: the header's shape is beyond any file", r->name);
    if (r->size && r->size - r->consumed != bytes)
        return ht_fail(err, HITHER_CORRUPT,
                       "%s: the header says %llu rows of %u columns, %llu bytes, but %llu bytes follow it", r->name,
                       (unsigned long long)npy->rows, npy->dim, (unsigned long long)bytes,
                       (unsigned long long)(r->size - r->consumed));
    return HITHER_OK;
}

static hither_status read_npy_header(ht_npy *npy, bool any, hither_error *err) {
    ht_reader *r = npy->reader;
    unsigned char start[12];
    size_t got;
    HT_TRY(ht_reader_take(r, start, 8, &got, err));
    if (got < 8 || memcmp(start, "\x93NUMPY", 6))
        return ht_fail(err, HITHER_SYNTAX, "%s is not an .npy file; numpy.save writes one", r->name);
    if (start[6] < 1 || start[6] > 3)
        return ht_fail(err, HITHER_UNSUPPORTED, "%s: .npy version %u; 1, 2 and 3 are read", r->name, start[6]);
    size_t length_bytes = start[6] == 1 ? 2 : 4;
    HT_TRY(ht_reader_take(r, start + 8, length_bytes, &got, err));
    size_t length = start[8] | (size_t)start[9] << 8;
    if (length_bytes == 4)
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    if (got < length_bytes || length > HEADER_MAX)
        return ht_fail(err, got < length_bytes ? HITHER_SYNTAX : HITHER_TOO_LARGE,
                       "%s: the .npy header %s; it has at most %d bytes", r->name,
                       got < length_bytes ? "is cut off" : "is too long", HEADER_MAX);
    char *header = ht_alloc(length);
    if (!header)
        return ht_fail_nomem(err, length, "the .npy header");
    hither_status status = ht_reader_take(r, header, length, &got, err);
    literal l = {header, header + length, r->name};
    if (status == HITHER_OK && got < length)
        status = ht_fail(err, HITHER_SYNTAX, "%s ends within its .npy header", r->name);
    if (status == HITHER_OK)
        status = parse_header(npy, &l, any, err);
    ht_release(header);
    return status;
}

static hither_status open_npy(ht_npy *npy, ht_reader *r, bool any, hither_error *err) {
    *npy = (ht_npy){.reader = r};
    HT_TRY(read_npy_header(npy, any, err));
    HT_TRY(check_size(npy, err));
    npy->raw = ht_alloc((size_t)npy->dim * npy->item);
    if (!npy->raw)
        return ht_fail_nomem(err, (size_t)npy->dim * npy->item, "a row");
    return HITHER_OK;
}

hither_status ht_npy_open(ht_npy *npy, ht_reader *r, hither_error *err) { return open_npy(npy, r, false, err); }

hither_status ht_npy_open_any(ht_npy *npy, ht_reader *r, hither_error *err) { return open_npy(npy, r, true, err); }

void ht_npy_close(ht_npy *npy) {
    ht_release(npy->raw);
    npy->raw = NULL;
}

static float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
    if (exponent == 0) {
        float tiny = (float)mantissa * 0x1p-24f;
        return sign ? -tiny : tiny;
    }
    uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Hosts are little-endian, as the database's own files are. */
static float element(const char *raw, char kind, unsigned item) {
    if (item == 1)
        return kind == 'i' ? (float)(signed char)*raw : (float)(unsigned char)*raw;
    if (item == 4) {
        float value;
        memcpy(&value, raw, 4);
        return value;
    }
    if (item == 8) {
        double value;
        memcpy(&value, raw, 8);
        return (float)value;
    }
    uint16_t half;
    memcpy(&half, raw, 2);
    return kind == 'u' ? (float)half : from_half(half);
}

hither_status ht_npy_raw(ht_npy *npy, char *out, hither_error *err) {
    const char *name = npy->reader->name;
    size_t got, bytes = (size_t)npy->dim * npy->item;
    HT_TRY(ht_reader_take(npy->reader, out, bytes, &got, err));
    if (got < bytes)
        return ht_fail(err, HITHER_CORRUPT, "%s ends within row %llu; the header promised %llu rows", name,
                       (unsigned long long)npy->next, (unsigned long long)npy->rows);
    char more;
    if (npy->next + 1 == npy->rows) {
        HT_TRY(ht_reader_take(npy->reader, &more, 1, &got, err));
        if (got)
            return ht_fail(err, HITHER_CORRUPT, "%s goes on after the %llu rows its header promised", name,
                           (unsigned long long)npy->rows);
    }
    npy->next++;
    return HITHER_OK;
}

hither_status ht_npy_row(ht_npy *npy, float *out, hither_error *err) {
    HT_TRY(ht_npy_raw(npy, npy->raw, err));
    for (uint32_t j = 0; j < npy->dim; j++) {
        out[j] = element(npy->raw + (size_t)j * npy->item, npy->kind, npy->item);
        if (!isfinite(out[j]))
            return ht_fail(err, HITHER_NOT_FINITE,
                           "%s: row %llu, column %u is %s; every value must be a finite float32", npy->reader->name,
                           (unsigned long long)npy->next - 1, j, isnan(out[j]) ? "NaN" : "infinite, or too large");
    }
    return HITHER_OK;
}

/* Grown as rows arrive: a header cannot make it larger than twice what is there. */
static hither_status read_all(ht_npy *npy, bool raw, char **out, hither_error *err) {
    hither_status status = HITHER_OK;
    ht_buf all;
    ht_buf_init(&all, SIZE_MAX / 2);
    while (status == HITHER_OK && npy->next < npy->rows) {
        void *room = ht_buf_grow(&all, (size_t)npy->dim * (raw ? npy->item : sizeof(float)));
        if (!room)
            status = ht_fail_nomem(err, all.size, "an array");
        else
            status = raw ? ht_npy_raw(npy, room, err) : ht_npy_row(npy, room, err);
    }
    void *data = all.data ? all.data : ht_alloc(1);
    if (status == HITHER_OK && !data)
        status = ht_fail_nomem(err, 1, "an array");
    if (status != HITHER_OK) {
        ht_release(data);
        return status;
    }
    *out = data;
    return HITHER_OK;
}

hither_status ht_npy_read_raw(ht_npy *npy, char **out, hither_error *err) { return read_all(npy, true, out, err); }

hither_status ht_npy_read_rows(ht_npy *npy, float **out, hither_error *err) {
    char *data;
    HT_TRY(read_all(npy, false, &data, err));
    *out = (float *)(void *)data;
    return HITHER_OK;
}

hither_status ht_npy_read(ht_reader *r, float **out, size_t *rows, uint32_t *dim, hither_error *err) {
    ht_npy npy;
    hither_status status = ht_npy_open(&npy, r, err);
    if (status == HITHER_OK)
        status = ht_npy_read_rows(&npy, out, err);
    if (status == HITHER_OK) {
        *rows = (size_t)npy.rows;
        *dim = npy.dim;
    }
    ht_npy_close(&npy);
    return status;
}

void ht_npy_header(ht_buf *out, uint64_t rows, uint32_t dim) {
    char text[128];
    int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %u), }",
                     (unsigned long long)rows, dim);
    size_t length = 118; /* with the 10 bytes before it a multiple of 64, as numpy pads */
    ht_buf_put(out, "\x93NUMPY\x01\x00", 8);
    ht_buf_putc(out, (char)(length & 255));
    ht_buf_putc(out, (char)(length >> 8));
    ht_buf_put(out, text, (size_t)n);
    ht_buf_printf(out, "%*s\n", (int)(length - 1 - (size_t)n), "");
}
