/*
 * ring.c: making a ring, and writing into it. See ring.h for what must stay true; ring_view.c reads.
 *
 * The order that everything hangs on, all sequentially consistent: a reader stores its pin, then loads `floor`; who
 * opens a chunk raises `floor`, then loads the pins. So at least one of them sees the other.
 */
#include <sched.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "stream/ring_inside.h"

enum { LEAST_CODED_DIM = 32, LEAST_ROOM = 64, MOST_YIELDS = 5000, NAPS_A_MS = 10, LEAST_MS = 250 };

/* ---- making one */

static void slab_free(ht_slab *slab, size_t rows) {
    if (!slab)
        return;
    for (size_t i = 0; slab->slots && i < rows; i++)
        ht_release(slab->slots[i].text);
    ht_release(slab->rows);
    ht_release(slab->norms);
    ht_release(slab->codes);
    ht_release(slab->slots);
    ht_release((void *)slab->flags);
    ht_release((void *)slab->coding);
    ht_release((void *)slab->coded);
    ht_release(slab);
}

static size_t slab_rows(const ht_ring *r, size_t slab) {
    return ht_min_size(HT_SLAB_ROWS, (size_t)r->chunks * HT_RING_CHUNK - slab * HT_SLAB_ROWS);
}

static hither_status slab_new(const ht_ring *r, size_t rows, ht_slab **out, hither_error *err) {
    size_t bytes, code_bytes = r->dim >= LEAST_CODED_DIM ? ht_codes_bytes(rows, r->dim) : 0;
    ht_slab *slab = ht_calloc(1, sizeof *slab);
    if (!slab || !ht_mul_size(rows, r->stride, &bytes)) {
        ht_release(slab);
        return ht_fail_nomem(err, rows, "records of a window");
    }
    slab->rows = ht_alloc_aligned(bytes);
    slab->norms = ht_calloc(rows, sizeof *slab->norms);
    slab->codes = code_bytes ? ht_alloc_aligned(code_bytes) : NULL;
    slab->slots = ht_calloc(rows, sizeof *slab->slots);
    slab->flags = ht_calloc(rows, sizeof *slab->flags);
    slab->coding = ht_calloc(rows / HT_CODE_ROWS, sizeof *slab->coding);
    slab->coded = ht_calloc(rows / HT_CODE_ROWS, sizeof *slab->coded);
    if (slab->rows && slab->norms && (slab->codes || !code_bytes) && slab->slots && slab->flags && slab->coding &&
        slab->coded) {
        size_t used = r->dim * sizeof(float);
        for (size_t i = 0; used < r->stride && i < rows; i++) /* the padding stays zero for good */
            memset((char *)slab->rows + i * r->stride + used, 0, r->stride - used);
        *out = slab;
        return HITHER_OK;
    }
    slab_free(slab, rows);
    return ht_fail_nomem(err, bytes, "records of a window");
}

hither_status ht_ring_new(uint32_t capacity, uint32_t dim, uint32_t slack, uint32_t wait_ms, bool in_turn,
                          ht_ring **out, hither_error *err) {
    ht_ring *r = ht_alloc_aligned(sizeof *r);
    *out = NULL;
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "a window");
    memset(r, 0, sizeof *r);
    if (slack == 0)
        slack = capacity / 16 > 1024 ? capacity / 16 : capacity > 1024 ? 1024 : capacity;
    r->capacity = capacity;
    r->dim = dim;
    r->wait_ms = wait_ms;
    r->unfinished = in_turn ? 1 : capacity <= 1024 ? 2 : 4;
    r->chunks = (capacity + HT_RING_CHUNK - 1) / HT_RING_CHUNK + r->unfinished + 3 +
                (slack + HT_RING_CHUNK - 1) / HT_RING_CHUNK;
    r->stride = ((size_t)dim * sizeof(float) + 63) / 64 * 64;
    r->slab_count = ((size_t)r->chunks * HT_RING_CHUNK + HT_SLAB_ROWS - 1) / HT_SLAB_ROWS;
    for (size_t i = 0; i < HT_RING_READERS; i++)
        atomic_init(&r->pins[i].low, HT_NOT_PINNED);
    r->slabs = ht_calloc(r->slab_count, sizeof *r->slabs);
    r->done = ht_calloc(r->chunks, sizeof *r->done);
    r->voids = ht_calloc(r->chunks, sizeof *r->voids);
    if (r->slabs && r->done && r->voids) {
        *out = r;
        return HITHER_OK;
    }
    ht_ring_free(r);
    return ht_fail_nomem(err, capacity / HT_RING_CHUNK * sizeof(uint64_t), "a window");
}

static void scratch_free(ht_ring_scratch *s) {
    ht_release(s->bits);
    ht_release(s->settled);
    ht_release(s->chunks);
    ht_release(s->parts);
    ht_release(s->copies);
    ht_release(s->copied_norms);
    ht_exact_scratch_clear(&s->exact);
}

void ht_ring_free(ht_ring *r) {
    if (!r)
        return;
    for (size_t i = 0; r->slabs && i < r->slab_count; i++)
        slab_free(atomic_load_explicit(&r->slabs[i], memory_order_relaxed), slab_rows(r, i));
    for (size_t i = 0; i < HT_RING_READERS; i++)
        scratch_free(&r->pins[i].scratch);
    ht_release((void *)r->slabs);
    ht_release((void *)r->done);
    ht_release((void *)r->voids);
    ht_release(r);
}

size_t ht_ring_stride(const ht_ring *r) { return r->stride; }
uint64_t ht_ring_next(const ht_ring *r) { return atomic_load_explicit(&r->next, memory_order_acquire); }
uint64_t ht_ring_first(const ht_ring *r) { return r->first; }
uint64_t ht_ring_busy(const ht_ring *r) { return atomic_load_explicit(&r->busy, memory_order_relaxed); }

/* What came before counts as settled, and stood nowhere. */
void ht_ring_start(ht_ring *r, uint64_t number) {
    uint64_t chunk = number / HT_RING_CHUNK;
    r->first = number;
    for (uint64_t i = 0; i < r->chunks; i++) {
        uint64_t laps = chunk / r->chunks + (i < chunk % r->chunks);
        atomic_store_explicit(&r->done[i], laps * HT_RING_CHUNK, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&r->done[chunk % r->chunks], number % HT_RING_CHUNK, memory_order_relaxed);
    atomic_store_explicit(&r->opened, chunk, memory_order_relaxed);
    atomic_store_explicit(&r->next, number, memory_order_release);
    if (number % HT_RING_CHUNK != 0) /* tickets of its chunk that nobody wrote */
        atomic_store_explicit(&r->voids[chunk % r->chunks], chunk + 1, memory_order_relaxed);
}

/* ---- opening chunks */

static hither_status need_slab(ht_ring *r, uint64_t place, hither_error *err) {
    size_t i = (size_t)(place / HT_SLAB_ROWS);
    if (ht_ring_slab(r, place))
        return HITHER_OK;
    ht_slab *slab = NULL, *there = NULL;
    HT_TRY(slab_new(r, slab_rows(r, i), &slab, err));
    if (!atomic_compare_exchange_strong_explicit(&r->slabs[i], &there, slab, memory_order_acq_rel,
                                                 memory_order_acquire))
        slab_free(slab, slab_rows(r, i));
    return HITHER_OK;
}

typedef enum opening { OPEN, PINNED, UNFINISHED, NO_MEMORY } opening;

/* Opens chunk q, the first that is not, unless somebody else does. */
static opening open_chunk(ht_ring *r, uint64_t q, hither_error *err) {
    if (q >= r->unfinished && !ht_ring_whole(r, q - r->unfinished))
        return UNFINISHED; /* and with it, every chunk before is known to be whole */
    if (need_slab(r, (q % r->chunks) * HT_RING_CHUNK, err) != HITHER_OK)
        return NO_MEMORY;
    if (q >= r->chunks) {
        uint64_t wanted = (q - r->chunks + 1) * HT_RING_CHUNK, floor = atomic_load(&r->floor);
        while (floor < wanted && !atomic_compare_exchange_weak(&r->floor, &floor, wanted))
            ;
        for (size_t i = 0; i < HT_RING_READERS; i++)
            if (atomic_load(&r->pins[i].low) < wanted)
                return PINNED;
    }
    atomic_compare_exchange_strong_explicit(&r->opened, &q, q + 1, memory_order_acq_rel, memory_order_relaxed);
    return OPEN;
}

static hither_status fail_busy(ht_ring *r, opening why, hither_error *err) {
    if (why == NO_MEMORY)
        return HITHER_NOMEM; /* as err says */
    atomic_fetch_add_explicit(&r->busy, 1, memory_order_relaxed);
    return ht_fail(err, HITHER_BUSY, "push: all spare places of the window are held by a %s; push again later",
                   why == PINNED ? "search that is still running" : "push that stopped half-way");
}

/* What tickets [t, t + count) drive out is settled. Within the same claim it will be in time. */
static bool leaving_settled(const ht_ring *r, uint64_t t, uint32_t count) {
    if (t + count <= r->first + r->capacity)
        return true;
    uint64_t begin = t >= r->capacity ? t - r->capacity : 0, end = t + count - r->capacity;
    if (begin < r->first)
        begin = r->first;
    for (uint64_t i = begin; i < end && i < t;) {
        uint64_t q = i / HT_RING_CHUNK;
        if (ht_ring_whole(r, q)) {
            i = (q + 1) * HT_RING_CHUNK;
            continue;
        }
        uint64_t place = ht_ring_place(r, i);
        uint64_t flag =
            atomic_load_explicit(&ht_ring_slab(r, place)->flags[place % HT_SLAB_ROWS], memory_order_acquire);
        if ((flag & ~HT_GIVEN_UP) != i + 1)
            return false;
        i++;
    }
    return true;
}

/* Takes up to `want` tickets, 0: only sees to it that one could be taken. */
static hither_status claim(ht_ring *r, uint32_t want, uint64_t *first, uint32_t *count, hither_error *err) {
    uint64_t waited = 0;
    for (unsigned yields = 0;;) {
        uint64_t t = atomic_load_explicit(&r->next, memory_order_acquire);
        uint64_t limit = atomic_load_explicit(&r->opened, memory_order_acquire) * HT_RING_CHUNK;
        opening state = t < limit ? OPEN : open_chunk(r, limit / HT_RING_CHUNK, err);
        uint32_t n = t < limit && limit - t < want ? (uint32_t)(limit - t) : want;
        if (state == OPEN && t < limit) {
            if (want == 0)
                return HITHER_OK;
            if (!leaving_settled(r, t, n))
                state = UNFINISHED;
            else if (atomic_compare_exchange_strong_explicit(&r->next, &t, t + n, memory_order_acq_rel,
                                                             memory_order_relaxed)) {
                *first = t;
                *count = n;
                return HITHER_OK;
            }
        }
        if (state == OPEN)
            continue;
        /* Another writer lost the processor in the middle of a record: a moment, not a wait for a reader, but on a
         * machine with more to do than processors a long one. */
        if (state == UNFINISHED && ++yields <= MOST_YIELDS) {
            sched_yield();
            continue;
        }
        const uint64_t patience = state == UNFINISHED && r->wait_ms < LEAST_MS ? LEAST_MS : r->wait_ms;
        if (state == NO_MEMORY || waited >= patience * NAPS_A_MS)
            return fail_busy(r, state, err);
        waited++;
        nanosleep(&(struct timespec){.tv_nsec = 1000000 / NAPS_A_MS}, NULL);
    }
}

hither_status ht_ring_ready(ht_ring *r, hither_error *err) { return claim(r, 0, NULL, NULL, err); }

hither_status ht_ring_claim(ht_ring *r, uint32_t want, uint64_t *first, uint32_t *count, hither_error *err) {
    return claim(r, want, first, count, err);
}

/* ---- writing records */

static ht_ring_slot *slot_of(const ht_ring *r, uint64_t number) {
    uint64_t place = ht_ring_place(r, number);
    return &ht_ring_slab(r, place)->slots[place % HT_SLAB_ROWS];
}

hither_status ht_ring_reserve(ht_ring *r, uint64_t number, size_t bytes, hither_error *err) {
    ht_ring_slot *slot = slot_of(r, number);
    if (bytes <= slot->room)
        return HITHER_OK;
    size_t room = bytes < LEAST_ROOM ? LEAST_ROOM : (bytes + 63) / 64 * 64;
    char *text = ht_resize(slot->text, room);
    if (!text)
        return ht_fail_nomem(err, room, "the text of a record");
    slot->text = text;
    slot->room = (uint32_t)room;
    return HITHER_OK;
}

void ht_ring_expect(const ht_ring *r, uint64_t number) {
    const uint64_t place = ht_ring_place(r, number), at = place % HT_SLAB_ROWS;
    const ht_slab *slab = ht_ring_slab(r, place);
    const char *row = (const char *)ht_slab_row(r, slab, at);
    for (size_t i = 0; i < r->stride; i += 64)
        __builtin_prefetch(row + i, 1, 3);
    __builtin_prefetch(slab->slots[at].text, 1, 3);
}

bool ht_ring_code(const ht_ring *r, ht_slab *slab, uint64_t ticket, uint64_t at) {
    const uint64_t block = at / HT_CODE_ROWS;
    uint64_t before = atomic_load_explicit(&slab->coding[block], memory_order_relaxed);
    if (before == ticket + 1 || !atomic_compare_exchange_strong_explicit(&slab->coding[block], &before, ticket + 1,
                                                                         memory_order_acq_rel, memory_order_relaxed))
        return false;
    ht_codes_make(slab->rows, r->stride, r->dim, (size_t)at, (size_t)at + HT_CODE_ROWS, slab->codes);
    atomic_store_explicit(&slab->coded[block], ticket + 1, memory_order_release);
    return true;
}

/* While somebody searches, who writes the last record of a block codes it before the record is shown: until then the
 * block cannot be written over. Where two write the last ones at the same time neither does, and a reader will. */
static void code_last(const ht_ring *r, ht_slab *slab, uint64_t number) {
    const uint64_t ticket = number / HT_CODE_ROWS * HT_CODE_ROWS, at = ht_ring_place(r, ticket) % HT_SLAB_ROWS;
    if (!slab->codes || number >= atomic_load_explicit(&r->sought, memory_order_relaxed))
        return;
    for (uint64_t i = HT_CODE_ROWS; i-- > 0;) { /* mostly the others are behind, and the first look ends it */
        const uint64_t flag = atomic_load_explicit(&slab->flags[at + i], memory_order_acquire);
        if (ticket + i != number && (flag & ~HT_GIVEN_UP) != ticket + i + 1)
            return;
    }
    ht_ring_code(r, slab, ticket, at);
}

static void settle(ht_ring *r, const ht_slab *slab, uint64_t number, uint64_t mark) {
    uint64_t place = ht_ring_place(r, number);
    atomic_store_explicit(&slab->flags[place % HT_SLAB_ROWS], (number + 1) | mark, memory_order_release);
    atomic_fetch_add_explicit(&r->done[place / HT_RING_CHUNK], 1, memory_order_acq_rel);
}

void ht_ring_write(ht_ring *r, uint64_t number, const ht_ring_record *record) {
    uint64_t place = ht_ring_place(r, number), at = place % HT_SLAB_ROWS;
    ht_slab *slab = ht_ring_slab(r, place);
    float *row = ht_slab_row(r, slab, at);
    ht_ring_slot *slot = &slab->slots[at];
    memcpy(row, record->vector, r->dim * sizeof *row);
    if (record->norm >= 0)
        slab->norms[at] = record->norm;
    else
        ht_exact_norms(row, r->stride, 1, r->dim, &slab->norms[at]);
    if (record->text.bytes > 0)
        memcpy(slot->text, record->text.data, record->text.bytes);
    if (record->metadata.bytes > 0)
        memcpy(slot->text + record->text.bytes, record->metadata.data, record->metadata.bytes);
    slot->bytes = (uint32_t)record->text.bytes;
    slot->metadata_bytes = (uint32_t)record->metadata.bytes;
    slot->has_text = record->text.data != NULL;
    slot->has_metadata = record->metadata.data != NULL;
    slot->time_ms = record->time_ms;
    slot->scale = record->scale;
    code_last(r, slab, number);
    settle(r, slab, number, 0);
}

void ht_ring_give_up(ht_ring *r, uint64_t number) {
    uint64_t place = ht_ring_place(r, number);
    atomic_store_explicit(&r->voids[place / HT_RING_CHUNK], number / HT_RING_CHUNK + 1, memory_order_release);
    settle(r, ht_ring_slab(r, place), number, HT_GIVEN_UP);
}

const float *ht_ring_vector(const ht_ring *r, uint64_t number) {
    uint64_t place = ht_ring_place(r, number), at = place % HT_SLAB_ROWS;
    const ht_slab *slab = ht_ring_slab(r, place);
    if (number < r->first || atomic_load_explicit(&slab->flags[at], memory_order_acquire) != number + 1)
        return NULL;
    return ht_slab_row(r, slab, at);
}

const float *ht_ring_leaving(const ht_ring *r, uint64_t number, double *scale) {
    const float *vector = number >= r->capacity ? ht_ring_vector(r, number - r->capacity) : NULL;
    *scale = vector ? slot_of(r, number - r->capacity)->scale : 0;
    return vector;
}
