/*
 * exact_memory.c: how much memory a search needs, and where in one block of it each thing lies. What must stay true:
 * the block is laid out twice, first to measure it and then for good, by the same code. Any thread.
 */
#include <string.h>

#include "base/alloc.h"
#include "index/exact_inside.h"

enum { TILE_BYTES = 24 << 10, ALIGNMENT = 64, WAITING_A_QUERY = 512, WAITING_IN_ALL = 4096, FINALISTS = 256 };

/* So much is read from the second cache faster than a query is made ready for codes. */
#define CACHED_BYTES ((size_t)512 << 10)

/* A block being laid out; base NULL: only measured. */
typedef struct layout {
    char *base;
    size_t used;
    bool overflow;
} layout;

static void *place(layout *l, size_t count, size_t size) {
    size_t bytes, end;
    if (!ht_mul_size(count, size, &bytes) || !ht_add_size(bytes, ALIGNMENT - 1, &bytes) ||
        !ht_add_size(l->used, bytes / ALIGNMENT * ALIGNMENT, &end)) {
        l->overflow = true;
        return NULL;
    }
    void *there = l->base ? l->base + l->used : NULL;
    l->used = end;
    return there;
}

static bool part_has_codes(const ht_vectors *v, const ht_part *part) {
    return part->codes && part->norms && v->metric != HITHER_L1;
}

static size_t units_of(const ht_part *part) { return (part->count + HT_UNIT_ROWS - 1) / HT_UNIT_ROWS; }

void ht_exact_count(ht_search *s) {
    const ht_vectors *v = s->vectors;
    for (size_t p = 0; p < v->part_count; p++) {
        const ht_part *part = &v->parts[p];
        HT_ASSERT(part->first_slot % 64 == 0);
        s->rows += part->count;
    }
    bool small = s->rows <= CACHED_BYTES / s->row_bytes;
    for (size_t p = 0; p < v->part_count; p++) {
        const ht_part *part = &v->parts[p];
        size_t coded = part_has_codes(v, part) && !small ? part->coded_rows : 0;
        s->coded |= coded > 0;
        s->bytes += (double)coded * v->dim / 2 + (double)(part->count - coded) * (double)s->row_bytes;
        s->units += units_of(part);
    }
}

/* A tile stays in the first cache for one query, in the second for several. */
static void place_tile(layout *l, const ht_search *s, ht_worker *w, size_t *tile_rows) {
    ht_layout rows = ht_layout_of(s->vectors, NULL);
    size_t row = rows.dim * sizeof(float), scratch = ht_stored_scratch(&rows);
    bool tiled = rows.dtype != HITHER_F32 && rows.dtype != HITHER_B1;
    *tile_rows = ht_min_size(HT_GROUP_ROWS, 4 + (s->block_queries == 1 ? TILE_BYTES : 8 * TILE_BYTES) / row);
    float *tile = tiled ? place(l, *tile_rows, row) : NULL;
    void *room = tiled && scratch ? place(l, 1, scratch) : NULL;
    float *rounded = rows.dtype == HITHER_F64 ? place(l, s->block_queries, row) : NULL;
    bool bytes = rows.dtype == HITHER_I8 && s->vectors->metric != HITHER_L1;
    ht_byte_query *byte = bytes ? place(l, s->block_queries, sizeof *byte) : NULL;
    int8_t *byte_room = bytes ? place(l, s->block_queries, ht_byte_query_room(rows.dim)) : NULL;
    if (!w)
        return;
    w->tile = tile;
    w->scratch = room;
    w->rounded = rounded;
    w->bytes = byte;
    w->byte_room = byte_room;
    w->tile_rows = *tile_rows;
}

static void place_worker(layout *l, const ht_search *s, ht_worker *w, bool shares) {
    size_t tile_rows, queries = s->block_queries;
    place_tile(l, s, w, &tile_rows);
    size_t waiting_rows = WAITING_IN_ALL / queries > WAITING_A_QUERY ? WAITING_IN_ALL / queries : WAITING_A_QUERY;
    bool coded = s->coded;
    int8_t *code_room = coded ? place(l, queries, ht_code_query_room(s->vectors->dim)) : NULL;
    ht_code_query *codes = coded ? place(l, queries, sizeof *codes) : NULL;
    size_t *code_of = coded ? place(l, queries, sizeof *code_of) : NULL;
    size_t put_off_room = s->puts_off ? ht_min_size(s->units, HT_PUT_OFF_UNITS) : 0;
    ht_put_off *put_off = put_off_room ? place(l, put_off_room, sizeof *put_off) : NULL;
    float *uppers = put_off_room ? place(l, queries * put_off_room, HT_UNIT_ROWS * sizeof *uppers) : NULL;
    ht_candidate *waiting = coded ? place(l, queries, waiting_rows * sizeof *waiting) : NULL;
    size_t hits, finalist_room = FINALISTS + s->k / 2 * 3, finalists;
    l->overflow |= !ht_mul_size(queries, s->k, &hits) || !ht_mul_size(queries, finalist_room, &finalists);
    if (l->overflow)
        return;
    ht_hit *room = shares ? place(l, hits, sizeof *room) : NULL;
    ht_hit *ceilings = place(l, hits, sizeof *ceilings);
    ht_finalist *finalist = s->within ? NULL : place(l, finalists, sizeof *finalist);
    if (!w)
        return;
    w->code_room = code_room;
    w->codes = codes;
    w->code_of = code_of;
    w->waiting = waiting;
    w->put_off = put_off;
    w->put_off_uppers = uppers;
    w->put_off_room = put_off_room;
    w->waiting_rows = waiting_rows;
    w->room = room;
    w->ceilings = ceilings;
    w->finalists = finalist;
    w->finalist_room = finalist_room;
}

static void lay_out(layout *l, ht_search *s) {
    const ht_vectors *v = s->vectors;
    size_t hits;
    l->overflow |= !ht_mul_size(s->query_count, s->k, &hits);
    if (l->overflow)
        return;
    s->first_unit = place(l, v->part_count + 1, sizeof *s->first_unit);
    s->hits = place(l, hits, sizeof *s->hits);
    s->counts = place(l, s->query_count, sizeof *s->counts);
    s->workers = place(l, s->threads, sizeof *s->workers);
    for (unsigned i = 0; i < s->threads; i++) {
        ht_worker *w = l->base ? &s->workers[i] : NULL;
        if (w) { /* what it computes in needs no first value */
            memset(w, 0, offsetof(ht_worker, state));
            w->s = s;
            for (size_t j = 0; j < HT_BLOCK_QUERIES; j++)
                w->state[j].found = (ht_found){0};
        }
        place_worker(l, s, w, i > 0 && !s->by_blocks);
    }
    if (!l->base)
        return;
    s->first_unit[0] = 0;
    for (size_t p = 0; p < v->part_count; p++)
        s->first_unit[p + 1] = s->first_unit[p] + units_of(&v->parts[p]);
}

hither_status ht_exact_lay_out(ht_search *s, ht_exact_scratch *scratch, hither_error *err) {
    layout measured = {0};
    lay_out(&measured, s);
    if (measured.overflow)
        return ht_fail_nomem(err, SIZE_MAX, "hits");
    if (scratch->bytes < measured.used) {
        ht_exact_scratch_clear(scratch);
        scratch->memory = ht_alloc_aligned(measured.used);
        if (!scratch->memory)
            return ht_fail_nomem(err, measured.used, "a search");
        scratch->bytes = measured.used;
    }
    layout real = {.base = scratch->memory};
    lay_out(&real, s);
    return HITHER_OK;
}

void ht_exact_scratch_clear(ht_exact_scratch *scratch) {
    ht_release(scratch->memory);
    *scratch = (ht_exact_scratch){0};
}

hither_status ht_found_add(ht_found *found, ht_hit hit, hither_error *err) {
    if (found->count == found->room) {
        size_t room = found->room ? 2 * found->room : 64, bytes;
        ht_hit *hits = ht_mul_size(room, sizeof *hits, &bytes) ? ht_resize(found->hits, bytes) : NULL;
        if (!hits)
            return ht_fail_nomem(err, room, "rows within a radius");
        found->hits = hits;
        found->room = room;
    }
    found->hits[found->count++] = hit;
    return HITHER_OK;
}
