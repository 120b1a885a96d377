/*
 * test_container.c: what is put into a container comes out; no flipped byte, cut or forgery goes unnoticed; a writer
 * that gives up leaves the old file as it was. Over RAM files.
 */
#include "base/container.h"

#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "cmocka_all.h"

#define PATH "a/index.hi"
#define KIND "test"

static const size_t SIZES[] = {0, 1, 4096, HT_CONTAINER_BLOCK, HT_CONTAINER_BLOCK + 1, 200003};
#define SECTIONS (sizeof SIZES / sizeof SIZES[0])

static char byte_of(size_t section, size_t i) { return (char)ht_mix64(section * 1000003 + i); }

static const char *name_of(size_t section) {
    static const char *const names[SECTIONS] = {"none", "one", "page", "block", "rows", "a-name-of-fifte"};
    return names[section];
}

static void fill(ht_container_writer *w, size_t first, size_t last) {
    char piece[1000];
    for (size_t s = first; s < last; s++) {
        assert_int_equal(ht_container_begin(w, name_of(s), NULL), HITHER_OK);
        for (size_t at = 0; at < SIZES[s];) {
            size_t n = ht_min_size(sizeof piece, SIZES[s] - at);
            for (size_t i = 0; i < n; i++)
                piece[i] = byte_of(s, at + i);
            assert_int_equal(ht_container_put(w, piece, n, NULL), HITHER_OK);
            at += n;
        }
    }
}

static void write_file(const ht_io *io, size_t first, size_t last) {
    ht_container_writer *w;
    assert_int_equal(ht_container_create(io, PATH, KIND, &w, NULL), HITHER_OK);
    fill(w, first, last);
    assert_int_equal(ht_container_finish(w, NULL), HITHER_OK);
}

static int setup(void **state) {
    ht_io *io;
    if (ht_io_ram_new(&io, NULL) != HITHER_OK || io->make_folder(io->ctx, "a", NULL) != HITHER_OK)
        return -1;
    *state = io;
    return 0;
}

static int teardown(void **state) {
    ht_io_ram_free(*state);
    return 0;
}

static void round_trip(void **state) {
    const ht_io *io = *state;
    ht_container *c;
    write_file(io, 0, SECTIONS);
    assert_int_equal(ht_container_open(io, PATH, KIND, &c, NULL), HITHER_OK);
    assert_int_equal(ht_container_verify(c, NULL), HITHER_OK);
    for (size_t s = 0; s < SECTIONS; s++) {
        size_t bytes;
        const char *data = ht_container_section(c, name_of(s), &bytes);
        assert_non_null(data);
        assert_int_equal(bytes, SIZES[s]);
        assert_int_equal(ht_container_touch(c, name_of(s), 0, bytes, NULL), HITHER_OK);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(data[i], byte_of(s, i));
    }
    size_t bytes = 7;
    assert_null(ht_container_section(c, "absent", &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(ht_container_touch(c, "page", 0, 4097, NULL), HITHER_CORRUPT);
    ht_container_close(c);
    assert_int_equal(ht_container_open(io, PATH, "other", &c, NULL), HITHER_NOT_DATABASE);
    assert_int_equal(ht_container_open(io, "a/absent", KIND, &c, NULL), HITHER_NOT_FOUND);
}

/* Opens, and if that goes well checks everything. */
static hither_status examine(const ht_io *io) {
    ht_container *c;
    hither_status status = ht_container_open(io, PATH, KIND, &c, NULL);
    if (status == HITHER_OK)
        status = ht_container_verify(c, NULL);
    ht_container_close(c);
    return status;
}

static ht_file *open_raw(const ht_io *io, uint64_t *bytes) {
    ht_file *file;
    assert_int_equal(io->open(io->ctx, PATH, HT_IO_WRITE, &file, NULL), HITHER_OK);
    assert_int_equal(io->file_size(file, bytes, NULL), HITHER_OK);
    return file;
}

static void every_flip_is_noticed(void **state) {
    const ht_io *io = *state;
    uint64_t bytes;
    write_file(io, 0, 3);
    ht_file *file = open_raw(io, &bytes);
    for (uint64_t at = 0; at < bytes; at++) {
        char old, flipped;
        assert_int_equal(io->read_at(file, &old, 1, at, NULL), HITHER_OK);
        flipped = (char)(old ^ (1 << (at % 8)));
        assert_int_equal(io->write_at(file, &flipped, 1, at, NULL), HITHER_OK);
        if (examine(io) == HITHER_OK)
            fail_msg("a flipped bit at byte %llu went unnoticed", (unsigned long long)at);
        assert_int_equal(io->write_at(file, &old, 1, at, NULL), HITHER_OK);
    }
    assert_int_equal(examine(io), HITHER_OK);
    io->close(file);
}

static void touch_finds_only_what_it_touches(void **state) {
    const ht_io *io = *state;
    uint64_t bytes;
    ht_container *c;
    hither_error err;
    write_file(io, 5, 6);
    ht_file *file = open_raw(io, &bytes);
    char wrong = (char)(byte_of(5, 70000) ^ 1); /* in the second block of the only section, which begins at 4096 */
    assert_int_equal(io->write_at(file, &wrong, 1, 4096 + 70000, NULL), HITHER_OK);
    io->close(file);
    assert_int_equal(ht_container_open(io, PATH, KIND, &c, NULL), HITHER_OK);
    assert_int_equal(ht_container_touch(c, name_of(5), 0, 65536, NULL), HITHER_OK);
    assert_int_equal(ht_container_touch(c, name_of(5), 65535, 65537, &err), HITHER_CORRUPT);
    assert_non_null(strstr(err.message, "offset 69632"));
    assert_int_equal(ht_container_touch(c, name_of(5), 131072, 200003, NULL), HITHER_OK);
    ht_container_close(c);
}

static void every_cut_is_noticed(void **state) {
    const ht_io *io = *state;
    uint64_t bytes;
    write_file(io, 0, 3);
    ht_file *file = open_raw(io, &bytes);
    char *whole = ht_alloc(bytes + 1);
    assert_int_equal(io->read_at(file, whole, bytes, 0, NULL), HITHER_OK);
    io->close(file);
    for (uint64_t cut = 0; cut <= bytes + 1; cut++) {
        if (cut == bytes)
            continue;
        assert_int_equal(io->remove(io->ctx, PATH, NULL), HITHER_OK);
        assert_int_equal(io->open(io->ctx, PATH, HT_IO_WRITE | HT_IO_CREATE, &file, NULL), HITHER_OK);
        whole[bytes] = 0;
        assert_int_equal(io->write_at(file, whole, cut, 0, NULL), HITHER_OK);
        io->close(file);
        assert_int_not_equal(examine(io), HITHER_OK);
    }
    ht_release(whole);
}

static size_t count_files;
static hither_status count_one(void *arg, const char *name, ht_io_kind kind) {
    (void)arg;
    (void)name;
    count_files += kind == HT_IO_FILE;
    return HITHER_OK;
}

static void giving_up_changes_nothing(void **state) {
    const ht_io *io = *state;
    write_file(io, 0, 2);
    ht_container_writer *w;
    assert_int_equal(ht_container_create(io, PATH, KIND, &w, NULL), HITHER_OK);
    fill(w, 2, 4);
    ht_container_abandon(w);
    count_files = 0;
    assert_int_equal(io->list(io->ctx, "a", count_one, NULL, NULL), HITHER_OK);
    assert_int_equal(count_files, 1);
    ht_container *c;
    assert_int_equal(ht_container_open(io, PATH, KIND, &c, NULL), HITHER_OK);
    size_t bytes;
    assert_non_null(ht_container_section(c, "one", &bytes));
    /* A new file takes the place of one that is open; who has the old one keeps it. */
    write_file(io, 2, 3);
    assert_int_equal(ht_container_verify(c, NULL), HITHER_OK);
    assert_null(ht_container_section(c, "page", &bytes));
    ht_container_close(c);
    assert_int_equal(ht_container_open(io, PATH, KIND, &c, NULL), HITHER_OK);
    assert_non_null(ht_container_section(c, "page", &bytes));
    ht_container_close(c);
}

/* A forger can compute checksums too: no field, however set, may lead outside the file. */
static void forged_numbers_are_refused(void **state) {
    const ht_io *io = *state;
    static const uint64_t values[] = {0,         1, 4095, 4096, 4097, 65536, 1u << 31, UINT32_MAX, (uint64_t)1 << 62,
                                      UINT64_MAX};
    uint64_t bytes;
    write_file(io, 0, 3);
    ht_file *file = open_raw(io, &bytes);
    char original[72], head[72];
    assert_int_equal(io->read_at(file, original, sizeof original, 0, NULL), HITHER_OK);
    for (size_t field = 32; field < 64; field += 8) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            memcpy(head, original, sizeof head);
            memcpy(head + field, &values[v], 8);
            if (memcmp(head, original, sizeof head) == 0)
                continue;
            uint32_t crc = ht_crc32c(0, head, 68);
            memcpy(head + 68, &crc, 4);
            assert_int_equal(io->write_at(file, head, sizeof head, 0, NULL), HITHER_OK);
            assert_int_not_equal(examine(io), HITHER_OK);
        }
    }
    io->close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(every_flip_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(touch_finds_only_what_it_touches, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(giving_up_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_numbers_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
