/*
 * explain.c: writing plans. docs/explain.md says what the members mean. One thread.
 */
#include "engine/explain.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/plan.h"

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void ht_explain_begin(ht_explain *e) {
    e->count = 0;
    e->began = e->mark = now();
    ht_buf_init(&e->members, SIZE_MAX);
}

void ht_explain_end(ht_explain *e) { ht_buf_clear(&e->members); }

void ht_explain_stage(ht_explain *e, const char *name, const char *how, uint64_t rows_in, uint64_t rows_out) {
    uint64_t at = now();
    size_t i = 0;
    while (i < e->count && strcmp(e->stages[i].name, name) != 0)
        i++;
    HT_ASSERT(i < HT_STAGES);
    ht_stage *stage = &e->stages[i];
    if (i == e->count) {
        *stage = (ht_stage){.name = name};
        e->count++;
    }
    stage->how = how;
    stage->rows_in += rows_in;
    stage->rows_out += rows_out;
    stage->ns += at - e->mark;
    e->mark = at;
}

static void put_ms(ht_buf *out, uint64_t ns) {
    ht_buf_printf(out, "\"ms\":%" PRIu64 ".%06" PRIu64, ns / 1000000u, ns % 1000000u);
}

static void put_stage(ht_buf *out, const ht_stage *stage) {
    ht_buf_printf(out, "{\"stage\":\"%s\"", stage->name);
    if (stage->how)
        ht_buf_printf(out, ",\"how\":\"%s\"", stage->how);
    ht_buf_printf(out, ",\"rows_in\":%" PRIu64 ",\"rows_out\":%" PRIu64 ",", stage->rows_in, stage->rows_out);
    put_ms(out, stage->ns);
    ht_buf_putc(out, '}');
}

void ht_explain_write(const ht_explain *e, hither_result *result, const char *kind, const ht_exact_stats *stats,
                      const ht_selection *selected, uint64_t rows, uint64_t returned) {
    ht_buf *out = ht_result_plan_buf(result);
    ht_buf_printf(out, "{\"kind\":\"%s\",\"rows\":%" PRIu64 ",\"rows_returned\":%" PRIu64, kind, rows, returned);
    if (stats)
        ht_buf_printf(out, ",\"rows_scanned\":%" PRIu64 ",\"rows_rescored\":%" PRIu64 ",\"threads\":%u",
                      stats->rows_scanned, stats->rows_rescored, stats->threads ? stats->threads : 1);
    if (selected)
        ht_buf_printf(out,
                      ",\"filter\":{\"plan\":\"%s\",\"rows_estimated\":%" PRIu64 ",\"rows_matched\":%" PRIu64
                      ",\"rows_checked\":%" PRIu64 ",\"rows_parsed\":%" PRIu64 "}",
                      selected->plan, selected->estimate, selected->count, selected->checked, selected->parsed);
    if (!e->members.failed)
        ht_buf_put(out, e->members.data ? e->members.data : "", e->members.size);
    ht_buf_puts(out, ",\"stages\":[");
    for (size_t i = 0; i < e->count; i++) {
        if (i)
            ht_buf_putc(out, ',');
        put_stage(out, &e->stages[i]);
    }
    ht_buf_puts(out, "],");
    put_ms(out, now() - e->began);
    ht_buf_putc(out, '}');
}
