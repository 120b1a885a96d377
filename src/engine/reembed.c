/*
 * reembed.c: see reembed.h. Each segment gets a twin of the new width, in which every live row has the vector that the
 * new embedder makes of its document, what it had in other fields, and its old slot; one transaction puts all twins in
 * the place of all old segments, and names the new embedder. So ids, documents, metadata, and all that is made of them
 * stay as they are, a snapshot is of the old vectors or of the new ones, and until that commit nothing has changed.
 *
 * Writers go on meanwhile: what they add is taken up in further passes, each over less, and the last few rows under the
 * writer lock. A row that dies meanwhile needs nothing. A batch that was embedded by the old one and comes after the
 * commit is refused as STALE, and embedded anew by its writer.
 */
#include "engine/reembed.h"

#include <string.h>

#include "engine/cache.h"
#include "engine/compact.h"
#include "engine/near.h"
#include "engine/reading.h"
#include "engine/rules.h"
#include "kernels/kernels.h"
#include "store/compact.h"

enum { AT_ONCE = 256, PASSES = 20, FEW = 64 /* rows that may be embedded under the writer lock */ };

typedef struct job {
    ht_collection *c;
    const ht_reembedding *with;
    ht_progress *progress;
    ht_shape *shape;        /* of what is made */
    ht_collection_row row;  /* as it will be, but for what commits change */
    ht_extent **from, **to; /* one reference each */
    size_t count;
    uint64_t done; /* slots below are in the twins */
    const ht_snapshot *s;
    ht_reader *reader;
    ht_column texts; /* of a batch */
    uint64_t wanted[AT_ONCE / 64];
    float *vectors;
    hither_error *err;
} job;

/* ---- one batch of rows */

static hither_status take_text(void *arg, uint64_t slot, ht_text document) {
    job *j = arg;
    if (!ht_snapshot_alive(j->s, slot))
        return HITHER_OK;
    if (!document.data) {
        ht_row row;
        HT_TRY(ht_reader_row(j->reader, slot, &row, j->err));
        if (row.id_kind == HT_ID_INT)
            return ht_fail(j->err, HITHER_INVALID, "the row with id %lld has no document to embed",
                           (long long)row.int_id);
        return ht_fail(j->err, HITHER_INVALID, "the row with id '%.*s' has no document to embed",
                       (int)ht_utf8_valid_prefix(row.text_id.data, ht_min_size(row.text_id.bytes, 64)),
                       row.text_id.data);
    }
    ht_column_add(&j->texts, document.data, document.bytes);
    return HITHER_OK;
}

/* The vectors of the live rows of slots [begin, end), packed, in j->vectors. */
static hither_status embed(job *j, uint64_t begin, uint64_t end) {
    hither_strings texts;
    ht_column_clear(&j->texts);
    ht_column_init(&j->texts);
    hither_status status = ht_reader_documents(j->reader, begin, end, take_text, j, j->err);
    if (status == HITHER_OK)
        status = ht_column_check(&j->texts, j->err);
    if (status == HITHER_OK && j->texts.count) {
        texts = ht_column_view(&j->texts);
        status = j->with->embed(j->with->ctx, &texts, j->vectors, j->err);
    }
    return status;
}

/* What a live row becomes: the new vector, and its fields where they are now. */
static void put_row(const job *j, const float *vector, const float *old, const ht_shape *was, float *out) {
    memcpy(out, vector, j->shape->dim * sizeof *out);
    for (uint32_t i = 0; i < was->field_count; i++)
        memcpy(out + j->shape->fields[i].at, old + was->fields[i].at, (was->fields[i].payload + 1) * sizeof *out);
}

/* Rows [begin, end) of a segment, positions, into its twin. */
static hither_status move_rows(job *j, ht_extent *from, ht_extent *to, uint64_t begin, uint64_t end, char *rows) {
    size_t next = 0, count = (size_t)(end - begin);
    uint64_t has[AT_ONCE / 64] = {0};
    HT_TRY(embed(j, from->first_slot + begin, from->first_slot + end));
    memset(rows, 0, count * to->stride);
    for (size_t i = 0; i < count; i++) {
        uint64_t slot = from->first_slot + begin + i;
        if (!ht_snapshot_alive(j->s, slot))
            continue;
        if (next == j->texts.count)
            return ht_fail(j->err, HITHER_CORRUPT, "the catalog has no row for slot %llu; run `hither verify`",
                           (unsigned long long)slot);
        HT_TRY(ht_extent_check_row(from, (size_t)(begin + i), j->err));
        put_row(j, j->vectors + next++ * j->shape->dim, ht_extent_row(from, slot), from->shape,
                (float *)(void *)(rows + i * to->stride));
        has[i / 64] |= (uint64_t)1 << i % 64;
    }
    return ht_segment_recast_rows(from->segment, to->segment, begin, count, rows, has, j->err);
}

/* ---- a pass */

static hither_status add_twin(job *j, ht_extent *from) {
    ht_segment *segment;
    ht_extent **a = ht_resize(j->from, (j->count + 1) * sizeof(ht_extent *));
    j->from = a ? a : j->from;
    ht_extent **b = ht_resize(j->to, (j->count + 1) * sizeof(ht_extent *));
    j->to = b ? b : j->to;
    if (!a || !b)
        return ht_fail_nomem(j->err, (j->count + 1) * sizeof(ht_extent *), "the segments of a collection");
    HT_TRY(ht_segment_recast(from->segment, j->shape->width, &segment, j->err));
    hither_status status = ht_extent_new(segment, j->shape, &j->to[j->count], j->err);
    if (status != HITHER_OK) {
        ht_segment_discard(segment);
        ht_segment_release(segment);
        return status;
    }
    j->from[j->count++] = ht_extent_acquire(from);
    return HITHER_OK;
}

/* All segments of the snapshot have twins; the writer lock is held. */
static hither_status add_twins(job *j, const ht_snapshot *s) {
    for (size_t i = j->count; i < s->extent_count; i++)
        HT_TRY(add_twin(j, s->extents[i]));
    return HITHER_OK;
}

static hither_status move_extent(job *j, size_t i, uint64_t limit, bool locked, char *rows) {
    ht_extent *from = j->from[i], *to = j->to[i];
    uint64_t first = from->first_slot, end = limit < first + from->capacity ? limit : first + from->capacity;
    for (uint64_t slot = j->done > first ? j->done : first, step; slot < end; slot += step) {
        step = end - slot < AT_ONCE ? end - slot : AT_ONCE;
        HT_TRY(move_rows(j, from, to, slot - first, slot - first + step, rows));
        if (!locked)
            HT_TRY(ht_progress_step(j->progress, step, j->err));
    }
    return HITHER_OK;
}

/* The rows of slots [j->done, limit) of the snapshot. */
static hither_status pass(job *j, const ht_snapshot *s, bool locked) {
    uint64_t seq;
    size_t stride = 0;
    for (size_t i = 0; i < j->count; i++)
        stride = j->to[i]->stride;
    char *rows = ht_alloc_aligned(AT_ONCE * (stride ? stride : 64));
    if (!rows)
        return ht_fail_nomem(j->err, AT_ONCE * stride, "rows to write");
    j->s = s;
    hither_status status = ht_reader_begin(j->c->db->store, j->c->cid, &j->reader, &seq, j->err);
    ht_fp_state fp = ht_fp_enter();
    for (size_t i = 0; i < j->count && status == HITHER_OK; i++)
        status = move_extent(j, i, s->slot_limit, locked, rows);
    ht_fp_leave(fp);
    ht_reader_end(j->reader);
    j->reader = NULL;
    ht_release(rows);
    if (status == HITHER_OK)
        j->done = s->slot_limit;
    return status;
}

static hither_status begin_pass(job *j, ht_snapshot **out) {
    ht_db *db = j->c->db;
    ht_scratch *scratch;
    HT_TRY(ht_scratch_take(&db->scratches, &scratch, j->err));
    pthread_mutex_lock(&db->writer);
    ht_snapshot *s = ht_snapshot_pin(&j->c->home, scratch);
    ht_snapshot_hold(s);
    hither_status status = add_twins(j, s);
    pthread_mutex_unlock(&db->writer);
    ht_scratch_give(scratch);
    *out = s;
    return status;
}

static hither_status passes(job *j) {
    hither_status status = HITHER_OK;
    for (int i = 0; i < PASSES && status == HITHER_OK; i++) {
        ht_snapshot *s = NULL;
        status = begin_pass(j, &s);
        uint64_t rows = s ? s->slot_limit - j->done : 0;
        if (status == HITHER_OK)
            status = ht_progress_phase(j->progress, "embedding", rows, j->err);
        if (status == HITHER_OK)
            status = pass(j, s, false);
        if (s)
            ht_snapshot_unhold(s);
        if (rows <= FEW)
            break;
    }
    for (size_t i = 0; i < j->count && status == HITHER_OK; i++)
        status = ht_segment_settle(j->to[i]->segment, j->err);
    return status;
}

/* ---- the change */

static hither_status commit(job *j, const ht_snapshot *now) {
    ht_store *store = j->c->db->store;
    HT_TRY(ht_txn_begin(store, j->err));
    hither_status status = HITHER_OK;
    for (size_t i = 0; i < j->count && status == HITHER_OK; i++) {
        uint64_t committed = now->slot_limit - j->from[i]->first_slot, capacity = j->from[i]->capacity;
        status = ht_txn_replace(store, j->from[i]->segment, j->to[i]->segment,
                                committed < capacity ? committed : capacity, j->row.commit_seq, j->err);
    }
    if (status == HITHER_OK)
        status = ht_txn_reembed(store, &j->row, j->err);
    if (status == HITHER_OK)
        return ht_txn_commit(store, j->err);
    ht_txn_rollback(store);
    return status;
}

/* After the commit, and nothing of it can fail. */
static void take_over(job *j, ht_snapshot *fresh) {
    ht_collection *c = j->c;
    ht_db *db = c->db;
    for (size_t i = 0; i < j->count; i++) {
        uint64_t committed = fresh->slot_limit - j->to[i]->first_slot, capacity = j->to[i]->capacity;
        ht_segment_commit(j->to[i]->segment, committed < capacity ? committed : capacity);
    }
    c->row = j->row;
    j->shape->companion = j->with->companion;
    j->shape->release = j->with->release;
    j->shape->next = atomic_load_explicit(&c->shape, memory_order_relaxed);
    ht_snapshot_publish(&c->home, fresh, &db->graveyard, &db->scratches);
    atomic_store_explicit(&c->shape, j->shape, memory_order_release);
    j->shape = NULL;
    ht_collection_forget_asked(c, c->row.dim);
    c->wish.dim = c->row.dim;
}

/* `building` and the writer lock are held; nothing waits to be committed later. */
static hither_status change(job *j, bool *committed) {
    ht_collection *c = j->c;
    const ht_snapshot *now = atomic_load_explicit(&c->home.current, memory_order_relaxed);
    ht_snapshot *fresh = NULL;
    if (atomic_load_explicit(&c->dropped, memory_order_acquire))
        return ht_fail(j->err, HITHER_NOT_FOUND, "the collection was dropped");
    HT_TRY(add_twins(j, now));
    HT_TRY(pass(j, now, true));
    for (size_t i = 0; i < j->count; i++)
        HT_TRY(ht_segment_settle(j->to[i]->segment, j->err));
    const ht_change all = {.seq = now->seq + 1,
                           .slot_limit = now->slot_limit,
                           .id_kind = now->id_kind,
                           .shape = j->shape,
                           .extents = j->to,
                           .extent_count = j->count};
    HT_TRY(ht_snapshot_make(now, &all, &fresh, j->err));
    ht_snapshot_set_near(fresh, NULL);
    uint32_t dim = j->row.dim, width = j->row.width;
    char name[sizeof j->row.embedder];
    memcpy(name, j->row.embedder, sizeof name);
    ht_vector_field fields[HITHER_MAX_FIELDS];
    memcpy(fields, j->row.fields, sizeof fields);
    j->row = c->row;
    j->row.dim = dim;
    j->row.width = width;
    memcpy(j->row.embedder, name, sizeof name);
    memcpy(j->row.fields, fields, sizeof fields);
    j->row.commit_seq = fresh->seq;
    hither_status status = commit(j, now);
    *committed = status == HITHER_OK || ht_store_poisoned(c->db->store);
    if (status != HITHER_OK) {
        ht_snapshot_free(fresh);
        return status;
    }
    take_over(j, fresh);
    HT_TRY(ht_store_harden(c->db->store, j->err));
    for (size_t i = 0; i < j->count; i++)
        ht_segment_discard(j->from[i]->segment);
    ht_cache_sweep(c->db->store, c->cid, j->to, j->count);
    return HITHER_OK;
}

static hither_status work(job *j, bool *committed) {
    ht_collection *c = j->c;
    HT_TRY(passes(j));
    /* From here on nobody's batch is acknowledged before it is committed: it would be of the old embedder's vectors. */
    ht_collection_hasten(c, true);
    hither_status status = ht_queue_flush(c->db, j->err);
    pthread_mutex_lock(&c->building);
    pthread_mutex_lock(&c->db->writer);
    if (status == HITHER_OK)
        status = change(j, committed);
    ht_collection_hasten(c, c->schema != NULL);
    bool due = status == HITHER_OK && ht_near_due(c, atomic_load_explicit(&c->home.current, memory_order_relaxed));
    pthread_mutex_unlock(&c->db->writer);
    pthread_mutex_unlock(&c->building);
    if (due)
        ht_upkeep_wake(c->db);
    return status;
}

static hither_status prepare(job *j) {
    pthread_mutex_lock(&j->c->db->writer);
    j->row = j->c->row;
    pthread_mutex_unlock(&j->c->db->writer);
    if (strlen(j->with->name) >= sizeof j->row.embedder)
        return ht_fail(j->err, HITHER_TOO_LARGE, "the embedder's name has %zu bytes; at most %zu are possible",
                       strlen(j->with->name), sizeof j->row.embedder - 1);
    memset(j->row.embedder, 0, sizeof j->row.embedder);
    memcpy(j->row.embedder, j->with->name, strlen(j->with->name));
    j->row.dim = j->with->dim;
    HT_TRY(ht_fields_place(&j->row, j->err));
    HT_TRY(ht_shape_new(&j->row, &j->shape, j->err));
    j->vectors = ht_calloc(AT_ONCE, j->with->dim * sizeof *j->vectors);
    return j->vectors ? HITHER_OK : ht_fail_nomem(j->err, AT_ONCE * sizeof *j->vectors, "vectors of documents");
}

hither_status ht_collection_reembed(ht_collection *c, const ht_reembedding *with, ht_progress *progress,
                                    hither_error *err) {
    job j = {.c = c, .with = with, .progress = progress, .err = err};
    bool committed = false, taken = false;
    hither_status status = ht_collection_check_write(c, err);
    if (status == HITHER_OK)
        status = ht_space_begin(c->db, err);
    if (status != HITHER_OK) {
        with->release(with->companion);
        return status;
    }
    ht_column_init(&j.texts);
    status = prepare(&j);
    taken = status == HITHER_OK;
    if (status == HITHER_OK)
        status = work(&j, &committed);
    for (size_t i = 0; i < j.count; i++) {
        if (!committed)
            ht_segment_discard(j.to[i]->segment);
        ht_extent_release(j.from[i]);
        ht_extent_release(j.to[i]);
    }
    ht_release((void *)j.from);
    ht_release((void *)j.to);
    ht_release(j.vectors);
    ht_column_clear(&j.texts);
    if (!taken || j.shape) /* nobody has taken it over */
        with->release(with->companion);
    ht_shapes_free(j.shape);
    ht_space_end(c->db);
    return status;
}
