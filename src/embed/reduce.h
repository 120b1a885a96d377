/* reduce.h: rows in fewer dimensions, by their principal components. Pure; the pool works. */
#ifndef HT_EMBED_REDUCE_H
#define HT_EMBED_REDUCE_H

#include "base/error.h"

/* `rows` rows of `width` floats to rows of dim < width, packed. The same bytes on every machine, with any number of
 * threads. NOMEM. */
HT_NODISCARD hither_status ht_reduce(const float *x, size_t rows, size_t width, size_t dim, float *out,
                                     hither_error *err);

#endif
