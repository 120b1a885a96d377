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

#define FEW_ROWS 64u

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

static hither_status select_by_columns(const task *t, const ht_field_column *const *columns, hither_error *err) {
    ht_scan scan;
    hither_status status = HITHER_OK;
    t->out->plan = "columns";
    HT_TRY(ht_scan_prepare(&scan, t->filter, columns, err));
    t->out->estimate = estimate(&scan, t->s);
    for (uint64_t first = 0; first < t->s->slot_limit && status == HITHER_OK; first += HT_CELLS) {
        uint64_t *words = t->out->words + first / 64, open[HT_CELLS / 64];
        size_t count = (size_t)(t->s->slot_limit - first < HT_CELLS ? t->s->slot_limit - first : HT_CELLS);
        size_t n = (count + 63) / 64;
        ht_scan_words(&scan, HT_AT_LEAST, first, count, words);
        for (size_t w = 0; w < n; w++)
            words[w] &= live_word(t->s, first / 64 + w);
        if (!t->filter->documents)
            continue;
        ht_scan_words(&scan, HT_AT_MOST, first, count, open);
        for (size_t w = 0; w < n; w++)
            open[w] &= ~words[w] & live_word(t->s, first / 64 + w);
        status = decide(t, &scan, first, open, n, err);
    }
    ht_scan_clear(&scan);
    return status;
}

/* ---- choosing */

static void load_columns(void *ctx) {
    const task *t = ctx;
    ht_derived_load_columns(t->c, t->s);
}

static hither_status choose(const task *t, const ht_field_column **columns, hither_error *err) {
    const ht_filter *f = t->filter;
    uint64_t limit = t->s->slot_limit;
    bool complete = ht_columns_find(&t->c->columns, f, limit, columns);
    if (!complete && t->s->live_count > FEW_ROWS) {
        ht_column_source source = {.rows = rows_of, .load = load_columns, .ctx = (void *)(uintptr_t)t};
        HT_TRY(ht_columns_cover(&t->c->columns, f, limit, &source, columns, &complete, &t->out->parsed, err));
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

void ht_selection_clear(ht_selection *selection) {
    ht_release(selection->words);
    ht_release((void *)selection->chunks);
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
