/*
 * expiry.c: rows that end by themselves, as hither.h has it: the lifetime of a collection, and what it adds to the
 * metadata of new rows. Any thread.
 */
#include <inttypes.h>
#include <string.h>

#include "api/collection.h"
#include "base/json.h"
#include "engine/expiry.h"
#include "kernels/kernels.h"

hither_status hither_collection_set_ttl(hither_collection *c, int64_t seconds, hither_error *err) {
    HT_TRY(ht_call_check(c, c, err));
    if (seconds < HITHER_TTL_OFF || seconds > HITHER_MAX_TTL)
        return ht_fail(err, HITHER_INVALID,
                       "%" PRId64 " is no lifetime; give 1 to %" PRId64 " seconds, 0 or HITHER_TTL_OFF", seconds,
                       (int64_t)HITHER_MAX_TTL);
    return ht_collection_set_ttl(c->inner, seconds, err);
}

hither_status hither_collection_expire(hither_collection *c, size_t *deleted, hither_error *err) {
    size_t count = 0;
    HT_TRY(ht_call_check(c, c, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_collection_expire(c->inner, &count, err);
    ht_fp_leave(fp);
    if (status == HITHER_OK && deleted)
        *deleted = count;
    return status;
}

/* The object in `text` (data NULL: none) with "_expires", unless it has one; not checked further. */
static hither_status add_moment(ht_column *out, size_t row, ht_text text, int64_t moment, hither_error *err) {
    json_t *json = NULL;
    if (text.data) {
        HT_TRY(ht_json_parse(text.data, text.bytes, HITHER_MAX_TEXT_BYTES, "metadata", &json, err));
        bool as_it_is = !json_is_object(json) || json_object_get(json, HT_EXPIRES);
        bool empty = !as_it_is && json_object_size(json) == 0;
        json_decref(json);
        if (as_it_is) { /* what is no object is refused by the engine, with the row's number */
            ht_column_add(out, text.data, text.bytes);
            return HITHER_OK;
        }
        text = empty ? (ht_text){0} : text;
    }
    ht_buf more;
    ht_buf_init(&more, HITHER_MAX_TEXT_BYTES);
    size_t end = text.bytes;
    while (end > 0 && text.data[end - 1] != '}')
        end--;
    if (end)
        ht_buf_put(&more, text.data, end - 1);
    ht_buf_printf(&more, "%s\"" HT_EXPIRES "\":%" PRId64 "}", end ? "," : "{", moment);
    hither_status status = HITHER_OK;
    if (more.failed)
        status =
            ht_fail(err, HITHER_TOO_LARGE, "row %zu: there is no room for \"" HT_EXPIRES "\" in its metadata", row);
    else
        ht_column_add(out, more.data, more.size);
    ht_buf_clear(&more);
    return status;
}

hither_status ht_moments_add(const hither_collection *c, hither_batch *b, ht_column *room, hither_error *err) {
    int64_t ttl = ht_collection_ttl(c->inner);
    if (ttl <= 0)
        return HITHER_OK;
    int64_t moment = ht_expiry_now() + ttl;
    for (size_t i = 0; i < b->ids.count; i++)
        HT_TRY(add_moment(room, i, b->metadata.count ? ht_strings_at(&b->metadata, i) : (ht_text){0}, moment, err));
    HT_TRY(ht_column_check(room, err));
    b->metadata = ht_column_view(room);
    return HITHER_OK;
}
