/*
 * page.c: rows page by page, in order of writing or of a field. A page that is not the last has a token that says how
 * to go on: which collection, which commit, how far. It is text, and outlives the process: what a later page shows is
 * the collection as it was at that commit, whatever has been written since. That can be told from the catalog as long
 * as the rows that have died since are still there; once compaction has taken some of them the token is STALE.
 *
 * Any thread; see reading.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/explain.h"
#include "engine/field.h"
#include "engine/reading.h"

typedef struct token {
    uint64_t cid, seq, slot_limit, live, at; /* at: the next slot, or, of an ordered listing, rows passed over */
    uint64_t listing;                        /* a hash of all that makes it this listing */
} token;

/* A row in its order. */
typedef struct place {
    ht_value value;
    uint64_t slot;
    bool descending;
} place;

typedef struct listing {
    const ht_page *page;
    ht_reading view;
    ht_snapshot then;  /* the version listed, where it is not the current one: borrows from that */
    uint64_t **chunks; /* of `then` */
    const ht_snapshot *s;
    ht_selection selected;
    token token;
    uint64_t revived; /* rows of `then` that have died since */
    uint64_t total;   /* rows of the listing */
    uint64_t *slots;  /* of the page */
    size_t count;
    bool more;
    ht_explain explain;
} listing;

/* ---- tokens */

#define TOKEN_FORMAT "h1-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%016" PRIx64

static uint64_t listing_hash(const ht_page *page) {
    const char *where = page->where ? page->where : "", *order = page->order_by ? page->order_by : "";
    uint64_t hash = ht_hash64(where, strlen(where), page->where != NULL);
    hash = ht_hash64(order, strlen(order), hash ^ (page->order_by != NULL));
    return ht_mix64(hash ^ (uint64_t)page->descending);
}

static hither_status token_read(const char *text, token *out, hither_error *err) {
    char again[160];
    token t = {0};
    int read = strlen(text) < sizeof again
                   ? sscanf(text, "h1-%" SCNx64 "-%" SCNx64 "-%" SCNx64 "-%" SCNx64 "-%" SCNx64 "-%" SCNx64, &t.cid,
                            &t.seq, &t.slot_limit, &t.live, &t.at, &t.listing)
                   : 0;
    (void)snprintf(again, sizeof again, TOKEN_FORMAT, t.cid, t.seq, t.slot_limit, t.live, t.at, t.listing);
    if (read != 6 || strcmp(again, text) != 0)
        return ht_fail(err, HITHER_INVALID, "after: '%.80s' is no token of a page", text);
    *out = t;
    return HITHER_OK;
}

static hither_status stale(hither_error *err) {
    return ht_fail(err, HITHER_STALE, "the version this listing began with is gone; begin again without `after`");
}

/* ---- the version a token names */

typedef struct revival {
    listing *l;
    uint64_t revived;
    bool taken; /* one of them was dropped from its segment, and the catalog is still to forget it */
} revival;

static bool is_taken(const ht_snapshot *now, uint64_t slot) {
    for (size_t i = 0; i < now->extent_count; i++) {
        const ht_extent *extent = now->extents[i];
        if (slot >= extent->first_slot && slot - extent->first_slot < extent->capacity)
            return ht_segment_dropped(extent->segment, slot - extent->first_slot);
    }
    return true;
}

static hither_status revive(void *arg, uint64_t slot, uint64_t dead_seq) {
    revival *r = arg;
    (void)dead_seq;
    if (slot >= r->l->token.slot_limit)
        return HITHER_OK;
    uint64_t *word = &r->l->chunks[slot / HT_CHUNK_SLOTS][slot % HT_CHUNK_SLOTS / 64], bit = (uint64_t)1 << slot % 64;
    r->revived += !(*word & bit);
    r->taken = r->taken || is_taken(r->l->view.snapshot, slot);
    *word |= bit;
    return HITHER_OK;
}

/* The rows alive now, cut off at the limit of then, in chunks of our own. */
static hither_status copy_live(listing *l, uint64_t *alive, hither_error *err) {
    const ht_snapshot *now = l->view.snapshot;
    uint64_t limit = l->token.slot_limit;
    size_t count = (size_t)(limit / HT_CHUNK_SLOTS + 1);
    l->chunks = ht_calloc(count, sizeof *l->chunks);
    for (size_t i = 0; l->chunks && i < count; i++) {
        l->chunks[i] = ht_calloc(HT_CHUNK_SLOTS / 64, sizeof **l->chunks);
        if (!l->chunks[i])
            return ht_fail_nomem(err, HT_CHUNK_SLOTS / 8, "the rows of a listing");
    }
    if (!l->chunks)
        return ht_fail_nomem(err, count * sizeof *l->chunks, "the rows of a listing");
    l->then.chunk_count = count;
    for (uint64_t slot = ht_snapshot_next(now, 0); slot < limit; slot = ht_snapshot_next(now, slot + 1)) {
        l->chunks[slot / HT_CHUNK_SLOTS][slot % HT_CHUNK_SLOTS / 64] |= (uint64_t)1 << slot % 64;
        ++*alive;
    }
    return HITHER_OK;
}

/* Makes l->s the version of the token. */
static hither_status go_back(listing *l, hither_error *err) {
    const ht_snapshot *now = l->view.snapshot;
    const token *t = &l->token;
    uint64_t alive = 0;
    if (t->cid != (uint64_t)l->view.c->cid || t->seq > now->seq || t->slot_limit > now->slot_limit)
        return stale(err);
    if (t->seq == now->seq)
        return t->slot_limit == now->slot_limit && t->live == now->live_count ? HITHER_OK : stale(err);
    HT_TRY(copy_live(l, &alive, err));
    revival r = {.l = l};
    HT_TRY(ht_reader_dead(l->view.reader, t->seq, revive, &r, err));
    if (r.taken || alive + r.revived != t->live)
        return stale(err);
    l->revived = r.revived;
    l->then.seq = t->seq;
    l->then.slot_limit = t->slot_limit;
    l->then.live_count = t->live;
    l->then.id_kind = now->id_kind;
    l->then.extent_count = now->extent_count;
    l->then.extents = now->extents;
    l->then.made = now->made;
    l->then.chunks = (const uint64_t **)(void *)l->chunks;
    l->s = &l->then;
    return HITHER_OK;
}

static hither_status begin(listing *l, hither_error *err) {
    const ht_page *page = l->page;
    HT_TRY(ht_reading_open_for_ids(&l->view, l->view.c, page->include, err));
    l->s = l->view.snapshot;
    uint64_t hash = listing_hash(page);
    if (page->after) {
        HT_TRY(token_read(page->after, &l->token, err));
        if (l->token.listing != hash)
            return ht_fail(err, HITHER_INVALID, "after: this token is of a listing with another filter or order");
        return go_back(l, err);
    }
    l->token = (token){.cid = (uint64_t)l->view.c->cid,
                       .seq = l->s->seq,
                       .slot_limit = l->s->slot_limit,
                       .live = l->s->live_count,
                       .listing = hash};
    return HITHER_OK;
}

/* ---- which slots */

static uint64_t next_slot(const listing *l, uint64_t slot) {
    return l->page->filter ? ht_selection_next(&l->selected, slot) : ht_snapshot_next(l->s, slot);
}

static void list_written(listing *l) {
    uint64_t slot = next_slot(l, l->token.at);
    for (uint64_t skip = l->page->offset; skip && slot < l->s->slot_limit; skip--)
        slot = next_slot(l, slot + 1);
    while (l->count < l->page->limit && slot < l->s->slot_limit) {
        l->slots[l->count++] = slot;
        slot = next_slot(l, slot + 1);
    }
    l->token.at = slot;
    l->more = slot < l->s->slot_limit;
}

static bool ordered(const ht_value *v) { return v->type >= HT_BOOL && v->type <= HT_STRING; }

static int by_place(const void *left, const void *right) {
    const place *a = left, *b = right;
    bool x = ordered(&a->value), y = ordered(&b->value);
    int order = x && y ? ht_value_order(&a->value, &b->value) : y - x;
    if (x && y && a->descending)
        order = -order;
    return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static hither_status list_ordered(listing *l, hither_error *err) {
    ht_field_values values;
    HT_TRY(ht_field_open(&values, l->view.c, l->s, l->page->order, &l->view.reader, err));
    place *places = ht_calloc((size_t)l->total, sizeof *places);
    if (!places) {
        ht_field_close(&values);
        return ht_fail_nomem(err, (size_t)l->total * sizeof *places, "the order of rows");
    }
    size_t count = 0;
    for (uint64_t slot = next_slot(l, 0); slot < l->s->slot_limit; slot = next_slot(l, slot + 1)) {
        const ht_cell_list *list;
        places[count++] = (place){ht_key_value(&values, ht_field_key(&values, slot, &list)), slot, l->page->descending};
    }
    qsort(places, count, sizeof *places, by_place);
    uint64_t at = l->token.at + l->page->offset;
    while (l->count < l->page->limit && at < count)
        l->slots[l->count++] = places[at++].slot;
    l->token.at = at;
    l->more = at < count;
    ht_release(places);
    ht_field_close(&values);
    return HITHER_OK;
}

static hither_status find_rows(listing *l, hither_error *err) {
    const ht_page *page = l->page;
    l->total = l->s->live_count;
    if (page->filter) {
        HT_TRY(ht_select(l->view.c, l->s, page->filter, &l->view.reader, &l->selected, err));
        l->total = l->selected.count;
        ht_explain_stage(&l->explain, "filter", l->selected.plan, l->s->live_count, l->total);
    }
    l->slots = ht_calloc(page->limit < l->total ? page->limit : (size_t)l->total, sizeof *l->slots);
    if (!l->slots)
        return ht_fail_nomem(err, page->limit * sizeof *l->slots, "a page");
    if (page->order)
        HT_TRY(list_ordered(l, err));
    else
        list_written(l);
    ht_explain_stage(&l->explain, "order", page->order ? "field" : "written", l->total, l->count);
    return HITHER_OK;
}

/* ---- the page */

static hither_status count_dead(void *arg, uint64_t slot, uint64_t dead_seq) {
    revival *r = arg;
    (void)dead_seq;
    r->revived += slot < r->l->token.slot_limit && !ht_snapshot_alive(r->l->view.snapshot, slot);
    return HITHER_OK;
}

/* An old version is held by nobody, so compaction may have taken rows of it, and columns may have been made without
 * them, while this page was looked for: it counts only if all of them are there at its end too. */
static hither_status check_still_there(listing *l, hither_error *err) {
    revival r = {.l = l};
    uint64_t seq, wanted = l->revived;
    if (l->s != &l->then)
        return HITHER_OK;
    ht_reader_end(l->view.reader);
    l->view.reader = NULL;
    HT_TRY(ht_reader_begin(l->view.c->db->store, l->view.c->cid, &l->view.reader, &seq, err));
    HT_TRY(ht_reader_dead(l->view.reader, l->token.seq, count_dead, &r, err));
    return r.revived >= wanted ? HITHER_OK : stale(err);
}

static hither_status put_rows(listing *l, hither_result *result, hither_error *err) {
    for (size_t i = 0; i < l->count; i++)
        HT_TRY(ht_reading_add_row(&l->view, l->slots[i], NULL, result, err));
    ht_explain_stage(&l->explain, "payload", NULL, l->count, l->count);
    ht_explain_write(&l->explain, result, "page", NULL, l->page->filter ? &l->selected : NULL, l->s->live_count,
                     l->count);
    if (l->more) {
        char text[160];
        const token *t = &l->token;
        (void)snprintf(text, sizeof text, TOKEN_FORMAT, t->cid, t->seq, t->slot_limit, t->live, t->at, t->listing);
        ht_result_next(result, text);
    }
    return HITHER_OK;
}

static hither_status list_page(ht_collection *c, const ht_page *page, hither_result **out, hither_error *err) {
    listing l = {.page = page, .view = {.c = c}};
    hither_result *result = NULL;
    ht_explain_begin(&l.explain);
    hither_status status = begin(&l, err);
    if (status == HITHER_OK)
        status = ht_reading_result(&l.view, false, &result, err);
    if (status == HITHER_OK)
        status = find_rows(&l, err);
    if (status == HITHER_OK)
        status = put_rows(&l, result, err);
    if (status == HITHER_OK)
        status = check_still_there(&l, err);
    for (size_t i = 0; l.chunks && i < l.then.chunk_count; i++)
        ht_release(l.chunks[i]);
    ht_release(l.chunks);
    ht_release(l.slots);
    ht_selection_clear(&l.selected);
    ht_reading_close(&l.view);
    return ht_result_hand_over(status, result, out, err);
}

hither_status ht_collection_page(ht_collection *c, const ht_page *page, hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = list_page(c, page, out, err);
    return status;
}
