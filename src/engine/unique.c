/*
 * unique.c: see unique.h. Whether a candidate counts is asked in this order, cheapest first: is it of this batch, is it
 * dead in the snapshot in force (then it is dead for good), does the batch replace it, has it the value, does the
 * transaction still have it.
 */
#include "engine/unique.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/field.h"

enum { ROWS_A_STEP = 1024 };

/* ---- the table */

static bool is_stale(const ht_snapshot *now, uint64_t slot) {
    return slot < now->slot_limit && !ht_snapshot_alive(now, slot);
}

static void add(ht_uniques *u, const ht_snapshot *now, uint64_t hash, uint64_t slot) {
    size_t at = (size_t)hash & (u->room - 1);
    for (; u->entries[at].next_slot; at = (at + 1) & (u->room - 1)) {
        ht_unique *e = &u->entries[at];
        if (e->hash != hash)
            continue;
        if (e->next_slot - 1 == slot || is_stale(now, e->next_slot - 1)) {
            e->next_slot = slot + 1;
            return;
        }
    }
    u->entries[at] = (ht_unique){hash, slot + 1};
    u->used++;
}

/* Room for `more` further candidates; those that are dead go where it has to grow. */
static hither_status reserve(ht_uniques *u, const ht_snapshot *now, size_t more, hither_error *err) {
    size_t wanted, room = 64;
    if (u->room / 2 >= u->used && u->room / 2 - u->used >= more && u->room)
        return HITHER_OK;
    if (!ht_add_size(u->used, more, &wanted) || !ht_mul_size(wanted, 4, &wanted))
        return ht_fail_nomem(err, SIZE_MAX, "the values of unique fields");
    while (room < wanted)
        room *= 2;
    ht_uniques grown = {.entries = ht_calloc(room, sizeof(ht_unique)), .room = room, .made = u->made};
    if (!grown.entries)
        return ht_fail_nomem(err, room * sizeof(ht_unique), "the values of unique fields");
    for (size_t i = 0; i < u->room; i++)
        if (u->entries[i].next_slot && !is_stale(now, u->entries[i].next_slot - 1))
            add(&grown, now, u->entries[i].hash, u->entries[i].next_slot - 1);
    ht_release(u->entries);
    *u = grown;
    return HITHER_OK;
}

void ht_uniques_clear(ht_uniques *u) {
    ht_release(u->entries);
    *u = (ht_uniques){0};
}

/* The next candidate with this hash, from *at on; false where there are no more. */
static bool next_candidate(const ht_uniques *u, uint64_t hash, size_t *at, uint64_t *slot) {
    while (u->entries[*at].next_slot) {
        const ht_unique *e = &u->entries[*at];
        *at = (*at + 1) & (u->room - 1);
        if (e->hash == hash) {
            *slot = e->next_slot - 1;
            return true;
        }
    }
    return false;
}

/* ---- values */

/* The value of a field that counts; false where there is none. Equal values are the same in all their members. */
static bool value_of(const ht_declared *d, const json_t *metadata, ht_value *out) {
    const json_t *list;
    ht_value v = ht_field_value(d->path->fields, metadata, &list);
    if (v.type == HT_REAL && v.real >= -0x1p63 && v.real < 0x1p63 && v.real == floor(v.real))
        v = (ht_value){.type = HT_INT, .integer = (int64_t)v.real};
    *out = v;
    return v.type == HT_BOOL || v.type == HT_INT || v.type == HT_REAL || v.type == HT_STRING;
}

static uint64_t hash_of(const ht_value *v, size_t field) {
    uint64_t seed = ht_mix64((uint64_t)field << 8 | v->type);
    if (v->type == HT_STRING)
        return ht_hash64(v->text.data, v->text.bytes, seed);
    return v->type == HT_REAL ? ht_hash64(&v->real, sizeof v->real, seed)
                              : ht_hash64(&v->integer, sizeof v->integer, seed);
}

static bool same(const ht_value *a, const ht_value *b) {
    return a->type == b->type && (a->type == HT_BOOL ? a->integer == b->integer : ht_value_compare(a, b) == 0);
}

static hither_status parse(ht_text metadata, json_t **out, hither_error *err) {
    *out = NULL;
    return metadata.data
               ? ht_json_parse(metadata.data, metadata.bytes, HITHER_MAX_TEXT_BYTES, "the metadata of a row", out, err)
               : HITHER_OK;
}

/* Whether a row with this metadata has the value. */
static hither_status has_value(ht_text metadata, const ht_declared *d, const ht_value *wanted, bool *out,
                               hither_error *err) {
    json_t *json;
    ht_value v;
    HT_TRY(parse(metadata, &json, err));
    *out = value_of(d, json, &v) && same(&v, wanted);
    json_decref(json);
    return HITHER_OK;
}

static hither_status is_taken(const ht_declared *d, const ht_value *v, const char *row, const char *other,
                              hither_error *err) {
    ht_buf text;
    ht_buf_init(&text, 2 * (size_t)HITHER_MAX_TEXT_BYTES);
    ht_value_json(&text, v);
    size_t shown = text.data ? ht_utf8_valid_prefix(text.data, ht_min_size(text.size, 64)) : 0;
    hither_status status =
        ht_fail(err, HITHER_EXISTS, "%s: '%.64s' is %.*s%s, as in %s; the schema says it is unique", row, d->name,
                (int)shown, text.data ? text.data : "", shown < text.size ? "..." : "", other);
    ht_buf_clear(&text);
    return status;
}

/* "the row with id 7" */
#define NAMED (HT_ID_SHOWN + 24)
static void name_row(const ht_row *row, char out[NAMED]) {
    char shown[HT_ID_SHOWN];
    uint64_t ends[2];
    const hither_ids ids = ht_row_ids(row, ends);
    (void)snprintf(out, NAMED, "the row with id %s", ht_id_show(&ids, 0, shown));
}

/* ---- rows that are there */

typedef struct making {
    const ht_schema *schema;
    const ht_snapshot *now;
    ht_reader *others; /* beside the one that walks */
    ht_progress *progress;
    uint64_t walked; /* rows that progress does not know of yet */
    ht_uniques *out;
    hither_error *err;
} making;

static hither_status name_slot(making *m, uint64_t slot, char out[NAMED]) {
    ht_row row;
    HT_TRY(ht_reader_row(m->others, slot, &row, m->err));
    name_row(&row, out);
    return HITHER_OK;
}

static hither_status take_value(making *m, uint64_t slot, size_t field, const json_t *metadata) {
    const ht_declared *d = &m->schema->fields[field];
    ht_value v;
    if (!d->unique || !value_of(d, metadata, &v))
        return HITHER_OK;
    uint64_t hash = hash_of(&v, field), other;
    HT_TRY(reserve(m->out, m->now, 1, m->err));
    for (size_t at = (size_t)hash & (m->out->room - 1); next_candidate(m->out, hash, &at, &other);) {
        ht_row row;
        bool equal;
        char mine[NAMED], its[NAMED];
        HT_TRY(ht_reader_row(m->others, other, &row, m->err));
        HT_TRY(has_value(row.metadata, d, &v, &equal, m->err));
        if (!equal)
            continue;
        name_row(&row, its);
        HT_TRY(name_slot(m, slot, mine));
        return is_taken(d, &v, mine, its, m->err);
    }
    add(m->out, m->now, hash, slot);
    return HITHER_OK;
}

static hither_status take_row(void *arg, uint64_t slot, ht_text text) {
    making *m = arg;
    json_t *metadata;
    char row[NAMED];
    if (++m->walked == ROWS_A_STEP) {
        m->walked = 0;
        HT_TRY(ht_progress_step(m->progress, ROWS_A_STEP, m->err));
    }
    if (!ht_snapshot_alive(m->now, slot))
        return HITHER_OK;
    HT_TRY(parse(text, &metadata, m->err));
    hither_status status = ht_schema_check(m->schema, metadata, "a row", m->err);
    if (status == HITHER_INVALID && (status = name_slot(m, slot, row)) == HITHER_OK)
        status = ht_schema_check(m->schema, metadata, row, m->err);
    for (size_t i = 0; i < m->schema->count && status == HITHER_OK; i++)
        status = take_value(m, slot, i, metadata);
    json_decref(metadata);
    return status;
}

hither_status ht_uniques_make(ht_collection *c, const ht_schema *schema, const ht_snapshot *now, ht_progress *progress,
                              ht_uniques *out, hither_error *err) {
    making m = {schema, now, NULL, progress, 0, out, err};
    ht_reader *reader = NULL;
    HT_TRY(ht_collection_reader(c, m.now, &reader, err));
    hither_status status = ht_collection_reader(c, m.now, &m.others, err);
    if (status == HITHER_OK)
        status = reserve(out, m.now, 1, err);
    if (status == HITHER_OK)
        status = ht_reader_metadata(reader, 0, m.now->slot_limit, take_row, &m, err);
    ht_reader_end(m.others);
    ht_reader_end(reader);
    out->made = status == HITHER_OK;
    if (status != HITHER_OK)
        ht_uniques_clear(out);
    return status;
}

/* ---- rows to come */

typedef struct admission {
    const ht_write *w;
    const ht_standing *standing;
    const ht_snapshot *now;
    const ht_schema *schema;
    ht_uniques *uniques;
    uint64_t *replaced; /* the slots that the batch takes the place of, rising */
    size_t replaced_count;
} admission;

static int by_slot(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static hither_status list_replaced(admission *a, hither_error *err) {
    const ht_write *w = a->w;
    a->replaced = ht_calloc(w->row_count, sizeof *a->replaced);
    if (!a->replaced)
        return ht_fail_nomem(err, w->row_count * sizeof *a->replaced, "the rows of a batch");
    for (size_t p = 0; p < w->row_count; p++)
        if (w->replaces[w->rows[p]] != HT_NO_SLOT)
            a->replaced[a->replaced_count++] = w->replaces[w->rows[p]];
    if (a->replaced_count)
        qsort(a->replaced, a->replaced_count, sizeof *a->replaced, by_slot);
    return HITHER_OK;
}

/* Whether the transaction has the row alive, and with the value; then `named` says which it is. */
static hither_status stands(const admission *a, uint64_t slot, const ht_declared *d, const ht_value *v, bool *out,
                            char named[NAMED], hither_error *err) {
    ht_store *store = a->w->collection->db->store;
    char text[HITHER_MAX_ID_BYTES];
    uint64_t ends[2] = {0}, there;
    ht_row row;
    *out = false;
    HT_TRY(ht_txn_row(store, a->standing->row, slot, &row, err));
    HT_TRY(has_value(row.metadata, d, v, out, err));
    if (!*out)
        return HITHER_OK;
    name_row(&row, named);
    hither_ids ids = {.count = 1};
    if (row.id_kind == HT_ID_INT) {
        ids.ints = &row.int_id;
    } else {
        ends[1] = ht_min_size(row.text_id.bytes, sizeof text);
        memcpy(text, row.text_id.data, (size_t)ends[1]);
        ids.strings = (hither_strings){text, ends, 1, NULL};
    }
    HT_TRY(ht_txn_find(store, a->w->collection->cid, &ids, 0, &there, err));
    *out = there == slot;
    return HITHER_OK;
}

/* EXISTS if the candidate has the value of row p of those in force. */
static hither_status check_candidate(const admission *a, uint64_t slot, size_t p, const ht_declared *d,
                                     const ht_value *v, const char *row, hither_error *err) {
    uint64_t next = a->standing->row->next_slot;
    char named[NAMED];
    bool taken = false;
    if (slot >= next) { /* of this batch, or of one that was rolled back */
        if (slot - next >= p)
            return HITHER_OK;
        size_t other = a->w->rows[slot - next];
        HT_TRY(has_value(a->w->metadata[other], d, v, &taken, err));
        (void)snprintf(named, sizeof named, "row %zu", other);
    } else if (!is_stale(a->now, slot) &&
               !(a->replaced_count && bsearch(&slot, a->replaced, a->replaced_count, sizeof *a->replaced, by_slot))) {
        HT_TRY(stands(a, slot, d, v, &taken, named, err));
    }
    return taken ? is_taken(d, v, row, named, err) : HITHER_OK;
}

static hither_status admit_value(const admission *a, size_t p, size_t field, const json_t *metadata, const char *row,
                                 hither_error *err) {
    const ht_declared *d = &a->schema->fields[field];
    ht_value v;
    if (!d->unique || !value_of(d, metadata, &v))
        return HITHER_OK;
    uint64_t hash = hash_of(&v, field), slot;
    for (size_t at = (size_t)hash & (a->uniques->room - 1); next_candidate(a->uniques, hash, &at, &slot);)
        HT_TRY(check_candidate(a, slot, p, d, &v, row, err));
    add(a->uniques, a->now, hash, a->standing->row->next_slot + p);
    return HITHER_OK;
}

static hither_status admit_row(const admission *a, size_t p, hither_error *err) {
    size_t i = a->w->rows[p];
    json_t *metadata;
    char row[40];
    (void)snprintf(row, sizeof row, "row %zu", i);
    HT_TRY(parse(a->w->metadata[i], &metadata, err));
    hither_status status = ht_schema_check(a->schema, metadata, row, err);
    for (size_t f = 0; f < a->schema->count && status == HITHER_OK; f++)
        status = admit_value(a, p, f, metadata, row, err);
    json_decref(metadata);
    return status;
}

hither_status ht_schema_admit(const ht_write *w, const ht_standing *standing, hither_error *err) {
    ht_collection *c = w->collection;
    admission a = {.w = w,
                   .standing = standing,
                   .now = atomic_load_explicit(&c->home.current, memory_order_relaxed),
                   .schema = c->schema,
                   .uniques = &c->uniques};
    size_t most;
    if (!c->schema)
        return HITHER_OK;
    if (c->schema->unique_count && !c->uniques.made) {
        /* Nothing of this transaction is in the rows yet: the first batch it takes is the one that comes here. */
        HT_TRY(ht_uniques_make(c, c->schema, a.now, NULL, &c->uniques, err));
    }
    if (!ht_mul_size(w->row_count, c->schema->unique_count, &most))
        return ht_fail_nomem(err, SIZE_MAX, "the values of unique fields");
    if (most)
        HT_TRY(reserve(&c->uniques, a.now, most, err));
    hither_status status = most ? list_replaced(&a, err) : HITHER_OK;
    for (size_t p = 0; p < w->row_count && status == HITHER_OK; p++)
        status = admit_row(&a, p, err);
    ht_release(a.replaced);
    return status;
}
