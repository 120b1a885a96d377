/*
 * sparse.c: see sparse.h.
 */
#include "engine/sparse.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/made.h"
#include "engine/state.h"

/* An index in a row. */
typedef struct entry {
    uint32_t index, row; /* counted from the part's first slot */
    float value;
} entry;

struct ht_sparse_part {
    _Atomic uint32_t references;
    uint64_t begin, end; /* slots */
    uint64_t *present;   /* bit a row: has anything in the field */
    entry *entries;      /* by index, then row */
    size_t count;
};

#define PART_SLOTS ((uint64_t)1 << 31) /* at most, so that a row's number fits */

static void part_release(ht_sparse_part *part) {
    if (!part || atomic_fetch_sub_explicit(&part->references, 1, memory_order_acq_rel) != 1)
        return;
    ht_release(part->present);
    ht_release(part->entries);
    ht_release(part);
}

void ht_sparse_table_init(ht_sparse_table *table) {
    memset(table->fields, 0, sizeof table->fields);
    (void)pthread_mutex_init(&table->lock, NULL);
}

void ht_sparse_table_clear(ht_sparse_table *table) {
    for (size_t f = 0; f < HITHER_MAX_FIELDS; f++)
        for (size_t i = 0; i < table->fields[f].count; i++)
            part_release(table->fields[f].parts[i]);
    (void)pthread_mutex_destroy(&table->lock);
}

/* ---- making a part */

/* Calls for each row of [begin, end) that is in a segment, checked. */
static hither_status each_row(const ht_snapshot *s, uint64_t begin, uint64_t end,
                              void (*each)(void *arg, uint64_t slot, const float *row), void *arg, hither_error *err) {
    for (size_t i = 0; i < s->extent_count; i++) {
        ht_extent *extent = s->extents[i];
        uint64_t first = extent->first_slot > begin ? extent->first_slot : begin;
        uint64_t stop = extent->first_slot + extent->capacity < end ? extent->first_slot + extent->capacity : end;
        if (first >= stop)
            continue;
        HT_TRY(ht_extent_touch(extent, (size_t)(first - extent->first_slot), (size_t)(stop - extent->first_slot), false,
                               err));
        for (uint64_t slot = first; slot < stop; slot++)
            each(arg, slot, ht_extent_row(extent, slot));
    }
    return HITHER_OK;
}

typedef struct filling {
    const ht_vector_field *field;
    ht_sparse_part *part;
} filling;

static void count_row(void *arg, uint64_t slot, const float *row) {
    filling *f = arg;
    (void)slot;
    f->part->count += ht_field_count(f->field, row);
}

static void take_row(void *arg, uint64_t slot, const float *row) {
    filling *f = arg;
    uint32_t n = ht_field_count(f->field, row), at = (uint32_t)(slot - f->part->begin);
    const float *values = ht_field_data(f->field, row);
    const uint32_t *indices = (const uint32_t *)(const void *)(values + f->field->most);
    if (n)
        f->part->present[at / 64] |= (uint64_t)1 << at % 64;
    for (uint32_t i = 0; i < n; i++)
        f->part->entries[f->part->count++] = (entry){indices[i], at, values[i]};
}

/* By index, 11 bits at a time; stable, so rows stay in order. `room` is as large; the result is in `entries`. */
static void sort_entries(entry *entries, entry *room, size_t count) {
    for (unsigned shift = 0; shift < 44; shift += 11) { /* four times: an even number brings it back */
        size_t starts[2048] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            starts[(uint64_t)entries[i].index >> shift & 2047]++;
        for (size_t i = 0; i < 2048; i++) {
            size_t n = starts[i];
            starts[i] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++)
            room[starts[(uint64_t)entries[i].index >> shift & 2047]++] = entries[i];
        entry *swap = entries;
        entries = room;
        room = swap;
    }
}

static hither_status make_part(const ht_snapshot *s, const ht_vector_field *field, uint64_t begin, uint64_t end,
                               ht_sparse_part **out, hither_error *err) {
    ht_sparse_part *part = ht_calloc(1, sizeof *part);
    filling f = {field, part};
    entry *room = NULL;
    if (!part)
        return ht_fail_nomem(err, sizeof *part, "the lists of a sparse field");
    *part = (ht_sparse_part){.begin = begin, .end = end};
    atomic_init(&part->references, 1);
    part->present = ht_calloc((size_t)((end - begin + 63) / 64), sizeof *part->present);
    hither_status status =
        part->present ? HITHER_OK : ht_fail_nomem(err, (size_t)(end - begin) / 8, "the lists of a sparse field");
    if (status == HITHER_OK)
        status = each_row(s, begin, end, count_row, &f, err);
    if (status == HITHER_OK) {
        part->entries = ht_calloc(part->count, sizeof *part->entries);
        room = ht_calloc(part->count, sizeof *room);
        if (!part->entries || !room)
            status = ht_fail_nomem(err, part->count * sizeof *room, "the lists of a sparse field");
    }
    part->count = 0;
    if (status == HITHER_OK)
        status = each_row(s, begin, end, take_row, &f, err);
    if (status == HITHER_OK)
        sort_entries(part->entries, room, part->count);
    ht_release(room);
    if (status == HITHER_OK)
        *out = part;
    else
        part_release(part);
    return status;
}

static bool is_older(const ht_shape *shape, const ht_shape *than) {
    for (than = than->next; than && than != shape;)
        than = than->next;
    return than != NULL;
}

/* Makes the lists cover all slots of the snapshot. A part that is not twice as large as what comes is made anew with
 * it. The lock is held. */
static hither_status cover(ht_sparse_lists *lists, const ht_snapshot *s, const ht_vector_field *field,
                           hither_error *err) {
    for (;;) {
        uint64_t begin = lists->count ? lists->parts[lists->count - 1]->end : 0, end = s->slot_limit;
        size_t keep = lists->count;
        if (begin >= end)
            return HITHER_OK;
        while (keep) {
            const ht_sparse_part *last = lists->parts[keep - 1];
            if (keep < HT_SPARSE_PARTS && last->end - last->begin > 2 * (end - begin))
                break;
            if (end - last->begin > PART_SLOTS)
                break;
            begin = last->begin;
            keep--;
        }
        if (keep == HT_SPARSE_PARTS)
            return ht_fail(err, HITHER_TOO_LARGE, "field '%s' has more rows than its lists can hold", field->name);
        ht_sparse_part *part = NULL;
        HT_TRY(make_part(s, field, begin, end - begin > PART_SLOTS ? begin + PART_SLOTS : end, &part, err));
        while (lists->count > keep)
            part_release(lists->parts[--lists->count]);
        lists->parts[lists->count++] = part;
        if (!lists->shape || is_older(lists->shape, s->shape))
            lists->shape = s->shape;
    }
}

/* ---- copying */

static hither_status copy_part(const ht_sparse_part *from, const ht_mask *needed, ht_sparse_part **out,
                               hither_error *err) {
    size_t words = (size_t)((from->end - from->begin + 63) / 64), count = 0;
    for (size_t i = 0; i < from->count; i++)
        count += ht_mask_has(needed, from->begin + from->entries[i].row);
    ht_sparse_part *part = ht_calloc(1, sizeof *part);
    if (part) {
        *part = (ht_sparse_part){.begin = from->begin, .end = from->end};
        atomic_init(&part->references, 1);
        part->present = ht_calloc(words, sizeof *part->present);
        part->entries = ht_calloc(count, sizeof *part->entries);
    }
    if (!part || !part->present || !part->entries) {
        part_release(part);
        return ht_fail_nomem(err, count * sizeof(entry), "the lists of a sparse field");
    }
    for (uint64_t row = 0; row < from->end - from->begin; row++)
        if ((from->present[row / 64] >> row % 64 & 1) && ht_mask_has(needed, from->begin + row))
            part->present[row / 64] |= (uint64_t)1 << row % 64;
    for (size_t i = 0; i < from->count; i++)
        if (ht_mask_has(needed, from->begin + from->entries[i].row))
            part->entries[part->count++] = from->entries[i];
    *out = part;
    return HITHER_OK;
}

hither_status ht_sparse_table_copy(ht_sparse_table *from, const ht_mask *needed, ht_sparse_table *to,
                                   hither_error *err) {
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&from->lock);
    for (size_t f = 0; f < HITHER_MAX_FIELDS; f++) {
        const ht_sparse_lists *lists = &from->fields[f];
        to->fields[f].shape = lists->shape;
        for (size_t i = 0; i < lists->count && lists->parts[i]->end <= needed->limit && status == HITHER_OK; i++) {
            status = copy_part(lists->parts[i], needed, &to->fields[f].parts[i], err);
            to->fields[f].count += status == HITHER_OK;
        }
    }
    pthread_mutex_unlock(&from->lock);
    return status;
}

/* ---- searching */

/* The first entry of an index, or of a later one. */
static size_t find(const ht_sparse_part *part, uint32_t index) {
    size_t low = 0, high = part->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (part->entries[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static hither_status search_part(const ht_sparse_part *part, uint64_t limit, const float *values,
                                 const uint32_t *indices, uint32_t m, const ht_mask *live, const ht_mask *allow,
                                 ht_topk *top, ht_exact_stats *stats, hither_error *err) {
    size_t rows = (size_t)((part->end < limit ? part->end : limit) - part->begin);
    double *sums = ht_calloc(rows, sizeof *sums);
    if (!sums)
        return ht_fail_nomem(err, rows * sizeof *sums, "the scores of a search");
    for (uint32_t i = 0; i < m; i++) {
        for (size_t e = find(part, indices[i]); e < part->count && part->entries[e].index == indices[i]; e++) {
            stats->rows_scanned++;
            if (part->entries[e].row < rows)
                sums[part->entries[e].row] += (double)values[i] * (double)part->entries[e].value;
        }
    }
    uint64_t end = part->begin + rows;
    for (uint64_t block = part->begin / 64 * 64; block < end; block += 64) {
        uint64_t word = ht_mask_word(live, block) & ht_mask_word(allow, block);
        for (; word; word &= word - 1) {
            uint64_t slot = block + (uint64_t)__builtin_ctzll(word), row = slot - part->begin;
            if (slot < part->begin || slot >= end || !(part->present[row / 64] >> row % 64 & 1))
                continue;
            if (-sums[row] <= ht_topk_limit(top))
                ht_topk_push(top, (ht_hit){-sums[row], slot});
        }
    }
    ht_release(sums);
    return HITHER_OK;
}

hither_status ht_sparse_nearest(const ht_collection *c, const ht_snapshot *s, uint32_t field, const float *query,
                                const ht_mask *live, const ht_mask *allow, size_t k, ht_hit *hits, size_t *count,
                                ht_exact_stats *stats, hither_error *err) {
    ht_sparse_table *table = &s->made->sparse;
    ht_sparse_lists held = {.count = 0};
    uint32_t m;
    ht_topk top;
    memcpy(&m, query++, sizeof m);
    pthread_mutex_lock(&table->lock);
    hither_status status = cover(&table->fields[field - 1], s, &s->shape->fields[field - 1], err);
    if (status == HITHER_OK)
        held = table->fields[field - 1];
    if (held.shape && is_older(s->shape, held.shape)) { /* rows that had died by then were not copied */
        held.count = 0;
        status = ht_fail(err, HITHER_STALE, "the collection was moved to another embedder meanwhile");
    }
    for (size_t i = 0; i < held.count; i++)
        atomic_fetch_add_explicit(&held.parts[i]->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&table->lock);
    ht_topk_init(&top, hits, k);
    for (size_t i = 0; i < held.count; i++) {
        if (status == HITHER_OK && held.parts[i]->begin < s->slot_limit)
            status = search_part(held.parts[i], s->slot_limit, query, (const uint32_t *)(const void *)(query + m), m,
                                 live, allow, &top, stats, err);
        part_release(held.parts[i]);
    }
    ht_topk_sort(&top);
    *count = top.count;
    /* They may have been made by a reader who came after a compaction. */
    if (status == HITHER_OK && atomic_load_explicit(&c->floor, memory_order_acquire) > s->seq)
        return ht_fail(err, HITHER_STALE, "compaction has overtaken this search");
    return status;
}
