/* plan.c: plans as trees. The same lines as str() of a plan in Python. */
#include "plan.h"

#include <string.h>

#include "base/json.h"

static long long number(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static void put_line(ht_buf *out, const char *mark, const char *name, const char *how, const json_t *of) {
    char left[64];
    snprintf(left, sizeof left, "%s%-8s %s", mark, name, how ? how : "");
    ht_buf_printf(out, "%-24s  %9.3f ms  ", left, json_number_value(json_object_get(of, "ms")));
}

static void put_stage(ht_buf *out, const json_t *plan, const json_t *stage, bool last) {
    const char *name = json_string_value(json_object_get(stage, "stage"));
    name = name ? name : "";
    put_line(out, last ? "`- " : "|- ", name, json_string_value(json_object_get(stage, "how")), stage);
    ht_buf_printf(out, "%lld -> %lld rows", number(stage, "rows_in"), number(stage, "rows_out"));
    if (!strcmp(name, "filter"))
        ht_buf_printf(out, ", %lld estimated", number(json_object_get(plan, "filter"), "rows_estimated"));
    if (!strcmp(name, "search") && json_object_get(plan, "rows_scanned"))
        ht_buf_printf(out, ", %lld scanned, %lld scored exactly", number(plan, "rows_scanned"),
                      number(plan, "rows_rescored"));
    ht_buf_putc(out, '\n');
}

hither_status ht_plan_tree(ht_buf *out, const char *plan, hither_error *err) {
    json_t *parsed;
    if (!*plan)
        return HITHER_OK;
    HT_TRY(ht_json_parse(plan, strlen(plan), 1 << 20, "the plan", &parsed, err));
    const json_t *stages = json_object_get(parsed, "stages");
    const char *kind = json_string_value(json_object_get(parsed, "kind"));
    put_line(out, "", kind ? kind : "", NULL, parsed);
    ht_buf_printf(out, "%lld rows, %lld returned\n", number(parsed, "rows"), number(parsed, "rows_returned"));
    for (size_t i = 0; i < json_array_size(stages); i++)
        put_stage(out, parsed, json_array_get(stages, i), i + 1 == json_array_size(stages));
    json_decref(parsed);
    return ht_buf_check(out, "the plan", err);
}
