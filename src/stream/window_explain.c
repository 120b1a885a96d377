/* window_explain.c: a score in words: what hither_window_explain gives. The window's mutex is held while it looks. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "stream/explain.h"
#include "stream/window_inside.h"

/* The masked text of a record in the window; data NULL: it left, or it is a vector. */
static ht_text form_of(const ht_window *w, uint64_t number) {
    if (w->spec.no_novelty || number >= w->next || w->next - number > w->count)
        return (ht_text){0};
    const ht_form *form = &w->forms.forms[ht_window_scored(w, number)->form];
    return (ht_text){form->text, form->text ? form->bytes : 0};
}

static void put_real(ht_buf *json, const char *name, float value) {
    if (isfinite(value))
        ht_buf_printf(json, ",\"%s\":%.6g", name, (double)value);
    else
        ht_buf_printf(json, ",\"%s\":null", name);
}

static void put_text(ht_buf *json, const char *name, ht_text text) {
    ht_buf_printf(json, ",\"%s\":", name);
    if (text.data)
        ht_buf_json_string(json, text.data, text.bytes);
    else
        ht_buf_puts(json, "null");
}

static void describe(const ht_window *w, const hither_score *score, ht_buf *json) {
    ht_text form = form_of(w, score->record), nearest = form_of(w, score->nearest);
    const char *reason = score->seen == 0 ? "new form" : score->seen < w->spec.alarm_below ? "rare" : "known";
    ht_buf_printf(json, "{\"reason\":\"%s\"", reason);
    put_real(json, "novelty", score->novelty);
    put_real(json, "rarity", score->rarity);
    put_real(json, "distance", score->distance);
    put_real(json, "centroid", score->centroid);
    put_real(json, "severity", score->severity);
    const char *level = hither_level_name(score->level);
    put_text(json, "level", (ht_text){level, level ? strlen(level) : 0});
    ht_buf_printf(json, ",\"seen\":%" PRIu32 ",\"record\":%" PRIu64, score->seen, score->record);
    if (score->nearest == UINT64_MAX)
        ht_buf_puts(json, ",\"nearest\":null");
    else
        ht_buf_printf(json, ",\"nearest\":%" PRIu64, score->nearest);
    put_text(json, "form", form);
    put_text(json, "nearest_form", nearest);
    if (form.data && nearest.data)
        ht_explain_words(form, nearest, json);
    ht_buf_putc(json, '}');
}

hither_status ht_window_explain(ht_window *w, const hither_score *score, hither_result **out, hither_error *err) {
    hither_result *result;
    ht_buf json;
    HT_TRY(ht_result_new(HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_METADATA, 0, false, &result, err));
    ht_buf_init(&json, 64u * HT_WINDOW_TEXT_BYTES);
    ht_result_add_int(result, (int64_t)score->record);
    pthread_mutex_lock(&w->mutex);
    describe(w, score, &json);
    pthread_mutex_unlock(&w->mutex);
    ht_moment view;
    hither_status status = ht_window_view(w, &view, err);
    if (status == HITHER_OK) {
        bool there = ht_moment_has(&view, score->nearest);
        ht_result_document(result, there ? ht_moment_record(&view, score->nearest).text : (ht_text){0});
        ht_moment_close(&view);
        ht_result_metadata(result, (ht_text){json.data, json.size});
        status = ht_buf_check(&json, "an explanation", err);
    }
    ht_buf_clear(&json);
    return ht_result_hand_over(status, result, out, err);
}
