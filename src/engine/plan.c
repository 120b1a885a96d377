/*
 * plan.c: choosing and running the plan of plan.h.
 *
 * What the choice rests on: a row fetched and parsed costs about as much one by one as in the pass that makes columns,
 * which then serve every later filter on their fields; a scan of columns costs a thousandth of that. So columns are
 * made as soon as there is more than a handful of rows, and the handful is looked at directly.
 */
#include "engine/plan.h"

#include <string.h>

#include "engine/column_scan.h"
#include "engine/derived.h"

#define FEW_ROWS   64u
#define LEAST_KEPT 1024u /* slots: below, looking again costs no more than remembering */

typedef struct task {
    ht_collection *c;
    const ht_snapshot *s;
    const ht_filter *filter;
    ht_reader **reader;
    ht_selection *out;
} task;

static hither_status need_reader(const task *t, hither_error *err) {
    return *t->reader ? HITHER_OK : ht_collection_reader(t->c, t->s, t->reader, err);
}

static hither_status fetch(const task *t, uint64_t slot, ht_row *row, hither_error *err) {
    HT_TRY(need_reader(t, err));
    hither_status status = ht_reader_row(*t->reader, slot, row, err);
    if (status == HITHER_NOT_FOUND)
        return ht_fail(err, HITHER_CORRUPT, "the catalog has no row for slot %llu; run `hither verify`",
                       (unsigned long long)slot);
    t->out->checked++;
    return status;
}

static void put(const task *t, uint64_t slot, bool selected) {
    uint64_t bit = (uint64_t)1 << slot % 64, *word = &t->out->words[slot / 64];
    *word = selected ? *word | bit : *word & ~bit;
}

/* ---- rows */

hither_status ht_row_matches(const ht_filter *filter, const ht_row *row, bool *matches, hither_error *err) {
    json_t *json = NULL;
    if (row->metadata.data && filter->field_count) {
        hither_status status = ht_json_parse(row->metadata.data, row->metadata.bytes, HITHER_MAX_TEXT_BYTES,
                                             "stored metadata", &json, err);
        if (status != HITHER_OK && status != HITHER_NOMEM)
            return ht_fail(err, HITHER_CORRUPT, "the metadata in slot %llu is no JSON; run `hither verify`",
                           (unsigned long long)row->slot);
        HT_TRY(status);
    }
    *matches = ht_filter_matches(filter, json, row->document);
    json_decref(json);
    return HITHER_OK;
}

static hither_status select_by_rows(const task *t, hither_error *err) {
    t->out->plan = "rows";
    t->out->estimate = t->s->live_count;
    for (uint64_t slot = ht_snapshot_next(t->s, 0); slot < t->s->slot_limit; slot = ht_snapshot_next(t->s, slot + 1)) {
        ht_row row;
        bool matches;
        HT_TRY(fetch(t, slot, &row, err));
        HT_TRY(ht_row_matches(t->filter, &row, &matches, err));
        put(t, slot, matches);
    }
    return HITHER_OK;
}

/* ---- columns */

static hither_status rows_of(void *ctx, uint64_t begin, uint64_t end,
                             hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                             hither_error *err) {
    const task *t = ctx;
    HT_TRY(need_reader(t, err));
    return ht_reader_metadata(*t->reader, begin, end, each, arg, err);
}

/* Live slots among 64 * word ... + 63. */
static uint64_t live_word(const ht_snapshot *s, uint64_t word) {
    const uint64_t *chunk = s->chunks[word / (HT_CHUNK_SLOTS / 64)];
    return chunk ? chunk[word % (HT_CHUNK_SLOTS / 64)] : ~(uint64_t)0;
}

#define SAMPLES 16u
#define SAMPLE  64u

/* About how many slots the filter selects, as far as columns tell: from a word of 64 slots here and there. */
static uint64_t estimate(const ht_scan *scan, const ht_snapshot *s) {
    uint64_t blocks = (s->slot_limit + HT_CELLS - 1) / HT_CELLS, seen = 0, matched = 0;
    uint64_t step = blocks > SAMPLES ? blocks / SAMPLES : 1;
    for (uint64_t block = 0; block < blocks; block += step) {
        uint64_t first = block * HT_CELLS, word;
        size_t count = (size_t)(s->slot_limit - first < SAMPLE ? s->slot_limit - first : SAMPLE);
        uint64_t live = live_word(s, first / 64);
        if (count < 64)
            live &= ((uint64_t)1 << count) - 1;
        ht_scan_words(scan, HT_AT_MOST, first, count, &word);
        seen += (uint64_t)__builtin_popcountll(live);
        matched += (uint64_t)__builtin_popcountll(live & word);
    }
    return seen ? (uint64_t)((double)matched / (double)seen * (double)s->live_count + 0.5) : 0;
}

/* Fetches the slots of `open` (bits of words first ...), whose documents decide. */
static hither_status decide(const task *t, const ht_scan *scan, uint64_t first, const uint64_t *open, size_t words,
                            hither_error *err) {
    for (size_t w = 0; w < words; w++) {
        for (uint64_t left = open[w]; left; left &= left - 1) {
            uint64_t slot = first + w * 64 + (uint64_t)__builtin_ctzll(left);
            ht_row row;
            HT_TRY(fetch(t, slot, &row, err));
            put(t, slot, ht_scan_slot(scan, slot, row.document));
        }
    }
    return HITHER_OK;
}

/* The slots from `from` on, a multiple of HT_CELLS, by scanning cells. */
static hither_status scan_cells(const task *t, const ht_scan *scan, uint64_t from, hither_error *err) {
    hither_status status = HITHER_OK;
    for (uint64_t first = from; first < t->s->slot_limit && status == HITHER_OK; first += HT_CELLS) {
        uint64_t *words = t->out->words + first / 64, open[HT_CELLS / 64];
        size_t count = (size_t)(t->s->slot_limit - first < HT_CELLS ? t->s->slot_limit - first : HT_CELLS);
        size_t n = (count + 63) / 64;
        ht_scan_words(scan, HT_AT_LEAST, first, count, words);
        for (size_t w = 0; w < n; w++)
            words[w] &= live_word(t->s, first / 64 + w);
        if (!t->filter->documents)
            continue;
        ht_scan_words(scan, HT_AT_MOST, first, count, open);
        for (size_t w = 0; w < n; w++)
            open[w] &= ~words[w] & live_word(t->s, first / 64 + w);
        status = decide(t, scan, first, open, n, err);
    }
    return status;
}

/* ---- bitmaps */

/* What looking at things costs, in ns, measured on a million rows: a cell that a scan goes over, a slot of a set that
 * is marked, a slot that is looked at by itself for one condition. Only what is cheapest depends on them. */
static const double CELL = 0.5, MARK = 1.5, LOOK = 10;

/* A condition that has to hold, and the slots of each value of its field. */
typedef struct way_in {
    const ht_column_sets *sets; /* NULL: there is none */
    uint32_t node;
    uint64_t rows; /* that it leaves to be looked at */
} way_in;

static void try_leaf(const task *t, const ht_scan *scan, uint32_t at, way_in *best) {
    const ht_filter_node *node = &t->filter->nodes[at];
    if (node->op <= HT_NOT || node->field == HT_DOCUMENT)
        return;
    const ht_column_sets *sets = ht_column_sets_of(&t->s->made->columns, scan->columns[node->field]);
    if (!sets || sets->upto > t->s->slot_limit)
        return;
    uint64_t rows = ht_scan_leaf_count(scan, at, sets);
    if (!best->sets || rows < best->rows)
        *best = (way_in){sets, at, rows};
}

/* The cheapest condition to begin with, if that is cheaper than scanning all cells. */
static way_in find_way_in(const task *t, const ht_scan *scan) {
    const ht_filter *f = t->filter;
    way_in best = {.sets = NULL};
    double leaves = 0;
    for (uint32_t i = 0; i < f->node_count; i++)
        leaves += f->nodes[i].op > HT_NOT;
    if (f->documents)
        return best;
    try_leaf(t, scan, 0, &best);
    if (f->nodes[0].op == HT_AND)
        for (uint32_t child = 1; child < f->nodes[0].end; child = f->nodes[child].end)
            try_leaf(t, scan, child, &best);
    if (!best.sets)
        return best;
    double rows = (double)best.rows, later = (double)(t->s->slot_limit - best.sets->upto);
    double by_sets = rows * (MARK + LOOK * (leaves - 1)) + later * CELL * leaves;
    if (by_sets >= (double)t->s->slot_limit * CELL * leaves)
        best.sets = NULL;
    return best;
}

static hither_status select_by_sets(const task *t, const ht_scan *scan, way_in way, hither_error *err) {
    uint64_t words = way.sets->upto / 64;
    t->out->plan = "bitmap";
    ht_scan_leaf_mark(scan, way.node, way.sets, t->out->words);
    for (uint64_t w = 0; w < words; w++) {
        uint64_t left = t->out->words[w] &= live_word(t->s, w);
        for (; left && t->filter->node_count > 1; left &= left - 1) {
            uint64_t slot = w * 64 + (uint64_t)__builtin_ctzll(left);
            if (!ht_scan_slot(scan, slot, (ht_text){0}))
                put(t, slot, false);
        }
    }
    return scan_cells(t, scan, way.sets->upto, err);
}

static hither_status select_by_columns(const task *t, const ht_field_column *const *columns, hither_error *err) {
    ht_scan scan;
    t->out->plan = "columns";
    HT_TRY(ht_scan_prepare(&scan, t->filter, columns, err));
    t->out->estimate = estimate(&scan, t->s);
    way_in way = find_way_in(t, &scan);
    hither_status status = way.sets ? select_by_sets(t, &scan, way, err) : scan_cells(t, &scan, 0, err);
    ht_scan_clear(&scan);
    return status;
}

static bool may_keep(const ht_snapshot *s, const ht_filter *filter) {
    return filter->text && s->slot_limit >= LEAST_KEPT;
}

static bool find_kept(ht_collection *c, const ht_snapshot *s, const ht_filter *filter, ht_selection *out) {
    ht_row_set *set = NULL;
    if (may_keep(s, filter))
        set = ht_row_sets_find(&c->row_sets, (ht_text){filter->text, filter->text_bytes}, s->seq);
    if (!set)
        return false;
    *out = (ht_selection){.words = set->words,
                          .chunks = set->chunks,
                          .kept = set,
                          .limit = set->limit,
                          .count = set->count,
                          .plan = "kept",
                          .estimate = set->count};
    return true;
}

uint64_t ht_select_open(ht_collection *c, const ht_snapshot *s, const ht_filter *filter) {
    ht_selection kept;
    if (find_kept(c, s, filter, &kept)) {
        ht_selection_clear(&kept);
        return 0;
    }
    const ht_field_column **columns = ht_calloc(filter->field_count, sizeof *columns);
    uint64_t rows = s->live_count;
    ht_scan scan;
    if (columns && filter->field_count && ht_columns_find(&s->made->columns, filter, s->slot_limit, columns) &&
        ht_scan_prepare(&scan, filter, columns, NULL) == HITHER_OK) {
        rows = estimate(&scan, s);
        ht_scan_clear(&scan);
    }
    ht_release((void *)columns);
    return rows;
}

/* ---- choosing */

static void load_columns(void *ctx) {
    const task *t = ctx;
    ht_derived_load_columns(t->c, t->s);
}

static hither_status choose(const task *t, const ht_field_column **columns, hither_error *err) {
    const ht_filter *f = t->filter;
    uint64_t limit = t->s->slot_limit;
    bool complete = ht_columns_find(&t->s->made->columns, f, limit, columns);
    if (!complete && t->s->live_count > FEW_ROWS) {
        ht_column_source source = {.rows = rows_of, .load = load_columns, .ctx = (void *)(uintptr_t)t};
        HT_TRY(ht_columns_cover(&t->s->made->columns, f, limit, &source, columns, &complete, &t->out->parsed, err));
    }
    return complete ? select_by_columns(t, columns, err) : select_by_rows(t, err);
}

static hither_status allocate(ht_selection *out, uint64_t limit, hither_error *err) {
    size_t words = (size_t)(limit / 64 + 1), chunks = (size_t)(limit / HT_CHUNK_SLOTS + 1);
    *out = (ht_selection){.limit = limit, .plan = ""};
    out->words = ht_calloc(words, sizeof *out->words);
    out->chunks = ht_calloc(chunks, sizeof *out->chunks);
    if (!out->words || !out->chunks)
        return ht_fail_nomem(err, words * sizeof *out->words, "the rows a filter selects");
    for (size_t i = 0; i < chunks; i++)
        out->chunks[i] = out->words + i * (HT_CHUNK_SLOTS / 64);
    return HITHER_OK;
}

hither_status ht_select(ht_collection *c, const ht_snapshot *s, const ht_filter *filter, ht_reader **reader,
                        ht_selection *out, hither_error *err) {
    if (find_kept(c, s, filter, out))
        return HITHER_OK;
    task t = {c, s, filter, reader, out};
    const ht_field_column **columns = ht_calloc(filter->field_count, sizeof *columns);
    hither_status status = allocate(out, s->slot_limit, err);
    if (status == HITHER_OK && !columns)
        status = ht_fail_nomem(err, filter->field_count * sizeof *columns, "the columns of a filter");
    if (status == HITHER_OK)
        status = choose(&t, columns, err);
    ht_release((void *)columns);
    /* Columns may have been made by a reader who came after a compaction. */
    if (status == HITHER_OK && atomic_load_explicit(&c->floor, memory_order_acquire) > s->seq)
        status = ht_fail(err, HITHER_STALE, "compaction has overtaken this filter");
    if (status != HITHER_OK) {
        ht_selection_clear(out);
        return status;
    }
    for (uint64_t w = 0; w * 64 < s->slot_limit; w++)
        out->count += (uint64_t)__builtin_popcountll(out->words[w]);
    if (may_keep(s, filter))
        out->kept = ht_row_sets_keep(&c->row_sets, (ht_text){filter->text, filter->text_bytes}, s->seq, out->limit,
                                     out->count, out->words, out->chunks);
    return HITHER_OK;
}

hither_status ht_select_all(const ht_snapshot *s, ht_selection *out, hither_error *err) {
    hither_status status = allocate(out, s->slot_limit, err);
    if (status != HITHER_OK) {
        ht_selection_clear(out);
        return status;
    }
    for (uint64_t w = 0; w * 64 < s->slot_limit; w++)
        out->words[w] = live_word(s, w);
    if (s->slot_limit % 64)
        out->words[s->slot_limit / 64] &= ((uint64_t)1 << s->slot_limit % 64) - 1;
    out->count = s->live_count;
    return HITHER_OK;
}

hither_status ht_selection_own(ht_selection *selection, hither_error *err) {
    ht_selection own;
    if (!selection->kept)
        return HITHER_OK;
    hither_status status = allocate(&own, selection->limit, err);
    if (status != HITHER_OK) {
        ht_selection_clear(&own);
        return status;
    }
    memcpy(own.words, selection->words, (size_t)(selection->limit + 63) / 64 * sizeof *own.words);
    ht_row_set_release(selection->kept);
    selection->kept = NULL;
    selection->words = own.words;
    selection->chunks = own.chunks;
    return HITHER_OK;
}

void ht_selection_clear(ht_selection *selection) {
    if (selection->kept) {
        ht_row_set_release(selection->kept);
    } else {
        ht_release(selection->words);
        ht_release((void *)selection->chunks);
    }
    *selection = (ht_selection){0};
}

ht_mask ht_selection_mask(const ht_selection *selection) {
    return (ht_mask){.chunks = selection->chunks,
                     .chunk_count = (size_t)(selection->limit / HT_CHUNK_SLOTS + 1),
                     .limit = selection->limit};
}

uint64_t ht_selection_next(const ht_selection *selection, uint64_t slot) {
    while (slot < selection->limit) {
        uint64_t left = selection->words[slot / 64] >> (slot % 64);
        if (left)
            return slot + (uint64_t)__builtin_ctzll(left);
        slot = (slot / 64 + 1) * 64;
    }
    return selection->limit;
}
