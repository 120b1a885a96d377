/*
 * ivf_search.c: looking into lists. The centres are compared by bytes, and those lists scanned whose centres are
 * nearest. A row's product with the query is that of its centre, in f32, and that of what it differs by, estimated from
 * codes: from their coarse halves first, and from both for sets of rows in which one is left. Each estimate has an
 * error with a likely size; a row is dropped where with a few such errors to its favour it would still be behind k
 * others. The rest is scored by D, best estimate first, until no row can be expected to be better than the k there are.
 *
 * Scores rise with nearness: the product, for l2 less half the square of the row's length.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "index/ivf_inside.h"

enum {
    RUN_BLOCKS = 16,
    RUN_ROWS = RUN_BLOCKS * HT_CODE_ROWS,
    SETS = HT_CODE_ROWS / HT_CODE_REFINED, /* of a block */
    LEAST_CANDIDATES = 4096,
    MOST_SKIPPED = 15, /* runs read whole, after coarse halves kept most of one */
    AHEAD = 4
};
/* Likely errors that a row is granted. */
#define ERRORS 3.0F
/* Of the rows that qualify, below which blocks without any are passed over. */
#define THIN 0.15

/* A row that may be among the answers. */
typedef struct candidate {
    float score, best; /* as estimated, and with the error to its favour */
    uint32_t place;
} candidate;

typedef struct scratch {
    void *memory;
    size_t bytes;
} scratch;

typedef struct finder {
    const ivf *v;
    const ht_vectors *vectors;
    const ht_approx_search *search;
    const ht_kernels *kernels;
    const void *given;  /* the query, as given */
    const float *query; /* in f32 */
    double qq;
    ht_probe probe;
    ht_code_query code;
    int8_t *code_room;
    int32_t *sums; /* of all lists, or of a run */
    float *keys;
    uint64_t *lists; /* the nearest, best first: key and number */
    size_t list_count;
    float *uppers;
    candidate *found;
    size_t found_count, found_room;
    float *floor; /* a heap of the k highest scores; the lowest is first */
    size_t floor_count;
    float *row; /* the query in f32, where it was given in f64 */
    void *room; /* for D */
    unsigned skip, skip_next;
    ht_approx_stats stats;
} finder;

void *ivf_scratch_new(void) { return ht_calloc(1, sizeof(scratch)); }
void ivf_scratch_free(void *memory) {
    scratch *s = memory;
    if (s)
        ht_release(s->memory);
    ht_release(s);
}

/* ---- memory */

static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

static hither_status lay_out(finder *f, scratch *s, size_t probes, hither_error *err) {
    const ht_layout layout = {f->v->spec.dtype, false, f->v->spec.dim};
    const size_t lists = f->v->centres->count, dim = layout.dim, k = f->search->k;
    const size_t sizes[] = {ht_probe_bytes((uint32_t)dim),
                            ht_code_query_room(dim),
                            (lists > RUN_ROWS ? lists : RUN_ROWS) * sizeof *f->sums,
                            lists * sizeof *f->keys,
                            (probes + 1) * sizeof *f->lists,
                            RUN_ROWS * sizeof *f->uppers,
                            0,
                            0,
                            dim * sizeof *f->row,
                            ht_stored_scratch(&layout)};
    void *at[sizeof sizes / sizeof *sizes];
    size_t starts[sizeof sizes / sizeof *sizes], found, floor, bytes = 0;
    if (!ht_mul_size(k, 4, &found) || !ht_add_size(found, LEAST_CANDIDATES, &f->found_room) ||
        !ht_mul_size(f->found_room, sizeof *f->found, &found) || !ht_mul_size(k, sizeof *f->floor, &floor))
        return ht_fail_nomem(err, SIZE_MAX, "a search of lists");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        starts[i] = bytes;
        bytes += lines(i == 6 ? found : i == 7 ? floor : sizes[i]);
    }
    if (s->bytes < bytes) {
        ht_release(s->memory);
        s->memory = ht_alloc_aligned(bytes);
        s->bytes = s->memory ? bytes : 0;
    }
    if (!s->memory)
        return ht_fail_nomem(err, bytes, "a search of lists");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        at[i] = (char *)s->memory + starts[i];
    f->probe.bytes = at[0];
    f->code_room = at[1];
    f->sums = at[2];
    f->keys = at[3];
    f->lists = at[4];
    f->uppers = at[5];
    f->found = at[6];
    f->floor = at[7];
    f->row = at[8];
    f->room = at[9];
    return HITHER_OK;
}

/* ---- which lists */

/* A key and a number as one that sorts by key, then by number. */
static uint64_t pack(float key, uint32_t number) {
    uint32_t bits;
    key += 0.0F; /* a negative zero would come before the other */
    memcpy(&bits, &key, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | (uint32_t)1 << 31;
    return (uint64_t)bits << 32 | number;
}

static void choose_lists(finder *f, size_t probes) {
    const ht_centres *c = f->v->centres;
    const bool product = f->v->spec.metric != HITHER_L2;
    ht_centres_keys(c, &f->probe, product, 0, c->count, f->sums, f->keys);
    uint64_t *lists = f->lists;
    size_t count = 0;
    float limit = INFINITY;
    for (uint32_t i = 0; i < c->count; i++) {
        if (count == probes && f->keys[i] >= limit)
            continue;
        const uint64_t item = pack(f->keys[i], i);
        size_t low = 0, high = count;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (lists[middle] < item)
                low = middle + 1;
            else
                high = middle;
        }
        count += count < probes;
        if (low == count)
            continue;
        memmove(lists + low + 1, lists + low, (count - 1 - low) * sizeof *lists);
        lists[low] = item;
        if (count == probes)
            limit = f->keys[(uint32_t)lists[count - 1]];
    }
    f->list_count = count;
    f->stats.visited += c->count;
}

/* ---- candidates */

static bool in_mask(const ht_mask *mask, uint64_t slot) {
    return ht_mask_word(mask, slot / 64 * 64) >> (slot % 64) & 1;
}
static bool qualifies(const finder *f, size_t place) {
    const uint32_t slot = f->v->slots[place];
    return (!f->search->live || in_mask(f->search->live, slot)) &&
           (!f->search->allow || in_mask(f->search->allow, slot));
}

static float floor_of(const finder *f) { return f->floor_count == f->search->k ? f->floor[0] : -INFINITY; }

static void raise_floor(finder *f, float score) {
    float *heap = f->floor;
    const size_t k = f->search->k;
    size_t at;
    if (f->floor_count < k) {
        for (at = f->floor_count++; at > 0 && heap[(at - 1) / 2] > score; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = score;
        return;
    }
    if (score <= heap[0])
        return;
    for (at = 0; 2 * at + 1 < k;) {
        size_t child = 2 * at + 1;
        child += child + 1 < k && heap[child + 1] < heap[child];
        if (heap[child] >= score)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = score;
}

static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Drops those behind the floor; where that leaves too many, those with the lowest scores. */
static void settle(finder *f, size_t most) {
    const float floor = floor_of(f);
    size_t left = 0;
    for (size_t i = 0; i < f->found_count; i++)
        if (f->found[i].best >= floor)
            f->found[left++] = f->found[i];
    f->found_count = left;
    if (left <= most)
        return;
    qsort(f->found, left, sizeof *f->found, by_score);
    f->found_count = most;
}

/* A row with that bound of the product of what it differs from its centre by. */
static void take(finder *f, size_t place, float upper, float rest, float base) {
    if (f->v->norms)
        base -= 0.5F * f->v->norms[place] * f->v->norms[place];
    candidate c = {.score = upper - f->code.by_rest * rest + base, .best = upper + base, .place = (uint32_t)place};
    if (!(fabsf(c.score) <= FLT_MAX) || !(fabsf(c.best) <= FLT_MAX)) /* its code says nothing */
        c = (candidate){-FLT_MAX, FLT_MAX, (uint32_t)place};
    raise_floor(f, c.score);
    if (f->found_count == f->found_room)
        settle(f, f->found_room / 2);
    f->found[f->found_count++] = c;
}

/* ---- a list */

static const float *rests_of(const finder *f, const char *block) {
    return (const float *)(const void *)(block + f->v->block_bytes / 2) + 2 * HT_CODE_ROWS;
}

/* Those of a block's rows `from` to `to` - 1 that are no rows in vain. */
static uint64_t rows_of(const finder *f, size_t block, size_t from, size_t to) {
    uint64_t word = (to < HT_CODE_ROWS ? ((uint64_t)1 << to) - 1 : ~(uint64_t)0) & ~(uint64_t)0 << from;
    if (f->search->share >= THIN || (!f->search->live && !f->search->allow))
        return word;
    for (uint64_t left = word; left; left &= left - 1) {
        const size_t i = (size_t)__builtin_ctzll(left);
        if (!qualifies(f, block * HT_CODE_ROWS + i))
            word &= ~((uint64_t)1 << i);
    }
    return word;
}

static void take_rows(finder *f, size_t place, const char *block, const float *uppers, uint64_t word, float base) {
    const float *rests = rests_of(f, block);
    const bool known = f->search->share < THIN;
    for (; word; word &= word - 1) {
        const size_t i = (size_t)__builtin_ctzll(word);
        if (known || qualifies(f, place + i))
            take(f, place + i, uppers[i], rests[i], base);
    }
}

static ht_rule rule_of(const finder *f, float base) {
    ht_rule rule = {.sign = 1, .by_norm2 = f->v->norms ? -0.5F : 0, .limit = floor_of(f) - base};
    return rule;
}

static const float *norms_at(const finder *f, size_t place) { return f->v->norms ? f->v->norms + place : NULL; }

/* A run of blocks by both halves. */
static void scan_whole(finder *f, size_t block, size_t count, const uint64_t *words, float base) {
    const char *blocks = ivf_block(f->v, block);
    f->kernels->code_upper(&f->code, 1, blocks, count, f->uppers, RUN_ROWS);
    for (size_t b = 0; b < count; b++) {
        const size_t place = (block + b) * HT_CODE_ROWS;
        const float *uppers = f->uppers + b * HT_CODE_ROWS;
        const ht_rule rule = rule_of(f, base);
        const uint64_t kept = words[b] & f->kernels->keep_f32(uppers, norms_at(f, place), HT_CODE_ROWS, &rule);
        take_rows(f, place, blocks + b * f->v->block_bytes, uppers, kept, base);
    }
}

/* By the coarse halves, and by both where these keep a row; whether that was most of the run. */
static bool scan_coarse(finder *f, size_t block, size_t count, const uint64_t *words, float base) {
    const char *blocks = ivf_block(f->v, block);
    size_t refined = 0;
    f->kernels->code_coarse(&f->code, blocks, count, f->sums, f->uppers);
    for (size_t b = 0; b < count; b++) {
        const size_t place = (block + b) * HT_CODE_ROWS;
        const char *at = blocks + b * f->v->block_bytes;
        float *uppers = f->uppers + b * HT_CODE_ROWS;
        const ht_rule rule = rule_of(f, base);
        uint64_t kept = words[b] & f->kernels->keep_f32(uppers, norms_at(f, place), HT_CODE_ROWS, &rule);
        if (!kept)
            continue;
        for (size_t i = 0; i < SETS; i++) {
            if (!(kept >> i * HT_CODE_REFINED & 0xffff))
                continue;
            const size_t first = i * HT_CODE_REFINED;
            f->kernels->code_refine(&f->code, at, first, f->sums + b * HT_CODE_ROWS + first, uppers + first);
            refined++;
        }
        kept &= f->kernels->keep_f32(uppers, norms_at(f, place), HT_CODE_ROWS, &rule);
        take_rows(f, place, at, uppers, kept, base);
    }
    return 2 * refined > count * SETS;
}

/* Blocks of a list, whose rows are at places from ... to - 1. */
static void scan_run(finder *f, size_t block, size_t count, size_t from, size_t to, float base) {
    uint64_t words[RUN_BLOCKS], any = 0;
    for (size_t b = 0; b < count; b++) {
        const size_t first = (block + b) * HT_CODE_ROWS;
        words[b] = rows_of(f, block + b, from > first ? from - first : 0, ht_min_size(to - first, HT_CODE_ROWS));
        any |= words[b];
    }
    if (!any)
        return;
    if (f->skip > 0 || floor_of(f) == -INFINITY) {
        f->skip -= f->skip > 0;
        scan_whole(f, block, count, words, base);
        return;
    }
    const bool most = scan_coarse(f, block, count, words, base);
    f->skip_next = most ? (unsigned)ht_min_size(2 * (size_t)f->skip_next + 1, MOST_SKIPPED) : 0;
    f->skip = f->skip_next;
}

static void scan_list(finder *f, uint32_t list, float base) {
    const size_t from = f->v->begins[list], to = f->v->begins[list + 1];
    const size_t end = (to + HT_CODE_ROWS - 1) / HT_CODE_ROWS;
    for (size_t block = from / HT_CODE_ROWS; from < to && block < end; block += RUN_BLOCKS)
        scan_run(f, block, ht_min_size(RUN_BLOCKS, end - block), from, to, base);
    f->stats.visited += to - from;
}

static void ask_for_list(const finder *f, uint32_t list) {
    const char *at = ivf_block(f->v, f->v->begins[list] / HT_CODE_ROWS);
    const size_t bytes = f->v->counts[list] ? ht_min_size(f->v->block_bytes / 2, 2048) : 0;
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + i);
}

static void scan_lists(finder *f) {
    const ivf *v = f->v;
    for (size_t i = 0; i < f->list_count; i++) {
        const uint32_t list = (uint32_t)f->lists[i];
        float base;
        if (i + 1 < f->list_count)
            ask_for_list(f, (uint32_t)f->lists[i + 1]);
        f->kernels->dot_f32(f->query, v->centres->rows + (size_t)list * v->spec.dim, 0, 1, v->spec.dim, &base);
        scan_list(f, list, base);
    }
    f->stats.steps += f->list_count;
}

/* ---- D */

/* The least score that a row with that D can have. */
static double score_of(const finder *f, double distance) {
    if (f->v->spec.metric == HITHER_COSINE)
        return (1 - distance) * sqrt(f->qq);
    return f->v->spec.metric == HITHER_L2 ? (f->qq - distance) / 2 : -distance;
}

static void ask_for_row(const finder *f, uint32_t place, size_t bytes) {
    size_t at, row;
    const ht_part *part = ht_vectors_part(f->vectors, f->v->slots[place], &at, &row);
    const char *data = part ? (const char *)part->rows + row * part->stride : NULL;
    for (size_t i = 0; data && i < bytes; i += 64)
        __builtin_prefetch(data + i);
}

static hither_status score(finder *f, ht_topk *top, uint32_t place, hither_error *err) {
    const ht_vectors *v = f->vectors;
    const uint32_t slot = f->v->slots[place];
    size_t at, row;
    double xx;
    const ht_part *part = ht_vectors_part(v, slot, &at, &row);
    if (!part)
        return ht_fail(err, HITHER_CORRUPT, "the row at slot %u of a list is not there", slot);
    if (v->touch)
        HT_TRY(v->touch(v->touch_ctx, at, row, row + 1, err));
    const ht_layout layout = {v->dtype, part->bare, v->dim};
    const double d = ht_stored_distance(f->kernels, &layout, v->metric, f->given, f->qq,
                                        (const char *)part->rows + row * part->stride, f->room, &xx);
    ht_topk_push(top, (ht_hit){d, slot});
    f->stats.rescored++;
    return HITHER_OK;
}

/* Behind a disk: all of them in one batch, in the order they lie in. */
static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void want_rows(finder *f) {
    uint32_t *slots = (uint32_t *)f->sums; /* free by now */
    size_t count = ht_min_size(f->found_count, RUN_ROWS), at, row;
    if (!f->vectors->want)
        return;
    for (size_t i = 0; i < count; i++)
        slots[i] = f->v->slots[f->found[i].place];
    qsort(slots, count, sizeof *slots, by_number);
    for (size_t i = 0; i < count; i++)
        if (ht_vectors_part(f->vectors, slots[i], &at, &row))
            f->vectors->want(f->vectors->touch_ctx, at, row);
}

static hither_status score_found(finder *f, ht_hit *hits, size_t *count, hither_error *err) {
    const size_t bytes = ht_row_bytes(f->vectors->dtype, f->vectors->dim, false);
    ht_topk top;
    ht_topk_init(&top, hits, f->search->k);
    settle(f, f->found_room);
    qsort(f->found, f->found_count, sizeof *f->found, by_score);
    want_rows(f);
    for (size_t i = 0; i < AHEAD && i < f->found_count; i++)
        ask_for_row(f, f->found[i].place, bytes);
    for (size_t i = 0; i < f->found_count; i++) {
        if (i + AHEAD < f->found_count)
            ask_for_row(f, f->found[i + AHEAD].place, bytes);
        if ((double)f->found[i].best >= score_of(f, ht_topk_limit(&top)))
            HT_TRY(score(f, &top, f->found[i].place, err));
    }
    ht_topk_sort(&top);
    *count = top.count;
    return HITHER_OK;
}

/* ---- a search */

/* Makes the query ready; false where codes cannot stand for it. */
static bool aim(finder *f) {
    const uint32_t dim = f->v->spec.dim;
    double error;
    f->query = f->given;
    if (f->v->spec.dtype == HITHER_F64) {
        const double *wide = f->given;
        for (size_t j = 0; j < dim; j++)
            f->row[j] = (float)wide[j];
        f->query = f->row;
        f->qq = f->kernels->ref_dot_f64(wide, wide, dim);
    } else {
        f->qq = f->kernels->ref_dot_f32(f->query, f->query, dim);
    }
    if (!ht_code_query_make(f->query, dim, f->qq, f->code_room, &f->code, &error))
        return false;
    const double share = (double)ERRORS / sqrt((double)dim);
    f->code.by_rest = (float)(sqrt(f->qq) * (share < 1 ? share : 1));
    ht_probe_make(f->query, dim, &f->probe);
    return true;
}

/* Lists to look into: where few rows qualify, the k nearest of those lie further apart. */
static size_t probes_of(const ivf *v, const ht_approx_search *search) {
    const double effort = search->effort ? (double)search->effort : 1;
    const double share = search->share > 0 && search->share < 1 ? search->share : 1;
    return (size_t)fmin(ceil(effort / share), v->centres->count);
}

hither_status ivf_find(const ht_approx *approx, void *memory, const ht_vectors *vectors, const void *query,
                       const ht_approx_search *search, ht_hit *hits, size_t *count, ht_approx_stats *stats,
                       hither_error *err) {
    const ivf *v = ivf_in(approx);
    *count = 0;
    if (!v->centres || v->count == 0 || search->k == 0)
        return HITHER_OK;
    const size_t probes = probes_of(v, search);
    finder f = {.v = v, .vectors = vectors, .search = search, .kernels = ht_kernels_get(), .given = query};
    HT_TRY(lay_out(&f, memory, probes, err));
    if (!aim(&f))
        return HITHER_OK; /* whoever asked searches exactly */
    choose_lists(&f, probes);
    scan_lists(&f);
    HT_TRY(score_found(&f, hits, count, err));
    if (stats) {
        stats->visited += f.stats.visited;
        stats->steps += f.stats.steps;
        stats->rescored += f.stats.rescored;
    }
    return HITHER_OK;
}
