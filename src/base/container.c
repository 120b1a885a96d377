/*
 * container.c: container.h's file, read and written.
 *
 *   0      header, 4 KiB: magic, format, endian mark, kind, section count, offset of the directory, file size, crc
 *   4096   sections, each from a 4 KiB boundary on
 *   then   directory: a row a section (name, offset, bytes, crc of its block sums), then all block sums, then a crc
 *
 * The directory is at the end because the writer learns the sizes last; the header is written last, before the sync.
 * All numbers are little-endian. The first failure of a writer sticks: later puts fail with it.
 */
#include "base/container.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crc32c.h"

#define PAGE              4096u
#define FORMAT            1u
#define ENDIAN_MARK       0x01020304u
#define DIRECTORY_CEILING ((size_t)1 << 32)

static const char MAGIC[8] = {'H', 'I', 'T', 'H', 'E', 'R', 'C', '\n'};

/* As on disk: no padding anywhere. */
typedef struct header {
    char magic[8];
    uint32_t format, endian;
    char kind[HT_CONTAINER_NAME];
    uint64_t section_count, directory_offset, directory_bytes, file_bytes;
    uint32_t directory_crc, crc; /* crc: of all bytes of this struct before it */
} header;

typedef struct section {
    char name[HT_CONTAINER_NAME];
    uint64_t offset, bytes;
} section;

_Static_assert(sizeof(header) == 72 && sizeof(section) == 32, "the layout on disk has no padding");

static uint64_t blocks_of(uint64_t bytes) { return bytes / HT_CONTAINER_BLOCK + (bytes % HT_CONTAINER_BLOCK != 0); }

static bool name_is(const char stored[HT_CONTAINER_NAME], const char *name) {
    return strncmp(stored, name, HT_CONTAINER_NAME) == 0;
}

/* ---- reading */

struct ht_container {
    const ht_io *io;
    ht_file *file;
    char *path;
    const char *data; /* the mapping */
    size_t bytes;
    const section *sections; /* in the mapping, as are the sums */
    const uint32_t *sums;
    uint64_t *first_block; /* of each section */
    size_t section_count;
    _Atomic uint8_t *checked; /* one a block */
};

static hither_status bad(const ht_container *c, uint64_t offset, const char *what, hither_error *err) {
    return ht_fail(err, HITHER_CORRUPT, "%s, offset %llu: %s", c->path, (unsigned long long)offset, what);
}

static hither_status check_header(const ht_container *c, const header *h, const char *kind, hither_error *err) {
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0)
        return ht_fail(err, HITHER_NOT_DATABASE, "%s is not a file hither wrote", c->path);
    if (h->endian != ENDIAN_MARK)
        return ht_fail(err, HITHER_FORMAT, "%s was written in another byte order", c->path);
    if (h->format > FORMAT)
        return ht_fail(err, HITHER_FORMAT, "%s has format %u, this hither reads up to %u; use a newer one", c->path,
                       h->format, FORMAT);
    if (ht_crc32c(0, h, offsetof(header, crc)) != h->crc)
        return bad(c, 0, "the header fails its checksum", err);
    if (h->format == 0 || !name_is(h->kind, kind))
        return ht_fail(err, HITHER_NOT_DATABASE, "%s holds a '%.16s', not a '%s'", c->path, h->kind, kind);
    if (h->file_bytes != c->bytes)
        return ht_fail(err, HITHER_CORRUPT, "%s has %zu bytes, its header says %llu", c->path, c->bytes,
                       (unsigned long long)h->file_bytes);
    if (h->section_count > HT_CONTAINER_SECTIONS || h->directory_offset % PAGE != 0 || h->directory_offset < PAGE ||
        h->directory_offset > c->bytes || h->directory_bytes != c->bytes - h->directory_offset ||
        h->directory_bytes < h->section_count * sizeof(section))
        return bad(c, 0, "the header contradicts itself", err);
    if (ht_crc32c(0, c->data + h->directory_offset, (size_t)h->directory_bytes) != h->directory_crc)
        return bad(c, h->directory_offset, "the directory fails its checksum", err);
    return HITHER_OK;
}

/* The sections lie one behind the other, each from the next page on, and the sums are as many as their blocks. */
static hither_status check_directory(ht_container *c, const header *h, hither_error *err) {
    uint64_t expected = PAGE, blocks = 0;
    c->section_count = (size_t)h->section_count;
    c->sections = (const section *)(const void *)(c->data + h->directory_offset);
    c->sums = (const uint32_t *)(const void *)(c->sections + c->section_count);
    c->first_block = ht_calloc(c->section_count + 1, sizeof *c->first_block);
    if (!c->first_block)
        return ht_fail_nomem(err, c->section_count * sizeof *c->first_block, "the directory of a file");
    for (size_t i = 0; i < c->section_count; i++) {
        const section *s = &c->sections[i];
        if (s->offset != expected || s->bytes > h->directory_offset - expected || s->name[0] == '\0')
            return bad(c, h->directory_offset + i * sizeof *s, "a section lies where it cannot", err);
        expected = s->offset + s->bytes;
        expected += (PAGE - expected % PAGE) % PAGE;
        if (expected > h->directory_offset)
            return bad(c, h->directory_offset + i * sizeof *s, "a section reaches into the directory", err);
        c->first_block[i] = blocks;
        blocks += blocks_of(s->bytes);
    }
    c->first_block[c->section_count] = blocks;
    if (expected != h->directory_offset ||
        h->directory_bytes != c->section_count * sizeof(section) + blocks * sizeof(uint32_t))
        return bad(c, h->directory_offset, "the directory does not account for every byte", err);
    c->checked = ht_calloc((size_t)blocks, sizeof *c->checked);
    if (!c->checked)
        return ht_fail_nomem(err, (size_t)blocks, "the directory of a file");
    return HITHER_OK;
}

static hither_status open_into(ht_container *c, const char *kind, hither_error *err) {
    uint64_t bytes;
    hither_status status = c->io->open(c->io->ctx, c->path, 0, &c->file, err);
    if (status != HITHER_OK) {
        c->file = NULL;
        return status;
    }
    HT_TRY(c->io->file_size(c->file, &bytes, err));
    if (bytes < PAGE || bytes > SIZE_MAX)
        return ht_fail(err, HITHER_NOT_DATABASE, "%s is not a file hither wrote: it has %llu bytes", c->path,
                       (unsigned long long)bytes);
    c->bytes = (size_t)bytes;
    const void *data;
    HT_TRY(c->io->map(c->file, c->bytes, &data, err));
    c->data = data;
    header h;
    memcpy(&h, c->data, sizeof h);
    HT_TRY(check_header(c, &h, kind, err));
    for (size_t i = sizeof h; i < PAGE; i++)
        if (c->data[i] != 0)
            return bad(c, i, "the header's padding is not zero", err);
    return check_directory(c, &h, err);
}

hither_status ht_container_open(const ht_io *io, const char *path, const char *kind, ht_container **out,
                                hither_error *err) {
    *out = NULL;
    ht_container *c = ht_calloc(1, sizeof *c);
    if (!c)
        return ht_fail_nomem(err, sizeof *c, "an open file");
    c->io = io;
    c->path = ht_strdup(path);
    hither_status status = c->path ? open_into(c, kind, err) : ht_fail_nomem(err, strlen(path), "a path");
    if (status != HITHER_OK)
        ht_container_close(c);
    else
        *out = c;
    return status;
}

void ht_container_close(ht_container *c) {
    if (!c)
        return;
    if (c->data)
        c->io->unmap(c->file, c->data, c->bytes);
    if (c->file)
        c->io->close(c->file);
    ht_release((void *)c->checked);
    ht_release(c->first_block);
    ht_release(c->path);
    ht_release(c);
}

static size_t find(const ht_container *c, const char *name) {
    size_t i = 0;
    while (i < c->section_count && !name_is(c->sections[i].name, name))
        i++;
    return i;
}

const void *ht_container_section(const ht_container *c, const char *name, size_t *bytes) {
    size_t i = find(c, name);
    *bytes = i < c->section_count ? (size_t)c->sections[i].bytes : 0;
    return i < c->section_count ? c->data + c->sections[i].offset : NULL;
}

size_t ht_container_bytes(const ht_container *c) { return c->bytes; }

static hither_status check_block(ht_container *c, size_t i, uint64_t block, hither_error *err) {
    const section *s = &c->sections[i];
    uint64_t at = block * HT_CONTAINER_BLOCK;
    size_t bytes = (size_t)(s->bytes - at < HT_CONTAINER_BLOCK ? s->bytes - at : HT_CONTAINER_BLOCK);
    uint64_t index = c->first_block[i] + block;
    if (ht_crc32c(0, c->data + s->offset + at, bytes) != c->sums[index])
        return ht_fail(err, HITHER_CORRUPT, "%s, section '%.16s': the %zu bytes at offset %llu fail their checksum",
                       c->path, s->name, bytes, (unsigned long long)(s->offset + at));
    /* Two threads may check one block at once; both find the same. Release: who sees the mark has seen good bytes. */
    atomic_store_explicit(&c->checked[index], 1, memory_order_release);
    return HITHER_OK;
}

hither_status ht_container_touch(ht_container *c, const char *name, size_t begin, size_t end, hither_error *err) {
    size_t i = find(c, name);
    if (i == c->section_count || begin > end || end > c->sections[i].bytes)
        return ht_fail(err, HITHER_CORRUPT, "%s: section '%s' has no bytes %zu to %zu", c->path, name, begin, end);
    if (begin == end)
        return HITHER_OK;
    for (uint64_t block = begin / HT_CONTAINER_BLOCK; block <= (end - 1) / HT_CONTAINER_BLOCK; block++)
        if (!atomic_load_explicit(&c->checked[c->first_block[i] + block], memory_order_acquire))
            HT_TRY(check_block(c, i, block, err));
    return HITHER_OK;
}

void ht_container_want(const ht_container *c, const char *name, size_t begin, size_t end) {
    const size_t i = find(c, name);
    if (i == c->section_count || begin >= end || end > c->sections[i].bytes || !c->io->want)
        return;
    const uint64_t first = begin / HT_CONTAINER_BLOCK, last = (end - 1) / HT_CONTAINER_BLOCK;
    bool checked = true;
    for (uint64_t block = first; block <= last; block++)
        checked = checked && atomic_load_explicit(&c->checked[c->first_block[i] + block], memory_order_relaxed);
    const uint64_t from = checked ? begin : first * HT_CONTAINER_BLOCK;
    const uint64_t to = checked ? end : ht_min_size((last + 1) * HT_CONTAINER_BLOCK, c->sections[i].bytes);
    c->io->want(c->file, c->sections[i].offset + from, to - from);
}

hither_status ht_container_verify(ht_container *c, hither_error *err) {
    for (size_t i = 0; i < c->section_count; i++) {
        const section *s = &c->sections[i];
        for (uint64_t block = 0; block < blocks_of(s->bytes); block++)
            HT_TRY(check_block(c, i, block, err));
        uint64_t end = s->offset + s->bytes;
        for (uint64_t at = end; at % PAGE != 0; at++)
            if (c->data[at] != 0)
                return bad(c, at, "padding between sections is not zero", err);
    }
    return HITHER_OK;
}

/* ---- writing */

struct ht_container_writer {
    const ht_io *io;
    ht_file *file;
    char *path, *temporary;
    header head;
    section sections[HT_CONTAINER_SECTIONS];
    size_t section_count;
    uint64_t at;   /* in the file */
    ht_buf sums;   /* of all finished blocks */
    char *block;   /* the one under way, written when it is full or its section ends */
    size_t filled; /* bytes of it */
};

static void writer_free(ht_container_writer *w) {
    if (w->file)
        w->io->close(w->file);
    ht_buf_clear(&w->sums);
    ht_release(w->block);
    ht_release(w->path);
    ht_release(w->temporary);
    ht_release(w);
}

/* The first of ".tmp-0", ".tmp-1", ... that nobody has. */
static hither_status create_temporary(ht_container_writer *w, hither_error *err) {
    size_t room = strlen(w->path) + 32;
    w->temporary = ht_alloc(room);
    if (!w->temporary)
        return ht_fail_nomem(err, room, "a path");
    hither_status status = HITHER_EXISTS;
    for (unsigned i = 0; i < 1000 && status == HITHER_EXISTS; i++) {
        snprintf(w->temporary, room, "%s.tmp-%u", w->path, i);
        status = w->io->open(w->io->ctx, w->temporary, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &w->file, err);
    }
    if (status != HITHER_OK)
        w->file = NULL;
    return status;
}

hither_status ht_container_create(const ht_io *io, const char *path, const char *kind, ht_container_writer **out,
                                  hither_error *err) {
    *out = NULL;
    ht_container_writer *w = ht_calloc(1, sizeof *w);
    if (!w)
        return ht_fail_nomem(err, sizeof *w, "a file to write");
    HT_ASSERT(strlen(kind) > 0 && strlen(kind) < HT_CONTAINER_NAME);
    w->io = io;
    w->at = PAGE;
    memcpy(w->head.magic, MAGIC, sizeof MAGIC);
    memcpy(w->head.kind, kind, strlen(kind));
    ht_buf_init(&w->sums, DIRECTORY_CEILING);
    w->path = ht_strdup(path);
    w->block = ht_alloc(HT_CONTAINER_BLOCK);
    hither_status status =
        w->path && w->block ? create_temporary(w, err) : ht_fail_nomem(err, HT_CONTAINER_BLOCK, "a file to write");
    if (status != HITHER_OK)
        writer_free(w);
    else
        *out = w;
    return status;
}

static hither_status end_block(ht_container_writer *w, hither_error *err) {
    if (w->filled == 0)
        return HITHER_OK;
    uint32_t crc = ht_crc32c(0, w->block, w->filled);
    ht_buf_put(&w->sums, &crc, sizeof crc);
    HT_TRY(w->io->write_at(w->file, w->block, w->filled, w->at, err));
    w->at += w->filled;
    w->filled = 0;
    return HITHER_OK;
}

/* Ends the section under way, if there is one, and fills up to the next page. */
static hither_status end_section(ht_container_writer *w, hither_error *err) {
    static const char zeros[PAGE];
    HT_TRY(end_block(w, err));
    size_t padding = (size_t)((PAGE - w->at % PAGE) % PAGE);
    HT_TRY(w->io->write_at(w->file, zeros, padding, w->at, err));
    w->at += padding;
    return HITHER_OK;
}

hither_status ht_container_begin(ht_container_writer *w, const char *name, hither_error *err) {
    HT_ASSERT(w->section_count < HT_CONTAINER_SECTIONS && strlen(name) > 0 && strlen(name) < HT_CONTAINER_NAME);
    HT_TRY(end_section(w, err));
    section *s = &w->sections[w->section_count++];
    *s = (section){.offset = w->at};
    memcpy(s->name, name, strlen(name));
    return HITHER_OK;
}

hither_status ht_container_put(ht_container_writer *w, const void *data, size_t bytes, hither_error *err) {
    HT_ASSERT(w->section_count > 0);
    w->sections[w->section_count - 1].bytes += bytes;
    for (const char *p = data; bytes > 0;) {
        size_t n = ht_min_size(bytes, HT_CONTAINER_BLOCK - w->filled);
        memcpy(w->block + w->filled, p, n);
        w->filled += n;
        p += n;
        bytes -= n;
        if (w->filled == HT_CONTAINER_BLOCK)
            HT_TRY(end_block(w, err));
    }
    return HITHER_OK;
}

static hither_status write_directory(ht_container_writer *w, hither_error *err) {
    HT_TRY(end_section(w, err));
    HT_TRY(ht_buf_check(&w->sums, "the checksums of a file", err));
    header *h = &w->head;
    size_t rows = w->section_count * sizeof(section);
    h->format = FORMAT;
    h->endian = ENDIAN_MARK;
    h->section_count = w->section_count;
    h->directory_offset = w->at;
    h->directory_bytes = rows + w->sums.size;
    h->file_bytes = w->at + h->directory_bytes;
    h->directory_crc = ht_crc32c(ht_crc32c(0, w->sections, rows), w->sums.data, w->sums.size);
    h->crc = ht_crc32c(0, h, offsetof(header, crc));
    HT_TRY(w->io->write_at(w->file, w->sections, rows, w->at, err));
    if (w->sums.size > 0)
        HT_TRY(w->io->write_at(w->file, w->sums.data, w->sums.size, w->at + rows, err));
    char page[PAGE] = {0};
    memcpy(page, h, sizeof *h);
    HT_TRY(w->io->write_at(w->file, page, sizeof page, 0, err));
    return w->io->sync(w->file, err);
}

/* The folder a path lies in, the caller's. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ht_strdup(".");
    size_t bytes = slash == path ? 1 : (size_t)(slash - path);
    char *folder = ht_calloc(bytes + 1, 1);
    if (folder)
        memcpy(folder, path, bytes);
    return folder;
}

hither_status ht_container_finish(ht_container_writer *w, hither_error *err) {
    char *folder = folder_of(w->path);
    hither_status status = folder ? write_directory(w, err) : ht_fail_nomem(err, strlen(w->path), "a path");
    if (status == HITHER_OK)
        status = w->io->rename(w->io->ctx, w->temporary, w->path, err);
    if (status != HITHER_OK) {
        ht_release(folder);
        ht_container_abandon(w);
        return status;
    }
    status = w->io->sync_folder(w->io->ctx, folder, err);
    ht_release(folder);
    writer_free(w);
    return status;
}

void ht_container_abandon(ht_container_writer *w) {
    if (!w)
        return;
    hither_status ignored = w->io->remove(w->io->ctx, w->temporary, NULL);
    (void)ignored; /* nothing better can be done about a temporary file that will not go */
    writer_free(w);
}
