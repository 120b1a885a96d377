/* array.c: see array.h. */
#include "array.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "commands.h"
#include "output.h"

hither_status ht_array_dtype(const ht_npy *npy, hither_dtype wanted, hither_dtype *out, hither_error *err) {
    if (npy->kind == 'f')
        *out = npy->item == 2 ? HITHER_F16 : npy->item == 4 ? HITHER_F32 : HITHER_F64;
    else if (npy->kind == 'i')
        *out = HITHER_I8;
    else if (wanted == (npy->item == 1 ? HITHER_B1 : HITHER_BF16))
        *out = wanted;
    else
        return ht_fail(err, HITHER_UNSUPPORTED,
                       "%s: uint%u is read as %s only: say --dtype %s, or save it with "
                       ".astype('<f4')",
                       npy->reader->name, 8 * npy->item, npy->item == 1 ? "packed bits" : "the upper halves of float32",
                       npy->item == 1 ? "b1" : "bf16");
    if (*out == HITHER_B1 && npy->dim > HITHER_MAX_DIM / 8)
        return ht_fail(err, HITHER_DIMENSION, "%s: rows have %u bytes of bits; up to %u are possible",
                       npy->reader->name, npy->dim, HITHER_MAX_DIM / 8);
    return HITHER_OK;
}

static ht_array array_of(const ht_npy *npy, hither_dtype dtype) {
    return (ht_array){.rows = (size_t)npy->rows,
                      .row_bytes = (size_t)npy->dim * npy->item,
                      .dim = npy->dim * (dtype == HITHER_B1 ? 8 : 1),
                      .dtype = dtype};
}

hither_status ht_array_map(const ht_npy *npy, hither_dtype dtype, ht_array *out, hither_error *err) {
    const ht_reader *r = npy->reader;
    *out = (ht_array){0};
    if (r->fd <= STDIN_FILENO || r->size == 0 || r->size > SIZE_MAX || r->consumed % npy->item)
        return HITHER_OK;
    void *mapping = mmap(NULL, (size_t)r->size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (mapping == MAP_FAILED)
        return ht_fail_errno(err, errno, "cannot map %s", r->name);
    *out = array_of(npy, dtype);
    out->data = (const char *)mapping + r->consumed;
    out->mapping = mapping;
    out->mapped_bytes = (size_t)r->size;
    return HITHER_OK;
}

static hither_status read_as_f32(ht_npy *npy, ht_array *out, hither_error *err) {
    float *rows;
    HT_TRY(ht_npy_read_rows(npy, &rows, err));
    *out = array_of(npy, HITHER_F32);
    out->row_bytes = npy->dim * sizeof(float);
    out->own = (char *)rows;
    out->data = out->own;
    return HITHER_OK;
}

static hither_status read_as_is(ht_npy *npy, hither_dtype dtype, ht_array *out, hither_error *err) {
    HT_TRY(ht_array_map(npy, dtype, out, err));
    if (out->mapping)
        return HITHER_OK;
    char *rows;
    HT_TRY(ht_npy_read_raw(npy, &rows, err));
    *out = array_of(npy, dtype);
    out->own = rows;
    out->data = rows;
    return HITHER_OK;
}

/* queries: they are widened unless the library takes them as they are beside rows of `wanted`. */
static hither_status read_array(const char *path, hither_dtype wanted, bool queries, ht_array *out, hither_error *err) {
    ht_reader r;
    ht_npy npy;
    hither_dtype dtype = HITHER_F32;
    *out = (ht_array){0};
    HT_TRY(ht_reader_open(&r, path, err));
    hither_status status = ht_npy_open_any(&npy, &r, err);
    if (status == HITHER_OK)
        status = ht_array_dtype(&npy, wanted, &dtype, err);
    if (status == HITHER_OK && queries && dtype != HITHER_F32 && dtype != HITHER_F64 && dtype != HITHER_B1)
        status = read_as_f32(&npy, out, err);
    else if (status == HITHER_OK)
        status = read_as_is(&npy, dtype, out, err);
    ht_npy_close(&npy);
    ht_reader_close(&r);
    return status;
}

hither_status ht_array_read(const char *path, hither_dtype wanted, ht_array *out, hither_error *err) {
    return read_array(path, wanted, false, out, err);
}

hither_status ht_array_read_queries(const char *path, hither_dtype dtype, ht_array *out, hither_error *err) {
    return read_array(path, dtype == HITHER_B1 ? dtype : 0, true, out, err);
}

void ht_array_free(ht_array *array) {
    if (array->mapping)
        munmap(array->mapping, array->mapped_bytes);
    ht_release(array->own);
    *array = (ht_array){0};
}

hither_matrix ht_array_view(const ht_array *array, size_t from, size_t count) {
    return (hither_matrix){
        .data = array->data + from * array->row_bytes, .rows = count, .dim = array->dim, .dtype = array->dtype};
}

bool ht_recall_option(const ht_args *args, double *out) {
    *out = ht_args_real(args, HT_OPT_RECALL, 0);
    if (!ht_args_has(args, HT_OPT_RECALL) || (*out > 0 && *out <= 1))
        return true;
    ht_buf message;
    ht_buf_init(&message, 200);
    ht_buf_printf(&message, "--recall %g: a share of the true answers is wanted, above 0 and up to 1", *out);
    (void)ht_usage(args->command->name, &message);
    ht_buf_clear(&message);
    return false;
}

hither_status ht_name_file(hither_status status, const char *name, hither_error *err) {
    if (status != HITHER_NOT_FINITE && status != HITHER_DIMENSION)
        return status;
    hither_error said = *err;
    return ht_fail(err, status, "%.100s: %s", name, said.message);
}

void ht_print_labels(ht_buf *out, bool json, size_t query, size_t count, const int64_t *labels,
                     const float *distances) {
    if (!json) {
        for (size_t j = 0; j < count && labels[j] >= 0; j++) {
            ht_buf_printf(out, "%zu\t%zu\t%lld\t", query, j + 1, (long long)labels[j]);
            ht_json_float(out, distances[j]);
            ht_buf_putc(out, '\n');
        }
        return;
    }
    ht_buf_printf(out, "{\"query\":%zu,\"labels\":[", query);
    for (size_t j = 0; j < count && labels[j] >= 0; j++)
        ht_buf_printf(out, "%s%lld", j ? "," : "", (long long)labels[j]);
    ht_buf_puts(out, "],\"distances\":[");
    for (size_t j = 0; j < count && labels[j] >= 0; j++) {
        if (j)
            ht_buf_putc(out, ',');
        ht_json_float(out, distances[j]);
    }
    ht_buf_puts(out, "]}\n");
}

void ht_print_found(ht_buf *out, bool json, size_t query, const hither_result *found, size_t group) {
    ht_print_labels(out, json, query, hither_result_count(found, group), hither_result_ids(found, group).ints,
                    hither_result_distances(found, group));
}
