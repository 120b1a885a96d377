/*
 * test_segment.c: the header of a segment, its checksums against a slow twin, and one segment made, written, read.
 */
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "store_world.h"

static ht_segment_header example(void) {
    ht_segment_header h = {.cid = 3,
                           .sid = 17,
                           .uuid = "0123456789abcde",
                           .dtype = HITHER_F32,
                           .dim = 384,
                           .first_slot = 640,
                           .capacity = 64};
    hither_error err;
    ASSERT_OK(ht_segment_header_complete(&h, &err));
    return h;
}

static uint64_t get(const unsigned char *bytes, size_t at, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)bytes[at + i] << (8 * i);
    return value;
}

/* The bytes of docs/format.md, one by one. */
static void test_header_bytes(void **state) {
    (void)state;
    unsigned char b[HT_SEGMENT_HEADER_BYTES];
    ht_segment_header h = example();
    ht_segment_header_write(&h, b);
    assert_memory_equal(b, "hithrseg", 8);
    assert_int_equal(get(b, 8, 4), 1);
    assert_int_equal(get(b, 12, 4), 0x01020304);
    assert_int_equal(get(b, 16, 8), 3);
    assert_int_equal(get(b, 24, 8), 17);
    assert_memory_equal(b + 32, "0123456789abcde", 16);
    assert_int_equal(get(b, 48, 4), 0);
    assert_int_equal(get(b, 52, 4), HITHER_F32);
    assert_int_equal(get(b, 56, 4), 384);
    assert_int_equal(get(b, 60, 4), 0);
    assert_int_equal(get(b, 64, 8), 1536);
    assert_int_equal(get(b, 72, 8), 640);
    assert_int_equal(get(b, 80, 8), 64);
    assert_int_equal(get(b, 88, 8), 4096);
    assert_int_equal(get(b, 96, 8), 8192);
    for (size_t i = 104; i < 4092; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(get(b, 4092, 4), ht_crc32c_table(0, b, 4092));
    assert_int_equal(h.file_bytes, 8192 + 64 * 1536);
}

static void test_header_round_trip(void **state) {
    (void)state;
    hither_error err;
    unsigned char b[HT_SEGMENT_HEADER_BYTES];
    ht_segment_header h = example(), back;
    ht_segment_header_write(&h, b);
    ASSERT_OK(ht_segment_header_read(b, "seg/3-17.vec", &back, &err));
    assert_memory_equal(&h, &back, sizeof h);
    ASSERT_OK(ht_segment_header_compare(&back, &h, "seg/3-17.vec", &err));
    /* Every flipped bit is refused. */
    for (size_t i = 0; i < HT_SEGMENT_HEADER_BYTES * 8; i += i < 900 ? 1 : 13) {
        b[i / 8] = (unsigned char)(b[i / 8] ^ 1u << i % 8);
        ASSERT_FAILS(ht_segment_header_read(b, "seg/3-17.vec", &back, &err), HITHER_CORRUPT);
        assert_non_null(strstr(err.message, "seg/3-17.vec"));
        b[i / 8] = (unsigned char)(b[i / 8] ^ 1u << i % 8);
    }
}

static void put(unsigned char *bytes, size_t at, uint64_t value, size_t count) {
    for (size_t i = 0; i < count; i++)
        bytes[at + i] = (unsigned char)(value >> (8 * i));
}

/* A wrong value under a right checksum: somebody meant it. */
static void test_header_lies(void **state) {
    (void)state;
    const struct {
        size_t at, bytes;
        uint64_t value;
        hither_status status;
    } lies[] = {
        {8, 4, 2, HITHER_FORMAT},
        {8, 4, 0, HITHER_CORRUPT},
        {12, 4, 0x04030201, HITHER_CORRUPT},
        {16, 8, 0, HITHER_CORRUPT},
        {24, 8, UINT64_MAX, HITHER_CORRUPT},
        {52, 4, 0, HITHER_UNSUPPORTED},
        {52, 4, HITHER_B1, HITHER_UNSUPPORTED},
        {52, 4, HITHER_F64, HITHER_CORRUPT},
        {56, 4, 0, HITHER_CORRUPT},
        {56, 4, 65536, HITHER_CORRUPT},
        {56, 4, 385, HITHER_CORRUPT},
        {60, 4, 1, HITHER_CORRUPT},
        {64, 8, 1600, HITHER_CORRUPT},
        {72, 8, 1, HITHER_CORRUPT},
        {72, 8, 1ull << 63, HITHER_TOO_LARGE},
        {80, 8, 0, HITHER_CORRUPT},
        {80, 8, 65, HITHER_CORRUPT},
        {80, 8, 1ull << 61, HITHER_TOO_LARGE},
        {80, 8, 1ull << 56, HITHER_TOO_LARGE},
        {88, 8, 8192, HITHER_CORRUPT},
        {96, 8, 4096, HITHER_CORRUPT},
        {104, 8, 1, HITHER_FORMAT},
        {4091, 1, 1, HITHER_FORMAT},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        hither_error err;
        unsigned char b[HT_SEGMENT_HEADER_BYTES];
        ht_segment_header h = example(), back;
        ht_segment_header_write(&h, b);
        put(b, lies[i].at, lies[i].value, lies[i].bytes);
        put(b, 4092, ht_crc32c(0, b, 4092), 4);
        hither_status got = ht_segment_header_read(b, "x", &back, &err);
        if (got != lies[i].status)
            fail_msg("lie %zu: %s instead of %s", i, hither_status_name(got), hither_status_name(lies[i].status));
    }
}

static void test_header_compare(void **state) {
    (void)state;
    hither_error err;
    for (int i = 0; i < 8; i++) {
        ht_segment_header h = example(), other = h;
        switch (i) {
        case 0:
            other.cid++;
            break;
        case 1:
            other.sid++;
            break;
        case 2:
            other.uuid[15] ^= 1;
            break;
        case 3:
            other.field++;
            break;
        case 4:
            other.dtype++;
            break;
        case 5:
            other.dim++;
            break;
        case 6:
            other.first_slot += 64;
            break;
        default:
            other.capacity += 64;
            break;
        }
        ASSERT_FAILS(ht_segment_header_compare(&h, &other, "x", &err), HITHER_CORRUPT);
    }
}

static void test_names(void **state) {
    (void)state;
    char name[HT_SEGMENT_NAME_BYTES];
    int64_t cid, sid;
    ht_segment_name_write(name, INT64_MAX, INT64_MAX);
    assert_true(ht_segment_name_read(name, &cid, &sid) && cid == INT64_MAX && sid == INT64_MAX);
    ht_segment_name_write(name, 3, 17);
    assert_string_equal(name, "3-17.vec");
    static const char *const others[] = {
        "",         "3-17",      "3-17.ve",   "3-17.vecs", "03-17.vec", "+3-17.vec",
        "3--1.vec", "0-17.vec",  "3-0.vec",   "3-x.vec",   "x-3.vec",   " 3-17.vec",
        "3-17.VEC", "3 -17.vec", "3- 17.vec", "LOCK",      "-.vec",     "99999999999999999999-1.vec"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (ht_segment_name_read(others[i], &cid, &sid))
            fail_msg("'%s' was taken for a segment", others[i]);
    }
}

/* The sums by docs/format.md: everything written into one buffer, summed by the table. */
static uint32_t slow_row_sum(uint64_t slot, const hither_ids *ids, size_t i, ht_text metadata, ht_text document) {
    unsigned char bytes[300];
    size_t n = 8;
    put(bytes, 0, slot, 8);
    ht_text parts[3] = {{0}, metadata, document};
    unsigned char number[8];
    if (ids->ints) {
        put(number, 0, (uint64_t)ids->ints[i], 8);
        parts[0] = (ht_text){(const char *)number, 8};
    } else {
        parts[0] = ht_strings_at(&ids->strings, i);
    }
    for (size_t k = 0; k < 3; k++) {
        bytes[n++] = parts[k].data ? (k == 0 && ids->ints ? 1 : 2) : 0;
        put(bytes, n, parts[k].bytes, 4);
        n += 4;
        if (parts[k].bytes > 0)
            memcpy(bytes + n, parts[k].data, parts[k].bytes);
        n += parts[k].bytes;
    }
    return ht_crc32c_table(0, bytes, n);
}

static void test_sums(void **state) {
    (void)state;
    int64_t ints[] = {-1, 0, INT64_MAX};
    uint64_t offsets[] = {0, 1, 4, 10};
    hither_ids by_int = {.ints = ints, .count = 3};
    hither_ids by_text = {.strings = {.bytes = "abcdefghij", .offsets = offsets, .count = 3}, .count = 3};
    const ht_text texts[] = {{0}, {"", 0}, {"{}", 2}, {"x\0y", 3}};
    float vector[3] = {1, -2, 3};
    for (size_t k = 0; k < 2 * 3 * 4 * 4; k++) {
        const hither_ids *ids = k % 2 ? &by_int : &by_text;
        size_t i = k / 2 % 3;
        ht_text metadata = texts[k / 6 % 4], document = texts[k / 24];
        uint64_t slot = ht_mix64(k);
        ht_row_sums sums = ht_row_sums_make(slot, vector, sizeof vector, ids, i, metadata, document);
        assert_int_equal(sums.row, slow_row_sum(slot, ids, i, metadata, document));
        unsigned char bytes[8 + sizeof vector];
        put(bytes, 0, slot, 8);
        memcpy(bytes + 8, vector, sizeof vector);
        assert_int_equal(sums.vector, ht_crc32c_table(0, bytes, sizeof bytes));
        sums = ht_row_sums_make(slot, NULL, 0, ids, i, metadata, document);
        assert_int_equal(sums.vector, ht_crc32c_table(0, bytes, 8));
    }
}

static void life(bool on_disk) {
    store_world world;
    hither_error err;
    world_make(&world, on_disk);
    ht_store *store = world_open(&world, 0);
    ht_collection_row row = world_create(store, "c", 3);
    ht_segment *segment;
    ASSERT_OK(ht_segment_create(store, &row, 128, 1, &segment, &err));
    const ht_segment_info *info = ht_segment_describe(segment);
    assert_int_equal(info->capacity, (2 << 20) / 64);
    assert_int_equal(info->stride, 64);
    assert_int_equal(info->first_slot, 128);
    assert_int_equal(info->committed, 0);
    float rows[4][16] = {{1, 2, 3}, {4, 5, 6}, {0}, {7, 8, 9}};
    ht_row_sums sums[4];
    int64_t ids[] = {1, 2, 3, 4};
    hither_ids column = {.ints = ids, .count = 4};
    for (size_t i = 0; i < 4; i++)
        sums[i] =
            ht_row_sums_make(128 + i, i == 2 ? NULL : rows[i], i == 2 ? 0 : 12, &column, i, (ht_text){0}, (ht_text){0});
    ASSERT_OK(ht_segment_write(segment, 0, 4, rows, sums, &err));
    ASSERT_OK(ht_segment_sync(segment, &err));
    const float *seen = ht_segment_rows(segment);
    assert_memory_equal(seen, rows, sizeof rows);
    ASSERT_OK(ht_segment_check(segment, 0, 4, &err));
    /* The row after them was never written: its sum is 0, which fits nothing. */
    ASSERT_FAILS(ht_segment_check(segment, 0, 5, &err), HITHER_CORRUPT);
    assert_non_null(strstr(err.message, "slot 132"));
    assert_non_null(strstr(err.message, "1-1.vec"));
    /* Other bytes under the same sums: the row without a vector has one, a padding byte is set. */
    rows[2][0] = 1;
    ASSERT_OK(ht_segment_write(segment, 2, 1, rows[2], &sums[2], &err));
    ASSERT_FAILS(ht_segment_check(segment, 2, 3, &err), HITHER_CORRUPT);
    rows[3][15] = 1;
    ASSERT_OK(ht_segment_write(segment, 3, 1, rows[3], &sums[3], &err));
    ASSERT_FAILS(ht_segment_check(segment, 3, 4, &err), HITHER_CORRUPT);
    /* Room is room. */
    ASSERT_FAILS(ht_segment_write(segment, info->capacity - 3, 4, rows, sums, &err), HITHER_INVALID);
    ASSERT_FAILS(ht_segment_write(segment, UINT64_MAX, 1, rows, sums, &err), HITHER_INVALID);
    ASSERT_OK(ht_segment_write(segment, info->capacity - 4, 4, rows, sums, &err));
    ht_segment *again = ht_segment_acquire(segment);
    ht_segment_release(segment);
    assert_int_equal(ht_segment_describe(again)->capacity, (2 << 20) / 64);
    ht_segment_release(again);
    ht_segment_release(NULL);
    ht_store_close(store);
    /* Never committed: gone with the next open. */
    assert_true(world_has(&world, "seg/1-1.vec"));
    ht_store_close(world_open(&world, 0));
    assert_false(world_has(&world, "seg/1-1.vec"));
    world_free(&world);
}
static void test_life_ram(void **state) {
    (void)state;
    life(false);
}
static void test_life_disk(void **state) {
    (void)state;
    life(true);
}

/* Capacities by ordinal, to the last doubling and past it, narrow rows and the widest. */
static void test_capacities(void **state) {
    (void)state;
    store_world world;
    hither_error err;
    world_make(&world, true); /* sparse files: nothing is written but headers */
    ht_store *store = world_open(&world, 0);
    const struct {
        uint32_t dim;
        hither_dtype dtype;
        size_t ordinal;
        uint64_t capacity;
    } cases[] = {
        {16, HITHER_F32, 0, 16384},   {17, HITHER_F32, 0, 8192},         {1, HITHER_F16, 0, 16384},
        {65535, HITHER_F64, 0, 64},   {65535, HITHER_F32, 9, 2048},      {384, HITHER_F32, 3, 5440},
        {384, HITHER_F32, 9, 349504}, {16, HITHER_F32, 10, 16384 << 10}, {16, HITHER_F32, SIZE_MAX, 16384 << 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ht_segment *segment;
        ht_collection_row row = {.cid = 1, .dim = cases[i].dim, .width = cases[i].dim, .dtype = cases[i].dtype};
        ASSERT_OK(ht_segment_create(store, &row, 0, cases[i].ordinal, &segment, &err));
        const ht_segment_info *info = ht_segment_describe(segment);
        assert_int_equal(info->capacity, cases[i].capacity);
        ht_segment_release(segment);
    }
    ht_store_close(store);
    world_free(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_bytes), cmocka_unit_test(test_header_round_trip),
        cmocka_unit_test(test_header_lies),  cmocka_unit_test(test_header_compare),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_life_ram),     cmocka_unit_test(test_life_disk),
        cmocka_unit_test(test_capacities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
