/*
 * fuzz_catalog.c: a catalog that was tampered with by somebody who can compute page checksums. A small database is made
 * in RAM once; the input changes bytes of the catalog's pages, each page is sealed again, and the store is opened,
 * verified, read and written. Everything must end in a status.
 *
 * The input is a list of changes: page number, two bytes of offset, a count, and that many bytes.
 */
#include <string.h>

#include "base/alloc.h"
#include "fuzz.h"
#include "store/store.h"
#include "store/vfs.h"

enum { DIM = 4, ROWS = 8, STRIDE = 64 };

static unsigned char *catalog, *segment;
static size_t catalog_bytes, segment_bytes;
static const ht_text metadata = {"{\"a\":1}", 7}, document = {"text", 4};

static unsigned char *load(const ht_io *io, const char *path, size_t *bytes) {
    hither_error err;
    ht_file *file = NULL;
    uint64_t size = 0;
    FUZZ_HOLDS(io->open(io->ctx, path, 0, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(io->file_size(file, &size, &err) == HITHER_OK);
    unsigned char *data = malloc((size_t)size);
    FUZZ_HOLDS(data && io->read_at(file, data, (size_t)size, 0, &err) == HITHER_OK);
    io->close(file);
    *bytes = (size_t)size;
    return data;
}

static void save(const ht_io *io, const char *path, const void *data, size_t bytes) {
    hither_error err;
    ht_file *file = NULL;
    FUZZ_HOLDS(io->open(io->ctx, path, HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(io->write_at(file, data, bytes, 0, &err) == HITHER_OK);
    io->close(file);
}

/* Ids 0 ... ROWS - 1 in the slots from row->next_slot on, as one commit. */
static hither_status put(ht_store *store, ht_segment *into, ht_collection_row *row, hither_error *err) {
    float vectors[ROWS][STRIDE / sizeof(float)] = {{0}};
    ht_row_sums sums[ROWS];
    int64_t ints[ROWS];
    hither_ids ids = {.ints = ints, .count = ROWS};
    for (size_t i = 0; i < ROWS; i++) {
        ints[i] = (int64_t)i;
        vectors[i][0] = (float)i;
        sums[i] = ht_row_sums_make(row->next_slot + i, vectors[i], DIM * sizeof(float), &ids, i, metadata, document);
    }
    uint64_t position = row->next_slot - ht_segment_describe(into)->first_slot;
    HT_TRY(ht_segment_write(into, position, ROWS, vectors, sums, err));
    HT_TRY(ht_segment_sync(into, err));
    row->commit_seq++;
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t old;
        HT_TRY(ht_txn_find(store, row->cid, &ids, i, &old, err));
        if (old != UINT64_MAX && old >= row->next_slot) /* two rows of one collection: the caller's own look at it */
            return ht_fail(err, HITHER_CORRUPT, "a slot beyond the collection");
        if (old != UINT64_MAX)
            HT_TRY(ht_txn_kill(store, row->cid, old, row->commit_seq, err));
        HT_TRY(ht_txn_insert(store, row->cid, row->next_slot + i, &ids, i, metadata, document, err));
    }
    row->next_slot += ROWS;
    row->live_count = ROWS;
    HT_TRY(ht_txn_segment(store, into, position + ROWS, err));
    return ht_txn_collection(store, row, err);
}

static hither_status commit(ht_store *store, ht_segment *into, ht_collection_row *row, hither_error *err) {
    HT_TRY(ht_txn_begin(store, err));
    hither_status status = put(store, into, row, err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, err);
    ht_txn_rollback(store);
    return status;
}

static void make_template(void) {
    ht_io *io = NULL;
    ht_store *store = NULL;
    ht_segment *into = NULL;
    hither_error err;
    ht_collection_row row = {
        .name = "c", .dim = DIM, .dtype = HITHER_F32, .metric = HITHER_L2, .id_kind = HT_ID_INT, .embedder = "e"};
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_store_open(io, "d", 0, 0, &store, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_store_create(store, &row, (ht_text){0}, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_segment_create(store, &row, 0, 0, &into, &err) == HITHER_OK);
    FUZZ_HOLDS(commit(store, into, &row, &err) == HITHER_OK);
    FUZZ_HOLDS(commit(store, into, &row, &err) == HITHER_OK); /* so that there are dead rows too */
    ht_segment_release(into);
    ht_store_close(store);
    catalog = load(io, "d/catalog", &catalog_bytes);
    segment = load(io, "d/seg/1-1.vec", &segment_bytes);
    ht_io_ram_free(io);
}

static void write_files(const ht_io *io, const uint8_t *data, size_t size) {
    static const char *const folders[] = {"d", "d/seg", "d/cache", "d/tmp"};
    hither_error err;
    unsigned char *bytes = malloc(catalog_bytes);
    FUZZ_HOLDS(bytes);
    memcpy(bytes, catalog, catalog_bytes);
    while (size >= 4) {
        size_t page = data[0] % (catalog_bytes / HT_PAGE_BYTES), count = data[3];
        size_t offset = ((size_t)data[1] | (size_t)data[2] << 8) % HT_PAGE_BYTES;
        data += 4, size -= 4;
        count = count < size ? count : size;
        memcpy(bytes + page * HT_PAGE_BYTES + offset, data, ht_min_size(count, HT_PAGE_BYTES - offset));
        data += count, size -= count;
    }
    for (size_t at = 0; at < catalog_bytes; at += HT_PAGE_BYTES)
        ht_page_seal(bytes + at, at);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        FUZZ_HOLDS(io->make_folder(io->ctx, folders[i], &err) == HITHER_OK);
    save(io, "d/LOCK", "1\n", 2);
    save(io, "d/catalog", bytes, catalog_bytes);
    save(io, "d/seg/1-1.vec", segment, segment_bytes);
    free(bytes);
}

typedef struct walk {
    ht_store *store;
    size_t findings;
} walk;

static hither_status count_finding(void *arg, const char *place, const char *problem) {
    walk *w = arg;
    FUZZ_HOLDS(place[0] && problem[0]);
    w->findings++;
    return HITHER_OK;
}

static hither_status check_dead(void *arg, uint64_t slot, uint64_t dead_seq) {
    (void)dead_seq;
    FUZZ_HOLDS(slot < ((const ht_collection_row *)arg)->next_slot);
    return HITHER_OK;
}

static void read_rows(ht_store *store, int64_t cid) {
    ht_reader *reader;
    ht_collection_row row;
    ht_row got;
    hither_error err;
    uint64_t seq, slot;
    int64_t ints[] = {0, 5, ROWS};
    hither_ids ids = {.ints = ints, .count = 3};
    if (ht_reader_begin(store, cid, &reader, &seq, &err) != HITHER_OK)
        return;
    FUZZ_HOLDS(ht_reader_collection(reader, &row, &err) == HITHER_OK);
    if (ht_reader_dead(reader, 0, check_dead, &row, &err) != HITHER_OK)
        FUZZ_HOLDS(err.message[0]);
    for (size_t i = 0; i < 3; i++) {
        if (ht_reader_find(reader, &ids, i, 1, ROWS, &slot, &err) != HITHER_OK)
            continue;
        FUZZ_HOLDS(slot < ROWS || slot == UINT64_MAX);
        if (slot != UINT64_MAX && ht_reader_row(reader, slot, &got, &err) == HITHER_OK)
            FUZZ_HOLDS(got.id_kind == HT_ID_INT || got.text_id.data);
    }
    ht_reader_end(reader);
}

static hither_status use(void *arg, const ht_collection_row *found) {
    walk *w = arg;
    hither_error err;
    ht_segment **all;
    size_t count;
    ht_collection_row row = *found;
    read_rows(w->store, row.cid);
    if (ht_store_segments(w->store, row.cid, &all, &count, &err) != HITHER_OK)
        return HITHER_OK;
    for (size_t i = 0; i < count; i++) {
        const ht_segment_info *info = ht_segment_describe(all[i]);
        if (ht_segment_check(all[i], 0, info->committed, &err) != HITHER_OK)
            FUZZ_HOLDS(err.message[0]);
        if (i + 1 == count && info->stride == STRIDE && commit(w->store, all[i], &row, &err) != HITHER_OK)
            FUZZ_HOLDS(err.message[0]);
        ht_segment_release(all[i]);
    }
    ht_release(all);
    return HITHER_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io = NULL;
    hither_error err;
    walk w = {0};
    if (!catalog)
        make_template();
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    write_files(io, data, size);
    if (ht_store_open(io, "d", HT_STORE_EXISTING, 0, &w.store, &err) == HITHER_OK) {
        hither_status status = ht_store_verify(w.store, HT_VERIFY_DEEP, count_finding, &w, NULL, &err);
        FUZZ_HOLDS(status == HITHER_OK || err.message[0]);
        FUZZ_HOLDS(size >= 4 || w.findings == 0);
        if (ht_store_collections(w.store, use, &w, &err) != HITHER_OK)
            FUZZ_HOLDS(err.message[0]);
    } else {
        FUZZ_HOLDS(size >= 4 && err.message[0]);
    }
    ht_store_close(w.store);
    ht_io_ram_free(io);
    return 0;
}
