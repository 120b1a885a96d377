/*
 * collection.c: one object per collection and database: finding or making it, loading what the catalog has committed,
 * following the commits of other processes, and being dropped under open handles. Any thread.
 */
#include <stdio.h>
#include <string.h>

#include "engine/codes_cache.h"
#include "engine/near.h"
#include "engine/plan.h"
#include "engine/rules.h"
#include "engine/unique.h"

/* ---- counts */

ht_collection *ht_collection_ref(ht_collection *c) {
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

void ht_collection_unref(ht_collection *c) {
    if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1)
        return;
    if (c->db->generation == ht_fork_generation()) {
        ht_snapshot_free(atomic_load_explicit(&c->home.current, memory_order_relaxed));
        ht_row_sets_clear(&c->row_sets);
        ht_uniques_clear(&c->uniques);
        ht_schema_free(c->schema);
        (void)pthread_mutex_destroy(&c->building);
        (void)pthread_mutex_destroy(&c->asked.lock);
        ht_release(c->asked.rows);
        ht_shapes_free(atomic_load_explicit(&c->shape, memory_order_relaxed));
    }
    ht_release(c);
}

void ht_collection_close(ht_collection *c) {
    if (!c)
        return;
    ht_db *db = c->db;
    ht_collection_unref(c);
    ht_db_close(db);
}

void ht_collection_forget(ht_db *db, int64_t cid) {
    pthread_mutex_lock(&db->table);
    ht_collection **link = &db->collections;
    while (*link && (*link)->cid != cid)
        link = &(*link)->next;
    ht_collection *c = *link;
    if (c) {
        *link = c->next;
        atomic_store_explicit(&c->dropped, true, memory_order_release);
    }
    pthread_mutex_unlock(&db->table);
    ht_collection_unref(c);
}

/* ---- loading */

hither_status ht_collection_reshape(ht_collection *c, const ht_collection_row *row, hither_error *err) {
    ht_shape *old = atomic_load_explicit(&c->shape, memory_order_relaxed), *fresh;
    if (old && ht_shape_fits(old, row))
        return HITHER_OK;
    HT_TRY(ht_shape_new(row, &fresh, err));
    fresh->next = old;
    atomic_store_explicit(&c->shape, fresh, memory_order_release);
    ht_collection_forget_asked(c, row->dim);
    return HITHER_OK;
}

void ht_collection_forget_asked(ht_collection *c, uint32_t dim) {
    pthread_mutex_lock(&c->asked.lock);
    atomic_store_explicit(&c->dim, dim, memory_order_release);
    ht_release(c->asked.rows);
    c->asked.rows = NULL;
    c->asked.count = c->asked.next = 0;
    pthread_mutex_unlock(&c->asked.lock);
}

static void raise_floor(ht_collection *c, uint64_t floor) {
    uint64_t known = atomic_load_explicit(&c->floor, memory_order_relaxed);
    while (known < floor && !atomic_compare_exchange_weak_explicit(&c->floor, &known, floor, memory_order_release,
                                                                   memory_order_relaxed)) {
    }
}

typedef struct dead_list {
    uint64_t *slots;
    size_t count, room;
    uint64_t limit;
    hither_error *err;
} dead_list;

static hither_status add_dead(void *arg, uint64_t slot, uint64_t dead_seq) {
    dead_list *list = arg;
    (void)dead_seq;
    if (slot >= list->limit)
        return ht_fail(list->err, HITHER_CORRUPT, "the catalog has a row at slot %llu, past the collection's %llu",
                       (unsigned long long)slot, (unsigned long long)list->limit);
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 256;
        uint64_t *grown = ht_resize(list->slots, room * sizeof *grown);
        if (!grown)
            return ht_fail_nomem(list->err, room * sizeof *grown, "the list of dead rows");
        list->slots = grown;
        list->room = room;
    }
    list->slots[list->count++] = slot;
    return HITHER_OK;
}

/* The base's extent of the same segment, told how many rows count now, or a new one. Takes the segment over. */
static hither_status adopt(ht_collection *c, const ht_snapshot *base, ht_segment *segment, uint64_t committed,
                           ht_extent **out, hither_error *err) {
    const ht_segment_info *info = ht_segment_describe(segment);
    for (size_t i = 0; base && i < base->extent_count; i++) {
        if (base->extents[i]->sid == info->sid) {
            *out = ht_extent_acquire(base->extents[i]);
            ht_segment_commit((*out)->segment, info->committed);
            ht_segment_release(segment);
            return HITHER_OK;
        }
    }
    hither_status status = ht_extent_new(segment, ht_collection_shape(c), out, err);
    if (status != HITHER_OK)
        ht_segment_release(segment);
    else if (!c->db->memory)
        ht_codes_load(c->db->store, *out, committed);
    return status;
}

/* The collection's segments as extents, with what is kept of their rows below `committed`; *count is right even on
 * failure, for the caller to release. */
static hither_status load_extents(ht_collection *c, const ht_snapshot *base, uint64_t committed, ht_reader *reader,
                                  ht_extent ***out, size_t *count, hither_error *err) {
    ht_segment **segments = NULL;
    size_t n = 0;
    HT_TRY(ht_reader_segments(reader, &segments, &n, err));
    hither_status status = HITHER_OK;
    ht_extent **extents = ht_calloc(n, sizeof(ht_extent *));
    if (!extents)
        status = ht_fail_nomem(err, n * sizeof(ht_extent *), "the segments of a collection");
    for (size_t i = 0; i < n; i++) {
        if (status == HITHER_OK) {
            status = adopt(c, base, segments[i], committed, &extents[i], err);
            *count += status == HITHER_OK;
        } else {
            ht_segment_release(segments[i]);
        }
    }
    ht_release(segments);
    *out = extents;
    return status;
}

static bool has_extent(const ht_snapshot *base, const ht_extent *extent) {
    for (size_t i = 0; base && i < base->extent_count; i++)
        if (base->extents[i] == extent)
            return true;
    return false;
}

/* Slots [begin, end) have no segment any more: they are dead, and were so in `base` if it had none of them either. */
static hither_status add_gap(const ht_snapshot *base, uint64_t begin, uint64_t end, dead_list *dead) {
    hither_status status = HITHER_OK;
    for (; begin < end && status == HITHER_OK; begin++)
        if (!base || begin >= base->slot_limit || ht_snapshot_alive(base, begin))
            status = add_dead(dead, begin, 0);
    return status;
}

/* The slots that compaction has dropped: neither rows nor `base` tell of them. */
static hither_status add_dropped(const ht_snapshot *base, ht_extent *const *extents, size_t count, dead_list *dead) {
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const ht_segment *segment = extents[i]->segment;
        const ht_segment_info *info = ht_segment_describe(segment);
        HT_TRY(add_gap(base, end, info->first_slot, dead));
        end = info->first_slot + info->capacity;
        if (!ht_segment_sparse(segment) || has_extent(base, extents[i]))
            continue;
        for (uint64_t p = 0; p < info->committed; p++)
            if (ht_segment_dropped(segment, p))
                HT_TRY(add_dead(dead, info->first_slot + p, 0));
    }
    return HITHER_OK;
}

/* The catalog's row, dead rows and segments, as one snapshot on top of `base`. */
static hither_status load_snapshot(ht_collection *c, const ht_snapshot *base, const ht_collection_row *row,
                                   ht_reader *reader, ht_snapshot **out, hither_error *err) {
    dead_list dead = {.limit = row->next_slot, .err = err};
    ht_extent **extents = NULL;
    size_t count = 0;
    hither_status status = ht_reader_dead(reader, base ? base->seq : 0, add_dead, &dead, err);
    if (status == HITHER_OK)
        status = load_extents(c, base, row->next_slot, reader, &extents, &count, err);
    if (status == HITHER_OK)
        status = add_dropped(base, extents, count, &dead);
    if (status == HITHER_OK) {
        ht_change change = {.seq = row->commit_seq,
                            .slot_limit = row->next_slot,
                            .id_kind = row->id_kind,
                            .shape = ht_collection_shape(c),
                            .extents = extents,
                            .extent_count = count,
                            .dead = dead.slots,
                            .dead_count = dead.count};
        status = ht_snapshot_make(base, &change, out, err);
    }
    for (size_t i = 0; i < count; i++)
        ht_extent_release(extents[i]);
    ht_release(extents);
    ht_release(dead.slots);
    if (status == HITHER_OK && (*out)->live_count != row->live_count) {
        status = ht_fail(err, HITHER_CORRUPT, "collection '%s': the catalog counts %llu live rows and has %llu",
                         row->name, (unsigned long long)row->live_count, (unsigned long long)(*out)->live_count);
        ht_snapshot_free(*out);
        *out = NULL;
    }
    return status;
}

/* Whether the vectors are those of the base. Another process that embeds all rows anew replaces every segment, and so
 * may one that compacts: what was made of the vectors then has to be in the cache to be used further. */
static bool same_vectors(const ht_snapshot *base, const ht_snapshot *fresh) {
    bool same = base->shape == fresh->shape && !base->extent_count;
    for (size_t i = 0; base->shape == fresh->shape && i < fresh->extent_count && !same; i++)
        same = has_extent(base, fresh->extents[i]);
    return same;
}

/* *overtaken: a segment is gone, for compaction or a drop came after this reader. */
static hither_status load(ht_collection *c, bool *overtaken, hither_error *err) {
    const ht_snapshot *base = atomic_load_explicit(&c->home.current, memory_order_relaxed);
    ht_reader *reader;
    uint64_t seq;
    ht_collection_row row;
    ht_snapshot *fresh = NULL;
    HT_TRY(ht_reader_begin(c->db->store, c->cid, &reader, &seq, err));
    hither_status status = ht_reader_collection(reader, &row, err);
    int64_t ttl = HT_TTL_OFF;
    if (status == HITHER_OK)
        status = ht_reader_ttl(reader, &ttl, err);
    if (status == HITHER_OK)
        status = ht_collection_reshape(c, &row, err);
    if (status == HITHER_OK && !(base && base->seq == row.commit_seq))
        status = load_snapshot(c, base, &row, reader, &fresh, err);
    if (status == HITHER_OK && fresh && !base && (status = ht_made_new(&fresh->made, err)) != HITHER_OK)
        ht_snapshot_free(fresh);
    *overtaken = status == HITHER_NOT_FOUND;
    uint64_t floor = ht_reader_floor(reader);
    ht_reader_end(reader);
    if (status == HITHER_OK)
        atomic_store_explicit(&c->ttl, ttl, memory_order_release);
    if (status != HITHER_OK || !fresh)
        return status;
    c->row = row;
    raise_floor(c, floor); /* before anybody makes things of these rows that readers of older ones then meet */
    if (base && !same_vectors(base, fresh))
        ht_snapshot_set_near(fresh, NULL);
    if (!base || !same_vectors(base, fresh))
        ht_near_load(c, fresh);
    ht_snapshot_publish(&c->home, fresh, &c->db->graveyard, &c->db->scratches);
    return HITHER_OK;
}

hither_status ht_collection_load(ht_collection *c, hither_error *err) {
    bool overtaken = true;
    hither_status status = HITHER_OK;
    for (int i = 0; i < HT_STALE_ATTEMPTS && overtaken; i++) {
        overtaken = false;
        status = load(c, &overtaken, err);
    }
    return overtaken
               ? ht_fail(err, HITHER_CORRUPT, "a segment of collection '%s' is gone; run `hither verify`", c->row.name)
               : status;
}

/* ---- the table */

static hither_status make(ht_db *db, const ht_collection_row *row, ht_collection **out, hither_error *err) {
    uint64_t version = 0;
    if (db->readonly)
        HT_TRY(ht_store_data_version(db->store, &version, err));
    ht_collection *c = ht_calloc(1, sizeof *c);
    if (!c)
        return ht_fail_nomem(err, sizeof *c, "a collection");
    hither_status status = ht_row_sets_init(&c->row_sets, err);
    if (status != HITHER_OK) {
        ht_release(c);
        return status;
    }
    (void)pthread_mutex_init(&c->building, NULL);
    (void)pthread_mutex_init(&c->asked.lock, NULL);
    c->wish.kind = HITHER_EXACT;
    atomic_init(&c->least, SIZE_MAX);
    atomic_init(&c->references, 1);
    atomic_init(&c->home.current, NULL);
    atomic_init(&c->dropped, false);
    atomic_init(&c->floor, 0);
    atomic_init(&c->ttl, HT_TTL_OFF);
    atomic_init(&c->seen_version, version);
    c->db = db;
    c->cid = row->cid;
    c->metric = row->metric;
    status = ht_collection_load(c, err);
    if (status == HITHER_OK)
        c->opened_seq = atomic_load_explicit(&c->home.current, memory_order_relaxed)->seq;
    if (status == HITHER_OK && !db->readonly)
        status = ht_rules_load(c, err);
    if (status == HITHER_OK && !db->readonly && !db->memory) {
        const ht_snapshot *s = atomic_load_explicit(&c->home.current, memory_order_relaxed);
        ht_cache_sweep(db->store, c->cid, s->extents, s->extent_count);
    }
    if (status == HITHER_OK && ht_near_due(c, atomic_load_explicit(&c->home.current, memory_order_relaxed)))
        ht_upkeep_wake(db);
    if (status == HITHER_OK)
        *out = c;
    else
        ht_collection_unref(c);
    return status;
}

/* The object of the collection in `row`, counted for a new handle. */
static hither_status attach(ht_db *db, const ht_collection_row *row, ht_collection **out, hither_error *err) {
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&db->table);
    ht_collection *c = db->collections;
    while (c && c->cid != row->cid)
        c = c->next;
    if (!c) {
        status = make(db, row, &c, err);
        if (status == HITHER_OK) {
            c->next = db->collections;
            db->collections = c;
        }
    }
    if (status == HITHER_OK) {
        ht_db_acquire(db);
        *out = ht_collection_ref(c);
    }
    pthread_mutex_unlock(&db->table);
    return status;
}

static hither_status agrees(ht_db *db, const ht_collection_row *row, const ht_collection_spec *spec,
                            hither_error *err) {
    if (spec->flags & HITHER_COLLECTION_NEW)
        return ht_fail(err, HITHER_EXISTS, "collection '%s' is there already", row->name);
    if (spec->dim && spec->dim != row->dim)
        return ht_fail(err, HITHER_DIMENSION, "collection '%s' has %u dimensions, not %u", row->name, row->dim,
                       spec->dim);
    if (spec->dtype && spec->dtype != row->dtype)
        return ht_fail(err, HITHER_INVALID, "collection '%s' holds %s, not %s", row->name, ht_dtype_name(row->dtype),
                       ht_dtype_name(spec->dtype));
    if (spec->metric && spec->metric != row->metric)
        return ht_fail(err, HITHER_INVALID, "collection '%s' was made with metric %s, not %s", row->name,
                       ht_metric_name(row->metric), ht_metric_name(spec->metric));
    if (spec->embedder && strcmp(spec->embedder, row->embedder) != 0)
        return ht_fail(err, HITHER_MODEL, "collection '%s' was made with %s%s%s, not with embedder '%s'", row->name,
                       row->embedder[0] ? "embedder '" : "no embedder", row->embedder, row->embedder[0] ? "'" : "",
                       spec->embedder);
    if (spec->field_count)
        HT_TRY(ht_fields_agree(row, spec->fields, spec->field_count, err));
    return spec->schema ? ht_rules_agree(db, row, spec->schema, err) : HITHER_OK;
}

/* The row of a collection to be made from the spec. */
static hither_status plan(const char *name, const ht_collection_spec *spec, ht_collection_row *row, hither_error *err) {
    *row = (ht_collection_row){.dim = spec->dim,
                               .dtype = spec->dtype ? spec->dtype : HITHER_F32,
                               .metric = spec->metric ? spec->metric : HITHER_COSINE};
    if (!spec->dim)
        return ht_fail(err, HITHER_INVALID, "no collection '%s' yet; to make it, say its dimension or give an embedder",
                       name);
    if (spec->dim > HITHER_MAX_DIM)
        return ht_fail(err, HITHER_DIMENSION, "%u dimensions; at most %u are possible", spec->dim, HITHER_MAX_DIM);
    if (row->dtype < HITHER_F32 || row->dtype > HITHER_B1)
        return ht_fail(err, HITHER_INVALID, "%d is not a dtype", (int)row->dtype);
    if (row->dtype != HITHER_F32)
        return ht_fail(err, HITHER_UNSUPPORTED, "collections hold f32 today, not %s", ht_dtype_name(row->dtype));
    if (row->metric < HITHER_COSINE || row->metric > HITHER_L1)
        return ht_fail(err, HITHER_INVALID, "metric %d; f32 collections take cosine, dot, l2 and l1", (int)row->metric);
    if (spec->embedder && strlen(spec->embedder) >= sizeof row->embedder)
        return ht_fail(err, HITHER_TOO_LARGE, "the embedder's name has %zu bytes; at most %zu are possible",
                       strlen(spec->embedder), sizeof row->embedder - 1);
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    (void)snprintf(row->embedder, sizeof row->embedder, "%s", spec->embedder ? spec->embedder : "");
    return ht_fields_plan(spec->fields, spec->field_count, row, err);
}

/* ht_store_collection for a name that may well be missing: that is no error, and leaves none in err. */
static hither_status look_up(ht_db *db, const char *name, bool *found, ht_collection_row *row, hither_error *err) {
    hither_error problem;
    hither_status status = ht_store_collection(db->store, name, 0, row, &problem);
    *found = status == HITHER_OK;
    if (status == HITHER_OK || status == HITHER_NOT_FOUND)
        return HITHER_OK;
    if (err)
        *err = problem;
    return status;
}

static hither_status create(ht_db *db, const char *name, const ht_collection_spec *spec, ht_collection_row *row,
                            hither_error *err) {
    if (spec->flags & HITHER_COLLECTION_EXISTING)
        return ht_fail(err, HITHER_NOT_FOUND, "no collection '%s'", name);
    if (db->readonly)
        return ht_fail(err, HITHER_READONLY, "no collection '%s', and this handle was opened read-only", name);
    ht_collection_row planned;
    HT_TRY(plan(name, spec, &planned, err));
    bool found;
    pthread_mutex_lock(&db->writer);
    /* Another thread may have made it since we looked. */
    hither_status status = look_up(db, name, &found, row, err);
    if (status == HITHER_OK && found)
        status = agrees(db, row, spec, err);
    else if (status == HITHER_OK) {
        status = ht_rules_create(db, &planned, spec->schema, err);
        *row = planned;
    }
    pthread_mutex_unlock(&db->writer);
    return status;
}

hither_status ht_collection_open(ht_db *db, const char *name, const ht_collection_spec *spec, ht_collection **out,
                                 hither_error *err) {
    HT_TRY(ht_fork_check(db->generation, err));
    ht_collection_row row;
    bool found;
    hither_status status = look_up(db, name, &found, &row, err);
    if (status == HITHER_OK)
        status = found ? agrees(db, &row, spec, err) : create(db, name, spec, &row, err);
    return status == HITHER_OK ? attach(db, &row, out, err) : status;
}

/* ---- entry */

/* Whatever another process committed before this call is seen by it: the version is read before the snapshot. */
static hither_status catch_up(ht_collection *c, hither_error *err) {
    uint64_t version;
    HT_TRY(ht_store_data_version(c->db->store, &version, err));
    if (version == atomic_load_explicit(&c->seen_version, memory_order_acquire))
        return HITHER_OK;
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&c->db->writer);
    if (version != atomic_load_explicit(&c->seen_version, memory_order_relaxed)) {
        status = ht_collection_load(c, err);
        if (status == HITHER_OK)
            atomic_store_explicit(&c->seen_version, version, memory_order_release);
        else if (status == HITHER_NOT_FOUND)
            atomic_store_explicit(&c->dropped, true, memory_order_release);
    }
    pthread_mutex_unlock(&c->db->writer);
    return status == HITHER_NOT_FOUND ? HITHER_OK : status;
}

static hither_status still_there(ht_collection *c, hither_error *err) {
    if (!atomic_load_explicit(&c->dropped, memory_order_acquire))
        return HITHER_OK;
    return ht_fail(err, HITHER_NOT_FOUND, "the collection was dropped");
}

hither_status ht_collection_enter(ht_collection *c, hither_error *err) {
    HT_TRY(ht_fork_check(c->db->generation, err));
    if (c->db->readonly)
        HT_TRY(catch_up(c, err));
    return still_there(c, err);
}

hither_status ht_collection_check_write(ht_collection *c, hither_error *err) {
    HT_TRY(ht_fork_check(c->db->generation, err));
    if (c->db->readonly)
        return ht_fail(err, HITHER_READONLY, "this handle was opened read-only");
    return still_there(c, err);
}

hither_status ht_collection_reader(ht_collection *c, const ht_snapshot *s, ht_reader **out, hither_error *err) {
    uint64_t seq, floor;
    HT_TRY(ht_reader_begin(c->db->store, c->cid, out, &seq, err));
    floor = ht_reader_floor(*out);
    raise_floor(c, floor);
    if (s->seq >= floor)
        return HITHER_OK;
    ht_reader_end(*out);
    *out = NULL;
    return ht_fail(err, HITHER_STALE, "the version this stands on is gone: its rows were compacted by another process");
}

/* ---- what a collection says of itself */

uint32_t ht_collection_dim(const ht_collection *c) { return c->dim; }

const char *ht_collection_embedder(const ht_collection *c) { return ht_collection_shape(c)->embedder; }

hither_status ht_collection_info(ht_collection *c, hither_result **out, hither_error *err) {
    HT_TRY(ht_collection_enter(c, err));
    ht_collection_row row;
    HT_TRY(ht_store_collection(c->db->store, NULL, c->cid, &row, err));
    hither_result *result;
    HT_TRY(ht_result_new(HITHER_INCLUDE_METADATA, 0, false, &result, err));
    hither_status status = ht_collection_describe(c->db, &row, result, err);
    return ht_result_hand_over(status, result, out, err);
}

static hither_status count_rows(ht_collection *c, const ht_filter *filter, uint64_t *out, hither_error *err) {
    HT_TRY(ht_collection_enter(c, err));
    ht_scratch *scratch;
    HT_TRY(ht_scratch_take(&c->db->scratches, &scratch, err));
    const ht_snapshot *s = ht_snapshot_pin(&c->home, scratch);
    hither_status status = HITHER_OK;
    if (filter) {
        ht_reader *reader = NULL;
        ht_selection selection = {0};
        status = ht_select(c, s, filter, &reader, &selection, err);
        ht_reader_end(reader);
        if (status == HITHER_OK)
            *out = selection.count;
        ht_selection_clear(&selection);
    } else {
        *out = s->live_count;
    }
    ht_scratch_give(scratch);
    return status;
}

hither_status ht_collection_count(ht_collection *c, const ht_filter *filter, uint64_t *out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = count_rows(c, filter, out, err);
    return status;
}

/* ---- ids in messages and checks */

hither_status ht_id_kind_check(ht_id_kind kind, const hither_ids *ids, hither_error *err) {
    ht_id_kind given = ht_ids_are_ints(ids) ? HT_ID_INT : HT_ID_TEXT;
    if (!ids->count || kind == HT_ID_UNKNOWN || kind == given)
        return HITHER_OK;
    return ht_fail(err, HITHER_INVALID, "this collection's ids are %s, not %s",
                   kind == HT_ID_INT ? "integers" : "strings", kind == HT_ID_INT ? "strings" : "integers");
}

const char *ht_id_show(const hither_ids *ids, size_t i, char out[HT_ID_SHOWN]) {
    if (ht_ids_are_ints(ids)) {
        (void)snprintf(out, HT_ID_SHOWN, "%lld", (long long)ids->ints[i]);
        return out;
    }
    ht_text id = ht_strings_at(&ids->strings, i);
    size_t shown = ht_utf8_valid_prefix(id.data, ht_min_size(id.bytes, 64));
    (void)snprintf(out, HT_ID_SHOWN, "'%.*s'%s", (int)shown, id.data, shown < id.bytes ? "..." : "");
    return out;
}
