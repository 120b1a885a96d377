/*
 * ring_view.c: looking at a ring while others write into it. A view pins what it may read, marks the newest whole
 * records in a bit array, and lays them out as parts for exact search, where they lie. Only blocks of 64 records some
 * of which are being written are copied, so that nothing is read that is not whole. Codes of a block that has none are
 * made by a reader that meets it, a few blocks each time, so that none pays for all that came; meanwhile its rows are
 * read. While readers come, writers make them.
 */
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "stream/ring_inside.h"

/* Coding a row costs about as much as reading it sixteen times: with this share of the blocks a view costs at most
 * double what one costs that codes none. */
enum { BLOCK = 64, CHUNK_WORDS = 1024, CODED_AT_ONCE = 16 };

/* ---- pins */

static unsigned take_pin(ht_ring *r) {
    static _Thread_local unsigned mine;
    for (unsigned i = 0;; i++) {
        ht_ring_pin *pin = &r->pins[(mine + i) % HT_RING_READERS];
        if (!atomic_load_explicit(&pin->taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&pin->taken, true, memory_order_acquire))
            return mine = (mine + i) % HT_RING_READERS;
        if (i % HT_RING_READERS == HT_RING_READERS - 1)
            sched_yield();
    }
}

/* The oldest ticket that a view which ends at `end` may want. */
static uint64_t oldest_wanted(const ht_ring *r, uint64_t end) {
    uint64_t back = (uint64_t)r->capacity + (uint64_t)(r->unfinished + 1) * HT_RING_CHUNK;
    uint64_t low = end > back ? end - back : 0;
    return (low > r->first ? low : r->first) / BLOCK * BLOCK;
}

static uint64_t pin_down(ht_ring *r, ht_ring_pin *pin) {
    for (;;) {
        uint64_t low = oldest_wanted(r, atomic_load(&r->next));
        atomic_store(&pin->low, low);
        if (atomic_load(&r->floor) <= low)
            return low;
    }
}

void ht_moment_close(ht_moment *view) {
    ht_ring_pin *pin = &view->ring->pins[view->pin];
    atomic_store(&pin->low, HT_NOT_PINNED);
    atomic_store_explicit(&pin->taken, false, memory_order_release);
}

/* ---- memory */

static bool grow(void **block, size_t count, size_t size) {
    void *larger = ht_calloc(count, size);
    if (!larger)
        return false;
    ht_release(*block);
    *block = larger;
    return true;
}

static hither_status need_words(ht_ring_scratch *s, size_t words, hither_error *err) {
    if (words <= s->words)
        return HITHER_OK;
    size_t room = words + words / 2 + 64, chunks = room / CHUNK_WORDS + 2;
    s->words = 0;
    if (!grow((void **)&s->bits, chunks * CHUNK_WORDS + CHUNK_WORDS, sizeof *s->bits) ||
        !grow((void **)&s->settled, room, sizeof *s->settled) || !grow((void **)&s->chunks, chunks, sizeof *s->chunks))
        return ht_fail_nomem(err, room * 16, "a search of a window");
    s->words = room;
    return HITHER_OK;
}

static hither_status need_part(ht_ring_scratch *s, size_t count, hither_error *err) {
    if (count < s->part_room)
        return HITHER_OK;
    size_t room = 2 * s->part_room + 16;
    ht_part *parts = ht_resize(s->parts, room * sizeof *parts);
    if (!parts)
        return ht_fail_nomem(err, room * sizeof *parts, "a search of a window");
    s->parts = parts;
    s->part_room = room;
    return HITHER_OK;
}

/* Room for copies of as many blocks as can be unfinished at once; before there are any. */
static hither_status need_copies(const ht_ring *r, ht_ring_scratch *s, size_t blocks, hither_error *err) {
    if (blocks <= s->copy_room)
        return HITHER_OK;
    size_t bytes;
    ht_release(s->copies);
    ht_release(s->copied_norms);
    s->copies = ht_mul_size(blocks * BLOCK, r->stride, &bytes) ? ht_alloc_aligned(bytes) : NULL;
    s->copied_norms = ht_calloc(blocks * BLOCK, sizeof *s->copied_norms);
    s->copy_room = s->copies && s->copied_norms ? blocks : 0;
    return s->copy_room ? HITHER_OK : ht_fail_nomem(err, blocks * BLOCK * r->stride, "a search of a window");
}

/* ---- which records */

/* The records of 64 tickets: those that are whole, and those whose places nobody writes. */
static uint64_t look_at(const ht_ring *r, uint64_t ticket, uint64_t end, uint64_t *settled) {
    uint64_t q = ticket / HT_RING_CHUNK, place = ht_ring_place(r, ticket), bits = 0;
    uint64_t all = end - ticket >= BLOCK ? UINT64_MAX : ((uint64_t)1 << (end - ticket)) - 1;
    bool whole = ht_ring_whole(r, q);
    *settled = whole ? UINT64_MAX : 0;
    if (whole && atomic_load_explicit(&r->voids[q % r->chunks], memory_order_relaxed) != q + 1)
        return all;
    const ht_slab *slab = ht_ring_slab(r, place);
    if (!slab) /* these are before the first record of a window that was saved with all too old, and none came since */
        return 0;
    for (unsigned i = 0; i < BLOCK && ticket + i < end; i++) {
        uint64_t flag = atomic_load_explicit(&slab->flags[place % HT_SLAB_ROWS + i], memory_order_acquire);
        bits |= (uint64_t)(flag == ticket + i + 1) << i;
        *settled |= (uint64_t)((flag & ~HT_GIVEN_UP) == ticket + i + 1) << i;
    }
    return bits;
}

/* Marks the newest records, going back from the end; sets view->base. */
static void mark(const ht_ring *r, ht_moment *view, uint64_t low, uint64_t end) {
    ht_ring_scratch *s = &view->ring->pins[view->pin].scratch;
    uint64_t ticket = (end + BLOCK - 1) / BLOCK * BLOCK;
    size_t found = 0, w = (size_t)((ticket - low) / BLOCK);
    memset(s->bits + w, 0, CHUNK_WORDS * sizeof *s->bits);
    while (w > 0 && found < r->capacity) {
        ticket -= BLOCK;
        w--;
        uint64_t bits = look_at(r, ticket, end, &s->settled[w]);
        size_t count = (size_t)__builtin_popcountll(bits);
        for (; found + count > r->capacity; count--)
            bits &= bits - 1; /* the oldest */
        s->bits[w] = bits;
        found += count;
    }
    view->base = ticket;
    view->end = end;
    view->records = found;
    view->bits = s->bits + w;
    size_t chunks = (size_t)(end - ticket) / ((size_t)CHUNK_WORDS * 64) + 1;
    for (size_t i = 0; i < chunks; i++)
        s->chunks[i] = view->bits + i * CHUNK_WORDS;
    view->live = (ht_mask){s->chunks, chunks, end - ticket};
    if (w > 0)
        memmove(s->settled, s->settled + w, (size_t)((end - ticket + BLOCK - 1) / BLOCK) * sizeof *s->settled);
}

/* ---- where they lie */

static bool have_codes(const ht_ring *r, ht_slab *slab, uint64_t ticket, uint64_t at, size_t *budget) {
    if (ht_ring_coded(slab, ticket, at))
        return true;
    if (!slab->codes || *budget == 0 || !ht_ring_code(r, slab, ticket, at))
        return false;
    --*budget;
    return true;
}

static hither_status add_copy(const ht_ring *r, ht_ring_scratch *s, ht_moment *view, uint64_t ticket, uint64_t settled,
                              size_t *copies, hither_error *err) {
    uint64_t place = ht_ring_place(r, ticket), at = place % HT_SLAB_ROWS;
    const ht_slab *slab = ht_ring_slab(r, place);
    char *rows = (char *)s->copies + *copies * BLOCK * r->stride;
    float *norms = s->copied_norms + *copies * BLOCK;
    memset(rows, 0, BLOCK * r->stride);
    memset(norms, 0, BLOCK * sizeof *norms);
    for (uint64_t left = settled; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        memcpy(rows + i * r->stride, ht_slab_row(r, slab, at + i), r->stride);
        norms[i] = slab->norms[at + i];
    }
    ++*copies;
    HT_TRY(need_part(s, view->vectors.part_count, err));
    s->parts[view->vectors.part_count++] =
        (ht_part){.rows = rows, .first_slot = ticket - view->base, .count = BLOCK, .stride = r->stride, .norms = norms};
    return HITHER_OK;
}

/* A block of which `count` records from the first on may be read where they lie. */
static hither_status add_block(const ht_ring *r, ht_ring_scratch *s, ht_moment *view, uint64_t ticket, size_t count,
                               size_t *budget, hither_error *err) {
    uint64_t place = ht_ring_place(r, ticket), at = place % HT_SLAB_ROWS;
    ht_slab *slab = ht_ring_slab(r, place);
    const float *row = ht_slab_row(r, slab, at);
    bool coded = count == BLOCK && have_codes(r, slab, ticket, at, budget);
    size_t parts = view->vectors.part_count;
    ht_part *last = parts > 0 ? &s->parts[parts - 1] : NULL;
    if (last && (const char *)last->rows + last->count * r->stride == (const char *)row && at != 0 &&
        (!coded || last->coded_rows == last->count)) {
        last->count += count;
        last->coded_rows += coded ? BLOCK : 0;
        return HITHER_OK;
    }
    HT_TRY(need_part(s, parts, err));
    s->parts[view->vectors.part_count++] = (ht_part){
        .rows = row,
        .first_slot = ticket - view->base,
        .count = count,
        .stride = r->stride,
        .norms = slab->norms + at,
        .codes = slab->codes ? (const char *)slab->codes + ht_codes_bytes((size_t)at, r->dim) : NULL,
        .coded_rows = coded ? BLOCK : 0,
    };
    return HITHER_OK;
}

static hither_status lay_out(const ht_ring *r, ht_ring_scratch *s, ht_moment *view, hither_error *err) {
    size_t blocks = (size_t)(view->end - view->base + BLOCK - 1) / BLOCK, ragged = 0, copies = 0;
    size_t budget = blocks / CODED_AT_ONCE + 1;
    view->vectors = (ht_vectors){.dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = r->dim};
    for (size_t b = 0; b < blocks; b++)
        ragged += s->settled[b] != UINT64_MAX;
    if (ragged > 1)
        HT_TRY(need_copies(r, s, ragged, err));
    for (size_t b = 0; b < blocks; b++) {
        uint64_t ticket = view->base + b * BLOCK, settled = s->settled[b];
        size_t count = BLOCK;
        if (b + 1 == blocks) { /* the last part may end anywhere */
            count = (size_t)(view->end - ticket);
            if (count < BLOCK)
                settled |= UINT64_MAX << count;
        }
        if (settled == UINT64_MAX) {
            HT_TRY(add_block(r, s, view, ticket, count, &budget, err));
        } else {
            HT_TRY(need_copies(r, s, 1, err));
            HT_TRY(add_copy(r, s, view, ticket, s->settled[b], &copies, err));
        }
    }
    view->vectors.parts = s->parts;
    return HITHER_OK;
}

/* Before the first search of a view. */
static hither_status prepare(ht_moment *view, hither_metric metric, hither_error *err) {
    ht_ring *r = view->ring;
    if (!view->vectors.parts)
        HT_TRY(lay_out(r, &r->pins[view->pin].scratch, view, err));
    view->vectors.metric = metric;
    const uint64_t until = view->end + r->capacity; /* of no search since then nobody makes codes any more */
    if (atomic_load_explicit(&r->sought, memory_order_relaxed) < until - r->capacity / 8)
        atomic_store_explicit(&r->sought, until, memory_order_relaxed);
    return HITHER_OK;
}

hither_status ht_moment_open(ht_ring *r, ht_moment *view, hither_error *err) {
    view->ring = r;
    view->pin = take_pin(r);
    ht_ring_pin *pin = &r->pins[view->pin];
    uint64_t low = pin_down(r, pin), end = atomic_load_explicit(&r->next, memory_order_acquire);
    /* What came since belongs to it too, but no more than the pin allows to look back from. */
    hither_status status = need_words(&pin->scratch, (size_t)((end - low) / BLOCK) + 2, err);
    if (status != HITHER_OK) {
        ht_moment_close(view);
        return status;
    }
    mark(r, view, low, end);
    view->vectors = (ht_vectors){.parts = NULL};
    return HITHER_OK;
}

/* ---- use */

ht_ring_record ht_moment_record(const ht_moment *view, uint64_t number) {
    const ht_ring *r = view->ring;
    uint64_t place = ht_ring_place(r, number), at = place % HT_SLAB_ROWS;
    const ht_slab *slab = ht_ring_slab(r, place);
    const ht_ring_slot *slot = &slab->slots[at];
    const char *text = slot->text ? slot->text : "";
    return (ht_ring_record){
        .vector = ht_slab_row(r, slab, at),
        .norm = slab->norms[at],
        .text = {slot->has_text ? text : NULL, slot->bytes},
        .metadata = {slot->has_metadata ? text + slot->bytes : NULL, slot->metadata_bytes},
        .time_ms = slot->time_ms,
    };
}

void ht_moment_from(ht_moment *view, uint64_t number) {
    for (uint64_t i = view->base; i < view->end && i < number; i++) {
        if (!ht_moment_has(view, i))
            continue;
        view->bits[(i - view->base) / 64] &= ~((uint64_t)1 << (i - view->base) % 64);
        view->records--;
    }
}

hither_status ht_moment_search(ht_moment *view, hither_metric metric, const float *query, size_t k, ht_hit *hits,
                               size_t *count, hither_error *err) {
    ht_ring_scratch *s = &view->ring->pins[view->pin].scratch;
    *count = 0;
    if (view->end == view->base)
        return HITHER_OK;
    HT_TRY(prepare(view, metric, err));
    HT_TRY(ht_exact_search_in(&s->exact, &view->vectors, query, view->ring->stride, 1, &view->live, NULL, k, 1, hits,
                              count, NULL, err));
    for (size_t i = 0; i < *count; i++)
        hits[i].slot += view->base;
    return HITHER_OK;
}

hither_status ht_moment_within(ht_moment *view, hither_metric metric, const float *query, float radius, ht_found *found,
                               hither_error *err) {
    ht_ring_scratch *s = &view->ring->pins[view->pin].scratch;
    *found = (ht_found){0};
    if (view->end == view->base)
        return HITHER_OK;
    HT_TRY(prepare(view, metric, err));
    HT_TRY(ht_exact_within(&s->exact, &view->vectors, query, view->ring->stride, 1, &view->live, NULL, radius, 1, found,
                           NULL, err));
    for (size_t i = 0; i < found->count; i++)
        found->hits[i].slot += view->base;
    return HITHER_OK;
}
