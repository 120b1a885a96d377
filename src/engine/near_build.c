/*
 * near_build.c: wishes, and granting them. Building reads a snapshot that it holds; what it makes is put in force as a
 * new snapshot of the same rows, whatever was committed meanwhile: those rows count as later ones.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "engine/cache.h"
#include "engine/near.h"
#include "engine/parts.h"
#include "kernels/kernels.h"

#define LEAST_LATER  1024u /* rows that wait before it pays to build them in */
#define LATER_SHARE  8u    /* and at least this part of what is built */
#define DEAD_SHARE   5u    /* taken out when they are this part of what is built */
#define CACHE_KIND   "near"
#define CACHE_RECIPE 1u

ht_near *ht_near_acquire(ht_near *near) {
    if (near)
        atomic_fetch_add_explicit(&near->references, 1, memory_order_relaxed);
    return near;
}

void ht_near_release(ht_near *near) {
    if (!near || atomic_fetch_sub_explicit(&near->references, 1, memory_order_acq_rel) != 1)
        return;
    if (near->approx && !near->owner)
        near->approx->kind->free(near->approx);
    ht_near_release(near->owner);
    ht_container_close(near->file);
    ht_release(near);
}

static ht_near *near_new(void) {
    ht_near *near = ht_calloc(1, sizeof *near);
    if (near)
        atomic_init(&near->references, 1);
    return near;
}

static uint64_t rows_of(const ht_approx *approx) {
    ht_approx_facts facts;
    approx->kind->describe(approx, &facts);
    return facts.rows;
}

/* ---- the wish, as text in the catalog */

/* Under the collection's `building`, or before anybody else sees it. */
static void take_wish(ht_collection *c, const ht_approx_spec *spec) {
    const ht_approx_kind *kind = ht_approx_kind_of(spec->kind);
    c->wish = *spec;
    atomic_store_explicit(&c->least, kind ? kind->least : SIZE_MAX, memory_order_relaxed);
}

static void write_wish(const ht_approx_spec *spec, char *out, size_t room) {
    (void)snprintf(out, room, "%u %u %u %u %u %llu", (unsigned)spec->kind, spec->m, spec->ef_build, spec->bits,
                   spec->lists, (unsigned long long)spec->seed);
}

/* false: the text is none of ours; a newer hither may know kinds that this one does not. */
static bool read_wish(const ht_collection *c, const char *text, ht_approx_spec *out) {
    unsigned kind;
    unsigned long long seed;
    ht_approx_spec spec = {.dtype = HITHER_F32, .metric = c->metric, .dim = c->dim};
    if (sscanf(text, "%u %u %u %u %u %llu", &kind, &spec.m, &spec.ef_build, &spec.bits, &spec.lists, &seed) != 6)
        return false;
    spec.kind = (hither_kind)kind;
    spec.seed = seed;
    const ht_approx_kind *known = ht_approx_kind_of(spec.kind);
    if (!known || !known->takes(spec.dtype, spec.metric) || known->complete(&spec, NULL) != HITHER_OK)
        return false;
    *out = spec;
    return true;
}

/* ---- from the cache */

static uint64_t read_gone(ht_container *file) {
    uint64_t gone = 0;
    size_t bytes;
    const void *data = ht_container_section(file, "gone", &bytes);
    if (data && bytes == sizeof gone && ht_container_touch(file, "gone", 0, bytes, NULL) == HITHER_OK)
        memcpy(&gone, data, sizeof gone);
    return gone;
}

/* The cache of the rows in the snapshot, or NULL. */
static ht_near *load_cache(ht_collection *c, const ht_snapshot *s, const ht_vectors *vectors) {
    const ht_cache_key key = {.kind = CACHE_KIND, .cid = c->cid, .recipe = CACHE_RECIPE};
    ht_cache cache = ht_cache_load(c->db->store, &key, s->extents, s->extent_count, s->slot_limit);
    if (!cache.file)
        return NULL;
    ht_near *near = near_new();
    size_t bytes;
    const void *curve = ht_container_section(cache.file, "curve", &bytes);
    bool sound = near && curve && bytes == sizeof near->curve &&
                 ht_container_touch(cache.file, "curve", 0, bytes, NULL) == HITHER_OK;
    if (sound) {
        memcpy(&near->curve, curve, sizeof near->curve);
        sound = ht_approx_curve_sound(&near->curve) &&
                ht_approx_kind_of(c->wish.kind)->get(&c->wish, cache.file, vectors, &near->approx, NULL) == HITHER_OK;
    }
    if (!sound) {
        ht_container_close(cache.file);
        ht_near_release(near);
        return NULL;
    }
    near->file = cache.file;
    near->picked = c->wish.kind == HITHER_AUTO;
    near->limit = cache.slots;
    near->rows = rows_of(near->approx);
    near->gone = read_gone(cache.file);
    return near;
}

void ht_near_load(ht_collection *c, ht_snapshot *first) {
    char text[HT_INDEX_BYTES];
    ht_scratch *scratch = NULL;
    ht_vectors vectors;
    ht_approx_spec wish;
    if (ht_store_index(c->db->store, c->cid, text, NULL) != HITHER_OK || !text[0] || !read_wish(c, text, &wish))
        return;
    take_wish(c, &wish);
    if (c->db->memory || ht_scratch_take(&c->db->scratches, &scratch, NULL) != HITHER_OK)
        return;
    ht_fp_state fp = ht_fp_enter();
    if (ht_parts_make(first, scratch, c->dim, c->metric, 0, &vectors, NULL) == HITHER_OK) {
        ht_near *near = load_cache(c, first, &vectors);
        if (near)
            ht_snapshot_set_near(first, near);
        ht_near_release(near);
    }
    ht_fp_leave(fp);
    ht_scratch_give(scratch);
}

/* ---- to the cache */

typedef struct putting {
    const ht_near *near;
} putting;

static hither_status put_near(void *ctx, ht_container_writer *writer, hither_error *err) {
    const ht_near *near = ((const putting *)ctx)->near;
    HT_TRY(ht_container_begin(writer, "curve", err));
    HT_TRY(ht_container_put(writer, &near->curve, sizeof near->curve, err));
    HT_TRY(ht_container_begin(writer, "gone", err));
    HT_TRY(ht_container_put(writer, &near->gone, sizeof near->gone, err));
    return near->approx->kind->put(near->approx, writer, err);
}

/* A failure to keep it costs the next open time. */
static void save_cache(ht_collection *c, const ht_snapshot *s, const ht_near *near) {
    const ht_cache_key key = {.kind = CACHE_KIND, .cid = c->cid, .recipe = CACHE_RECIPE};
    putting p = {near};
    if (c->db->memory)
        return;
    hither_status ignored = ht_cache_write(c->db->store, &key, s->extents, s->extent_count, near->limit,
                                           &(ht_cache_content){put_near, &p}, NULL);
    (void)ignored;
}

/* ---- building */

bool ht_near_due(const ht_collection *c, const ht_snapshot *s) {
    const ht_near *near = s->near;
    if (!near)
        return s->live_count >= (uint64_t)atomic_load_explicit(&c->least, memory_order_relaxed);
    uint64_t later = s->slot_limit - near->limit;
    return (later >= LEAST_LATER && later >= near->rows / LATER_SHARE) ||
           near->rows - s->near_live > near->rows / DEAD_SHARE;
}

static int step(void *ctx, uint64_t done, uint64_t of) {
    ht_progress *p = ctx;
    p->done = done;
    p->total = of;
    return ht_progress_step(p, 0, NULL) != HITHER_OK;
}

/* The slots of live rows from `from` on. */
static hither_status list_slots(const ht_snapshot *s, uint64_t from, uint64_t **out, size_t *count, hither_error *err) {
    uint64_t *slots = ht_alloc((size_t)(s->slot_limit - from + 1) * sizeof *slots);
    *count = 0;
    if (!slots)
        return ht_fail_nomem(err, (size_t)(s->slot_limit - from) * sizeof *slots, "the rows of a graph");
    for (uint64_t slot = ht_snapshot_next(s, from); slot < s->slot_limit; slot = ht_snapshot_next(s, slot + 1))
        slots[(*count)++] = slot;
    *out = slots;
    return HITHER_OK;
}

/* What there is, without its dead rows where those are many, and with the rows that came later; all of it anew once too
 * many went. */
static hither_status make_approx(const ht_collection *c, const ht_snapshot *s, const ht_vectors *vectors,
                                 ht_progress *progress, ht_near *out, hither_error *err) {
    const ht_approx_kind *kind = ht_approx_kind_of(c->wish.kind);
    const ht_near *was = s->near;
    const uint64_t dead = was ? was->rows - s->near_live : 0;
    const bool prune = was && dead > was->rows / DEAD_SHARE;
    const bool anew = !was || (prune && ht_approx_worn(s->live_count, was->gone + dead)) ||
                      was->approx->kind != ht_approx_granted(&c->wish, s->live_count);
    const ht_approx *from = anew ? NULL : was->approx;
    ht_approx *pruned = NULL;
    ht_mask live = ht_snapshot_mask(s);
    uint64_t *slots = NULL;
    size_t count = 0;
    hither_status status = list_slots(s, anew ? 0 : was->limit, &slots, &count, err);
    if (status == HITHER_OK && prune && !anew) {
        status = kind->repaired(from, &live, false, 0, &pruned, err);
        from = pruned;
    }
    if (status == HITHER_OK) {
        const ht_hnsw_progress steps = {.step = step, .ctx = progress};
        status = kind->extended(from, &c->wish, vectors, slots, count, 0, &steps, &out->approx, err);
    }
    out->gone = anew ? 0 : was->gone + (prune ? dead : 0);
    if (pruned)
        kind->free(pruned);
    ht_release(slots);
    return status;
}

/* In force from now on, for the rows as they are now. */
static hither_status publish(ht_collection *c, ht_near *near, hither_error *err) {
    ht_db *db = c->db;
    ht_snapshot *fresh = NULL;
    pthread_mutex_lock(&db->writer);
    const ht_snapshot *now = atomic_load_explicit(&c->home.current, memory_order_relaxed);
    ht_change change = {.seq = now->seq,
                        .slot_limit = now->slot_limit,
                        .id_kind = now->id_kind,
                        .extents = now->extents,
                        .extent_count = now->extent_count};
    hither_status status = ht_snapshot_make(now, &change, &fresh, err);
    if (status == HITHER_OK) {
        ht_snapshot_set_near(fresh, near);
        ht_snapshot_publish(&c->home, fresh, &db->graveyard, &db->scratches);
    }
    pthread_mutex_unlock(&db->writer);
    return status;
}

/* The queries that were asked, copied; NULL where there are none. */
static float *copy_asked(ht_collection *c, size_t *count) {
    float *copy = NULL;
    pthread_mutex_lock(&c->asked.lock);
    *count = c->asked.count;
    if (c->asked.count)
        copy = ht_memdup(c->asked.rows, c->asked.count * c->dim * sizeof *copy);
    pthread_mutex_unlock(&c->asked.lock);
    *count = copy ? *count : 0;
    return copy;
}

static hither_status measure(ht_collection *c, const ht_snapshot *s, ht_scratch *scratch, ht_near *fresh,
                             hither_error *err) {
    ht_vectors vectors;
    ht_mask live = ht_snapshot_mask(s);
    size_t count;
    HT_TRY(ht_parts_make(s, scratch, c->dim, c->metric, 0, &vectors, err));
    float *asked = copy_asked(c, &count);
    hither_status status =
        ht_approx_measure(fresh->approx, &vectors, &live, fresh->limit, asked, count, 0, &fresh->curve, err);
    ht_release(asked);
    return status;
}

static hither_status build_from(ht_collection *c, const ht_snapshot *s, ht_scratch *scratch, ht_progress *progress,
                                hither_error *err) {
    ht_vectors vectors;
    HT_TRY(ht_parts_make(s, scratch, c->dim, c->metric, 0, &vectors, err));
    ht_near *near = near_new();
    if (!near)
        return ht_fail_nomem(err, sizeof *near, "an index");
    near->limit = s->slot_limit;
    near->picked = c->wish.kind == HITHER_AUTO;
    hither_status status = make_approx(c, s, &vectors, progress, near, err);
    if (status == HITHER_OK)
        status = measure(c, s, scratch, near, err);
    if (status == HITHER_OK)
        near->rows = rows_of(near->approx);
    if (status == HITHER_OK)
        status = publish(c, near, err);
    if (status == HITHER_OK)
        save_cache(c, s, near);
    ht_near_release(near);
    return status;
}

hither_status ht_near_build(ht_collection *c, ht_progress *progress, hither_error *err) {
    ht_scratch *scratch = NULL;
    HT_TRY(ht_scratch_take(&c->db->scratches, &scratch, err));
    pthread_mutex_lock(&c->building);
    ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    ht_fp_state fp = ht_fp_enter();
    hither_status status = HITHER_OK;
    const bool few = c->wish.kind == HITHER_AUTO && s->live_count < ht_approx_auto.least;
    if (ht_approx_kind_of(c->wish.kind) && s->live_count > 0 && !few)
        status = build_from(c, s, scratch, progress, err);
    ht_fp_leave(fp);
    pthread_mutex_unlock(&c->building);
    ht_scratch_give(scratch);
    return status;
}

hither_status ht_near_measure(ht_collection *c, hither_error *err) {
    ht_scratch *scratch = NULL;
    ht_near *fresh = near_new();
    hither_status status =
        fresh ? ht_scratch_take(&c->db->scratches, &scratch, err) : ht_fail_nomem(err, sizeof *fresh, "an index");
    if (status != HITHER_OK) {
        ht_near_release(fresh);
        return status;
    }
    pthread_mutex_lock(&c->building);
    ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    ht_fp_state fp = ht_fp_enter();
    if (s->near) {
        ht_near *owner = s->near->owner ? s->near->owner : s->near;
        fresh->approx = s->near->approx;
        fresh->limit = s->near->limit;
        fresh->rows = s->near->rows;
        fresh->gone = s->near->gone;
        fresh->picked = s->near->picked;
        fresh->owner = ht_near_acquire(owner);
        status = measure(c, s, scratch, fresh, err);
        if (status == HITHER_OK)
            status = publish(c, fresh, err);
        if (status == HITHER_OK)
            save_cache(c, s, fresh);
    }
    ht_fp_leave(fp);
    pthread_mutex_unlock(&c->building);
    ht_near_release(fresh);
    ht_scratch_give(scratch);
    return status;
}

/* ---- wishing */

static hither_status set_wish(ht_collection *c, const ht_approx_spec *spec, hither_error *err) {
    char text[HT_INDEX_BYTES] = "";
    if (spec->kind != HITHER_EXACT)
        write_wish(spec, text, sizeof text);
    pthread_mutex_lock(&c->building);
    pthread_mutex_lock(&c->db->writer);
    hither_status status = ht_store_set_index(c->db->store, c->cid, text, err);
    pthread_mutex_unlock(&c->db->writer);
    if (status == HITHER_OK) {
        take_wish(c, spec);
        c->wish.dim = c->dim; /* the collection may have been moved to another embedder since we looked */
    }
    pthread_mutex_unlock(&c->building);
    return status;
}

hither_status ht_collection_index(ht_collection *c, const ht_approx_spec *given, ht_progress *progress,
                                  hither_error *err) {
    ht_approx_spec spec = *given;
    HT_TRY(ht_collection_check_write(c, err));
    spec.dtype = HITHER_F32;
    spec.metric = c->metric;
    spec.dim = c->dim;
    const ht_approx_kind *kind = ht_approx_kind_of(spec.kind);
    if (!kind && spec.kind != HITHER_EXACT)
        return ht_fail(err, HITHER_INVALID, "kind %d is none of hither_kind", (int)spec.kind);
    if (kind && !kind->takes(spec.dtype, spec.metric))
        return ht_fail(err, HITHER_UNSUPPORTED, "%s does not take this collection's metric; it is searched exactly",
                       kind->name);
    if (kind)
        HT_TRY(kind->complete(&spec, err));
    HT_TRY(set_wish(c, &spec, err));
    HT_TRY(publish(c, NULL, err)); /* what was made by another wish */
    return kind ? ht_near_build(c, progress, err) : HITHER_OK;
}
