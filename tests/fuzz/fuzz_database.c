/*
 * fuzz_database.c: a database whose files were tampered with. A small one is made in RAM once; the input says which
 * bytes of which file become what, or where a file ends; then it is opened and used in every way. All must end in a
 * status, and what `verify` calls sound must answer.
 *
 * The input is a list of changes: file number, kind, three bytes of offset, a count, and that many bytes. Kind 0 to 253
 * overwrites, 254 cuts the file at the offset, 255 removes it.
 */
#include <string.h>

#include "engine/engine.h"
#include "fuzz.h"

enum { DIM = 4, ROWS = 6, FILES = 16, PATH = 128 };

typedef struct saved_file {
    char path[PATH];
    uint8_t *bytes;
    size_t size;
} saved_file;

static saved_file files[FILES];
static size_t file_count;
static const ht_io *saving_io;
static const char *saving_folder;

/* The batch that the database is made of: rows 1...ROWS, each with everything. */
static hither_status put_rows(ht_collection *c, hither_error *err) {
    static const char texts[] = "{\"a\":1}";
    int64_t ids[ROWS];
    float vectors[ROWS][DIM];
    uint64_t offsets[ROWS + 1] = {0};
    char metadata[ROWS * sizeof texts];
    for (size_t i = 0; i < ROWS; i++) {
        ids[i] = (int64_t)i + 1;
        for (size_t j = 0; j < DIM; j++)
            vectors[i][j] = (float)(i * DIM + j) / 7;
        memcpy(metadata + i * (sizeof texts - 1), texts, sizeof texts - 1);
        offsets[i + 1] = (i + 1) * (sizeof texts - 1);
    }
    hither_strings column = {metadata, offsets, ROWS, NULL};
    hither_batch batch = {.size = sizeof batch,
                          .ids = {.ints = ids, .count = ROWS},
                          .vectors = {vectors, ROWS, DIM, 0, HITHER_F32},
                          .metadata = column,
                          .documents = column};
    return ht_collection_put(c, HITHER_UPSERT, &batch, NULL, NULL, err);
}

static hither_status save_entry(void *arg, const char *name, ht_io_kind kind) {
    (void)arg;
    saved_file *saved = &files[file_count];
    hither_error err;
    ht_file *file = NULL;
    uint64_t size = 0;
    if (kind != HT_IO_FILE)
        return HITHER_OK;
    FUZZ_HOLDS(file_count < FILES);
    FUZZ_HOLDS(snprintf(saved->path, PATH, "%s/%s", saving_folder, name) < PATH);
    FUZZ_HOLDS(saving_io->open(saving_io->ctx, saved->path, 0, &file, &err) == HITHER_OK);
    FUZZ_HOLDS(saving_io->file_size(file, &size, &err) == HITHER_OK);
    saved->size = (size_t)size;
    saved->bytes = malloc(saved->size + 1);
    FUZZ_HOLDS(saved->bytes && saving_io->read_at(file, saved->bytes, saved->size, 0, &err) == HITHER_OK);
    saving_io->close(file);
    file_count++;
    return HITHER_OK;
}

static const char *const folders[] = {"d", "d/seg", "d/cache", "d/tmp"};

static void make_template(void) {
    ht_io *io = NULL;
    ht_db *db = NULL;
    ht_collection *c = NULL;
    hither_error err;
    ht_collection_spec spec = {.dim = DIM, .embedder = ""};
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_db_open_io(io, "d", 0, 0, &db, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_collection_open(db, "c", &spec, &c, &err) == HITHER_OK);
    FUZZ_HOLDS(put_rows(c, &err) == HITHER_OK);
    FUZZ_HOLDS(put_rows(c, &err) == HITHER_OK); /* so that there are dead rows too */
    ht_collection_close(c);
    ht_db_close(db);
    saving_io = io;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        saving_folder = folders[i];
        ht_io_kind kind = HT_IO_ABSENT;
        uint64_t size = 0;
        FUZZ_HOLDS(io->stat(io->ctx, saving_folder, &kind, &size, &err) == HITHER_OK);
        if (kind == HT_IO_FOLDER)
            FUZZ_HOLDS(io->list(io->ctx, saving_folder, save_entry, NULL, &err) == HITHER_OK);
    }
    ht_io_ram_free(io);
    FUZZ_HOLDS(file_count > 1);
}

/* Writes the saved files, with the input's changes, into `io`. */
static void write_files(ht_io *io, const uint8_t *data, size_t size) {
    hither_error err;
    bool removed[FILES] = {0};
    size_t sizes[FILES];
    uint8_t *bytes[FILES];
    for (size_t i = 0; i < file_count; i++) {
        sizes[i] = files[i].size;
        FUZZ_HOLDS((bytes[i] = malloc(sizes[i] + 1)) != NULL);
        memcpy(bytes[i], files[i].bytes, sizes[i]);
    }
    while (size >= 6) {
        size_t f = data[0] % file_count, count = data[5];
        size_t offset = (size_t)data[2] | (size_t)data[3] << 8 | (size_t)data[4] << 16;
        uint8_t kind = data[1];
        data += 6, size -= 6;
        count = count < size ? count : size;
        if (kind == 255)
            removed[f] = true;
        else if (kind == 254)
            sizes[f] = offset < sizes[f] ? offset : sizes[f];
        else if (offset < sizes[f])
            memcpy(bytes[f] + offset, data, count < sizes[f] - offset ? count : sizes[f] - offset);
        data += count, size -= count;
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        FUZZ_HOLDS(io->make_folder(io->ctx, folders[i], &err) == HITHER_OK);
    for (size_t i = 0; i < file_count; i++) {
        ht_file *file = NULL;
        if (!removed[i]) {
            FUZZ_HOLDS(io->open(io->ctx, files[i].path, HT_IO_WRITE | HT_IO_CREATE, &file, &err) == HITHER_OK);
            FUZZ_HOLDS(!sizes[i] || io->write_at(file, bytes[i], sizes[i], 0, &err) == HITHER_OK);
            io->close(file);
        }
        free(bytes[i]);
    }
}

static void use_collection(ht_collection *c, bool sound) {
    hither_error err;
    hither_result *result = NULL;
    ht_cursor *cursor = NULL;
    float query[DIM] = {1, 2, 3, 4};
    hither_matrix queries = {query, 1, DIM, 0, HITHER_F32};
    const ht_search nearest = {.k = 3, .include = HITHER_INCLUDE_DOCUMENTS, .threads = 1};
    int64_t wanted[] = {1, 3, 99};
    hither_ids ids = {.ints = wanted, .count = 3};
    if (ht_collection_dim(c) == DIM) {
        hither_status status = ht_collection_search(c, &queries, NULL, &nearest, &result, &err);
        FUZZ_HOLDS(!sound || status == HITHER_OK);
        hither_result_free(result);
    }
    result = NULL;
    hither_status got =
        ht_collection_get(c, &ids, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA, &result, &err);
    FUZZ_HOLDS(!sound || got == HITHER_OK || got == HITHER_INVALID);
    hither_result_free(result);
    hither_status scanned = ht_collection_scan(c, NULL, HITHER_INCLUDE_VECTORS, &cursor, &err);
    for (size_t rows = 1; scanned == HITHER_OK && rows;) {
        result = NULL;
        scanned = ht_cursor_next(cursor, 4, &result, &err);
        rows = scanned == HITHER_OK ? hither_result_count(result, 0) : 0;
        hither_result_free(result);
    }
    FUZZ_HOLDS(!sound || scanned == HITHER_OK);
    ht_cursor_close(cursor);
    if (put_rows(c, &err) != HITHER_OK)
        FUZZ_HOLDS(err.message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_io *io = NULL;
    ht_db *db = NULL;
    hither_error err;
    if (!file_count)
        make_template();
    FUZZ_HOLDS(ht_io_ram_new(&io, &err) == HITHER_OK);
    write_files(io, data, size);
    if (ht_db_open_io(io, "d", HITHER_OPEN_EXISTING, 0, &db, &err) == HITHER_OK) {
        hither_result *report = NULL;
        bool sound = ht_db_verify(db, NULL, &report, &err) == HITHER_OK;
        hither_result_free(report);
        ht_collection *c = NULL;
        ht_collection_spec spec = {.flags = HITHER_COLLECTION_EXISTING};
        if (ht_collection_open(db, "c", &spec, &c, &err) == HITHER_OK)
            use_collection(c, sound);
        ht_collection_close(c);
        ht_db_close(db);
    } else
        FUZZ_HOLDS(db == NULL && err.message[0]);
    ht_io_ram_free(io);
    return 0;
}
