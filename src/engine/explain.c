/*
 * explain.c: writing plans. docs/explain.md says what the members mean. One thread.
 */
#include "engine/explain.h"

#include <string.h>
#include <time.h>

#include "engine/plan.h"

#define USUAL_BYTES ((size_t)400) /* of a plan */

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

/* Every search writes a plan, so numbers go without printf: that took longer than a search of few rows. */
static void put_number(ht_buf *out, const char *before, uint64_t number) {
    ht_buf_puts(out, before);
    ht_buf_number(out, number);
}

static void put_text(ht_buf *out, const char *before, const char *text) {
    ht_buf_puts(out, before);
    ht_buf_puts(out, text);
    ht_buf_putc(out, '"');
}

/* Nanoseconds as milliseconds with six digits behind the point. */
static void put_ms(ht_buf *out, uint64_t ns) {
    char digits[7] = ".000000";
    uint64_t rest = ns % 1000000u;
    for (size_t i = sizeof digits - 1; i > 0; i--, rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    put_number(out, "\"ms\":", ns / 1000000u);
    ht_buf_put(out, digits, sizeof digits);
}

static void put_stage(ht_buf *out, const ht_stage *stage) {
    put_text(out, "{\"stage\":\"", stage->name);
    if (stage->how)
        put_text(out, ",\"how\":\"", stage->how);
    put_number(out, ",\"rows_in\":", stage->rows_in);
    put_number(out, ",\"rows_out\":", stage->rows_out);
    ht_buf_putc(out, ',');
    put_ms(out, stage->ns);
    ht_buf_putc(out, '}');
}

void ht_explain_write(const ht_explain *e, hither_result *result, const char *kind, const ht_exact_stats *stats,
                      const ht_selection *selected, uint64_t rows, uint64_t returned) {
    ht_buf *out = ht_result_plan_buf(result);
    ht_buf_reserve(out, USUAL_BYTES + e->members.size);
    put_text(out, "{\"kind\":\"", kind);
    put_number(out, ",\"rows\":", rows);
    put_number(out, ",\"rows_returned\":", returned);
    if (stats) {
        put_number(out, ",\"rows_scanned\":", stats->rows_scanned);
        put_number(out, ",\"rows_rescored\":", stats->rows_rescored);
        put_number(out, ",\"threads\":", stats->threads ? stats->threads : 1);
    }
    if (selected) {
        put_text(out, ",\"filter\":{\"plan\":\"", selected->plan);
        put_number(out, ",\"rows_estimated\":", selected->estimate);
        put_number(out, ",\"rows_matched\":", selected->count);
        put_number(out, ",\"rows_checked\":", selected->checked);
        put_number(out, ",\"rows_parsed\":", selected->parsed);
        ht_buf_putc(out, '}');
    }
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
