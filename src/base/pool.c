/*
 * pool.c: the threads of the process and how calls share them.
 *
 * One mutex guards the list of jobs. A job lies on its caller's stack; a worker holds it by `running`, and the caller
 * leaves only when nobody does. Workers take the job at the head of the list and put it back at the tail as long as it
 * wants more of them, so that calls that come together share the workers evenly. Items are handed out by one atomic
 * counter; more may come while workers are at it. The caller works too and waits only for items that are being worked
 * on: no call can block another for good, however few threads there are.
 *
 * Workers are made when first wanted, block all signals, and end with the process. A forked child has none of them, so
 * its pool starts anew. Any thread.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

typedef ht_pool_job job;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    job *head, **tail;
    unsigned workers;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .tail = &pool.head};

/* ---- how many */

static unsigned affinity(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

#if defined(__linux__)
static unsigned lower_to_quota(unsigned threads, long long quota, long long period) {
    if (quota <= 0 || period <= 0)
        return threads;
    long long whole = (quota + period - 1) / period;
    return whole < (long long)threads ? (unsigned)whole : threads;
}

/* The limit in one folder of the cgroup tree, version 2 or 1. */
static unsigned quota_of_folder(const char *folder, bool second, unsigned threads) {
    char path[512], text[64];
    long long quota = 0, period = 0;
    if (second) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (ht_io_system_text(path, text, sizeof text) && sscanf(text, "%lld %lld", &quota, &period) == 2)
            return lower_to_quota(threads, quota, period);
        return threads;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!ht_io_system_text(path, text, sizeof text))
        return threads;
    quota = strtoll(text, NULL, 10);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!ht_io_system_text(path, text, sizeof text))
        return threads;
    return lower_to_quota(threads, quota, strtoll(text, NULL, 10));
}

/* A limit may stand at any level from the process's own group up to the root. In a container the group's own path is
 * often not visible and only the root is. */
static unsigned quota_of_group(const char *root, const char *group, bool second, unsigned threads) {
    char folder[384];
    int length = snprintf(folder, sizeof folder, "%s%s", root, group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return quota_of_folder(root, second, threads);
    for (;;) {
        threads = quota_of_folder(folder, second, threads);
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < strlen(root))
            return threads;
        *slash = '\0';
    }
}

static unsigned cgroup_quota(unsigned threads) {
    char text[4096], *rest = text;
    if (!ht_io_system_text("/proc/self/cgroup", text, sizeof text))
        return threads;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        /* number:controllers:path, and no controllers in version 2 */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0')
            threads = quota_of_group("/sys/fs/cgroup", group, true, threads);
        else if (strncmp(controllers, "cpu", 3) == 0 && (controllers[3] == '\0' || controllers[3] == ','))
            threads = quota_of_group("/sys/fs/cgroup/cpu", group, false, threads);
    }
    return threads;
}
#else
static unsigned cgroup_quota(unsigned threads) { return threads; }
#endif

static unsigned environment_cap(unsigned threads) {
    const char *text = getenv("HITHER_THREADS");
    char *end;
    unsigned long cap = text ? strtoul(text, &end, 10) : 0;
    if (!text || end == text || *end != '\0' || cap == 0 || cap >= threads)
        return threads;
    return (unsigned)cap;
}

unsigned ht_pool_threads(void) {
    static atomic_uint known; /* 0: not asked yet; two threads that ask at once find the same */
    unsigned threads = atomic_load(&known);
    if (threads == 0) {
        threads = environment_cap(cgroup_quota(affinity()));
        if (threads == 0)
            threads = 1;
        atomic_store(&known, threads);
    }
    return threads;
}

/* ---- fork */

/* The mutex is held across the fork, so that the child finds the list whole; then it forgets all of it, since the
 * threads and the callers' stacks belong to the parent. */
static void before_fork(void) { pthread_mutex_lock(&pool.mutex); }
static void after_fork_parent(void) { pthread_mutex_unlock(&pool.mutex); }
static void after_fork_child(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.work, NULL);
    pool.head = NULL;
    pool.tail = &pool.head;
    pool.workers = 0;
}

static void watch_forks(void) { pthread_atfork(before_fork, after_fork_parent, after_fork_child); }

/* ---- work */

static bool has_items(job *j) { return atomic_load(&j->next_item) < atomic_load(&j->items); }

static void work_on(job *j) {
    size_t item = atomic_load(&j->next_item);
    while (item < atomic_load(&j->items)) { /* acquire: what an item needs was written before it was added */
        if (!atomic_compare_exchange_weak(&j->next_item, &item, item + 1))
            continue;
        j->fn(j->ctx, item);
        item = atomic_load(&j->next_item);
    }
}

/* The mutex is held for the next three. */
static void append_job(job *j) {
    j->next = NULL;
    *pool.tail = j;
    pool.tail = &j->next;
}

static job *take_head(void) {
    job *j = pool.head;
    pool.head = j->next;
    if (!pool.head)
        pool.tail = &pool.head;
    return j;
}

static void withdraw(job *gone) {
    for (job **link = &pool.head; *link; link = &(*link)->next) {
        if (*link != gone)
            continue;
        *link = gone->next;
        if (!*link)
            pool.tail = link;
        return;
    }
}

static void *worker(void *unused) {
    (void)unused;
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (!pool.head)
            pthread_cond_wait(&pool.work, &pool.mutex);
        job *j = take_head();
        j->running++;
        if (--j->wanted > 0)
            append_job(j);
        do {
            pthread_mutex_unlock(&pool.mutex);
            work_on(j);
            pthread_mutex_lock(&pool.mutex);
        } while (has_items(j));
        if (--j->running == 0)
            pthread_cond_signal(&j->idle);
    }
    return NULL;
}

/* Makes workers until there are `wanted`; with fewer the work still gets done. The mutex is held. */
static void make_workers(unsigned wanted) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_attr_t attributes;
    if (pool.workers >= wanted || pthread_attr_init(&attributes) != 0)
        return;
    pthread_once(&once, watch_forks);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
    pthread_t thread;
    while (pool.workers < wanted && pthread_create(&thread, &attributes, worker, NULL) == 0)
        pool.workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Has workers come, so that as many as `most` are at it. The mutex is held. */
static void want(job *j, unsigned most) {
    unsigned more = most > j->running ? most - j->running : 0;
    if (more <= j->wanted)
        return;
    if (j->wanted == 0)
        append_job(j);
    for (; j->wanted < more; j->wanted++)
        pthread_cond_signal(&pool.work);
}

void ht_pool_begin(ht_pool_job *j, void (*fn)(void *ctx, size_t item), void *ctx) {
    *j = (job){.fn = fn, .ctx = ctx};
    j->shared = ht_pool_threads() > 1 && pthread_cond_init(&j->idle, NULL) == 0;
}

void ht_pool_add(ht_pool_job *j, size_t items) {
    if (!j->shared || items == 0) {
        atomic_fetch_add(&j->items, items);
        return;
    }
    unsigned others = ht_pool_threads() - 1;
    pthread_mutex_lock(&pool.mutex);
    make_workers(others);
    atomic_fetch_add(&j->items, items);
    size_t left = atomic_load(&j->items) - atomic_load(&j->next_item);
    want(j, left < others ? (unsigned)left : others);
    pthread_mutex_unlock(&pool.mutex);
}

void ht_pool_end(ht_pool_job *j) {
    work_on(j);
    if (!j->shared)
        return;
    pthread_mutex_lock(&pool.mutex);
    withdraw(j);
    while (j->running > 0)
        pthread_cond_wait(&j->idle, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
    pthread_cond_destroy(&j->idle);
}

void ht_parallel(unsigned threads, size_t items, void (*fn)(void *ctx, size_t item), void *ctx) {
    unsigned most = ht_pool_threads();
    if (threads == 0 || threads > most)
        threads = most;
    if (threads > items)
        threads = (unsigned)items;
    job j = {.fn = fn, .ctx = ctx, .items = items};
    j.shared = threads > 1 && pthread_cond_init(&j.idle, NULL) == 0;
    if (j.shared) {
        pthread_mutex_lock(&pool.mutex);
        make_workers(most - 1);
        want(&j, threads - 1);
        pthread_mutex_unlock(&pool.mutex);
    }
    ht_pool_end(&j);
}
