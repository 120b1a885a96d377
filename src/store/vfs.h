/*
 * vfs.h: how SQLite reaches the catalog's files. Each store registers one VFS of its own with SQLite and takes it away
 * when it closes. Two variants share one idea, the page checksum:
 *   - vfs_disk.c, a shim over one of SQLite's own VFSs (its locks and shared memory stay SQLite's), which shows every
 *     operation to io->observe first;
 *   - vfs_table.c, a whole VFS over an ht_io table, for files that exist nowhere else (RAM).
 *
 * What must stay true: every page of the catalog's main file ends in a checksum of its number and content, put there
 * as the page is written and checked whenever the page is read. Pages on their way through SQLite's log carry SQLite's
 * frame checksums instead. Any thread, once made.
 */
#ifndef HT_STORE_VFS_H
#define HT_STORE_VFS_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/io.h"

enum {
    HT_PAGE_BYTES = 4096,
    HT_PAGE_RESERVED = 8, /* at the end of a page: 4 zero bytes, then CRC-32C, little endian */
    HT_APPLICATION_ID = 0x48697468
};

typedef struct ht_vfs {
    sqlite3_vfs base; /* first: SQLite hands back a pointer to it */
    const ht_io *io;
    sqlite3_vfs *below; /* the VFS shimmed, or SQLite's default one for time and randomness */
    char name[40];
    pthread_mutex_t lock; /* guards what follows */
    char trouble[160];    /* the last page that failed its checksum, in words; "" if none did */
    bool foreign;         /* page 1 is of some other SQLite database, or of no database at all */
    struct ht_table_node *nodes;
} ht_vfs;

HT_NODISCARD hither_status ht_vfs_new(const ht_io *io, ht_vfs **out, hither_error *err);
void ht_vfs_free(ht_vfs *vfs); /* after the last connection was closed; NULL is fine */

/* ---- for the two variants */

void ht_vfs_disk_init(ht_vfs *vfs);
void ht_vfs_table_init(ht_vfs *vfs);
void ht_vfs_table_clear(ht_vfs *vfs);

/* SQLite's code for a status of the I/O table; `other` where SQLite has no closer one. */
int ht_vfs_code(hither_status status, int other);

/* Writes the checksum of the page at `offset` into its last bytes. */
void ht_page_seal(unsigned char *page, uint64_t offset);
bool ht_page_sealed(const unsigned char *page, uint64_t offset);
/* SQLITE_OK, or SQLITE_IOERR_DATA with the trouble noted. */
int ht_vfs_check_page(ht_vfs *vfs, const unsigned char *page, uint64_t offset);
/* Notes that the main file ends inside the page at `offset`; SQLITE_IOERR_DATA. */
int ht_vfs_cut_page(ht_vfs *vfs, uint64_t offset, uint64_t file_bytes);
static inline bool ht_is_page(sqlite3_int64 offset, int bytes) {
    return bytes == HT_PAGE_BYTES && offset % HT_PAGE_BYTES == 0;
}

#endif
