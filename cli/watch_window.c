/* watch_window.c: the window of watch: made as the options say, or as it was left (--state). */
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "model.h"
#include "output.h"
#include "reader.h"
#include "watch.h"

enum { SAVE_MS = 60000 };

static const double USUAL_RATE = 0.001;

/* "0.1%" or "0.001", in (0, 1]. */
static hither_status read_rate(const ht_args *args, double *rate, hither_error *err) {
    const char *text = args->values[HT_OPT_RATE].text;
    char *end;
    double value = strtod(text, &end);
    bool percent = end != text && *end == '%';
    value = percent ? value / 100 : value;
    if (end == text || end[percent] != 0 || !(value > 0 && value <= 1))
        return ht_fail(err, HITHER_INVALID, "--rate %s is not a share of the lines, such as 0.1%%", text);
    *rate = value;
    return HITHER_OK;
}

/* "5/day". */
static hither_status read_alarms(const ht_args *args, double *per_day, hither_error *err) {
    static const struct {
        const char *name;
        double in_a_day;
    } units[] = {{"/minute", 1440}, {"/hour", 24}, {"/day", 1}, {"/week", 1.0 / 7}, {"/month", 1.0 / 30}};
    const char *text = args->values[HT_OPT_ALARMS].text;
    char *end;
    const double value = strtod(text, &end);
    for (size_t i = 0; end != text && value > 0 && value < 1e9 && i < sizeof units / sizeof *units; i++)
        if (!strcmp(end, units[i].name)) {
            *per_day = value * units[i].in_a_day;
            return HITHER_OK;
        }
    return ht_fail(err, HITHER_INVALID, "--alarms %.40s is not a number in a time, such as 5/day, 2/hour or 1/week",
                   text);
}

/* "10m", "36h", "1h30m"; a bare number is seconds. */
static hither_status read_age(const ht_args *args, uint64_t *age_ms, hither_error *err) {
    const char *text = args->values[HT_OPT_AGE].text;
    double total = 0;
    for (const char *at = text; *at || at == text;) {
        char *end;
        double value = strtod(at, &end);
        const char *const units = "smhdw", *unit = *end ? strchr(units, *end) : units;
        static const double seconds[] = {1, 60, 3600, 86400, 604800};
        if (end == at || !unit || !(value >= 0 && value < 1e9))
            return ht_fail(err, HITHER_INVALID, "--age %.40s is not a time such as 90s, 10m, 1h30m or 2d", text);
        total += value * seconds[unit - units];
        at = end + (*end != 0);
    }
    if (!(total >= 0.001 && total < 1e11))
        return ht_fail(err, HITHER_INVALID, "--age %.40s is not a time such as 90s, 10m, 1h30m or 2d", text);
    *age_ms = (uint64_t)(total * 1000);
    return HITHER_OK;
}

static hither_status read_rules(ht_watch *w, hither_error *err) {
    const char *path = w->args->values[HT_OPT_RULES].text;
    ht_reader r;
    HT_TRY(ht_reader_open(&r, path, err));
    char block[4096];
    size_t got = sizeof block;
    hither_status status = HITHER_OK;
    while (status == HITHER_OK && got == sizeof block) {
        status = ht_reader_take(&r, block, sizeof block, &got, err);
        if (status == HITHER_OK)
            ht_buf_put(&w->rules, block, got);
    }
    ht_reader_close(&r);
    HT_TRY(status);
    HT_TRY(ht_buf_check(&w->rules, path, err));
    if (w->rules.size && memchr(w->rules.data, 0, w->rules.size))
        return ht_fail(err, HITHER_INVALID, "--rules %.100s: the file holds a NUL byte", path);
    return HITHER_OK;
}

/* How many lines the window has seen, of which its warm-up is no longer wanted. */
static hither_status read_pushed(ht_watch *w, hither_error *err) {
    hither_result *info;
    json_t *facts;
    HT_TRY(hither_window_info(w->window, &info, err));
    hither_status status = ht_metadata_object(info, 0, &facts, err);
    hither_result_free(info);
    HT_TRY(status);
    w->read = (uint64_t)json_integer_value(json_object_get(facts, "pushed"));
    w->learned = w->read > w->warmup;
    json_decref(facts);
    return HITHER_OK;
}

/* With --state, what is not asked for stays as it was saved. */
static hither_status open_state(ht_watch *w, const hither_window_options *options, bool *opened, hither_error *err) {
    *opened = false;
    if (!ht_args_has(w->args, HT_OPT_STATE))
        return HITHER_OK;
    hither_status status = hither_window_open(w->args->values[HT_OPT_STATE].text, options, &w->window, err);
    if (status == HITHER_NOT_FOUND)
        return HITHER_OK;
    HT_TRY(status);
    *opened = true;
    return read_pushed(w, err);
}

hither_status ht_watch_window(ht_watch *w, hither_error *err) {
    const ht_args *args = w->args;
    bool opened;
    hither_window_options options = {
        .size = sizeof options,
        .capacity = (uint32_t)ht_args_number(args, HT_OPT_WINDOW, 0),
        .no_centroid = 1,
        .alarm_after = w->warmup,
        .alarm_below = (uint32_t)w->rare + 1,
    };
    const int ways = ht_args_has(args, HT_OPT_RATE) + ht_args_has(args, HT_OPT_ALARMS);
    if (ways + ht_args_has(args, HT_OPT_THRESHOLD) > 1)
        return ht_fail(err, HITHER_INVALID,
                       "--rate, --alarms and --threshold each say what to print; give one of them");
    if (ht_args_has(args, HT_OPT_RATE))
        HT_TRY(read_rate(args, &options.alarm_rate, err));
    if (ht_args_has(args, HT_OPT_ALARMS))
        HT_TRY(read_alarms(args, &options.alarms_per_day, err));
    if (ht_args_has(args, HT_OPT_AGE))
        HT_TRY(read_age(args, &options.age_ms, err));
    if (ht_args_has(args, HT_OPT_RULES)) {
        HT_TRY(read_rules(w, err));
        options.rules = w->rules.data;
    }
    HT_TRY(ht_model_option(args, &w->embedder, err));
    options.embedder = w->embedder;
    hither_status status = open_state(w, &options, &opened, err);
    if (ways == 0)
        options.alarm_rate = USUAL_RATE;
    if (status == HITHER_OK && !opened)
        status = hither_window_new(&options, &w->window, err);
    return status;
}

void ht_watch_save(ht_watch *w, bool now) {
    if (!ht_args_has(w->args, HT_OPT_STATE))
        return;
    const int64_t ms = ht_times_now().now_ms;
    if (!now && ms - w->saved_ms < SAVE_MS)
        return;
    hither_error err = {0};
    hither_status status = hither_window_save(w->window, w->args->values[HT_OPT_STATE].text, &err);
    w->saved_ms = ms;
    if (status != HITHER_OK && (!w->save_failed || now))
        ht_say("the state was not saved, watching %s: %s (%s)", now ? "ends" : "goes on", err.message,
               hither_status_name(status));
    w->save_failed = status != HITHER_OK;
}
