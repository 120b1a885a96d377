/*
 * test_damage.c: every file that a database can consist of, with one bit changed, or cut short: catalog, log, segments,
 * LOCK, the caches (codes, graph, columns, words), and a pack. What opens after that answers as before or says why not,
 * never something else; of what is committed every change is noticed by open or by verify; a cache is no reason to
 * fail.
 *
 * HITHER_DAMAGE_STEP is how many bytes lie between two changes, and between two cuts; 1 in `make torture`. Without it
 * each file has so many places drawn. HITHER_DAMAGE_PART=i/n does every n-th of these places, from the i-th on (0 is
 * the first), so that n processes share them. With either, what was done is counted on standard output, file by file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/hash.h"
#include "base/io.h"
#include "cmocka_all.h"
#include "engine/engine.h"
#include "engine/state.h"
#include "ok.h"
#include "rows.h"
#include "store/segment.h"
#include "store/wal.h"

enum { DIM = 40, ROWS = 150, GONE = 30, BATCH = 50, K = 5, FILES = 16, DRAWN = 50, PIECE = 4096 };
#define PATH "/d.hither"
#define PACK "/pack"

static hither_error err;

/* ---- files in RAM, kept to be written again and again */

typedef struct kept_file {
    char path[120];
    unsigned char *data;
    size_t bytes;
} kept_file;

typedef struct image {
    kept_file files[FILES];
    size_t count;
    char folders[8][120];
    size_t folder_count;
} image;

static void keep_file(image *im, const ht_io *io, const char *path) {
    kept_file *f = &im->files[im->count++];
    ht_file *file;
    uint64_t bytes;
    assert_true(im->count <= FILES);
    snprintf(f->path, sizeof f->path, "%s", path);
    OK(io->open(io->ctx, path, 0, &file, &err));
    OK(io->file_size(file, &bytes, &err));
    f->bytes = (size_t)bytes;
    f->data = malloc(f->bytes + 1);
    assert_non_null(f->data);
    OK(io->read_at(file, f->data, f->bytes, 0, &err));
    io->close(file);
}

typedef struct walk {
    image *im;
    const ht_io *io;
    const char *folder;
} walk;

static hither_status keep_entry(void *arg, const char *name, ht_io_kind kind) {
    const walk *w = arg;
    char path[120];
    snprintf(path, sizeof path, "%.60s/%.50s", w->folder, name);
    if (kind == HT_IO_FILE) {
        keep_file(w->im, w->io, path);
        return HITHER_OK;
    }
    assert_true(w->im->folder_count < 8);
    snprintf(w->im->folders[w->im->folder_count++], sizeof *w->im->folders, "%s", path);
    walk inner = {w->im, w->io, path};
    return w->io->list(w->io->ctx, path, keep_entry, &inner, NULL);
}

static void keep_all(image *im, const ht_io *io) {
    walk w = {im, io, PATH};
    *im = (image){.folder_count = 1, .folders = {PATH}};
    OK(io->list(io->ctx, PATH, keep_entry, &w, &err));
}

/* Writes what is not zero, which a file that was just made is already: a segment has little else. */
static void put_file(const ht_io *io, ht_file *file, const kept_file *f) {
    static const unsigned char zeros[PIECE];
    for (size_t at = 0, n; at < f->bytes; at += n) {
        n = f->bytes - at < PIECE ? f->bytes - at : PIECE;
        if (memcmp(f->data + at, zeros, n) != 0)
            OK(io->write_at(file, f->data + at, n, at, &err));
    }
}

static ht_io *restore(const image *im) {
    ht_io *io;
    OK(ht_io_ram_new(&io, &err));
    for (size_t i = 0; i < im->folder_count; i++)
        OK(io->make_folder(io->ctx, im->folders[i], &err));
    for (size_t i = 0; i < im->count; i++) {
        const kept_file *f = &im->files[i];
        ht_file *file;
        OK(io->open(io->ctx, f->path, HT_IO_WRITE | HT_IO_CREATE, &file, &err));
        OK(io->resize(file, f->bytes, &err));
        put_file(io, file, f);
        io->close(file);
    }
    return io;
}

/* ---- the database */

static void put_rows(hither_collection *c, size_t first, size_t count) {
    static float rows[BATCH * DIM];
    static char texts[BATCH][100];
    const char *list[BATCH];
    int64_t ids[BATCH];
    static test_column metadata, documents;
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)(first + i);
        snprintf(texts[i], sizeof texts[i], "{\"n\":%zu}", first + i);
        list[i] = texts[i];
        for (size_t j = 0; j < DIM; j++)
            rows[i * DIM + j] = test_float(first + i, j);
    }
    const hither_batch batch = {.size = sizeof batch,
                                .ids = test_int_ids(ids, count),
                                .vectors = test_matrix(rows, count, DIM),
                                .metadata = test_strings(&metadata, count, list),
                                .documents = test_strings(&documents, count, list)};
    OK(hither_collection_put(c, HITHER_UPSERT, &batch, NULL, &err));
}

static hither_status open_at(const ht_io *io, const char *path, uint32_t flags, hither_db **db, hither_collection **c) {
    const hither_db_options options = {.size = sizeof options, .flags = flags, .io = io};
    hither_status status = hither_db_open(path, &options, db, &err);
    if (status != HITHER_OK)
        return status;
    const hither_collection_options existing = {.size = sizeof existing, .flags = HITHER_COLLECTION_EXISTING};
    status = hither_collection_open(*db, "c", &existing, c, &err);
    if (status != HITHER_OK)
        hither_db_close(*db);
    return status;
}

/* ---- what it answers, as text */

static hither_status say_hits(hither_collection *c, const hither_query *query, double recall, ht_buf *out) {
    hither_result *r;
    const hither_search_options options = {.size = sizeof options, .recall = recall};
    HT_TRY(hither_collection_search(c, query, K, &options, &r, &err));
    hither_ids ids = hither_result_ids(r, 0);
    const float *distances = hither_result_distances(r, 0);
    hither_strings metadata = hither_result_metadata(r, 0), documents = hither_result_documents(r, 0);
    for (size_t i = 0; i < hither_result_count(r, 0); i++) {
        ht_text m = ht_strings_at(&metadata, i), d = ht_strings_at(&documents, i);
        ht_buf_printf(out, "%lld %a %.*s %.*s\n", (long long)ids.ints[i], (double)distances[i], (int)m.bytes, m.data,
                      (int)d.bytes, d.data);
    }
    hither_result_free(r);
    return HITHER_OK;
}

static hither_status say_rows(hither_collection *c, ht_buf *out) {
    hither_cursor *cursor;
    hither_status status;
    HT_TRY(hither_collection_scan(c, NULL, HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA, &cursor, &err));
    for (bool more = true; more;) {
        hither_result *r;
        status = hither_cursor_next(cursor, 64, &r, &err);
        if (status != HITHER_OK)
            break;
        hither_ids ids = hither_result_ids(r, 0);
        hither_matrix vectors = hither_result_vectors(r, 0);
        hither_strings metadata = hither_result_metadata(r, 0);
        for (size_t i = 0; i < ids.count; i++) {
            ht_text m = ht_strings_at(&metadata, i);
            ht_buf_printf(out, "%lld %.*s ", (long long)ids.ints[i], (int)m.bytes, m.data);
            ht_buf_put(out, (const char *)vectors.data + i * DIM * sizeof(float), DIM * sizeof(float));
        }
        more = ids.count > 0;
        hither_result_free(r);
    }
    hither_cursor_close(cursor);
    return status;
}

static hither_status say_found(hither_collection *c, const hither_query *query, ht_buf *out) {
    hither_result *r;
    HT_TRY(hither_collection_search(c, query, K, NULL, &r, &err));
    hither_ids ids = hither_result_ids(r, 0);
    const double *scores = hither_result_scores(r, 0);
    for (size_t i = 0; i < hither_result_count(r, 0); i++)
        ht_buf_printf(out, "%lld %a\n", (long long)ids.ints[i], (double)scores[i]);
    hither_result_free(r);
    return HITHER_OK;
}

/* Everything, or the first error. */
static hither_status say_all(hither_collection *c, ht_buf *out) {
    float query[DIM];
    for (size_t q = 0; q < 3; q++) {
        for (size_t j = 0; j < DIM; j++)
            query[j] = test_float(77 + q, j);
        const hither_query near = {.size = sizeof near, .vectors = test_matrix(query, 1, DIM)};
        HT_TRY(say_hits(c, &near, q == 2 ? 0.9 : 1, out));
    }
    static const char *const words[] = {"n 77 99"};
    test_column keywords;
    uint64_t count;
    const hither_query asked = {.size = sizeof asked, .keywords = test_strings(&keywords, 1, words)};
    HT_TRY(hither_collection_count(c, "{\"n\":{\"$lt\":77}}", &count, &err));
    ht_buf_printf(out, "%llu\n", (unsigned long long)count);
    HT_TRY(say_found(c, &asked, out));
    const int64_t id = ROWS - 1;
    const hither_query same = {.size = sizeof same, .ids = test_int_ids(&id, 1)};
    hither_status status = say_hits(c, &same, 1, out);
    return status == HITHER_OK || status == HITHER_NOT_FOUND ? say_rows(c, out) : status;
}

/* Rows, of which some are deleted and compacted away, codes and a graph on disk. */
static void fill(const ht_io *io) {
    hither_db *db;
    hither_collection *c;
    int64_t gone[GONE];
    const hither_db_options options = {.size = sizeof options, .io = io};
    OK(hither_db_open(PATH, &options, &db, &err));
    OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &c,
                              &err));
    for (size_t first = 0; first < ROWS; first += BATCH)
        put_rows(c, first, BATCH);
    for (size_t i = 0; i < GONE; i++)
        gone[i] = (int64_t)(5 * i);
    const hither_ids ids = test_int_ids(gone, GONE);
    OK(hither_collection_delete(c, &ids, NULL, NULL, &err));
    OK(hither_db_compact(db, NULL, &err));
    OK(hither_collection_create_index(c, HITHER_OPTIONS(hither_index_options, .kind = HITHER_HNSW), NULL, &err));
    ht_buf said;
    ht_buf_init(&said, SIZE_MAX);
    OK(say_all(c, &said)); /* columns of metadata and postings of words are made */
    ht_buf_clear(&said);
    ht_db_keep_codes(ht_db_in(db), 0);
    hither_collection_close(c);
    hither_db_close(db);
}

/* ---- judging */

static bool ends_in(const char *path, const char *end) {
    size_t a = strlen(path), b = strlen(end);
    return a >= b && strcmp(path + a - b, end) == 0;
}

/* What may be answered: by a whole log one thing, by one that was cut what there was after any commit. */
enum { STATES = 8 };
typedef struct answers {
    ht_buf said[STATES];
    size_t count;
} answers;

static bool is_among(const answers *a, const ht_buf *said) {
    for (size_t i = 0; i < a->count; i++)
        if (said->size == a->said[i].size && memcmp(said->data, a->said[i].data, said->size) == 0)
            return true;
    return false;
}

typedef struct place {
    const char *path, *what; /* the file, and what was done to it */
    size_t at;
} place;

static void stop(const place *p, const char *text) { fail_msg("%s, %s %zu: %s", p->path, p->what, p->at, text); }

/* Opens what is there, asks, verifies: whether the damage was noticed by open or by verify. */
static bool is_noticed(const ht_io *io, const char *path, uint32_t flags, const answers *right, const place *p) {
    hither_db *db;
    hither_collection *c;
    ht_buf said;
    err = (hither_error){0};
    if (open_at(io, path, flags, &db, &c) != HITHER_OK) {
        if (!err.message[0])
            stop(p, "open fails without a word");
        if (strstr(p->path, "/cache/"))
            stop(p, err.message);
        return true;
    }
    ht_buf_init(&said, SIZE_MAX);
    hither_status status = say_all(c, &said);
    if (status == HITHER_OK && !is_among(right, &said))
        stop(p, "another answer, without an error");
    if (status != HITHER_OK && (status != HITHER_CORRUPT || !err.message[0] || strstr(p->path, "/cache/")))
        stop(p, err.message);
    ht_buf_clear(&said);
    bool soon = hither_db_verify_fast(db, NULL, &err) != HITHER_OK;
    bool found = hither_db_verify(db, NULL, &err) != HITHER_OK;
    if (soon ? !found : found && ends_in(p->path, "/catalog"))
        stop(p, "what one verify finds the other does not");
    if (status != HITHER_OK && !found)
        stop(p, "an answer failed, and verify found nothing");
    hither_collection_close(c);
    hither_db_close(db);
    return found;
}

/* ---- every file, here and there */

/* Where the last commit of a log begins, which cannot be told from one that a crash cut short. */
static size_t last_commit(const kept_file *f) {
    size_t last = HT_WAL_HEADER, begin = last;
    for (size_t at = HT_WAL_HEADER; at + HT_WAL_FRAME <= f->bytes; at += HT_WAL_FRAME) {
        const unsigned char *pages = f->data + at + 4;
        if (pages[0] | pages[1] | pages[2] | pages[3]) {
            begin = last;
            last = at + HT_WAL_FRAME;
        }
    }
    return begin;
}

/* Whether a change of this byte has to be noticed. */
static bool is_committed(const kept_file *f, size_t at) {
    ht_segment_header h;
    if (ends_in(f->path, "/catalog-wal"))
        return at < last_commit(f);
    if (!strstr(f->path, "/seg/"))
        return ends_in(f->path, "/catalog") || strcmp(f->path, PACK) == 0;
    if (at < HT_SEGMENT_HEADER_BYTES)
        return true;
    OK(ht_segment_header_read(f->data, f->path, &h, &err));
    if (at < h.rows_offset)
        return at - h.sums_offset < ROWS * sizeof(ht_row_sums);
    return at - h.rows_offset < ROWS * h.stride;
}

static size_t step_of(void) {
    const char *text = getenv("HITHER_DAMAGE_STEP");
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

/* Which part of how many of the places this process does. */
static void part_of(size_t *part, size_t *parts) {
    const char *text = getenv("HITHER_DAMAGE_PART");
    *part = 0, *parts = 1;
    if (!text)
        return;
    char *slash;
    *part = (size_t)strtoull(text, &slash, 10);
    *parts = *slash == '/' ? (size_t)strtoull(slash + 1, NULL, 10) : 0;
    if (*part >= *parts)
        fail_msg("HITHER_DAMAGE_PART is '%s'; give i/n with i from 0 to n - 1", text);
}

/* Whether it is this process's turn to do a place. */
static bool is_ours(void) {
    static size_t places;
    size_t part, parts;
    part_of(&part, &parts);
    return places++ % parts == part;
}

/* The next place behind `at`. Of the space of a segment that nobody uses few are enough. */
static size_t next_place(const kept_file *f, size_t at, bool counts) {
    static uint64_t random = 5;
    size_t step = step_of();
    if (step)
        return at + (strstr(f->path, "/seg/") && !counts ? 97 * step : step);
    size_t most = f->bytes / DRAWN * 2 + 1;
    if (strstr(f->path, "/seg/") && counts && most > 2 * ROWS)
        most = 2 * ROWS; /* most of it is not used */
    return at + 1 + (size_t)(random = ht_mix64(random + 1)) % most;
}

typedef struct tally {
    size_t done, committed, noticed, noticed_committed;
} tally;

static void count(tally *t, bool committed, bool noticed) {
    t->done++;
    t->committed += committed;
    t->noticed += noticed;
    t->noticed_committed += committed && noticed;
}

static void tell(const kept_file *f, const char *what, const tally *t) {
    if (!step_of() && !getenv("HITHER_DAMAGE_PART"))
        return;
    printf("%s, %zu bytes, %zu %s: %zu noticed; of %zu that must be: %zu\n", f->path, f->bytes, t->done, what,
           t->noticed, t->committed, t->noticed_committed);
    (void)fflush(stdout);
}

static void flip_all(const image *im, kept_file *f, const char *path, const answers *right) {
    tally t = {0};
    for (size_t at = 0; at < f->bytes; at = next_place(f, at, is_committed(f, at))) {
        if (!is_ours())
            continue;
        const place p = {f->path, "a bit flipped at", at};
        const unsigned char bit = (unsigned char)(1u << ht_mix64(at) % 8);
        f->data[at] ^= bit;
        ht_io *io = restore(im);
        bool noticed = is_noticed(io, path, at % 2 ? HITHER_OPEN_READONLY : 0, right, &p);
        f->data[at] ^= bit;
        count(&t, is_committed(f, at), noticed);
        if (!noticed && is_committed(f, at))
            stop(&p, "it went unnoticed");
        ht_io_ram_free(io);
    }
    tell(f, "bits flipped", &t);
}

static void cut_all(const image *im, kept_file *f, const char *path, const answers *right) {
    const size_t whole = f->bytes;
    bool matters = !strstr(f->path, "/cache/") && !ends_in(f->path, "-wal") && !ends_in(f->path, "/LOCK");
    tally t = {0};
    for (size_t at = 0; at < whole; at = next_place(f, at, true)) {
        if (!is_ours())
            continue;
        const place p = {f->path, "cut to", at};
        f->bytes = at;
        ht_io *io = restore(im);
        bool noticed = is_noticed(io, path, at % 2 ? HITHER_OPEN_READONLY : 0, right, &p);
        f->bytes = whole;
        count(&t, matters, noticed);
        if (!noticed && matters)
            stop(&p, "it went unnoticed");
        ht_io_ram_free(io);
    }
    tell(f, "cuts", &t);
}

static void damage_all(image *im, const char *path, const answers *right) {
    for (size_t i = 0; i < im->count; i++) {
        flip_all(im, &im->files[i], path, right);
        cut_all(im, &im->files[i], path, right);
    }
}

static void ask(const ht_io *io, const char *path, answers *right) {
    hither_db *db;
    hither_collection *c;
    ht_buf *said = &right->said[right->count++];
    assert_true(right->count <= STATES);
    ht_buf_init(said, SIZE_MAX);
    OK(open_at(io, path, HITHER_OPEN_READONLY, &db, &c));
    OK(say_all(c, said));
    OK(hither_db_verify(db, NULL, &err));
    hither_collection_close(c);
    hither_db_close(db);
}

static void forget(image *im, answers *right) {
    for (size_t i = 0; i < im->count; i++)
        free(im->files[i].data);
    for (size_t i = 0; i < right->count; i++)
        ht_buf_clear(&right->said[i]);
}

static bool has_file(const image *im, const char *end) {
    for (size_t i = 0; i < im->count; i++)
        if (ends_in(im->files[i].path, end))
            return true;
    return false;
}

/* ---- the tests */

static void test_a_folder(void **state) {
    (void)state;
    ht_io *io;
    image im;
    answers right = {.count = 0};
    OK(ht_io_ram_new(&io, &err));
    fill(io);
    keep_all(&im, io);
    assert_true(has_file(&im, "/catalog") && has_file(&im, ".vec") && has_file(&im, ".codes") && has_file(&im, "near"));
    assert_true(has_file(&im, ".columns") && has_file(&im, ".words"));
    ask(io, PATH, &right);
    damage_all(&im, PATH, &right);
    forget(&im, &right);
    ht_io_ram_free(io);
}

static void test_a_pack(void **state) {
    (void)state;
    ht_io *io;
    image im = {.count = 0};
    answers right = {.count = 0};
    hither_db *db;
    hither_collection *c;
    OK(ht_io_ram_new(&io, &err));
    fill(io);
    OK(open_at(io, PATH, 0, &db, &c));
    OK(hither_db_pack(db, PACK, &err));
    hither_collection_close(c);
    hither_db_close(db);
    keep_file(&im, io, PACK);
    ask(io, PACK, &right);
    damage_all(&im, PACK, &right);
    forget(&im, &right);
    ht_io_ram_free(io);
}

/* A database whose process ended without closing it: all is in the log. */
static void test_a_log(void **state) {
    (void)state;
    ht_io *io, *after;
    image im = {.count = 0};
    answers right = {.count = 0};
    hither_db *db;
    hither_collection *c;
    OK(ht_io_ram_new(&io, &err));
    const hither_db_options options = {.size = sizeof options, .io = io};
    OK(hither_db_open(PATH, &options, &db, &err));
    OK(hither_collection_open(db, "c", HITHER_OPTIONS(hither_collection_options, .dim = DIM, .metric = HITHER_L2), &c,
                              &err));
    for (size_t n = 0; n <= 3; n++) {
        if (n > 0)
            put_rows(c, (n - 1) * BATCH, BATCH);
        for (size_t i = 0; i < im.count; i++)
            free(im.files[i].data);
        keep_all(&im, io);
        after = restore(&im);
        ask(after, PATH, &right);
        ht_io_ram_free(after);
    }
    for (size_t i = 0; i < im.count; i++) {
        if (!ends_in(im.files[i].path, "catalog-wal"))
            continue;
        assert_true(im.files[i].bytes > 10000);
        flip_all(&im, &im.files[i], PATH, &right);
        cut_all(&im, &im.files[i], PATH, &right);
    }
    hither_collection_close(c);
    hither_db_close(db);
    forget(&im, &right);
    ht_io_ram_free(io);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_folder),
        cmocka_unit_test(test_a_pack),
        cmocka_unit_test(test_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
