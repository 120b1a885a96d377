/*
 * io.h: the one way to a file. Everything the library opens, reads, writes, syncs, maps, renames or removes goes
 * through a table of these functions, so that a test can fail, delay, record or drop any single operation, and RAM can
 * stand in for the disk. Nothing else in src/ may call open, read, write, fsync, rename, unlink or mmap; a check in CI
 * enforces it. SQLite's own files go through `store/vfs_*.c`, which stands on the same table.
 *
 * Semantics every implementation keeps:
 *   - read_at and write_at move all the bytes or fail: a short read is CORRUPT ("ends at byte N"), a short write is
 *     retried, EINTR is retried.
 *   - sync returns once everything written to that file is durable. A failed sync must never be retried: the caller
 *     poisons its handle.
 *   - map gives a read-only view that later write_at calls show through; it never reaches past the file's size.
 *   - lock is advisory, exclusive, between processes and between handles of one process, and dies with its holder.
 *     It writes the holder's pid into the file; on BUSY the message names that pid.
 * Any thread; one file may be used by several threads at once.
 */
#ifndef HT_BASE_IO_H
#define HT_BASE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef struct ht_file ht_file; /* defined by each implementation; begins with the io it came from */
typedef struct ht_io ht_io;

enum {
    HT_IO_WRITE = 1,     /* else read-only */
    HT_IO_CREATE = 2,    /* make it if missing, mode 0600 */
    HT_IO_EXCLUSIVE = 4, /* with CREATE: EXISTS if it is there. Links are never followed for the last part */
    HT_IO_DELETE = 8     /* unlink at close: for temporary files */
};

typedef enum ht_io_kind { HT_IO_ABSENT, HT_IO_FILE, HT_IO_FOLDER, HT_IO_OTHER } ht_io_kind;

/* An operation on one of SQLite's files, shown to `observe` before it happens; a status other than OK makes the
 * operation fail with that error instead. For implementations that record or inject; others leave observe NULL. */
typedef enum ht_io_op { HT_OP_READ, HT_OP_WRITE, HT_OP_SYNC, HT_OP_TRUNCATE, HT_OP_DELETE, HT_OP_OPEN } ht_io_op;
typedef struct ht_io_event {
    ht_io_op op;
    const char *path;
    uint64_t offset;
    const void *data; /* what is about to be written */
    size_t bytes;
} ht_io_event;

struct ht_io {
    void *ctx;
    /* The name of the SQLite VFS that reaches the same files ("unix"), to stand a checksumming shim on; NULL where the
     * files exist only behind this table: then a VFS over the table itself is used. */
    const char *sqlite_vfs;
    hither_status (*observe)(void *ctx, const ht_io_event *event);

    hither_status (*open)(void *ctx, const char *path, unsigned flags, ht_file **out, hither_error *err);
    void (*close)(ht_file *file);
    hither_status (*read_at)(ht_file *file, void *data, size_t bytes, uint64_t offset, hither_error *err);
    hither_status (*write_at)(ht_file *file, const void *data, size_t bytes, uint64_t offset, hither_error *err);
    hither_status (*size)(ht_file *file, uint64_t *out, hither_error *err);
    /* Sets the file's size; growing leaves zeros. Never shrinks a file anyone has mapped. */
    hither_status (*resize)(ht_file *file, uint64_t bytes, hither_error *err);
    /* Asks for disk space behind [offset, offset + bytes) so that writing there cannot run out; FULL if there is none,
     * OK where the file system cannot promise. The size stays. */
    hither_status (*reserve)(ht_file *file, uint64_t offset, uint64_t bytes, hither_error *err);
    hither_status (*sync)(ht_file *file, hither_error *err);
    hither_status (*map)(ht_file *file, size_t bytes, const void **out, hither_error *err); /* from offset 0 */
    void (*unmap)(ht_file *file, const void *data, size_t bytes);
    hither_status (*lock)(ht_file *file, hither_error *err); /* BUSY names the holder; released by close */

    hither_status (*stat)(void *ctx, const char *path, ht_io_kind *kind, uint64_t *bytes, hither_error *err);
    hither_status (*make_folder)(void *ctx, const char *path, hither_error *err);            /* mode 0700; EXISTS */
    hither_status (*rename)(void *ctx, const char *from, const char *to, hither_error *err); /* replaces */
    hither_status (*remove)(void *ctx, const char *path, hither_error *err); /* a file, or an empty folder */
    hither_status (*sync_folder)(void *ctx, const char *path, hither_error *err);
    /* Calls each(arg, name, kind) for every entry but . and .., in no order; a status other than OK stops it. */
    hither_status (*list)(void *ctx, const char *path,
                          hither_status (*each)(void *arg, const char *name, ht_io_kind kind), void *arg,
                          hither_error *err);
};

struct ht_file {
    const ht_io *io;
};

/* The operating system's files. A link to a folder counts as that folder; a link to a file is HT_IO_OTHER. */
const ht_io *ht_io_posix(void);

/* The beginning of a small file that the operating system makes up (/proc, /sys), NUL-terminated, at most room - 1
 * bytes; false if it cannot be read. Such files have no size, so that read_at is no way to them. */
bool ht_io_system_text(const char *path, char *text, size_t room);

/* Files in RAM, private to this table; gone with ht_io_ram_free. */
HT_NODISCARD hither_status ht_io_ram_new(ht_io **out, hither_error *err);
void ht_io_ram_free(ht_io *io);

/* folder + "/" + name, the caller's to release; NULL without memory. */
char *ht_path_join(const char *folder, const char *name);

#endif
