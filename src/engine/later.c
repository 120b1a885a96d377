/*
 * later.c: queued upserts and the thread that commits them.
 */
#include "engine/later.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "engine/batch.h"

#define RETRY_MS 100u /* after a failure, at the earliest */

/* A request that nobody waits for, with all it speaks of. */
typedef struct queued {
    ht_request request; /* first: what the queue knows */
    ht_write write;
    hither_batch batch;
    char room[]; /* what the batch points to */
} queued;

static uint64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- copying a batch */

/* A bump of memory: measured first with base NULL, then filled. */
typedef struct room {
    char *base;
    size_t used;
    bool overflow;
} room;

static void *take(room *r, size_t count, size_t size) {
    size_t bytes, end;
    if (!ht_mul_size(count, size, &bytes) || !ht_add_size(bytes, 15, &bytes) ||
        !ht_add_size(r->used, bytes / 16 * 16, &end)) {
        r->overflow = true;
        return NULL;
    }
    char *there = r->base ? r->base + r->used : NULL;
    r->used = end;
    return there;
}

static void copy_strings(room *r, const hither_strings *from, hither_strings *to) {
    size_t n = from->count;
    if (!n)
        return;
    uint64_t begin = from->offsets[0], bytes = from->offsets[n] - begin;
    char *text = take(r, (size_t)bytes, 1);
    uint64_t *offsets = take(r, n + 1, sizeof *offsets);
    uint8_t *valid = from->valid ? take(r, (n + 7) / 8, 1) : NULL;
    if (!r->base)
        return;
    if (bytes)
        memcpy(text, from->bytes + begin, (size_t)bytes);
    for (size_t i = 0; i <= n; i++)
        offsets[i] = from->offsets[i] - begin;
    if (valid)
        memcpy(valid, from->valid, (n + 7) / 8);
    *to = (hither_strings){text, offsets, n, valid};
}

static void copy_named(room *r, const hither_named *from, hither_named *to) {
    const hither_matrix *m = &from->vectors;
    size_t n = from->count, row = m->dim * sizeof(float), stride = m->stride ? m->stride : row;
    size_t name = strlen(from->field) + 1;
    uint64_t end = from->offsets ? from->offsets[n] : 0;
    char *field = take(r, name, 1), *vectors = take(r, m->rows, row);
    uint64_t *offsets = from->offsets ? take(r, n + 1, sizeof *offsets) : NULL;
    uint32_t *indices = from->indices ? take(r, (size_t)end, sizeof *indices) : NULL;
    float *values = from->indices ? take(r, (size_t)end, sizeof *values) : NULL;
    uint8_t *valid = from->valid ? take(r, (n + 7) / 8, 1) : NULL;
    if (!r->base)
        return;
    memcpy(field, from->field, name);
    for (size_t i = 0; i < m->rows; i++)
        memcpy(vectors + i * row, (const char *)m->data + i * stride, row);
    if (offsets)
        memcpy(offsets, from->offsets, (n + 1) * sizeof *offsets);
    if (indices && end) {
        memcpy(indices, from->indices, (size_t)end * sizeof *indices);
        memcpy(values, from->values, (size_t)end * sizeof *values);
    }
    if (valid)
        memcpy(valid, from->valid, (n + 7) / 8);
    *to = (hither_named){.field = field,
                         .count = n,
                         .vectors = *m,
                         .offsets = offsets,
                         .indices = indices,
                         .values = values,
                         .valid = valid};
    to->vectors.data = vectors;
    to->vectors.stride = row;
}

static void copy_batch(room *r, const hither_batch *from, hither_batch *to) {
    const hither_matrix *m = &from->vectors;
    size_t row = m->dim * sizeof(float), stride = m->stride ? m->stride : row;
    int64_t *ints = from->ids.ints ? take(r, from->ids.count, sizeof *ints) : NULL;
    char *vectors = take(r, m->rows, row);
    if (r->base) {
        *to = (hither_batch){.size = sizeof *to, .vectors = *m};
        to->ids = (hither_ids){.ints = ints, .count = from->ids.count};
        to->vectors.data = vectors;
        to->vectors.stride = row;
        if (ints)
            memcpy(ints, from->ids.ints, from->ids.count * sizeof *ints);
        for (size_t i = 0; i < m->rows; i++)
            memcpy(vectors + i * row, (const char *)m->data + i * stride, row);
    }
    if (!from->ids.ints)
        copy_strings(r, &from->ids.strings, &to->ids.strings);
    copy_strings(r, &from->metadata, &to->metadata);
    copy_strings(r, &from->documents, &to->documents);
    hither_named *named = from->named_count ? take(r, from->named_count, sizeof *named) : NULL, unused;
    for (size_t i = 0; i < from->named_count; i++)
        copy_named(r, &from->named[i], r->base ? &named[i] : &unused);
    if (r->base) {
        to->named = named;
        to->named_count = from->named_count;
    }
}

void ht_later_free(ht_request *request) {
    queued *q = (queued *)(void *)request;
    ht_write_clear(&q->write);
    ht_collection_unref(request->c);
    ht_release(q);
}

static hither_status make(ht_collection *c, const char *embedder, const hither_batch *batch, queued **out,
                          hither_error *err) {
    hither_batch unused;
    room measured = {0};
    size_t bytes;
    copy_batch(&measured, batch, &unused);
    if (measured.overflow || !ht_add_size(sizeof(queued), measured.used + 16, &bytes))
        return ht_fail_nomem(err, SIZE_MAX, "a batch to be committed later");
    queued *q = ht_alloc(bytes);
    if (!q)
        return ht_fail_nomem(err, bytes, "a batch to be committed later");
    memset(q, 0, sizeof *q);
    room real = {.base = (char *)(((uintptr_t)q->room + 15) / 16 * 16)};
    copy_batch(&real, batch, &q->batch);
    hither_status status = ht_write_prepare(&q->write, c, HITHER_UPSERT, &q->batch, NULL, err);
    if (status != HITHER_OK) {
        ht_release(q);
        return status;
    }
    q->write.embedder = embedder; /* a shape's name: it stays */
    q->request = (ht_request){.c = ht_collection_ref(c),
                              .write = &q->write,
                              .bytes = q->write.row_count * ht_collection_shape(c)->width * sizeof(float),
                              .rows = q->write.row_count,
                              .detached = true,
                              .due_ms = now_ms() + c->db->settings.relaxed_ms};
    *out = q;
    return HITHER_OK;
}

/* ---- queueing */

bool ht_later_takes(const ht_db *db, hither_mode mode) { return db->queue.relaxed && mode == HITHER_UPSERT; }

static ht_id_kind committed_kind(ht_collection *c, hither_error *err, hither_status *status) {
    ht_scratch *scratch;
    *status = ht_scratch_take(&c->db->scratches, &scratch, err);
    if (*status != HITHER_OK)
        return HT_ID_UNKNOWN;
    ht_id_kind kind = ht_snapshot_pin(&c->home, scratch)->id_kind;
    ht_scratch_give(scratch);
    return kind;
}

/* Under the queue's lock. The first batch decides what ids a collection has, before it is committed. */
static hither_status agree_on_kind(ht_collection *c, ht_id_kind committed, const hither_ids *ids, hither_error *err) {
    HT_TRY(ht_id_kind_check(committed ? committed : c->queued_kind, ids, err));
    c->queued_kind = ht_ids_are_ints(ids) ? HT_ID_INT : HT_ID_TEXT;
    return HITHER_OK;
}

static bool enough(const ht_db *db) {
    return db->queue.rows >= db->settings.flush_rows || db->queue.bytes >= HT_GROUP_BYTES;
}

hither_status ht_later_put(ht_collection *c, const char *embedder, const hither_batch *batch, size_t *written,
                           hither_error *err) {
    ht_db *db = c->db;
    ht_queue *queue = &db->queue;
    queued *q = NULL;
    hither_status status;
    ht_id_kind kind = committed_kind(c, err, &status);
    HT_TRY(status);
    HT_TRY(make(c, embedder, batch, &q, err));
    size_t rows = q->request.rows;
    if (!rows) {
        ht_later_free(&q->request);
        if (written)
            *written = 0;
        return HITHER_OK;
    }
    pthread_mutex_lock(&queue->lock);
    status = agree_on_kind(c, kind, &q->batch.ids, err);
    bool strict = atomic_load_explicit(&c->strict, memory_order_relaxed); /* set under this lock */
    if (status == HITHER_OK && (queue->failing || strict)) { /* this one waits for its own commit, behind those */
        q->request.detached = false;
        status = ht_queue_wait(db, &q->request, err);
        pthread_mutex_unlock(&queue->lock);
        ht_later_free(&q->request);
    } else if (status == HITHER_OK) {
        ht_queue_add(queue, &q->request);
        pthread_cond_signal(&queue->work);
        while (queue->bytes >= 2 * HT_GROUP_BYTES && !queue->failing)
            pthread_cond_wait(&queue->moved, &queue->lock);
        pthread_mutex_unlock(&queue->lock);
    } else {
        pthread_mutex_unlock(&queue->lock);
        ht_later_free(&q->request);
    }
    if (status == HITHER_OK && written)
        *written = rows;
    return status;
}

/* ---- the thread */

static void wait_until(ht_queue *queue, uint64_t ms) {
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
    (void)pthread_cond_timedwait(&queue->work, &queue->lock, &t);
}

/* When the head of the queue is to be committed; 0: now. */
static uint64_t due(const ht_db *db, uint64_t retry) {
    const ht_queue *queue = &db->queue;
    if (queue->stop)
        return 0;
    if (queue->failing)
        return retry;
    return enough(db) ? 0 : queue->first->due_ms;
}

static void *commit_later(void *arg) {
    ht_db *db = arg;
    ht_queue *queue = &db->queue;
    uint64_t retry = 0;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        if (queue->leading) {
            pthread_cond_wait(&queue->moved, &queue->lock);
            continue;
        }
        if (!queue->first) {
            if (queue->stop)
                break;
            pthread_cond_wait(&queue->work, &queue->lock);
            continue;
        }
        uint64_t at = due(db, retry);
        if (at > now_ms()) {
            wait_until(queue, at);
            continue;
        }
        ht_queue_lead(db);
        retry = now_ms() + (db->settings.relaxed_ms > RETRY_MS ? db->settings.relaxed_ms : RETRY_MS);
        if (queue->stop && queue->failing)
            break;
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

hither_status ht_later_start(ht_db *db, hither_error *err) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the host's threads */
    int rc = pthread_create(&db->queue.thread, NULL, commit_later, db);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return ht_fail_errno(err, rc, "cannot start the thread that commits what waits");
    db->queue.relaxed = true;
    return HITHER_OK;
}

void ht_later_stop(ht_db *db) {
    ht_queue *queue = &db->queue;
    if (!queue->relaxed)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    pthread_cond_signal(&queue->work);
    pthread_mutex_unlock(&queue->lock);
    (void)pthread_join(queue->thread, NULL);
    while (queue->first) {
        ht_request *lost = queue->first;
        queue->first = lost->next;
        ht_later_free(lost);
    }
}
