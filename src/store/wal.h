/*
 * wal.h: reading SQLite's write-ahead log with our own eyes. SQLite, opening a database, takes the log up to the first
 * frame that fails its checksum and drops the rest without a word, for that is what a write cut short by a crash looks
 * like. A flipped bit looks the same, but has durable commits behind it: this tells the two apart.
 *
 * The file format is SQLite's documented one. Pure reading; one thread. Others may write to the log meanwhile.
 */
#ifndef HT_STORE_WAL_H
#define HT_STORE_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { HT_WAL_HEADER = 32, HT_WAL_FRAME = 24 + 4096 };

typedef struct ht_wal {
    /* Reads all the bytes or fails. */
    hither_status (*read)(void *ctx, void *data, size_t bytes, uint64_t offset, hither_error *err);
    void *ctx;
    uint64_t bytes; /* of the file */
    uint32_t known; /* so many frames from the first on, up to a commit, were found good before; 0: none */
    /* The main file: its size in pages, and one of them (counted from 1). */
    uint64_t pages;
    hither_status (*read_page)(void *ctx, uint32_t page, unsigned char data[4096], hither_error *err);
    /* May be NULL: told of each frame that is good, with its number counted from 1. */
    void (*frame)(void *ctx, uint32_t number, uint32_t page);
} ht_wal;

typedef struct ht_wal_scan {
    uint32_t good;     /* frames from the first on that fit the header and each other: what SQLite would take */
    bool damaged;      /* the frame after those, or the header, is not what it was, and commits would be lost */
    uint32_t salts[2]; /* of the header: they change when the log starts over */
} ht_wal_scan;

HT_NODISCARD hither_status ht_wal_scan_file(const ht_wal *wal, ht_wal_scan *out, hither_error *err);

#endif
