/*
 * column_kept.h: columns as the sections of a container, and back. Of the slots below a limit; what is written says of
 * rows that are not alive nothing but that they have no such field, so the snapshot it is read for must be no older
 * than the one whose live rows these were. What is read is hostile until it was looked at. docs/format.md has the
 * bytes. Under the build lock.
 */
#ifndef HT_ENGINE_COLUMN_KEPT_H
#define HT_ENGINE_COLUMN_KEPT_H

#include "base/container.h"
#include "base/mask.h"
#include "engine/column.h"

#define HT_COLUMNS_RECIPE      1u
#define HT_COLUMNS_FIELD_BYTES 24u /* of the section "fields", a field */

/* Slots that every column covers; 0 where there are none. */
uint64_t ht_columns_covered(ht_columns *columns);
/* Puts the sections; `slots` are covered. NOMEM, or what putting gives. */
HT_NODISCARD hither_status ht_columns_put(ht_columns *columns, const ht_mask *live, uint64_t slots,
                                          ht_container_writer *writer, hither_error *err);
/* Fills columns that are empty with those of a container, which cover `slots`; on failure they are empty again.
 * CORRUPT, NOMEM. */
HT_NODISCARD hither_status ht_columns_get(ht_columns *columns, ht_container *container, uint64_t slots,
                                          hither_error *err);

#endif
