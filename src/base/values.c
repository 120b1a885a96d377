/* values.c: the tables of values.h. */
#include "base/values.h"

#define NAME_OF(names, value) ((size_t)(value) < sizeof(names) / sizeof(names)[0] ? (names)[value] : "?")

const char *ht_metric_name(hither_metric metric) {
    static const char *const names[] = {"?", "cosine", "dot", "l2", "l1", "hamming"};
    return NAME_OF(names, metric);
}

const char *ht_dtype_name(hither_dtype dtype) {
    static const char *const names[] = {"?", "f32", "f64", "f16", "bf16", "i8", "b1"};
    return NAME_OF(names, dtype);
}
