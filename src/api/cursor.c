/*
 * cursor.c: the cursor part of hither.h. One thread at a time per cursor.
 */
#include "api/api.h"
#include "kernels/kernels.h"

hither_status hither_cursor_next(hither_cursor *cursor, size_t limit, hither_result **out, hither_error *err) {
    if (!cursor || !out)
        return ht_fail(err, HITHER_INVALID, "the %s is NULL", cursor ? "place for the result" : "cursor");
    if (!limit)
        return ht_fail(err, HITHER_INVALID, "limit is 0; ask for at least one row");
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_cursor_next(ht_cursor_in(cursor), limit, out, err);
    ht_fp_leave(fp);
    return status;
}

void hither_cursor_close(hither_cursor *cursor) { ht_cursor_close(ht_cursor_in(cursor)); }
