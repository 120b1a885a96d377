/*
 * vfs_pages.c: the page checksum, and what the two VFS variants share. Any thread.
 */
#include "store/vfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"

static void put_u32(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t page_sum(const unsigned char *page, uint64_t offset) {
    unsigned char number[4];
    put_u32(number, (uint32_t)(offset / HT_PAGE_BYTES + 1));
    return ht_crc32c(ht_crc32c(0, number, sizeof number), page, HT_PAGE_BYTES - 4);
}

void ht_page_seal(unsigned char *page, uint64_t offset) {
    put_u32(page + HT_PAGE_BYTES - 8, 0);
    put_u32(page + HT_PAGE_BYTES - 4, page_sum(page, offset));
}

bool ht_page_sealed(const unsigned char *page, uint64_t offset) {
    unsigned char sum[4];
    put_u32(sum, page_sum(page, offset));
    return memcmp(sum, page + HT_PAGE_BYTES - 4, 4) == 0;
}

/* A page of ours that was damaged still has one of the two marks, whichever single byte was hit. */
static bool page_is_foreign(const unsigned char *page) {
    static const unsigned char id[4] = {0x48, 0x69, 0x74, 0x68};
    return memcmp(page + 68, id, 4) != 0 && page[20] != HT_PAGE_RESERVED;
}

int ht_vfs_check_page(ht_vfs *vfs, const unsigned char *page, uint64_t offset) {
    if (ht_page_sealed(page, offset))
        return SQLITE_OK;
    pthread_mutex_lock(&vfs->lock);
    if (offset == 0 && page_is_foreign(page))
        vfs->foreign = true;
    snprintf(vfs->trouble, sizeof vfs->trouble, "catalog: page %" PRIu64 " (offset %" PRIu64 ") fails its checksum",
             offset / HT_PAGE_BYTES + 1, offset);
    pthread_mutex_unlock(&vfs->lock);
    return SQLITE_IOERR_DATA;
}

int ht_vfs_cut_page(ht_vfs *vfs, uint64_t offset, uint64_t file_bytes) {
    pthread_mutex_lock(&vfs->lock);
    snprintf(vfs->trouble, sizeof vfs->trouble,
             "catalog: the file ends at byte %" PRIu64 ", in the middle of page %" PRIu64, file_bytes,
             offset / HT_PAGE_BYTES + 1);
    pthread_mutex_unlock(&vfs->lock);
    return SQLITE_IOERR_DATA;
}

int ht_vfs_code(hither_status status, int other) {
    switch (status) {
    case HITHER_OK:
        return SQLITE_OK;
    case HITHER_NOMEM:
        return SQLITE_IOERR_NOMEM;
    case HITHER_FULL:
        return SQLITE_FULL;
    case HITHER_READONLY:
        return SQLITE_READONLY;
    case HITHER_PERMISSION:
        return SQLITE_PERM;
    case HITHER_CORRUPT:
        return SQLITE_IOERR_CORRUPTFS;
    default:
        return other;
    }
}

hither_status ht_vfs_new(const ht_io *io, ht_vfs **out, hither_error *err) {
    ht_vfs *vfs = ht_calloc(1, sizeof *vfs);
    if (!vfs)
        return ht_fail_nomem(err, sizeof *vfs, "the catalog's file layer");
    vfs->io = io;
    vfs->below = sqlite3_vfs_find(io->sqlite_vfs);
    if (!vfs->below) {
        ht_release(vfs);
        return ht_fail(err, HITHER_UNSUPPORTED, "this SQLite has no file layer named '%s'",
                       io->sqlite_vfs ? io->sqlite_vfs : "default");
    }
    /* Its own address makes the name unique among the registered. */
    snprintf(vfs->name, sizeof vfs->name, "hither-%p", (void *)vfs);
    pthread_mutex_init(&vfs->lock, NULL);
    if (io->sqlite_vfs)
        ht_vfs_disk_init(vfs);
    else
        ht_vfs_table_init(vfs);
    vfs->base.zName = vfs->name;
    if (sqlite3_vfs_register(&vfs->base, 0) != SQLITE_OK) {
        pthread_mutex_destroy(&vfs->lock);
        ht_release(vfs);
        return ht_fail(err, HITHER_NOMEM, "SQLite could not take the catalog's file layer in");
    }
    *out = vfs;
    return HITHER_OK;
}

void ht_vfs_free(ht_vfs *vfs) {
    if (!vfs)
        return;
    sqlite3_vfs_unregister(&vfs->base);
    ht_vfs_table_clear(vfs);
    pthread_mutex_destroy(&vfs->lock);
    ht_release(vfs);
}
