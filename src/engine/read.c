/*
 * read.c: rows by id. Any thread; see reading.h.
 */
#include "engine/reading.h"

static hither_status get_rows(ht_reading *v, const hither_ids *ids, const ht_filter *filter, hither_result *result,
                              hither_error *err) {
    HT_TRY(ht_id_kind_check(v->snapshot->id_kind, ids, err));
    for (size_t i = 0; i < ids->count; i++) {
        uint64_t slot;
        HT_TRY(ht_reading_find(v, ids, i, &slot, err));
        if (slot != UINT64_MAX)
            HT_TRY(ht_reading_add_row(v, slot, filter, result, err));
    }
    return HITHER_OK;
}

static hither_status get(ht_collection *c, const hither_ids *ids, const ht_filter *filter, uint32_t include,
                         hither_result **out, hither_error *err) {
    ht_reading v;
    hither_result *result = NULL;
    hither_status status = ht_reading_open_for_ids(&v, c, include, err);
    if (status == HITHER_OK)
        status = ht_reading_result(&v, false, &result, err);
    if (status == HITHER_OK)
        status = get_rows(&v, ids, filter, result, err);
    ht_reading_close(&v);
    return ht_result_hand_over(status, result, out, err);
}

hither_status ht_collection_get(ht_collection *c, const hither_ids *ids, const ht_filter *filter, uint32_t include,
                                hither_result **out, hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < HT_STALE_ATTEMPTS && status == HITHER_STALE; i++)
        status = get(c, ids, filter, include, out, err);
    return status;
}
