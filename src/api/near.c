/*
 * near.c: the index of a collection, as hither.h has it. Any thread.
 */
#include "engine/near.h"
#include "api/api.h"

hither_status hither_collection_create_index(hither_collection *c, const hither_index_options *options,
                                             const hither_work_options *work, hither_error *err) {
    hither_index_options o;
    hither_work_options w;
    if (!c)
        return ht_fail(err, HITHER_INVALID, "the collection is NULL");
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_index_options", err));
    HT_TRY(ht_options_read(&w, sizeof w, work, "hither_work_options", err));
    if (o.dim || o.dtype || o.metric)
        return ht_fail(err, HITHER_INVALID,
                       "dimension, type and metric of an index are its collection's; leave them 0");
    ht_progress progress = {.call = w.progress, .ctx = w.ctx};
    const ht_approx_spec spec = {.kind = o.kind ? o.kind : HITHER_HNSW,
                                 .m = o.m,
                                 .ef_build = o.ef_build,
                                 .bits = o.bits,
                                 .lists = o.lists,
                                 .seed = o.seed};
    return ht_collection_index(ht_collection_in(c), &spec, &progress, err);
}
