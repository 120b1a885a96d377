/* array.c: see array.h. */
#include "array.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "output.h"

hither_status ht_array_map(const ht_npy *npy, ht_array *out, hither_error *err) {
    const ht_reader *r = npy->reader;
    *out = (ht_array){0};
    if (npy->item != sizeof(float) || r->fd <= STDIN_FILENO || r->size == 0 || r->size > SIZE_MAX ||
        r->consumed % sizeof(float))
        return HITHER_OK;
    void *mapping = mmap(NULL, (size_t)r->size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (mapping == MAP_FAILED)
        return ht_fail_errno(err, errno, "cannot map %s", r->name);
    *out = (ht_array){.data = (const float *)(const void *)((const char *)mapping + r->consumed),
                      .rows = (size_t)npy->rows,
                      .dim = npy->dim,
                      .mapping = mapping,
                      .mapped_bytes = (size_t)r->size};
    return HITHER_OK;
}

static hither_status read_rows(ht_npy *npy, ht_array *out, hither_error *err) {
    HT_TRY(ht_npy_read_rows(npy, &out->own, err));
    out->data = out->own;
    out->rows = (size_t)npy->rows;
    out->dim = npy->dim;
    return HITHER_OK;
}

hither_status ht_array_read(const char *path, ht_array *out, hither_error *err) {
    ht_reader r;
    ht_npy npy;
    *out = (ht_array){0};
    HT_TRY(ht_reader_open(&r, path, err));
    hither_status status = ht_npy_open(&npy, &r, err);
    if (status == HITHER_OK)
        status = ht_array_map(&npy, out, err);
    if (status == HITHER_OK && !out->mapping)
        status = read_rows(&npy, out, err);
    ht_npy_close(&npy);
    ht_reader_close(&r);
    return status;
}

void ht_array_free(ht_array *array) {
    if (array->mapping)
        munmap(array->mapping, array->mapped_bytes);
    ht_release(array->own);
    *array = (ht_array){0};
}

hither_matrix ht_array_view(const ht_array *array, size_t from, size_t count) {
    return (hither_matrix){
        .data = array->data + from * array->dim, .rows = count, .dim = array->dim, .dtype = HITHER_F32};
}

hither_status ht_name_file(hither_status status, const char *name, hither_error *err) {
    if (status != HITHER_NOT_FINITE && status != HITHER_DIMENSION)
        return status;
    hither_error said = *err;
    return ht_fail(err, status, "%.100s: %s", name, said.message);
}

void ht_print_labels(ht_buf *out, bool json, size_t query, uint32_t k, const int64_t *labels, const float *distances) {
    if (!json) {
        for (uint32_t j = 0; j < k && labels[j] >= 0; j++) {
            ht_buf_printf(out, "%zu\t%u\t%lld\t", query, j + 1, (long long)labels[j]);
            ht_json_float(out, distances[j]);
            ht_buf_putc(out, '\n');
        }
        return;
    }
    ht_buf_printf(out, "{\"query\":%zu,\"labels\":[", query);
    for (uint32_t j = 0; j < k && labels[j] >= 0; j++)
        ht_buf_printf(out, "%s%lld", j ? "," : "", (long long)labels[j]);
    ht_buf_puts(out, "],\"distances\":[");
    for (uint32_t j = 0; j < k && labels[j] >= 0; j++) {
        if (j)
            ht_buf_putc(out, ',');
        ht_json_float(out, distances[j]);
    }
    ht_buf_puts(out, "]}\n");
}
