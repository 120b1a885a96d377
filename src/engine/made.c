/*
 * made.c: see made.h.
 */
#include "engine/made.h"

#include "base/alloc.h"

hither_status ht_made_new(ht_made **out, hither_error *err) {
    ht_made *made = ht_calloc(1, sizeof *made);
    if (!made)
        return ht_fail_nomem(err, sizeof *made, "what is made of rows");
    atomic_init(&made->references, 1);
    hither_status status = ht_columns_init(&made->columns, err);
    if (status == HITHER_OK && (status = ht_keyword_table_init(&made->keywords, err)) != HITHER_OK)
        ht_columns_clear(&made->columns);
    if (status != HITHER_OK) {
        ht_release(made);
        return status;
    }
    ht_sparse_table_init(&made->sparse);
    *out = made;
    return HITHER_OK;
}

ht_made *ht_made_acquire(ht_made *made) {
    if (made)
        atomic_fetch_add_explicit(&made->references, 1, memory_order_relaxed);
    return made;
}

void ht_made_release(ht_made *made) {
    if (!made || atomic_fetch_sub_explicit(&made->references, 1, memory_order_acq_rel) != 1)
        return;
    ht_columns_clear(&made->columns);
    ht_keyword_table_clear(&made->keywords);
    ht_sparse_table_clear(&made->sparse);
    ht_met_rows_clear(&made->met_rows);
    ht_release(made);
}

hither_status ht_made_without(ht_made *made, const ht_mask *needed, uint64_t gone, ht_made **out, hither_error *err) {
    ht_made *fresh;
    HT_TRY(ht_made_new(&fresh, err));
    fresh->gone = gone;
    hither_status status = ht_columns_copy(&made->columns, needed, &fresh->columns, err);
    if (status == HITHER_OK)
        status = ht_keyword_table_copy(&made->keywords, needed, &fresh->keywords, err);
    if (status == HITHER_OK)
        status = ht_sparse_table_copy(&made->sparse, needed, &fresh->sparse, err);
    if (status == HITHER_OK)
        *out = fresh;
    else
        ht_made_release(fresh);
    return status;
}
