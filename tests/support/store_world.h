/*
 * store_world.h: a place for a store's tests: a folder on disk, or a table of files in RAM, with the same surface.
 * Writes go through the store as the engine does them. One thread.
 */
#ifndef STORE_WORLD_H
#define STORE_WORLD_H

#include "cmocka_all.h"
#include "store/store.h"

typedef struct store_world {
    bool on_disk, borrowed;
    const ht_io *io;
    ht_io *ram;
    char root[64]; /* of the world */
    char path[96]; /* of the database in it */
} store_world;

void world_make(store_world *world, bool on_disk);
/* The same over a table of the caller's, which world_free leaves alone; its folder is made. */
void world_make_over(store_world *world, const ht_io *io);
void world_free(store_world *world);
ht_store *world_open(const store_world *world, unsigned flags);
/* What opening gives, and its message. */
hither_status world_try(const store_world *world, unsigned flags, hither_error *err);

/* The bytes of a file of the database (by its name in the folder), the caller's to free(); and back. */
unsigned char *world_read(const store_world *world, const char *name, size_t *bytes);
void world_write(const store_world *world, const char *name, const void *data, size_t bytes);
/* A copy in RAM of all files of the database as they are now: what a crash leaves. */
void world_copy(const store_world *from, store_world *to);
bool world_has(const store_world *world, const char *name);
/* Flips bits of one byte. */
void world_flip(const store_world *world, const char *name, uint64_t offset, unsigned char bits);

/* A collection of f32 vectors. */
ht_collection_row world_create(ht_store *store, const char *name, uint32_t dim);
/* Element j of the vector of slot s. */
float world_element(uint64_t slot, uint32_t j);
/* Writes `count` rows with ids "id-<first + i>" as one commit; an id that is alive is replaced. Metadata is
 * {"n":<slot>}, every third row has no document. */
hither_status world_put(ht_store *store, ht_collection_row *row, uint64_t first, size_t count, hither_error *err);
hither_status world_kill(ht_store *store, ht_collection_row *row, uint64_t id, hither_error *err);
/* Asserts that the rows with ids first ... are alive and have the vectors, metadata and documents of their slots. */
void world_expect(ht_store *store, int64_t cid, uint64_t first, size_t count);
/* The number of findings of verify; the first is kept in `text` (may be NULL). */
size_t world_verify(ht_store *store, char text[512]);

#endif
