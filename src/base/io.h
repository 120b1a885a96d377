/*
 * io.h: the one way to a file. Everything the library opens, reads, writes, syncs, maps, renames or removes goes
 * through a table of these functions, so that a test can fail, delay, record or drop any single operation, and RAM can
 * stand in for the disk. Nothing else in src/ may call open, read, write, fsync, rename, unlink or mmap; a check in CI
 * enforces it. SQLite's own files go through `store/vfs_*.c`, which stands on the same table.
 *
 * What every implementation keeps stands in hither.h. The two here: files and folders are made for their owner alone;
 * lock is advisory, writes the holder's pid into the file, and on BUSY the message names that pid. Any thread; one file
 * may be used by several threads at once.
 */
#ifndef HT_BASE_IO_H
#define HT_BASE_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The table is public, so that a host may bring its own: hither_io in hither.h says what it is. These are its names in
 * here. */
typedef hither_io ht_io;
typedef hither_file ht_file;
typedef hither_io_kind ht_io_kind;
typedef hither_io_op ht_io_op;
typedef hither_io_event ht_io_event;

#define HT_IO_WRITE     HITHER_IO_WRITE
#define HT_IO_CREATE    HITHER_IO_CREATE
#define HT_IO_EXCLUSIVE HITHER_IO_EXCLUSIVE
#define HT_IO_DELETE    HITHER_IO_DELETE
#define HT_IO_ABSENT    HITHER_IO_ABSENT
#define HT_IO_FILE      HITHER_IO_FILE
#define HT_IO_FOLDER    HITHER_IO_FOLDER
#define HT_IO_OTHER     HITHER_IO_OTHER
#define HT_OP_READ      HITHER_OP_READ
#define HT_OP_WRITE     HITHER_OP_WRITE
#define HT_OP_SYNC      HITHER_OP_SYNC
#define HT_OP_TRUNCATE  HITHER_OP_TRUNCATE
#define HT_OP_DELETE    HITHER_OP_DELETE
#define HT_OP_OPEN      HITHER_OP_OPEN

/* INVALID if a table that is not ours lacks a function or is of another version. */
HT_NODISCARD hither_status ht_io_check(const ht_io *io, hither_error *err);

/* The operating system's files. A link to a folder counts as that folder; a link to a file is HT_IO_OTHER. */
const ht_io *ht_io_posix(void);

/* The beginning of a small file that the operating system makes up (/proc, /sys), NUL-terminated, at most room - 1
 * bytes; false if it cannot be read. Such files have no size, so that read_at is no way to them. */
bool ht_io_system_text(const char *path, char *text, size_t room);

/* What tells a file of the operating system's, or a folder, from another one and from itself at another time. */
typedef struct ht_io_stamp {
    uint64_t device, number, bytes;
    int64_t modified_ns, changed_ns; /* since 1970 */
    bool ours;                       /* it belongs to this user, and nobody else may write to it */
} ht_io_stamp;
/* false for what is neither (a link to a file), is missing or cannot be seen. */
bool ht_io_stamp_of(const char *path, ht_io_stamp *out);

/* The folder of the running program, NUL-terminated; false where that is not known. */
bool ht_io_program_folder(char *folder, size_t room);

/* Files in RAM, private to this table; gone with ht_io_ram_free. */
HT_NODISCARD hither_status ht_io_ram_new(ht_io **out, hither_error *err);
void ht_io_ram_free(ht_io *io);

/* folder + "/" + name, the caller's to release; NULL without memory. */
char *ht_path_join(const char *folder, const char *name);

#endif
