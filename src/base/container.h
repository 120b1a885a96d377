/*
 * container.h: one file of named sections, checksummed in blocks: the form of a saved Index, of caches and of packs.
 * It is written once, whole, under a temporary name, synced and renamed; it never changes in place. It is opened by
 * mmap: the header, the directory and the block sums are checked at open (a few bytes per 64 KiB), the sections
 * themselves block by block on first touch (ht_container_touch). docs/format.md has the bytes.
 *
 * A file is hostile until its checks passed: every offset and size is compared with the file's length before use, and
 * the caller still has to check what the bytes mean. An open container is immutable; any thread. A writer is one
 * thread's.
 */
#ifndef HT_BASE_CONTAINER_H
#define HT_BASE_CONTAINER_H

#include "base/io.h"

#define HT_CONTAINER_NAME     16     /* bytes of a kind or section name, NUL-padded */
#define HT_CONTAINER_SECTIONS 64     /* at most, a file */
#define HT_CONTAINER_BLOCK    65536u /* bytes under one checksum */

typedef struct ht_container ht_container;
typedef struct ht_container_writer ht_container_writer;

/* ---- reading */

/* Maps the file and checks everything but the sections' bytes. NOT_FOUND; NOT_DATABASE if it is something else (or a
 * container of another kind); FORMAT if it is newer; CORRUPT with the offset. */
HT_NODISCARD hither_status ht_container_open(const ht_io *io, const char *path, const char *kind, ht_container **out,
                                             hither_error *err);
void ht_container_close(ht_container *container);
/* The section's bytes, 4 KiB-aligned within the mapping; NULL and 0 if there is none of that name. */
const void *ht_container_section(const ht_container *container, const char *name, size_t *bytes);
/* Checks the blocks behind [begin, end) of a section that nobody has checked yet in this process. CORRUPT names the
 * section and the file's offset. */
HT_NODISCARD hither_status ht_container_touch(ht_container *container, const char *name, size_t begin, size_t end,
                                              hither_error *err);
/* Asks for the bytes behind [begin, end) of a section, and for what a touch of them would read: they are on their way
 * into memory then, together with what else was asked for. Bytes that are not there are passed over. */
void ht_container_want(const ht_container *container, const char *name, size_t begin, size_t end);
/* Checks every block of every section, checked before or not. */
HT_NODISCARD hither_status ht_container_verify(ht_container *container, hither_error *err);
size_t ht_container_bytes(const ht_container *container);

/* ---- writing */

/* Starts a file that will be at `path` once finished; until then it is at path + ".tmp-" and a number. */
HT_NODISCARD hither_status ht_container_create(const ht_io *io, const char *path, const char *kind,
                                               ht_container_writer **out, hither_error *err);
/* Begins the next section; what is put from then on is its contents. */
HT_NODISCARD hither_status ht_container_begin(ht_container_writer *writer, const char *name, hither_error *err);
HT_NODISCARD hither_status ht_container_put(ht_container_writer *writer, const void *data, size_t bytes,
                                            hither_error *err);
/* Syncs, renames over `path`, syncs the folder, and frees the writer; on failure too, and then `path` is as before. */
HT_NODISCARD hither_status ht_container_finish(ht_container_writer *writer, hither_error *err);
/* Gives up: removes the temporary file and frees the writer. */
void ht_container_abandon(ht_container_writer *writer);

#endif
