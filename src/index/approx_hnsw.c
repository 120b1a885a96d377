/*
 * approx_hnsw.c: the graph of hnsw.h as a kind of approx.h.
 */
#include "base/alloc.h"
#include "base/pool.h"
#include "index/approx.h"

typedef struct graph {
    ht_approx base;
    ht_hnsw *graph;
} graph;

static const ht_hnsw *in(const ht_approx *approx) { return ((const graph *)approx)->graph; }

static bool takes(hither_dtype dtype, hither_metric metric) {
    return dtype != HITHER_B1 && (metric == HITHER_COSINE || metric == HITHER_DOT || metric == HITHER_L2);
}

static ht_hnsw_spec spec_of(const ht_approx_spec *spec) {
    return (ht_hnsw_spec){.dtype = spec->dtype,
                          .metric = spec->metric,
                          .dim = spec->dim,
                          .m = spec->m,
                          .ef_build = spec->ef_build,
                          .bits = spec->bits,
                          .seed = spec->seed};
}

static hither_status complete(ht_approx_spec *spec, hither_error *err) {
    ht_hnsw_spec full = spec_of(spec);
    HT_TRY(ht_hnsw_spec_check(&full, err));
    spec->m = full.m;
    spec->ef_build = full.ef_build;
    spec->bits = full.bits;
    return HITHER_OK;
}

static void release(ht_approx *approx) {
    if (!approx)
        return;
    ht_hnsw_free(((graph *)approx)->graph);
    ht_release(approx);
}

/* Takes the graph over. */
static hither_status give(ht_hnsw *made, ht_approx **out, hither_error *err) {
    graph *g = ht_calloc(1, sizeof *g);
    if (!g) {
        ht_hnsw_free(made);
        return ht_fail_nomem(err, sizeof *g, "a graph");
    }
    *g = (graph){{&ht_approx_hnsw}, made};
    *out = &g->base;
    return HITHER_OK;
}

static uint64_t nodes_of(const ht_hnsw *made) {
    ht_hnsw_info info;
    ht_hnsw_describe(made, &info);
    return info.nodes;
}

static hither_status extended(const ht_approx *from, const ht_approx_spec *spec, const ht_vectors *vectors,
                              const uint64_t *slots, size_t count, unsigned threads, const ht_hnsw_progress *progress,
                              ht_approx **out, hither_error *err) {
    const ht_hnsw_spec wanted = spec_of(spec);
    const uint64_t rows = count + (from ? nodes_of(in(from)) : 0);
    const uint64_t bytes = ht_hnsw_building_bytes(&wanted, rows, threads ? threads : ht_pool_threads());
    ht_hnsw *fresh;
    if (progress && progress->memory && bytes > progress->memory)
        return ht_fail(err, HITHER_TOO_LARGE, "a graph of %llu rows takes %llu bytes; %llu are allowed",
                       (unsigned long long)rows, (unsigned long long)bytes, (unsigned long long)progress->memory);
    if (from)
        HT_TRY(ht_hnsw_extended(in(from), vectors, slots, count, threads, progress, &fresh, err));
    else
        HT_TRY(ht_hnsw_new(&wanted, &fresh, err));
    if (!from) {
        hither_status status = ht_hnsw_extend(fresh, vectors, slots, count, threads, progress, err);
        if (status != HITHER_OK) {
            ht_hnsw_free(fresh);
            return status;
        }
    }
    return give(fresh, out, err);
}

static hither_status repaired(const ht_approx *from, const ht_mask *live, bool renumber, unsigned threads,
                              ht_approx **out, hither_error *err) {
    ht_hnsw *fresh;
    HT_TRY(ht_hnsw_repaired(in(from), live, threads, &fresh, err));
    if (renumber)
        ht_hnsw_renumber(fresh, live);
    return give(fresh, out, err);
}

static void *scratch_new(void) { return ht_calloc(1, sizeof(ht_hnsw_scratch)); }
static void scratch_free(void *scratch) {
    if (scratch)
        ht_hnsw_scratch_clear(scratch);
    ht_release(scratch);
}

static hither_status find(const ht_approx *approx, void *scratch, const ht_vectors *vectors, const void *query,
                          const ht_approx_search *search, ht_hit *hits, size_t *count, ht_approx_stats *stats,
                          hither_error *err) {
    const ht_hnsw_search what = {
        .k = search->k, .ef = search->effort, .live = search->live, .allow = search->allow, .share = search->share};
    ht_hnsw_stats did = {0};
    HT_TRY(ht_hnsw_find(in(approx), scratch, vectors, query, &what, hits, count, stats ? &did : NULL, err));
    if (stats) {
        stats->visited += did.visited;
        stats->steps += did.hops;
        stats->rescored += did.rescored;
    }
    return HITHER_OK;
}

static size_t efforts(const ht_approx *approx, uint32_t *out) {
    static const uint32_t all[] = {10,  12,  16,  20,  24,  32,  40,  48,  64,  80,   100,
                                   128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1600};
    (void)approx;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        out[i] = all[i];
    return sizeof all / sizeof *all;
}

static void describe(const ht_approx *approx, ht_approx_facts *out) {
    ht_hnsw_info info;
    ht_hnsw_describe(in(approx), &info);
    *out = (ht_approx_facts){.rows = info.nodes, .levels = info.levels, .links = info.links, .bytes = info.bytes};
}

static uint64_t living(const ht_approx *approx, const ht_mask *live) { return ht_hnsw_living(in(approx), live); }

static hither_status check(const ht_approx *approx, hither_error *err) { return ht_hnsw_check(in(approx), err); }

static hither_status put(const ht_approx *approx, ht_container_writer *writer, hither_error *err) {
    return ht_hnsw_put(in(approx), writer, err);
}

static hither_status get(const ht_approx_spec *spec, ht_container *file, const ht_vectors *vectors, ht_approx **out,
                         hither_error *err) {
    ht_hnsw *read;
    ht_hnsw_info info;
    HT_TRY(ht_hnsw_get(file, &read, err));
    ht_hnsw_describe(read, &info);
    const ht_hnsw_spec *s = &info.spec;
    bool same = s->dtype == spec->dtype && s->metric == spec->metric && s->dim == spec->dim && s->m == spec->m &&
                s->ef_build == spec->ef_build && s->bits == spec->bits && s->seed == spec->seed;
    if (!same || !ht_hnsw_fits(read, vectors)) {
        ht_hnsw_free(read);
        return ht_fail(err, HITHER_CORRUPT, "graph: it is of other rows than the index has");
    }
    return give(read, out, err);
}

const ht_approx_kind ht_approx_hnsw = {
    .number = HITHER_HNSW,
    .name = "hnsw",
    .effort = "ef",
    .pooled = true,
    .least = 2000,
    .visit = 7.5,
    .thins = true,
    .takes = takes,
    .complete = complete,
    .extended = extended,
    .repaired = repaired,
    .free = release,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .find = find,
    .efforts = efforts,
    .describe = describe,
    .living = living,
    .check = check,
    .put = put,
    .get = get,
};
