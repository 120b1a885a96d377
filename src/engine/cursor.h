/*
 * cursor.h: what a cursor over the hits of a search has beside one over rows (search_cursor.c). Its snapshot is held by
 * the cursor. One thread at a time.
 */
#ifndef HT_ENGINE_CURSOR_H
#define HT_ENGINE_CURSOR_H

#include "engine/reading.h"

typedef struct ht_search_cursor ht_search_cursor;

/* By the query, of `dim` floats, and the options of the search: max_distance, recall and efforts count; k and what is
 * not of plain searches do not. DIMENSION, NOMEM, what a filter gives. */
HT_NODISCARD hither_status ht_search_cursor_new(ht_reading *v, const float *query, size_t dim, const ht_search *search,
                                                ht_search_cursor **out, hither_error *err);
void ht_search_cursor_free(ht_search_cursor *sc);
/* The nearest `limit` of the rows that were not given yet, or as many as there are. On failure none counts as given. */
HT_NODISCARD hither_status ht_search_cursor_next(ht_search_cursor *sc, const ht_reading *v, size_t limit,
                                                 hither_result **out, hither_error *err);

#endif
