/*
 * test_snapshot.c: live sets against an array of bools, sharing of chunks, and reclaiming: nothing pinned or held is
 * freed, everything else is. The last test is for ThreadSanitizer.
 */
#include "engine/snapshot.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cmocka_all.h"

#define SEED 77u

static ht_snapshot *make(const ht_snapshot *base, uint64_t limit, const uint64_t *dead, size_t count) {
    ht_change change = {
        .seq = base ? base->seq + 1 : 1, .slot_limit = limit, .dead = dead, .dead_count = count, .id_kind = HT_ID_INT};
    ht_snapshot *s = NULL;
    assert_int_equal(ht_snapshot_make(base, &change, &s, NULL), HITHER_OK);
    return s;
}

static void check_against(const ht_snapshot *s, const bool *alive, uint64_t limit) {
    uint64_t count = 0, next = ht_snapshot_next(s, 0);
    ht_mask mask = ht_snapshot_mask(s);
    assert_int_equal(mask.limit, limit);
    assert_true(mask.chunk_count * HT_CHUNK_SLOTS >= limit);
    for (uint64_t slot = 0; slot < limit; slot++) {
        if (ht_snapshot_alive(s, slot) != alive[slot])
            fail_msg("seed %u: slot %llu of %llu", SEED, (unsigned long long)slot, (unsigned long long)limit);
        if (alive[slot]) {
            count++;
            assert_int_equal(next, slot);
            next = ht_snapshot_next(s, slot + 1);
        }
    }
    assert_int_equal(next, limit);
    assert_int_equal(s->live_count, count);
    assert_false(ht_snapshot_alive(s, limit));
}

static void live_sets_follow_a_model(void **state) {
    (void)state;
    enum { MOST = 200000 };
    bool *alive = calloc(MOST, sizeof *alive);
    bool *before = calloc(MOST, sizeof *before);
    ht_snapshot *s = NULL;
    uint64_t limit = 0;
    for (unsigned round = 0; round < 24; round++) {
        uint64_t dead[400], random = ht_mix64(SEED + round);
        uint64_t grown = limit + (round % 5 == 4 ? 0 : random % 9000);
        size_t kills = grown ? (random >> 20) % 400 : 0;
        memcpy(before, alive, MOST);
        for (uint64_t i = limit; i < grown; i++)
            alive[i] = true;
        for (size_t i = 0; i < kills; i++) {
            dead[i] = ht_mix64(random + i) % grown; /* some twice, some dead already */
            alive[dead[i]] = false;
        }
        ht_snapshot *next = make(s, grown, dead, kills);
        check_against(next, alive, grown);
        if (s) {
            check_against(s, before, limit); /* the old version has not changed */
            for (size_t i = 0; i < s->chunk_count; i++) {
                bool touched = false;
                for (size_t j = 0; j < kills; j++)
                    touched |= dead[j] / HT_CHUNK_SLOTS == i;
                assert_true(touched || next->chunks[i] == s->chunks[i]);
            }
        }
        ht_snapshot_free(s);
        s = next;
        limit = grown;
    }
    ht_snapshot_free(s);
    free(alive);
    free(before);
}

static void chunk_borders(void **state) {
    (void)state;
    const uint64_t limits[] = {0, 1, 63, 64, 65, HT_CHUNK_SLOTS - 1, HT_CHUNK_SLOTS, HT_CHUNK_SLOTS + 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        ht_snapshot *s = make(NULL, limits[i], NULL, 0);
        assert_int_equal(ht_snapshot_next(s, 0), 0);
        assert_int_equal(ht_snapshot_next(s, limits[i]), limits[i]);
        if (limits[i]) {
            uint64_t last = limits[i] - 1;
            ht_snapshot *t = make(s, limits[i], &last, 1);
            assert_int_equal(ht_snapshot_next(t, last), limits[i]);
            assert_int_equal(t->live_count, last);
            ht_snapshot_free(t);
        }
        ht_snapshot_free(s);
    }
}

static size_t buried(const ht_graveyard *graveyard) {
    size_t n = 0;
    for (const ht_snapshot *s = graveyard->first; s; s = s->next_retired)
        n++;
    return n;
}

static void pinned_and_held_stay(void **state) {
    (void)state;
    ht_home home = {NULL};
    ht_graveyard graveyard = {0};
    ht_scratch_pool pool = {NULL};
    ht_scratch *a, *b;
    assert_int_equal(ht_scratch_take(&pool, &a, NULL), HITHER_OK);
    ht_snapshot_publish(&home, make(NULL, 10, NULL, 0), &graveyard, &pool);
    ht_snapshot *first = ht_snapshot_pin(&home, a);
    assert_int_equal(first->slot_limit, 10);
    ht_snapshot_publish(&home, make(first, 20, NULL, 0), &graveyard, &pool);
    assert_int_equal(buried(&graveyard), 1); /* pinned by a */
    assert_int_equal(first->slot_limit, 10);

    assert_int_equal(ht_scratch_take(&pool, &b, NULL), HITHER_OK);
    assert_ptr_not_equal(a, b);
    ht_snapshot *second = ht_snapshot_pin(&home, b);
    assert_int_equal(second->slot_limit, 20);
    ht_snapshot_hold(second);
    ht_scratch_give(b);
    ht_scratch_give(a);
    ht_snapshot_publish(&home, make(second, 30, NULL, 0), &graveyard, &pool);
    assert_int_equal(buried(&graveyard), 1); /* second is held, first went */
    assert_int_equal(second->slot_limit, 20);
    ht_snapshot_unhold(second);
    ht_graveyard_sweep(&graveyard, &pool);
    assert_int_equal(buried(&graveyard), 0);

    /* Given back, the scratches are used again rather than new ones made. */
    ht_scratch *again;
    assert_int_equal(ht_scratch_take(&pool, &again, NULL), HITHER_OK);
    assert_true(again == a || again == b);
    ht_scratch_give(again);
    ht_snapshot_free(atomic_load(&home.current));
    ht_scratch_clear(&pool);
}

typedef struct race {
    ht_home home;
    ht_graveyard graveyard;
    ht_scratch_pool pool;
    _Atomic bool stop;
    _Atomic unsigned wrong;
} race;

/* Every version has slot_limit = 100 * seq and seq dead slots; a reader must never see a mix, or freed memory. */
static void *read_versions(void *arg) {
    race *r = arg;
    uint64_t last = 0;
    while (!atomic_load(&r->stop)) {
        ht_scratch *scratch;
        if (ht_scratch_take(&r->pool, &scratch, NULL) != HITHER_OK)
            break;
        ht_snapshot *s = ht_snapshot_pin(&r->home, scratch);
        uint64_t alive = 0;
        for (uint64_t i = ht_snapshot_next(s, 0); i < s->slot_limit; i = ht_snapshot_next(s, i + 1))
            alive++;
        if (s->seq < last || s->slot_limit != 100 * s->seq || alive != s->live_count)
            atomic_fetch_add(&r->wrong, 1);
        last = s->seq;
        bool hold = last % 7 == 0;
        if (hold)
            ht_snapshot_hold(s);
        ht_scratch_give(scratch);
        if (hold) {
            if (s->slot_limit != 100 * s->seq)
                atomic_fetch_add(&r->wrong, 1);
            ht_snapshot_unhold(s);
        }
    }
    return NULL;
}

static void readers_beside_a_publisher(void **state) {
    (void)state;
    race r = {.stop = false};
    pthread_t threads[4];
    ht_snapshot_publish(&r.home, make(NULL, 100, NULL, 0), &r.graveyard, &r.pool);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_versions, &r), 0);
    for (unsigned i = 0; i < 600; i++) {
        const ht_snapshot *now = atomic_load(&r.home.current);
        uint64_t dead = ht_mix64(SEED + i) % now->slot_limit;
        ht_snapshot_publish(&r.home, make(now, now->slot_limit + 100, &dead, 1), &r.graveyard, &r.pool);
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    ht_graveyard_sweep(&r.graveyard, &r.pool);
    assert_null(r.graveyard.first);
    ht_snapshot_free(atomic_load(&r.home.current));
    ht_scratch_clear(&r.pool);
}

/* As fast as both sides can: the windows of a hazard pointer, and of claiming a scratch, are a few instructions wide.
 */
static void *pin_only(void *arg) {
    race *r = arg;
    uint64_t last = 0;
    while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        ht_scratch *scratch;
        if (ht_scratch_take(&r->pool, &scratch, NULL) != HITHER_OK)
            break;
        const ht_snapshot *s = ht_snapshot_pin(&r->home, scratch);
        if (s->seq < last || s->slot_limit != s->seq)
            atomic_fetch_add(&r->wrong, 1);
        last = s->seq;
        ht_scratch_give(scratch);
    }
    return NULL;
}

static void pins_race_with_publishing(void **state) {
    (void)state;
    race r = {.stop = false};
    pthread_t threads[3];
    ht_snapshot_publish(&r.home, make(NULL, 1, NULL, 0), &r.graveyard, &r.pool);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pin_only, &r), 0);
    for (uint64_t i = 0; i < 40000; i++) {
        const ht_snapshot *now = atomic_load(&r.home.current);
        ht_snapshot_publish(&r.home, make(now, now->slot_limit + 1, NULL, 0), &r.graveyard, &r.pool);
        assert_true(buried(&r.graveyard) <= 4); /* one a reader, and one given back late */
    }
    atomic_store(&r.stop, true);
    for (size_t i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    ht_graveyard_sweep(&r.graveyard, &r.pool);
    assert_null(r.graveyard.first);
    ht_snapshot_free(atomic_load(&r.home.current));
    ht_scratch_clear(&r.pool);
}

static void *take_and_give(void *arg) {
    race *r = arg;
    for (unsigned i = 0; i < 300000; i++) {
        ht_scratch *s;
        if (ht_scratch_take(&r->pool, &s, NULL) != HITHER_OK || s->count_room != 0) {
            atomic_fetch_add(&r->wrong, 1);
            break;
        }
        for (size_t j = 1; j < 20; j++) /* nobody else may see this */
            *(volatile size_t *)&s->count_room = j;
        s->count_room = 0;
        ht_scratch_give(s);
    }
    return NULL;
}

static void a_scratch_has_one_holder(void **state) {
    (void)state;
    race r = {.stop = false};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &r), 0);
    for (size_t i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&r.wrong), 0);
    size_t scratches = 0;
    for (const ht_scratch *s = atomic_load(&r.pool.first); s; s = s->next)
        scratches++;
    assert_in_range(scratches, 1, 3);
    ht_scratch_clear(&r.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_sets_follow_a_model),  cmocka_unit_test(chunk_borders),
        cmocka_unit_test(pinned_and_held_stay),      cmocka_unit_test(readers_beside_a_publisher),
        cmocka_unit_test(pins_race_with_publishing), cmocka_unit_test(a_scratch_has_one_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
