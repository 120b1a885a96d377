/*
 * io.c: what does not depend on the implementation of the I/O table. Any thread.
 */
#include "base/io.h"

#include <string.h>

#include "base/alloc.h"

char *ht_path_join(const char *folder, const char *name) {
    size_t left = strlen(folder), right = strlen(name), bytes;
    while (left > 1 && folder[left - 1] == '/')
        left--;
    bool slash = left > 0 && folder[left - 1] != '/';
    if (!ht_add_size(left + slash, right, &bytes) || !ht_add_size(bytes, 1, &bytes))
        return NULL;
    char *path = ht_alloc(bytes);
    if (!path)
        return NULL;
    memcpy(path, folder, left);
    if (slash)
        path[left] = '/';
    memcpy(path + left + slash, name, right + 1);
    return path;
}

hither_status ht_io_check(const ht_io *io, hither_error *err) {
    if (io->size < sizeof *io)
        return ht_fail(err, HITHER_INVALID, "hither_io.size is %zu; set it to sizeof(hither_io), here %zu", io->size,
                       sizeof *io);
    if (!io->open || !io->close || !io->read_at || !io->write_at || !io->file_size || !io->resize || !io->reserve ||
        !io->sync || !io->map || !io->unmap || !io->lock || !io->stat || !io->make_folder || !io->rename ||
        !io->remove || !io->sync_folder || !io->list)
        return ht_fail(err, HITHER_INVALID,
                       "hither_io lacks a function; only observe, start_sync, identity, network, holes_cost, share "
                       "and want may be NULL");
    return HITHER_OK;
}
