/*
 * values.h: names of metrics and dtypes, as the command, Python and info print them. Any thread.
 */
#ifndef HT_BASE_VALUES_H
#define HT_BASE_VALUES_H

#include "hither.h"

/* "cosine", "f32", ...; "?" for a number that is none. */
const char *ht_metric_name(hither_metric metric);
const char *ht_dtype_name(hither_dtype dtype);

#endif
