/* test_pool.c: every item once, from many callers at once, nested deep in nothing, and in a forked child. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_all.h"

#define MOST 5000

typedef struct tally {
    unsigned char *seen; /* plain bytes: the pool alone must order them before the caller's look */
    atomic_uint at_once, peak;
    atomic_bool signals_open, helped;
    bool slow; /* items take long enough that others must come to help, and the caller must wait for them */
    pthread_t caller;
} tally;

static void count(void *ctx, size_t item) {
    tally *t = ctx;
    unsigned now = atomic_fetch_add(&t->at_once, 1) + 1, peak = atomic_load(&t->peak);
    while (now > peak && !atomic_compare_exchange_weak(&t->peak, &peak, now))
        ;
    if (t->slow)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    if (!pthread_equal(pthread_self(), t->caller)) {
        atomic_store(&t->helped, true);
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        if (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGTERM))
            atomic_store(&t->signals_open, true);
    }
    t->seen[item]++;
    for (volatile int i = 0; i < 200; i++)
        ;
    atomic_fetch_sub(&t->at_once, 1);
}

static bool run_once(unsigned threads, size_t items) {
    tally t = {.seen = calloc(items + 1, 1), .caller = pthread_self()};
    ht_parallel(threads, items, count, &t);
    bool fine = t.seen[items] == 0 && !t.signals_open;
    unsigned most = threads && threads < ht_pool_threads() ? threads : ht_pool_threads();
    fine = fine && t.peak <= most;
    for (size_t i = 0; i < items; i++)
        fine = fine && t.seen[i] == 1;
    free(t.seen);
    return fine;
}

static void every_item_once(void **state) {
    (void)state;
    assert_true(ht_pool_threads() >= 1);
    static const size_t sizes[] = {0, 1, 2, 3, 7, 64, MOST};
    for (unsigned threads = 0; threads < 6; threads++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            assert_true(run_once(threads, sizes[i]));
    }
}

/* Work that grows while it is done: every item once, and what was written before it was added is seen. */
static bool run_growing(bool slow) {
    enum { ADDED = 40, MOST_AT_ONCE = 7 };
    unsigned char seen[ADDED * MOST_AT_ONCE] = {0};
    tally t = {.seen = seen, .caller = pthread_self(), .slow = slow};
    ht_pool_job job;
    size_t items = 0;
    ht_pool_begin(&job, count, &t);
    for (size_t round = 0; round < ADDED; round++) {
        size_t more = round % MOST_AT_ONCE;
        for (size_t i = 0; i < more; i++)
            seen[items + i] = 7; /* the item makes it 8 */
        items += more;
        ht_pool_add(&job, more);
        if (round % 9 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* the workers run out of items */
    }
    ht_pool_end(&job);
    bool fine = !t.signals_open && t.at_once == 0 && t.peak <= ht_pool_threads();
    for (size_t i = 0; i < sizeof seen; i++)
        fine = fine && seen[i] == (i < items ? 8 : 0);
    return fine && (!slow || t.helped || ht_pool_threads() == 1);
}

static void *grow(void *failed) {
    for (int i = 0; i < 30; i++) {
        if (!run_growing(false) || !run_once(0, 50))
            atomic_fetch_add((atomic_uint *)failed, 1);
    }
    return NULL;
}

static void work_may_grow(void **state) {
    (void)state;
    assert_true(run_growing(false));
    assert_true(run_growing(true));
    pthread_t threads[4];
    atomic_uint failed = 0;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, grow, &failed), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failed, 0);
}

/* That workers there are, and that their last items are waited for. */
static bool run_slowly(void) {
    enum { ITEMS = 25 };
    unsigned char seen[ITEMS] = {0};
    bool fine = true;
    tally t = {.seen = seen, .caller = pthread_self(), .slow = true};
    for (int round = 0; round < 4 && fine; round++) {
        ht_parallel(0, ITEMS, count, &t);
        for (size_t i = 0; i < ITEMS; i++)
            fine = fine && seen[i] == round + 1;
    }
    return fine && (t.helped || ht_pool_threads() == 1);
}

static void the_caller_is_helped_and_waits(void **state) {
    (void)state;
    assert_true(run_slowly());
}

static void *call_often(void *arg) {
    size_t *wrong = arg;
    for (size_t i = 0; i < 200; i++)
        *wrong += !run_once((unsigned)(i % 4), 1 + i % 50);
    return NULL;
}

static void many_callers_share(void **state) {
    (void)state;
    pthread_t threads[12];
    size_t wrong[12] = {0};
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &wrong[i]), 0);
    for (size_t i = 0; i < 12; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

static void a_child_has_its_own(void **state) {
    (void)state;
#ifdef UNDER_TSAN
    skip(); /* the sanitizer does not support threads made after a fork of a threaded process */
#endif
    pthread_t busy;
    size_t wrong = 0;
    assert_true(run_once(0, MOST));
    assert_int_equal(pthread_create(&busy, NULL, call_often, &wrong), 0);
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(run_once(0, MOST) && run_once(2, 10) && run_slowly() ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_true(run_once(0, 100));
    }
    pthread_join(busy, NULL);
    assert_int_equal(wrong, 0);
}

/* In a process of its own, since the number is asked for once. */
static unsigned threads_with(const char *value) {
    int status, out[2];
    unsigned answer = 0;
    char self[] = "/proc/self/exe";
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("HITHER_THREADS", value, 1);
        dup2(out[1], 3);
        execl(self, "test_pool", "--threads", (char *)NULL);
        _exit(9);
    }
    close(out[1]);
    assert_int_equal(read(out[0], &answer, sizeof answer), sizeof answer);
    close(out[0]);
    waitpid(child, &status, 0);
    return answer;
}

static void the_environment_lowers_it(void **state) {
    (void)state;
    if (access("/proc/self/exe", X_OK) != 0)
        skip();
    unsigned all = threads_with("nonsense");
    assert_true(all >= 1);
    assert_int_equal(threads_with("1"), 1);
    assert_int_equal(threads_with("1000000"), all);
    assert_int_equal(threads_with("0"), all);
    assert_int_equal(threads_with(""), all);
    assert_int_equal(threads_with("1x"), all);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--threads") == 0) {
        unsigned answer = ht_pool_threads();
        return write(3, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_may_grow),
        cmocka_unit_test(every_item_once),
        cmocka_unit_test(the_caller_is_helped_and_waits),
        cmocka_unit_test(many_callers_share),
        cmocka_unit_test(a_child_has_its_own),
        cmocka_unit_test(the_environment_lowers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
