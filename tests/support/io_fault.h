/*
 * io_fault.h: an I/O table for tests that stands on another one and makes trouble.
 *
 * Three things, which may be used together:
 *
 * 1. It counts operations and fails the n-th: io_fault_arm. Every call of the table that can fail is one operation, and
 *    so is every operation of SQLite's on its own files that is shown to `observe` (when the table below is the disk;
 *    over RAM SQLite's operations are calls of the table anyway).
 *
 * 2. It records what changes the disk into a trace: io_fault_record. A step is a write with its data, a change of
 *    size, a sync, a failed sync, a create, a second name, a folder made, a rename (of a folder: with all in it), a
 *    removal, or the sync of a folder. Take
 *    io_fault_steps after a call was acknowledged, and you know which crashes must not lose it.
 *
 * 3. It builds what a crash after any number of steps may leave on the disk, as a new table of files in RAM:
 *    io_fault_crash. The rules, each as hostile as POSIX allows:
 *      - What was written to a file is there for sure once a later sync of that file succeeded. A failed sync loses the
 *        claim for good: what was dirty then is not made durable by a later sync that succeeds.
 *      - A name (create, rename, remove, new folder) is there for sure once its folder was synced. A rename happens as
 *        a whole or not at all, and counts for the folder of the new name. Syncing a file does not sync its name, but
 *        for files that end in "-wal" or "-journal": SQLite's VFS for the disk syncs the folder at the first sync of
 *        such a file, and the one over RAM has no reason to.
 *      - Everything else may or may not be there, in any combination: the seed decides. It decides among nothing,
 *        everything, half of it, and nearly all of it; in the last two cases writes are also torn: of each torn write
 *        some sectors of 512 bytes arrive, others keep what was there before.
 *    The same step and seed give the same disk.
 *
 * io_fault_ignore_syncs breaks the code under test on purpose, for controls that must be caught: syncs of paths that
 * contain a text seem to succeed and do nothing.
 *
 * Paths must be written the same way throughout. Any thread, but arm, record and crash belong to the test.
 */
#ifndef HT_TESTS_IO_FAULT_H
#define HT_TESTS_IO_FAULT_H

#include "base/io.h"

typedef struct io_fault io_fault;

/* NULL without memory; all of it from malloc, so that it does not take part in counting allocations. */
io_fault *io_fault_new(const ht_io *below);
void io_fault_free(io_fault *fault);
const ht_io *io_fault_io(io_fault *fault);

typedef enum fault_kind {
    FAULT_IO,         /* EIO, nothing done */
    FAULT_FULL,       /* ENOSPC from what may need space (and from sync), EIO from the rest */
    FAULT_SHORT_WRITE /* half of a write done, then ENOSPC; EIO from the rest */
} fault_kind;

/* The nth operation (from 1) from now on fails; with `for_good` every later one too. 0: none. Resets the count. */
void io_fault_arm(io_fault *fault, uint64_t nth, fault_kind kind, bool for_good);
/* Of operations that are syncs (of files or folders) only. */
void io_fault_arm_sync(io_fault *fault, uint64_t nth, bool for_good);
uint64_t io_fault_operations(const io_fault *fault); /* since the last arm */
bool io_fault_hit(const io_fault *fault);            /* one was failed since the last arm */
const char *io_fault_what(const io_fault *fault);    /* the first one failed, e.g. "sync db/seg/1-1.vec" */

void io_fault_ignore_syncs(io_fault *fault, const char *part); /* NULL: honour all again */

/* From now on. Files that are there already must not be touched by the code under test, or their folder be named: it
 * and all in it are then taken to be durable as they are. */
void io_fault_record(io_fault *fault);
void io_fault_record_over(io_fault *fault, const char *folder);
size_t io_fault_steps(const io_fault *fault);
/* The step's text, e.g. "write db/catalog-wal 4120+32", for messages. */
void io_fault_describe(const io_fault *fault, size_t step, char *text, size_t room);
/* The disk after a crash behind the first `steps` steps; the caller's (ht_io_ram_free). */
ht_io *io_fault_crash(const io_fault *fault, size_t steps, uint64_t seed);

#endif
