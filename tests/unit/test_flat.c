/*
 * test_flat.c: an index against a naive twin (an array of rows with labels) under adds, removals, searches, saves and
 * opens; labels of every kind; files that were cut, flipped or forged.
 */
#include "index/flat.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/container.h"
#include "base/hash.h"
#include "cmocka_all.h"
#include "index/flat_inside.h"
#include "kernels/reference.h"

#define MOST_DIM 40u
#define MOST     4096u
#define PATH     "a/rows.hi"

static uint32_t dim = 13; /* 40: with codes */

typedef struct twin {
    float rows[MOST][MOST_DIM];
    int64_t labels[MOST];
    bool alive[MOST];
    size_t count;
    int64_t next;
} twin;

static uint64_t state_of_random;
static uint64_t any(uint64_t below) { return ht_mix64(state_of_random += 0x9e3779b97f4a7c15u) % below; }

static void make_row(float *row) {
    for (size_t j = 0; j < dim; j++)
        row[j] = (float)any(2000) / 500 - 2;
}

static hither_matrix matrix(const float *data, size_t rows) {
    return (hither_matrix){
        .data = data, .rows = rows, .dim = dim, .stride = MOST_DIM * sizeof(float), .dtype = HITHER_F32};
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

static ht_flat *fresh(hither_metric metric) {
    ht_flat_spec spec = {.dtype = HITHER_F32, .metric = metric, .dim = dim};
    ht_flat *flat;
    assert_int_equal(ht_flat_new(&spec, &flat, NULL), HITHER_OK);
    return flat;
}

/* ---- the twin */

static size_t twin_find(const twin *t, int64_t label) {
    for (size_t i = 0; i < t->count; i++)
        if (t->alive[i] && t->labels[i] == label)
            return i;
    return SIZE_MAX;
}

static bool allowed(const uint64_t *allow, uint64_t bits, int64_t label) {
    return !allow || ((uint64_t)label < bits && (allow[label / 64] >> (label % 64) & 1));
}

static void compare_search(ht_flat *flat, const twin *t, hither_metric metric, const uint64_t *allow, uint64_t bits,
                           size_t k) {
    float query[MOST_DIM];
    make_row(query);
    static ht_hit room[MOST];
    ht_topk top;
    ht_topk_init(&top, room, k);
    for (size_t i = 0; i < t->count; i++)
        if (t->alive[i] && allowed(allow, bits, t->labels[i]))
            ht_topk_push(&top, (ht_hit){ht_ref_distance_f32(metric, query, t->rows[i], dim), i});
    ht_topk_sort(&top);
    int64_t labels[64];
    float distances[64];
    hither_matrix q = matrix(query, 1);
    ht_flat_search search = {.metric = metric, .k = k, .threads = 1, .allow = allow, .allow_bits = bits};
    assert_int_equal(ht_flat_knn(flat, &q, &search, labels, distances, NULL, NULL), HITHER_OK);
    for (size_t i = 0; i < k; i++) {
        assert_int_equal(labels[i], i < top.count ? t->labels[room[i].slot] : -1);
        assert_true(distances[i] == (i < top.count ? (float)room[i].distance : INFINITY));
    }
}

static void twin_add(ht_flat *flat, twin *t, size_t count, bool own_labels) {
    float rows[64][MOST_DIM];
    int64_t labels[64] = {0}, first = -7;
    hither_status wanted = HITHER_OK;
    for (size_t i = 0; i < count; i++) {
        make_row(rows[i]);
        labels[i] = (int64_t)any(20000);
        if (!own_labels)
            continue;
        if (twin_find(t, labels[i]) != SIZE_MAX)
            wanted = HITHER_EXISTS;
        for (size_t j = 0; j < i; j++)
            if (labels[j] == labels[i])
                wanted = HITHER_EXISTS;
    }
    hither_matrix m = matrix(rows[0], count);
    assert_int_equal(ht_flat_add(flat, &m, own_labels ? labels : NULL, &first, NULL), wanted);
    if (wanted != HITHER_OK)
        return;
    assert_int_equal(first, t->next);
    for (size_t i = 0; i < count; i++, t->count++) {
        memcpy(t->rows[t->count], rows[i], sizeof rows[i]);
        t->labels[t->count] = own_labels ? labels[i] : t->next;
        t->alive[t->count] = true;
        if (t->labels[t->count] >= t->next)
            t->next = t->labels[t->count] + 1;
    }
}

static void twin_remove(ht_flat *flat, twin *t) {
    int64_t labels[8];
    size_t removed, wanted = 0;
    for (size_t i = 0; i < 8; i++) {
        labels[i] = t->count && any(2) ? t->labels[any(t->count)] : (int64_t)any(20000);
        size_t at = twin_find(t, labels[i]);
        if (at != SIZE_MAX) {
            t->alive[at] = false;
            wanted++;
        }
    }
    assert_int_equal(ht_flat_remove(flat, labels, 8, &removed, NULL), HITHER_OK);
    assert_int_equal(removed, wanted);
}

/* Saves, opens, and lets the twin forget its dead rows as the file does. */
static ht_flat *twin_reopen(const ht_io *io, ht_flat *flat, twin *t) {
    assert_int_equal(ht_flat_save(flat, io, PATH, NULL), HITHER_OK);
    ht_flat_release(flat);
    assert_int_equal(ht_flat_open(io, PATH, &flat, NULL), HITHER_OK);
    assert_int_equal(ht_flat_verify(flat, NULL), HITHER_OK);
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!t->alive[i])
            continue;
        memmove(t->rows[kept], t->rows[i], sizeof t->rows[i]);
        t->labels[kept] = t->labels[i];
        t->alive[kept++] = true;
    }
    t->count = kept;
    ht_flat_info info;
    ht_flat_describe(flat, &info);
    assert_int_equal(info.rows, kept);
    assert_int_equal(info.slots, kept);
    assert_true(info.mapped);
    return flat;
}

static void like_its_twin(void **state) {
    static twin t;
    static const hither_metric metrics[] = {HITHER_COSINE, HITHER_DOT, HITHER_L2, HITHER_L1};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        state_of_random = seed;
        memset(&t, 0, sizeof t);
        dim = seed % 2 ? 13 : 40;
        ht_flat *flat = fresh(metrics[seed % 4]);
        bool own_labels = seed % 3 == 0;
        while (t.count < 1500) {
            uint64_t allow[320];
            for (size_t i = 0; i < 320; i++)
                allow[i] = any(2) ? ht_mix64(any(1u << 30)) : 0;
            switch (any(6)) {
            case 0:
            case 1:
                twin_add(flat, &t, any(63) + 1, own_labels && any(2));
                break;
            case 2:
                twin_remove(flat, &t);
                break;
            case 3:
                compare_search(flat, &t, metrics[any(4)], NULL, 0, any(40) + 1);
                break;
            case 4:
                compare_search(flat, &t, metrics[any(4)], allow, any(320 * 64 + 1), any(40) + 1);
                break;
            default:
                if (any(5) == 0)
                    flat = twin_reopen(*state, flat, &t);
            }
        }
        ht_flat_release(flat);
    }
}

static void an_add_is_whole_or_not_at_all(void **state) {
    (void)state;
    state_of_random = 5;
    ht_flat *flat = fresh(HITHER_L2);
    float rows[3][MOST_DIM];
    for (size_t i = 0; i < 3; i++)
        make_row(rows[i]);
    hither_matrix m = matrix(rows[0], 3);
    hither_error err;
    assert_int_equal(ht_flat_add(flat, &m, (int64_t[]){5, 6, 5}, NULL, &err), HITHER_EXISTS);
    assert_non_null(strstr(err.message, "row 2: label 5"));
    assert_int_equal(ht_flat_add(flat, &m, (int64_t[]){5, 6, -1}, NULL, &err), HITHER_INVALID);
    ht_flat_info info;
    ht_flat_describe(flat, &info);
    assert_int_equal(info.slots, 0);
    int64_t first;
    assert_int_equal(ht_flat_add(flat, &m, (int64_t[]){5, 6, 7}, NULL, NULL), HITHER_OK);
    assert_int_equal(ht_flat_add(flat, &m, NULL, &first, NULL), HITHER_OK);
    assert_int_equal(first, 8);
    hither_matrix wrong = m;
    wrong.dim = dim - 1;
    assert_int_equal(ht_flat_add(flat, &wrong, NULL, NULL, NULL), HITHER_DIMENSION);
    ht_flat_release(flat);
}

static void borrowed_rows(void **state) {
    (void)state;
    static twin t;
    state_of_random = 9;
    memset(&t, 0, sizeof t);
    for (t.count = 0; t.count < 200; t.count++) {
        make_row(t.rows[t.count]);
        t.labels[t.count] = (int64_t)t.count;
        t.alive[t.count] = true;
    }
    hither_matrix m = matrix(t.rows[0], 200);
    ht_flat *flat;
    assert_int_equal(ht_flat_wrap(&m, HITHER_COSINE, 1, &flat, NULL), HITHER_OK);
    for (int i = 0; i < 20; i++)
        compare_search(flat, &t, HITHER_COSINE, NULL, 0, 10);
    twin_remove(flat, &t);
    compare_search(flat, &t, HITHER_L2, NULL, 0, 10);
    assert_int_equal(ht_flat_add(flat, &m, NULL, NULL, NULL), HITHER_READONLY);
    ht_flat_release(flat);
}

/* ---- files */

static hither_status examine(const ht_io *io) {
    ht_flat *flat = NULL;
    hither_status status = ht_flat_open(io, PATH, &flat, NULL);
    if (status == HITHER_OK)
        status = ht_flat_verify(flat, NULL);
    if (status == HITHER_OK) { /* nothing a search may read is out of bounds */
        int64_t labels[4];
        float distances[4], query[MOST_DIM] = {1};
        hither_matrix q = matrix(query, 1);
        ht_flat_search search = {.k = 4, .threads = 1};
        status = ht_flat_knn(flat, &q, &search, labels, distances, NULL, NULL);
    }
    ht_flat_release(flat);
    return status;
}

static void flipped_bytes_are_noticed(void **state) {
    const ht_io *io = *state;
    dim = 40;
    state_of_random = 3;
    ht_flat *flat = fresh(HITHER_COSINE);
    static twin t;
    memset(&t, 0, sizeof t);
    twin_add(flat, &t, 50, false);
    twin_remove(flat, &t);
    assert_int_equal(ht_flat_save(flat, io, PATH, NULL), HITHER_OK);
    ht_flat_release(flat);
    assert_int_equal(examine(io), HITHER_OK);
    ht_file *file;
    uint64_t bytes;
    assert_int_equal(io->open(io->ctx, PATH, HT_IO_WRITE, &file, NULL), HITHER_OK);
    assert_int_equal(io->file_size(file, &bytes, NULL), HITHER_OK);
    for (uint64_t at = 0; at < bytes; at += 3) {
        char old, flipped;
        assert_int_equal(io->read_at(file, &old, 1, at, NULL), HITHER_OK);
        flipped = (char)(old ^ (1 << any(8)));
        assert_int_equal(io->write_at(file, &flipped, 1, at, NULL), HITHER_OK);
        assert_int_not_equal(examine(io), HITHER_OK);
        assert_int_equal(io->write_at(file, &old, 1, at, NULL), HITHER_OK);
    }
    io->close(file);
}

/* A file whose checksums are right and whose contents are not: each lie is refused. */
static void forged_sections_are_refused(void **state) {
    const ht_io *io = *state;
    dim = 13;
    struct {
        uint32_t dtype, metric, dim, stride;
        uint64_t rows;
        int64_t next;
    } good = {HITHER_F32, HITHER_L2, dim, (uint32_t)ht_flat_stride(HITHER_F32, dim), 2, 2}, h;
    char rows[256] = {0};
    for (int lie = 0; lie < 12; lie++) {
        float norms[3] = {0};
        int64_t labels[3] = {0, 1, 2};
        size_t row_bytes = 2 * good.stride, norm_count = 2, label_count = 0;
        h = good;
        switch (lie) {
        case 1:
            h.dtype = 77;
            break;
        case 2:
            h.metric = 0;
            break;
        case 3:
            h.dim = 0;
            break;
        case 4:
            h.dim = 70000;
            break;
        case 5:
            h.stride = 1;
            break;
        case 6:
            h.rows = UINT64_MAX / 8;
            break;
        case 7:
            h.next = -1;
            break;
        case 8:
            row_bytes--;
            break;
        case 9:
            norm_count = 3;
            break;
        case 10:
            norms[1] = NAN;
            break;
        case 11:
            label_count = 2, labels[0] = 1;
            break;
        default:
            break;
        }
        ht_container_writer *w;
        assert_int_equal(ht_container_create(io, PATH, "index-exact", &w, NULL), HITHER_OK);
        assert_int_equal(ht_container_begin(w, "head", NULL), HITHER_OK);
        assert_int_equal(ht_container_put(w, &h, sizeof h, NULL), HITHER_OK);
        assert_int_equal(ht_container_begin(w, "rows", NULL), HITHER_OK);
        assert_int_equal(ht_container_put(w, rows, row_bytes, NULL), HITHER_OK);
        assert_int_equal(ht_container_begin(w, "norms", NULL), HITHER_OK);
        assert_int_equal(ht_container_put(w, norms, norm_count * sizeof(float), NULL), HITHER_OK);
        if (label_count) {
            assert_int_equal(ht_container_begin(w, "labels", NULL), HITHER_OK);
            assert_int_equal(ht_container_put(w, labels, label_count * sizeof(int64_t), NULL), HITHER_OK);
        }
        assert_int_equal(ht_container_finish(w, NULL), HITHER_OK);
        if (lie == 0)
            assert_int_equal(examine(io), HITHER_OK);
        else
            assert_int_not_equal(examine(io), HITHER_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(like_its_twin, setup, teardown),
        cmocka_unit_test(an_add_is_whole_or_not_at_all),
        cmocka_unit_test(borrowed_rows),
        cmocka_unit_test_setup_teardown(flipped_bytes_are_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_sections_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
