/* onnx_tensor.c: arrays of numbers in an ONNX file, or in a file beside it. See onnx.h. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/onnx_inside.h"
#include "embed/protobuf.h"
#include "kernels/kernels.h"

#define MAX_COUNT ((uint64_t)1 << 40)
enum { MAX_FILE_NAME = 255 };

static hither_status wrong(const ht_onnx *o, const ht_onnx_tensor *t, const char *what, hither_error *err) {
    return ht_fail(err, HITHER_MODEL, "%.100s: array \"%.*s\": %s", o->name, ONNX_NAME(t->name), what);
}

static size_t item_bytes(uint32_t type) {
    switch (type) {
    case HT_ONNX_U8:
    case HT_ONNX_I8:
    case 9: /* bool */
        return 1;
    case HT_ONNX_F16:
    case HT_ONNX_BF16:
    case 4: /* u16 */
    case 5: /* i16 */
        return 2;
    case HT_ONNX_F32:
    case HT_ONNX_I32:
    case 12: /* u32 */
        return 4;
    case HT_ONNX_I64:
    case 11: /* f64 */
    case 13: /* u64 */
        return 8;
    default:
        return 0; /* not read, and its length not known */
    }
}

/* ---- a file beside */

static bool decimal(ht_onnx_text text, uint64_t *out) {
    uint64_t value = 0;
    if (text.bytes == 0 || text.bytes > 18)
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

static bool plain_name(ht_onnx_text name) {
    if (name.bytes == 0 || name.bytes > MAX_FILE_NAME || name.data[0] == '.')
        return false;
    for (size_t i = 0; i < name.bytes; i++)
        if (name.data[i] == '/' || name.data[i] == '\\' || (unsigned char)name.data[i] < 32 || name.data[i] == 127)
            return false;
    return true;
}

/* The path of the file beside; the caller's, NULL without memory. */
static char *path_beside(const char *folder, const ht_onnx_tensor *t) {
    char name[MAX_FILE_NAME + 1];
    memcpy(name, t->file.data, t->file.bytes);
    name[t->file.bytes] = 0;
    return ht_path_join(folder, name);
}

static hither_status check_beside(const ht_onnx *o, const ht_onnx_tensor *t, hither_error *err) {
    uint64_t bytes = 0;
    ht_io_kind kind = HT_IO_ABSENT;
    if (!plain_name(t->file))
        return wrong(o, t, "its numbers are in another file whose name is not a plain one; none is opened", err);
    char *path = path_beside(o->folder, t);
    if (!path)
        return ht_fail_nomem(err, t->file.bytes, "a path");
    hither_status status = o->io->stat(o->io->ctx, path, &kind, &bytes, err);
    ht_release(path);
    HT_TRY(status);
    if (kind != HT_IO_FILE)
        return ht_fail(err, HITHER_MODEL, "%.60s: array \"%.*s\" is in \"%.*s\", which is %s", o->name,
                       ONNX_NAME(t->name), ONNX_NAME(t->file), kind == HT_IO_ABSENT ? "missing" : "not a file");
    if (t->offset > bytes || t->bytes > bytes - t->offset)
        return ht_fail(err, HITHER_MODEL, "%.60s: array \"%.*s\" is bytes %llu to %llu of \"%.*s\", which has %llu",
                       o->name, ONNX_NAME(t->name), (unsigned long long)t->offset,
                       (unsigned long long)(t->offset + t->bytes), ONNX_NAME(t->file), (unsigned long long)bytes);
    return HITHER_OK;
}

/* One pair of what an array says of the file beside. */
static bool read_entry(const ht_pb_field *entry, ht_onnx_tensor *t, uint64_t *length) {
    ht_pb p = ht_pb_over(entry->data, entry->bytes);
    ht_pb_field f;
    ht_onnx_text pair[2] = {{"", 0}, {"", 0}};
    while (ht_pb_next(&p, &f))
        if ((f.number == 1 || f.number == 2) && f.kind == HT_PB_BYTES)
            pair[f.number - 1] = (ht_onnx_text){(const char *)f.data, f.bytes};
    if (p.broken)
        return false;
    if (ht_onnx_is(pair[0], "location"))
        t->file = pair[1];
    else if (ht_onnx_is(pair[0], "offset"))
        return decimal(pair[1], &t->offset);
    else if (ht_onnx_is(pair[0], "length"))
        return decimal(pair[1], length);
    return ht_onnx_is(pair[0], "location") || ht_onnx_is(pair[0], "checksum");
}

/* ---- the description */

enum {
    DIMS = 1,
    TYPE = 2,
    SEGMENT = 3,
    FLOATS = 4,
    INTS = 5,
    LONGS = 7,
    NAME = 8,
    RAW = 9,
    DOUBLES = 10,
    UNSIGNEDS = 11,
    EXTERNAL = 13,
    LOCATION = 14
};

static bool add_dim(ht_onnx_tensor *t, uint64_t dim) {
    if (t->rank == HT_ONNX_MAX_RANK || dim > MAX_COUNT || (dim > 0 && t->count > MAX_COUNT / dim))
        return false;
    t->dims[t->rank++] = dim;
    t->count *= dim;
    return true;
}

static bool add_dims(ht_onnx_tensor *t, const ht_pb_field *f) {
    if (f->kind == HT_PB_VARINT)
        return add_dim(t, f->value);
    ht_pb p = ht_pb_over(f->data, f->bytes);
    uint64_t dim;
    while (p.at < p.end)
        if (!ht_pb_varint(&p, &dim) || !add_dim(t, dim))
            return false;
    return true;
}

/* The numbers, which stand in one piece: raw, as floats, or as varints. */
static const char *take_numbers(ht_onnx_tensor *t, const ht_pb_field *f, int form) {
    if (f->kind != HT_PB_BYTES)
        return "its numbers are written one by one, which is not supported";
    if (t->data)
        return "its numbers are in several pieces, which is not supported";
    t->data = f->data;
    t->bytes = f->bytes;
    t->form = form;
    return NULL;
}

/* What a field of the description says; NULL, or what is wrong with it. */
static const char *take_field(ht_onnx_tensor *t, const ht_pb_field *f, uint64_t *length, bool *external) {
    switch (f->number) {
    case DIMS:
        return add_dims(t, f) ? NULL : "its shape is not possible";
    case TYPE:
        t->type = f->value < 64 ? (uint32_t)f->value : 0;
        return NULL;
    case NAME:
        t->name = f->kind == HT_PB_BYTES ? (ht_onnx_text){(const char *)f->data, f->bytes} : t->name;
        return NULL;
    case RAW:
    case DOUBLES:
        return take_numbers(t, f, HT_ONNX_RAW);
    case FLOATS:
        return take_numbers(t, f, HT_ONNX_FLOATS);
    case INTS:
    case LONGS:
    case UNSIGNEDS:
        return take_numbers(t, f, HT_ONNX_VARINTS);
    case SEGMENT:
        return "arrays in segments are not supported";
    case EXTERNAL:
        return f->kind == HT_PB_BYTES && read_entry(f, t, length) ? NULL : "what it says of a file beside is not known";
    case LOCATION:
        *external = f->value == 1;
        return f->kind == HT_PB_VARINT && f->value < 2 ? NULL : "where its numbers are is not known";
    default:
        return NULL;
    }
}

/* That there are as many bytes as its shape wants. */
static hither_status check_length(const ht_onnx *o, const ht_onnx_tensor *t, hither_error *err) {
    size_t item = item_bytes(t->type);
    bool fits = true;
    if (t->form == HT_ONNX_RAW && item)
        fits = t->bytes == t->count * item;
    else if (t->form == HT_ONNX_FLOATS)
        fits = t->bytes == t->count * 4;
    else if (t->form == HT_ONNX_VARINTS)
        fits = t->bytes >= t->count && t->bytes <= 10 * t->count;
    if (fits)
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "%.60s: array \"%.*s\" has %llu bytes; its shape is of %llu numbers", o->name,
                   ONNX_NAME(t->name), (unsigned long long)t->bytes, (unsigned long long)t->count);
}

hither_status ht_onnx_tensor_read(ht_onnx *o, const uint8_t *data, size_t bytes, ht_onnx_tensor *t, hither_error *err) {
    ht_pb p = ht_pb_over(data, bytes);
    ht_pb_field f;
    uint64_t length = UINT64_MAX;
    bool external = false;
    *t = (ht_onnx_tensor){.name = {"", 0}, .file = {"", 0}, .count = 1};
    while (ht_pb_next(&p, &f)) {
        const char *what = take_field(t, &f, &length, &external);
        if (what)
            return wrong(o, t, what, err);
    }
    if (p.broken)
        return wrong(o, t, "its description is broken", err);
    if (!external && t->file.bytes)
        return wrong(o, t, "it names a file beside, and says that its numbers are here", err);
    if (!external)
        return t->data || t->count == 0 || t->type == 8 /* strings */ ? check_length(o, t, err)
                                                                      : wrong(o, t, "it has no numbers", err);
    size_t item = item_bytes(t->type);
    if (t->data || !item)
        return wrong(o, t, "its type cannot be in a file beside, or its numbers are here as well", err);
    t->bytes = (size_t)(t->count * item);
    if (length != UINT64_MAX && length != t->bytes)
        return wrong(o, t, "its length in a file beside is not what its shape wants", err);
    return check_beside(o, t, err);
}

/* ---- numbers */

static void widen(uint32_t type, const uint8_t *from, size_t count, float *out) {
    const ht_kernels *k = ht_kernels_get();
    if (!count) /* and `from` may be NULL */
        return;
    switch (type) {
    case HT_ONNX_F32:
        memcpy(out, from, count * sizeof *out);
        break;
    case HT_ONNX_F16:
        k->widen_f16(from, 2 * count, 1, count, out);
        break;
    case HT_ONNX_BF16:
        k->widen_bf16(from, 2 * count, 1, count, out);
        break;
    case HT_ONNX_U8:
        for (size_t i = 0; i < count; i++)
            out[i] = from[i];
        break;
    case HT_ONNX_I8:
        for (size_t i = 0; i < count; i++)
            out[i] = (int8_t)from[i];
        break;
    default:
        for (size_t i = 0; i < count; i++) {
            int32_t word;
            memcpy(&word, from + i * sizeof word, sizeof word);
            out[i] = (float)word;
        }
    }
}

/* Integers as varints, of which negative ones take ten bytes. */
static bool widen_varints(const ht_onnx_tensor *t, float *out) {
    ht_pb p = ht_pb_over(t->data, t->bytes);
    for (uint64_t i = 0; i < t->count; i++) {
        uint64_t value;
        if (!ht_pb_varint(&p, &value))
            return false;
        out[i] = (float)(int64_t)value;
    }
    return p.at == p.end;
}

hither_status ht_onnx_beside(const ht_io *io, const char *folder, const ht_onnx_tensor *t, void *out,
                             hither_error *err) {
    ht_file *file = NULL;
    char *path = path_beside(folder, t);
    hither_status status = path ? io->open(io->ctx, path, 0, &file, err) : ht_fail_nomem(err, strlen(folder), "a path");
    if (status == HITHER_OK) {
        status = io->read_at(file, out, t->bytes, t->offset, err);
        io->close(file);
    }
    ht_release(path);
    return status;
}

static hither_status read_beside(const ht_onnx *o, const ht_onnx_tensor *t, float *out, hither_error *err) {
    uint8_t *data = ht_alloc(t->bytes);
    if (!data)
        return ht_fail_nomem(err, t->bytes, "numbers");
    hither_status status = ht_onnx_beside(o->io, o->folder, t, data, err);
    if (status == HITHER_OK)
        widen(t->type, data, (size_t)t->count, out);
    ht_release(data);
    return status;
}

hither_status ht_onnx_numbers(const ht_onnx *o, uint32_t tensor, float *out, hither_error *err) {
    const ht_onnx_tensor *t = &o->tensors[tensor];
    const bool varints = t->form == HT_ONNX_VARINTS;
    const bool known = t->type == HT_ONNX_F32 || t->type == HT_ONNX_U8 || t->type == HT_ONNX_I8 ||
                       t->type == HT_ONNX_I32 || (!varints && (t->type == HT_ONNX_F16 || t->type == HT_ONNX_BF16));
    if (!known || (t->form == HT_ONNX_FLOATS && t->type != HT_ONNX_F32))
        return ht_fail(err, HITHER_MODEL, "%.60s: array \"%.*s\" is of type %u; f32, f16, bf16 and bytes are read",
                       o->name, ONNX_NAME(t->name), t->type);
    if (t->file.bytes)
        HT_TRY(read_beside(o, t, out, err));
    else if (!varints)
        widen(t->type, t->data, (size_t)t->count, out);
    else if (!widen_varints(t, out))
        return wrong(o, t, "its numbers are broken", err);
    for (uint64_t i = 0; i < t->count; i++) {
        if (!isfinite(out[i]))
            return ht_fail(err, HITHER_MODEL, "%.60s: array \"%.*s\" holds a value that is not finite, at %llu",
                           o->name, ONNX_NAME(t->name), (unsigned long long)i);
    }
    return HITHER_OK;
}
