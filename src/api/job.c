/*
 * job.c: work on a thread of its own: begun, watched, stopped, waited for. Any thread may do any of it.
 *
 * What must stay true: the thread touches the job only until it has called `ended`, and whoever frees the job has
 * joined the thread, or is the thread. In a forked child there is no thread, and its lock may be held by nobody who is
 * left: nothing but the generation is read there.
 */
#include "api/job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/pipe.h"
#include "base/result.h"
#include "engine/fork.h"

struct hither_job {
    uint64_t generation;
    pthread_t thread;
    ht_work work; /* the thread's, and then the freer's */
    ht_progress progress;
    void (*ended)(void *ctx, hither_job *job);
    void *ctx;
    bool orphan; /* freed by the thread itself, which lets go of the rest: the thread's own */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool cancelled, done, taken;
    const char *phase;
    uint64_t steps, of;
    int pipe[2]; /* -1: nobody has asked for it */
    hither_status status;
    hither_error error;
    hither_result *result;
};

static _Thread_local hither_job *mine; /* the job that this thread is */

/* ---- the thread */

static int note_progress(void *ctx, uint64_t done, uint64_t total) {
    hither_job *job = ctx;
    pthread_mutex_lock(&job->lock);
    job->steps = done;
    job->of = total;
    job->phase = job->progress.phase;
    bool stop = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    return stop;
}

static void dispose(hither_job *job) {
    if (job->pipe[0] >= 0)
        ht_pipe_close(job->pipe);
    ht_work_clear(&job->work);
    ht_release(job);
}

static void destroy(hither_job *job) {
    hither_result_free(job->result);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    dispose(job);
}

static void *work_on(void *arg) {
    hither_job *job = arg;
    hither_error err = {0};
    hither_result *result = NULL;
    mine = job;
    pthread_mutex_lock(&job->lock); /* held by who made this thread, until the job is all there */
    bool stop = job->cancelled;
    pthread_mutex_unlock(&job->lock);
    hither_status status = stop ? ht_fail(&err, HITHER_INTERRUPTED, "stopped on request before it began")
                                : job->work.run(&job->work, &job->progress, &result, &err);
    pthread_mutex_lock(&job->lock);
    job->status = status;
    job->error = err;
    job->result = result;
    job->done = true;
    if (job->pipe[0] >= 0)
        ht_pipe_signal(job->pipe);
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    if (job->ended)
        job->ended(job->ctx, job);
    mine = NULL;
    if (job->orphan)
        destroy(job);
    return NULL;
}

/* ---- beginning */

static hither_status make(ht_work *work, const hither_job_options *o, hither_job **out, hither_error *err) {
    pthread_condattr_t clock;
    hither_job *job = ht_calloc(1, sizeof *job);
    if (!job)
        return ht_fail_nomem(err, sizeof *job, "a job");
    job->generation = ht_fork_generation();
    job->work = *work;
    job->ended = o->ended;
    job->ctx = o->ctx;
    job->phase = "";
    job->pipe[0] = job->pipe[1] = -1;
    job->progress = (ht_progress){.call = note_progress, .ctx = job, .phase = "", .wait_ms = o->wait_ms};
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &clock);
    pthread_condattr_destroy(&clock);
    *out = job;
    return HITHER_OK;
}

hither_status ht_job_start(ht_work *work, const hither_job_options *options, hither_job **out, hither_error *err) {
    hither_job_options o;
    hither_job *job = NULL;
    sigset_t all, before;
    hither_status status = ht_options_read(&o, sizeof o, options, "hither_job_options", err);
    if (status == HITHER_OK)
        status = make(work, &o, &job, err);
    if (status != HITHER_OK) {
        ht_work_clear(work);
        return status;
    }
    pthread_mutex_lock(&job->lock);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the host's threads */
    int rc = pthread_create(&job->thread, NULL, work_on, job);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        *out = job; /* before the thread goes on: `ended` may look there */
    pthread_mutex_unlock(&job->lock);
    if (rc != 0) {
        destroy(job);
        return ht_fail_errno(err, rc, "cannot start a thread for the work");
    }
    return HITHER_OK;
}

/* ---- watching */

static hither_status enter(const hither_job *job, const void *needed, hither_error *err) {
    if (!job || !needed)
        return ht_fail(err, HITHER_INVALID, "%s is NULL", job ? "a pointer that is needed" : "the job");
    return ht_fork_check(job->generation, err);
}

hither_status hither_job_progress(hither_job *job, hither_progress *out, hither_error *err) {
    HT_TRY(enter(job, out, err));
    hither_progress now = {.size = sizeof now};
    pthread_mutex_lock(&job->lock);
    now.phase = job->phase ? job->phase : "";
    now.done = job->steps;
    now.total = job->of;
    now.ended = job->done;
    pthread_mutex_unlock(&job->lock);
    if (out->size != sizeof now)
        return ht_fail(err, HITHER_INVALID, "hither_progress.size is %zu, not %zu", out->size, sizeof now);
    *out = now;
    return HITHER_OK;
}

hither_status hither_job_cancel(hither_job *job, hither_error *err) {
    HT_TRY(enter(job, job, err));
    pthread_mutex_lock(&job->lock);
    job->cancelled = true;
    pthread_mutex_unlock(&job->lock);
    return HITHER_OK;
}

/* Waits under the lock; false when the time is up. timeout_ms below 0: for ever. */
static bool wait_for_end(hither_job *job, int64_t timeout_ms) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (timeout_ms > 0) {
        until.tv_sec += (time_t)(timeout_ms / 1000);
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
    }
    while (!job->done) {
        if (timeout_ms < 0)
            (void)pthread_cond_wait(&job->changed, &job->lock);
        else if (pthread_cond_timedwait(&job->changed, &job->lock, &until) == ETIMEDOUT)
            break;
    }
    return job->done;
}

hither_status hither_job_wait(hither_job *job, int64_t timeout_ms, hither_error *err) {
    const int64_t longest = (int64_t)365 * 24 * 3600 * 1000; /* what no clock overflows by */
    HT_TRY(enter(job, job, err));
    pthread_mutex_lock(&job->lock);
    bool done = wait_for_end(job, timeout_ms < longest ? timeout_ms : longest);
    pthread_mutex_unlock(&job->lock);
    return done ? HITHER_OK
                : ht_fail(err, HITHER_TIMEOUT, "the job had not ended after %lld ms", (long long)timeout_ms);
}

hither_status hither_job_result(hither_job *job, hither_result **out, hither_error *err) {
    HT_TRY(enter(job, job, err));
    pthread_mutex_lock(&job->lock);
    (void)wait_for_end(job, -1);
    hither_status status = job->status;
    if (out && job->taken)
        status = ht_fail(err, HITHER_INVALID, "the job's result has been taken already");
    else if (err && status != HITHER_OK)
        *err = job->error;
    if (out && !job->taken) {
        *out = job->result;
        job->taken = job->result != NULL;
        job->result = NULL;
    }
    pthread_mutex_unlock(&job->lock);
    return status;
}

hither_status hither_job_fd(hither_job *job, int *fd, hither_error *err) {
    int rc = 0;
    HT_TRY(enter(job, fd, err));
    pthread_mutex_lock(&job->lock);
    if (job->pipe[0] < 0) {
        rc = ht_pipe_open(job->pipe);
        if (rc == 0 && job->done)
            ht_pipe_signal(job->pipe);
    }
    if (rc == 0)
        *fd = job->pipe[0];
    else
        job->pipe[0] = job->pipe[1] = -1;
    pthread_mutex_unlock(&job->lock);
    return rc == 0 ? HITHER_OK : ht_fail_errno(err, rc, "cannot make a pipe");
}

void hither_job_free(hither_job *job) {
    if (!job)
        return;
    if (ht_fork_check(job->generation, NULL) != HITHER_OK) {
        dispose(job); /* the thread is not here, nor anyone who could hold the lock */
        return;
    }
    if (mine == job) {
        (void)pthread_detach(pthread_self());
        job->orphan = true;
        return;
    }
    (void)hither_job_cancel(job, NULL);
    (void)pthread_join(job->thread, NULL);
    destroy(job);
}
