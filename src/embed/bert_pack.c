/* bert_pack.c: see bert_pack.h. A page of header, then the block of bert.h. */
#include "embed/bert_pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/hash.h"

enum { VERSION = 1, PAGE = 4096, LEAST = 8 << 20 }; /* bytes of a block that are worth it */
#define SETTLED_NS ((int64_t)2000000000)
static const char magic[8] = "HTHPACK";

typedef struct header {
    char magic[8];
    uint32_t version, byte_order;
    ht_io_stamp source;
    uint32_t vocabulary, positions, types, width, layers, inner;
    uint64_t digest, bytes;
    uint32_t crc;        /* of the block */
    uint32_t header_crc; /* of all before it */
} header;

/* All that is known before the block is. False where the file of weights cannot be told from another one. */
static bool describe(const ht_bert_pack_source *s, header *h, char *name, size_t room) {
    ht_io_stamp folder;
    char *path = ht_path_join(s->folder, s->file);
    memset(h, 0, sizeof *h);
    bool there = path && ht_io_stamp_of(path, &h->source) && ht_io_stamp_of(s->folder, &folder);
    ht_release(path);
    if (!there)
        return false;
    memcpy(h->magic, magic, sizeof magic);
    h->version = VERSION;
    h->byte_order = 0x01020304;
    h->vocabulary = s->shape.vocabulary;
    h->positions = s->shape.positions;
    h->types = s->shape.types;
    h->width = s->shape.width;
    h->layers = s->shape.layers;
    h->inner = s->shape.inner;
    h->source.ours = false; /* says nothing of the numbers */
    /* One name for a file of weights, so that its next version takes the place of this one. */
    const uint64_t which[] = {folder.device, folder.number, ht_hash64(s->file, strlen(s->file), 0)};
    (void)snprintf(name, room, "bert-%016" PRIx64 ".pack", ht_hash64(which, sizeof which, 0));
    return true;
}

typedef struct mapping {
    const ht_io *io;
    ht_file *file;
    const void *data;
    size_t bytes;
} mapping;

static void give_back(void *ctx) {
    mapping *m = ctx;
    if (m->data)
        m->io->unmap(m->file, m->data, m->bytes);
    m->io->close(m->file);
    ht_release(m);
}

/* Whether a file's header is of what is wanted, and of a file that long. */
static bool fits(const header *have, const header *wanted, uint64_t bytes) {
    return ht_crc32c(0, have, offsetof(header, header_crc)) == have->header_crc &&
           memcmp(have, wanted, offsetof(header, digest)) == 0 && have->bytes == bytes - PAGE;
}

static ht_bert *map_pack(const header *wanted, mapping *m, const ht_bert_shape *shape, uint64_t *digest) {
    uint64_t bytes = 0;
    header have;
    ht_bert *bert = NULL;
    if (m->io->file_size(m->file, &bytes, NULL) != HITHER_OK || bytes < PAGE ||
        m->io->read_at(m->file, &have, sizeof have, 0, NULL) != HITHER_OK || !fits(&have, wanted, bytes) ||
        m->io->map(m->file, (size_t)bytes, &m->data, NULL) != HITHER_OK)
        return NULL;
    m->bytes = (size_t)bytes;
    const char *block = (const char *)m->data + PAGE;
    size_t expected = 0;
    if (ht_crc32c(0, block, (size_t)have.bytes) != have.crc ||
        ht_bert_over(block, shape, give_back, m, &bert, NULL) != HITHER_OK)
        return NULL;
    (void)ht_bert_block(bert, &expected);
    if (expected != have.bytes) {
        ht_bert_forget(bert);
        return NULL;
    }
    *digest = have.digest;
    return bert;
}

ht_bert *ht_bert_pack_open(const ht_io *io, const ht_bert_pack_source *s, uint64_t *digest) {
    header wanted;
    ht_io_stamp stamp;
    char name[64];
    if (!describe(s, &wanted, name, sizeof name))
        return NULL;
    char *path = ht_path_join(s->cache, name);
    mapping *m = ht_calloc(1, sizeof *m);
    ht_bert *bert = NULL;
    if (path && m && ht_io_stamp_of(path, &stamp) && stamp.ours &&
        io->open(io->ctx, path, 0, &m->file, NULL) == HITHER_OK) {
        m->io = io;
        bert = map_pack(&wanted, m, &s->shape, digest);
    }
    if (!bert && m && m->file)
        give_back(m);
    else if (!bert)
        ht_release(m);
    ht_release(path);
    return bert;
}

static bool settled(const ht_io_stamp *source) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return false;
    const int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return ns - source->changed_ns >= SETTLED_NS && ns - source->modified_ns >= SETTLED_NS;
}

static hither_status write_file(const ht_io *io, const char *path, const header *h, const void *block) {
    ht_file *file;
    HT_TRY(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE | HT_IO_EXCLUSIVE, &file, NULL));
    hither_status status = io->write_at(file, h, sizeof *h, 0, NULL);
    if (status == HITHER_OK)
        status = io->write_at(file, block, (size_t)h->bytes, PAGE, NULL);
    io->close(file);
    return status;
}

/* The folder, and the one it is in: ~/.cache may not be there yet. */
static void make_folders(const ht_io *io, const char *cache) {
    char *parent = ht_strdup(cache), *slash = parent ? strrchr(parent, '/') : NULL;
    if (slash && slash > parent) {
        *slash = '\0';
        (void)io->make_folder(io->ctx, parent, NULL);
    }
    (void)io->make_folder(io->ctx, cache, NULL);
    ht_release(parent);
}

void ht_bert_pack_write(const ht_io *io, const ht_bert_pack_source *s, const ht_bert *bert, uint64_t digest) {
    header h;
    char name[64], fresh[96];
    size_t bytes;
    const void *block = ht_bert_block(bert, &bytes);
    if (bytes < LEAST || !describe(s, &h, name, sizeof name) || !settled(&h.source))
        return;
    h.digest = digest;
    h.bytes = bytes;
    h.crc = ht_crc32c(0, block, bytes);
    h.header_crc = ht_crc32c(0, &h, offsetof(header, header_crc));
    (void)snprintf(fresh, sizeof fresh, "%s.%ld", name, (long)getpid());
    make_folders(io, s->cache);
    char *path = ht_path_join(s->cache, name), *new_path = ht_path_join(s->cache, fresh);
    if (path && new_path) {
        if (write_file(io, new_path, &h, block) != HITHER_OK || io->rename(io->ctx, new_path, path, NULL) != HITHER_OK)
            (void)io->remove(io->ctx, new_path, NULL);
    }
    ht_release(path);
    ht_release(new_path);
}
