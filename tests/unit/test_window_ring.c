/*
 * test_window_ring.c: the ring holds exactly the newest records, whole, whoever writes and reads beside each other; a
 * reader's records stay; a push that finds no room fails and is counted. HITHER_STREAM_RECORDS sets how many records
 * the threads push; above 10^8 they have 16 dimensions instead of 40, and so no codes, and readers look less often.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "cmocka_all.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"
#include "stream/ring_inside.h"

#define DIM 40u

static unsigned dim = DIM;

/* Everything in a record follows from one number. */
static void make_vector(uint64_t seed, float *vector) {
    const uint32_t mixed = (uint32_t)(seed * 0x9e3779b97f4a7c15u >> 32);
    for (uint32_t j = 0; j < dim; j++)
        vector[j] = (float)((int32_t)(mixed * (2 * j + 1)) >> 8) + 0.5f;
}

static ht_ring_record make_record(uint64_t seed, float *vector, char *text) {
    make_vector(seed, vector);
    memcpy(text, &seed, sizeof seed);
    memset(text + sizeof seed, (int)(seed % 100), 32);
    return (ht_ring_record){.vector = vector,
                            .norm = -1,
                            .text = {text, sizeof seed + (size_t)(seed % 31)},
                            .time_ms = (int64_t)seed,
                            .metadata = {NULL, 0}};
}

/* Records of the numbers from seed on, as many as are taken at once. */
static hither_status push_some(ht_ring *ring, uint64_t seed, uint32_t want, uint32_t *count, hither_error *err) {
    float vector[DIM];
    char text[64];
    uint64_t number;
    HT_TRY(ht_ring_claim(ring, want, &number, count, err));
    for (uint32_t i = 0; i < *count; i++) {
        const ht_ring_record record = make_record(seed + i, vector, text);
        HT_TRY(ht_ring_reserve(ring, number + i, record.text.bytes, err));
        ht_ring_write(ring, number + i, &record);
    }
    return HITHER_OK;
}

static hither_status push(ht_ring *ring, uint64_t seed, hither_error *err) {
    uint32_t one;
    return push_some(ring, seed, 1, &one, err);
}

static bool is_whole(const ht_moment *view, uint64_t number) {
    float vector[DIM];
    char text[64];
    const ht_ring_record r = ht_moment_record(view, number);
    const ht_ring_record wanted = make_record((uint64_t)r.time_ms, vector, text);
    return r.text.bytes == wanted.text.bytes && memcmp(r.text.data, text, r.text.bytes) == 0 &&
           memcmp(r.vector, vector, dim * sizeof *vector) == 0 && !r.metadata.data;
}

static void test_newest(void **state) {
    (void)state;
    const uint32_t capacities[] = {1, 10, 64, 255, 256, 257, 1000, 5000};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        hither_error err = {0};
        ht_ring *ring;
        ASSERT_OK(ht_ring_new(capacities[c], DIM, 0, 0, false, &ring, &err));
        uint64_t total = 3u * capacities[c] + 12000;
        for (uint64_t i = 0; i < total; i++) {
            ASSERT_OK(push(ring, i, &err));
            if (i % 701 != 0 && i != total - 1)
                continue;
            ht_moment view;
            ASSERT_OK(ht_moment_open(ring, &view, &err));
            uint64_t first = i + 1 > capacities[c] ? i + 1 - capacities[c] : 0;
            assert_int_equal(view.records, i + 1 - first);
            for (uint64_t n = first > 70 ? first - 70 : 0; n < i + 70; n++)
                assert_int_equal(ht_moment_has(&view, n), n >= first && n <= i);
            for (uint64_t n = first; n <= i; n += 13)
                assert_true(is_whole(&view, n) && (uint64_t)ht_moment_record(&view, n).time_ms == n);
            ht_moment_close(&view);
        }
        ht_ring_free(ring);
    }
}

/* D of every record of the view, then the best. */
static void check_search(ht_moment *view, uint64_t seed) {
    enum { K = 7 };
    hither_error err = {0};
    _Alignas(64) float query[48] = {0};
    ht_hit hits[K];
    size_t count, better = 0;
    make_vector(seed * 77 + 5, query);
    ASSERT_OK(ht_moment_search(view, HITHER_COSINE, query, K, hits, &count, &err));
    assert_int_equal(count, view->records < K ? view->records : K);
    for (uint64_t n = view->base; count > 0 && n < view->end; n++) {
        if (!ht_moment_has(view, n))
            continue;
        ht_hit hit = {ht_ref_distance_f32(HITHER_COSINE, query, ht_moment_record(view, n).vector, dim), n};
        better += ht_hit_before(hit, hits[count - 1]);
    }
    assert_int_equal(better, count > 0 ? count - 1 : 0);
}

static void test_search(void **state) {
    (void)state;
    hither_error err = {0};
    ht_ring *ring;
    ASSERT_OK(ht_ring_new(3000, DIM, 0, 0, false, &ring, &err));
    for (uint64_t i = 0; i < 20000; i++) {
        ASSERT_OK(push(ring, i, &err));
        if (i % 509 != 0)
            continue;
        ht_moment view;
        ASSERT_OK(ht_moment_open(ring, &view, &err));
        check_search(&view, i);
        ht_moment_close(&view);
    }
    ht_ring_free(ring);
}

static size_t coded_blocks(const ht_ring *ring, uint64_t from, uint64_t to) {
    size_t count = 0;
    for (uint64_t ticket = (from + 63) / 64 * 64; ticket + 64 <= to; ticket += 64) {
        const uint64_t place = ht_ring_place(ring, ticket);
        count += ht_ring_coded(ht_ring_slab(ring, place), ticket, place % HT_SLAB_ROWS);
    }
    return count;
}

/* Records are coded by who writes them while somebody searches, and by nobody else. */
static void test_coded(void **state) {
    (void)state;
    hither_error err = {0};
    ht_ring *ring;
    ht_moment view;
    ASSERT_OK(ht_ring_new(6400, DIM, 0, 0, false, &ring, &err));
    uint64_t n = 0;
    for (; n < 6400; n++)
        ASSERT_OK(push(ring, n, &err));
    assert_int_equal(coded_blocks(ring, 0, n), 0);
    ASSERT_OK(ht_moment_open(ring, &view, &err)); /* not by looking */
    ht_moment_close(&view);
    assert_int_equal(coded_blocks(ring, 0, n), 0);
    ASSERT_OK(ht_moment_open(ring, &view, &err));
    check_search(&view, 1);
    ht_moment_close(&view);
    const size_t by_reader = coded_blocks(ring, 0, n);
    assert_true(by_reader > 0 && by_reader < 20);
    for (; n < 20000; n++)
        ASSERT_OK(push(ring, n, &err));
    assert_int_equal(coded_blocks(ring, 6400, 12800), 100);
    assert_int_equal(coded_blocks(ring, 12864, 20000), 0);
    ASSERT_OK(ht_moment_open(ring, &view, &err));
    check_search(&view, 2);
    ht_moment_close(&view);
    ht_ring_free(ring);
}

/* A reader that stays holds its records; pushes fail when the spare places are used up, and go on when it is gone. */
static void test_pinned(void **state) {
    (void)state;
    hither_error err = {0};
    ht_ring *ring;
    ht_moment view;
    ASSERT_OK(ht_ring_new(500, DIM, 2000, 0, false, &ring, &err));
    for (uint64_t i = 0; i < 10000; i++)
        ASSERT_OK(push(ring, i, &err));
    ASSERT_OK(ht_moment_open(ring, &view, &err));
    uint64_t i = 10000;
    while (push(ring, i, &err) == HITHER_OK)
        i++;
    assert_int_equal(err.status, HITHER_BUSY);
    assert_true(i >= 12000 && i < 14000);
    assert_int_equal(ht_ring_busy(ring), 1);
    assert_int_equal(ht_ring_next(ring), i);
    for (uint64_t n = 9500; n < 10000; n++)
        assert_true(ht_moment_has(&view, n) && is_whole(&view, n));
    ht_moment again; /* others still see the newest */
    ASSERT_OK(ht_moment_open(ring, &again, &err));
    assert_true(again.records == 500 && ht_moment_has(&again, i - 1) && !ht_moment_has(&again, i - 501));
    ht_moment_close(&again);
    ht_moment_close(&view);
    for (uint64_t n = i; n < 30000; n++)
        ASSERT_OK(push(ring, n, &err));
    ht_ring_free(ring);
}

/* A claim that is not written yet hides nothing else; one that stays so stops others in time; one given up is gone. */
static void test_unfinished(void **state) {
    (void)state;
    hither_error err = {0};
    ht_ring *ring;
    ht_moment view;
    uint64_t number, after;
    uint32_t count;
    ASSERT_OK(ht_ring_new(2000, DIM, 0, 0, false, &ring, &err));
    for (uint64_t i = 0; i < 5000; i++)
        ASSERT_OK(push(ring, i, &err));
    ASSERT_OK(ht_ring_claim(ring, 1, &number, &count, &err));
    for (uint64_t i = 0; i < 300; i++)
        ASSERT_OK(push(ring, 5001 + i, &err));
    ASSERT_OK(ht_moment_open(ring, &view, &err));
    assert_int_equal(view.records, 2000);
    assert_true(!ht_moment_has(&view, number) && ht_moment_has(&view, number + 300));
    assert_true(ht_moment_has(&view, number + 300 - 2000) && !ht_moment_has(&view, number + 299 - 2000));
    check_search(&view, 3);
    ht_moment_close(&view);
    for (after = 0; push(ring, 6000, &err) == HITHER_OK; after++)
        assert_true(after < 2000);
    assert_int_equal(err.status, HITHER_BUSY);
    ht_ring_give_up(ring, number);
    for (uint64_t i = 0; i < 1000; i++)
        ASSERT_OK(push(ring, i, &err));
    ASSERT_OK(ht_moment_open(ring, &view, &err));
    assert_int_equal(view.records, 2000);
    ht_moment_close(&view);
    ht_ring_free(ring);
}

/* ---- threads */

enum { WRITERS = 4, READERS = 4, CAPACITY = 3000, AT_ONCE = 16, LONG = 100000000 };

typedef struct shared {
    ht_ring *ring;
    uint64_t each;
    long nap_ns; /* of a reader after four views */
    _Atomic uint64_t torn, short_views, views, retries;
    atomic_bool done;
} shared;

static void *write_records(void *arg) {
    static atomic_uint order;
    shared *s = arg;
    uint64_t base = (uint64_t)atomic_fetch_add(&order, 1) << 40;
    ht_fp_state fp = ht_fp_enter();
    for (uint64_t i = 0; i < s->each;) {
        const uint64_t most = s->each - i, want = 1 + i % AT_ONCE;
        hither_error err;
        uint32_t count;
        if (push_some(s->ring, base + i, (uint32_t)(want < most ? want : most), &count, &err) == HITHER_OK) {
            i += count;
        } else {
            atomic_fetch_add(&s->retries, 1);
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        }
    }
    ht_fp_leave(fp);
    return NULL;
}

static void *read_records(void *arg) {
    shared *s = arg;
    ht_fp_state fp = ht_fp_enter();
    while (!atomic_load(&s->done)) {
        hither_error err;
        ht_moment view;
        uint64_t before = ht_ring_next(s->ring);
        ASSERT_OK(ht_moment_open(s->ring, &view, &err));
        /* What was claimed before may be unfinished yet, by one claim a writer. */
        if (before >= CAPACITY + WRITERS * AT_ONCE ? view.records != CAPACITY
                                                   : view.records + WRITERS * AT_ONCE < before)
            atomic_fetch_add(&s->short_views, 1);
        uint64_t seen = atomic_fetch_add(&s->views, 1), step = seen % 16 == 0 ? 1 : 61;
        for (uint64_t n = view.base; n < view.end; n += step)
            if (ht_moment_has(&view, n) && !is_whole(&view, n))
                atomic_fetch_add(&s->torn, 1);
        if (seen % 32 == 0)
            check_search(&view, seen);
        ht_moment_close(&view);
        if (seen % 4 == 3)
            nanosleep(&(struct timespec){.tv_nsec = s->nap_ns}, NULL);
    }
    ht_fp_leave(fp);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    const char *asked = getenv("HITHER_STREAM_RECORDS");
    uint64_t total = asked ? strtoull(asked, NULL, 10) : 1000000;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    total = asked ? total : 60000;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
    total = asked ? total : 60000;
#endif
#endif
    hither_error err = {0};
    shared s = {.each = total / WRITERS, .nap_ns = total > LONG ? 800000 : 10000};
    pthread_t threads[WRITERS + READERS];
    dim = total > LONG ? 16 : DIM;
    ASSERT_OK(ht_ring_new(CAPACITY, dim, 0, 0, false, &s.ring, &err));
    for (int i = 0; i < WRITERS + READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_records : read_records, &s), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&s.done, true);
    for (int i = WRITERS; i < WRITERS + READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(s.torn, 0);
    assert_int_equal(s.short_views, 0);
    assert_true(s.views > 0);
    assert_int_equal(ht_ring_next(s.ring), s.each * WRITERS); /* each once */
    ht_moment view;
    ASSERT_OK(ht_moment_open(s.ring, &view, &err));
    uint64_t next[WRITERS] = {0}, whole = 0;
    for (uint64_t n = view.base; n < view.end; n++) {
        if (!ht_moment_has(&view, n))
            continue;
        uint64_t seed = (uint64_t)ht_moment_record(&view, n).time_ms, low = seed & (((uint64_t)1 << 40) - 1);
        assert_true(next[seed >> 40] == 0 || next[seed >> 40] == low); /* a thread's records in its order, none lost */
        next[seed >> 40] = low + 1;
        whole++;
    }
    assert_int_equal(whole, CAPACITY);
    ht_moment_close(&view);
    print_message("%llu records, %llu views, %llu pushes tried again\n", (unsigned long long)total,
                  (unsigned long long)s.views, (unsigned long long)s.retries);
    ht_ring_free(s.ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest), cmocka_unit_test(test_search),     cmocka_unit_test(test_coded),
        cmocka_unit_test(test_pinned), cmocka_unit_test(test_unfinished), cmocka_unit_test(test_threads),
    };
    ht_fp_state fp = ht_fp_enter();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ht_fp_leave(fp);
    return failed;
}
