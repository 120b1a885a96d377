/* tensors.c: see tensors.h. A file is eight bytes of length, so many bytes of JSON, and the numbers. */
#include "embed/tensors.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "kernels/kernels.h"

enum { MAX_HEADER = 16 << 20, PIECE = 1 << 14 }; /* bytes; numbers converted at a time */

struct ht_tensors {
    const ht_io *io;
    ht_file *file;
    json_t *header;
    uint64_t data, bytes; /* where the numbers begin, and how many bytes they are */
    char *path;
};

typedef struct tensor {
    const char *dtype;
    size_t item; /* bytes of a number; 0: of a type that is not read */
    uint64_t rows, columns, begin, end;
} tensor;

static size_t item_bytes(const char *dtype) {
    if (strcmp(dtype, "F32") == 0)
        return 4;
    if (strcmp(dtype, "I8") == 0)
        return 1;
    return strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0 ? 2 : 0;
}

/* Its shape as rows and columns: all but the last dimension, and the last. False where it does not fit 2^48 numbers. */
static bool shape_of(const json_t *shape, tensor *t) {
    if (!json_is_array(shape) || json_array_size(shape) > HT_TENSOR_MAX_RANK)
        return false;
    t->rows = t->columns = 1;
    for (size_t i = 0; i < json_array_size(shape); i++) {
        const json_t *n = json_array_get(shape, i);
        if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > (json_int_t)1 << 40)
            return false;
        t->rows *= t->columns;
        t->columns = (uint64_t)json_integer_value(n);
        if (t->columns && t->rows > ((uint64_t)1 << 48) / t->columns)
            return false;
    }
    return true;
}

static hither_status describe(const ht_tensors *f, const char *name, const json_t *entry, tensor *t,
                              hither_error *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    t->dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!t->dtype || !shape_of(json_object_get(entry, "shape"), t) || json_array_size(offsets) != 2 ||
        !json_is_integer(begin) || !json_is_integer(end))
        return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" is not described by dtype, shape and data_offsets",
                       f->path, name);
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > f->bytes)
        return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" is bytes %lld to %lld of %llu", f->path, name,
                       (long long)from, (long long)to, (unsigned long long)f->bytes);
    t->begin = (uint64_t)from;
    t->end = (uint64_t)to;
    t->item = item_bytes(t->dtype);
    if (t->item && t->end - t->begin != t->rows * t->columns * t->item)
        return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" has %llu bytes, its shape wants %llu", f->path, name,
                       (unsigned long long)(t->end - t->begin), (unsigned long long)(t->rows * t->columns * t->item));
    return HITHER_OK;
}

static hither_status read_header(ht_tensors *f, hither_error *err) {
    uint64_t size;
    unsigned char length[8];
    HT_TRY(f->io->file_size(f->file, &size, err));
    if (size < sizeof length)
        return ht_fail(err, HITHER_MODEL, "%.100s: %llu bytes are no safetensors file", f->path,
                       (unsigned long long)size);
    HT_TRY(f->io->read_at(f->file, length, sizeof length, 0, err));
    uint64_t bytes = 0;
    for (int i = 7; i >= 0; i--)
        bytes = bytes << 8 | length[i];
    if (bytes > MAX_HEADER || bytes > size - sizeof length)
        return ht_fail(err, HITHER_MODEL, "%.100s: no safetensors file: a header of %llu bytes in a file of %llu",
                       f->path, (unsigned long long)bytes, (unsigned long long)size);
    f->data = sizeof length + bytes;
    f->bytes = size - f->data;
    char *text = ht_alloc((size_t)bytes + 1);
    if (!text)
        return ht_fail_nomem(err, (size_t)bytes, "a header");
    hither_status status = f->io->read_at(f->file, text, (size_t)bytes, sizeof length, err);
    if (status == HITHER_OK)
        status = ht_json_parse(text, (size_t)bytes, MAX_HEADER, f->path, &f->header, err);
    ht_release(text);
    return status;
}

static hither_status check_header(const ht_tensors *f, hither_error *err) {
    const char *name;
    json_t *entry;
    if (!json_is_object(f->header))
        return ht_fail(err, HITHER_MODEL, "%.100s: the header is not a JSON object", f->path);
    json_object_foreach(f->header, name, entry) {
        tensor t;
        if (strcmp(name, "__metadata__") != 0)
            HT_TRY(describe(f, name, entry, &t, err));
    }
    return HITHER_OK;
}

hither_status ht_tensors_open(const ht_io *io, const char *path, ht_tensors **out, hither_error *err) {
    ht_tensors *f = ht_calloc(1, sizeof *f);
    if (!f)
        return ht_fail_nomem(err, sizeof *f, "a model");
    f->io = io;
    f->path = ht_strdup(path);
    hither_status status =
        f->path ? io->open(io->ctx, path, 0, &f->file, err) : ht_fail_nomem(err, strlen(path), "a path");
    if (status == HITHER_OK)
        status = read_header(f, err);
    if (status == HITHER_OK)
        status = check_header(f, err);
    if (status != HITHER_OK) {
        ht_tensors_close(f);
        return status;
    }
    *out = f;
    return HITHER_OK;
}

void ht_tensors_close(ht_tensors *f) {
    if (!f)
        return;
    if (f->file)
        f->io->close(f->file);
    json_decref(f->header);
    ht_release(f->path);
    ht_release(f);
}

bool ht_tensors_has(const ht_tensors *f, const char *name) { return json_object_get(f->header, name) != NULL; }

static hither_status read_numbers(const ht_tensors *f, const tensor *t, float *out, hither_error *err) {
    size_t count = (size_t)((t->end - t->begin) / t->item);
    if (t->item == 4)
        return f->io->read_at(f->file, out, count * 4, f->data + t->begin, err);
    uint16_t *piece = ht_alloc(PIECE * sizeof *piece);
    if (!piece)
        return ht_fail_nomem(err, PIECE * sizeof *piece, "numbers");
    const ht_kernels *k = ht_kernels_get();
    hither_status status = HITHER_OK;
    for (size_t at = 0; status == HITHER_OK && at < count; at += PIECE) {
        size_t n = ht_min_size(count - at, PIECE);
        status = f->io->read_at(f->file, piece, n * t->item, f->data + t->begin + at * t->item, err);
        if (status != HITHER_OK)
            break;
        const int8_t *bytes = (const int8_t *)piece;
        for (size_t i = 0; t->item == 1 && i < n; i++)
            out[at + i] = bytes[i];
        if (t->item == 1)
            continue;
        if (t->dtype[0] == 'F')
            k->widen_f16(piece, n * 2, 1, n, out + at);
        else
            k->widen_bf16(piece, n * 2, 1, n, out + at);
    }
    ht_release(piece);
    return status;
}

static hither_status find_array(const ht_tensors *f, const char *name, tensor *t, hither_error *err) {
    const json_t *entry = json_object_get(f->header, name);
    if (!entry)
        return ht_fail(err, HITHER_MODEL, "%.100s: there is no array \"%.80s\"", f->path, name);
    return describe(f, name, entry, t, err);
}

static hither_status refuse_type(const ht_tensors *f, const char *name, const tensor *t, const char *read,
                                 hither_error *err) {
    return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" is of type %.20s; %s are read", f->path, name, t->dtype,
                   read);
}

static hither_status check_shape(const ht_tensors *f, const char *name, const tensor *t, size_t rows, size_t columns,
                                 hither_error *err) {
    if (t->rows == rows && t->columns == columns)
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" is %llu x %llu; the model's settings say %zu x %zu",
                   f->path, name, (unsigned long long)t->rows, (unsigned long long)t->columns, rows, columns);
}

static hither_status check_finite(const ht_tensors *f, const char *name, const float *numbers, size_t count,
                                  hither_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(numbers[i]))
            return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" holds a value that is not finite, at %zu",
                           f->path, name, i);
    }
    return HITHER_OK;
}

hither_status ht_tensors_read(const ht_tensors *f, const char *name, size_t rows, size_t columns, float *out,
                              hither_error *err) {
    tensor t = {0};
    HT_TRY(find_array(f, name, &t, err));
    if (t.item < 2)
        return refuse_type(f, name, &t, "F32, F16 and BF16", err);
    HT_TRY(check_shape(f, name, &t, rows, columns, err));
    if (!out)
        return HITHER_OK;
    HT_TRY(read_numbers(f, &t, out, err));
    return check_finite(f, name, out, rows * columns, err);
}

hither_status ht_tensors_shape(const ht_tensors *f, const char *name, uint64_t *rows, uint64_t *columns,
                               hither_error *err) {
    tensor t = {0};
    HT_TRY(find_array(f, name, &t, err));
    *rows = t.rows;
    *columns = t.columns;
    return HITHER_OK;
}

hither_status ht_tensors_read_table(const ht_tensors *f, const char *name, size_t rows, size_t columns, float *out,
                                    hither_error *err) {
    tensor t = {0};
    HT_TRY(find_array(f, name, &t, err));
    if (t.item == 0)
        return refuse_type(f, name, &t, "F32, F16, BF16 and I8", err);
    HT_TRY(check_shape(f, name, &t, rows, columns, err));
    HT_TRY(read_numbers(f, &t, out, err));
    return check_finite(f, name, out, rows * columns, err);
}

/* A whole number of 4 or 8 bytes, the lowest first. */
static uint64_t whole(const unsigned char *bytes, size_t item) {
    uint64_t value = 0;
    for (size_t i = item; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

hither_status ht_tensors_read_places(const ht_tensors *f, const char *name, size_t count, uint32_t end, uint32_t *out,
                                     hither_error *err) {
    tensor t = {0};
    HT_TRY(find_array(f, name, &t, err));
    const size_t item = strcmp(t.dtype, "I32") == 0 ? 4 : strcmp(t.dtype, "I64") == 0 ? 8 : 0;
    if (!item)
        return refuse_type(f, name, &t, "I32 and I64", err);
    HT_TRY(check_shape(f, name, &t, 1, count, err));
    if (t.end - t.begin != (uint64_t)count * item)
        return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" has %llu bytes, its shape wants %llu", f->path, name,
                       (unsigned long long)(t.end - t.begin), (unsigned long long)count * item);
    unsigned char *piece = ht_alloc(PIECE * item);
    if (!piece)
        return ht_fail_nomem(err, PIECE * item, "numbers");
    hither_status status = HITHER_OK;
    for (size_t at = 0; status == HITHER_OK && at < count; at += PIECE) {
        size_t n = ht_min_size(count - at, PIECE);
        status = f->io->read_at(f->file, piece, n * item, f->data + t.begin + at * item, err);
        for (size_t i = 0; status == HITHER_OK && i < n; i++) {
            uint64_t value = whole(piece + i * item, item);
            out[at + i] = (uint32_t)value;
            if (value >= end)
                status = ht_fail(err, HITHER_MODEL, "%.100s: array \"%.60s\" holds %lld at %zu; below %u are possible",
                                 f->path, name, (long long)value, at + i, end);
        }
    }
    ht_release(piece);
    return status;
}
