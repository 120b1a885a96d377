/*
 * approx_auto.c: the kind that picks among the others (HITHER_AUTO): a graph where rows are in memory, lists where they
 * are not going to be. What it makes is of the kind it picked, which is what callers search and ask for facts; this
 * table only makes it, and passes on what it is asked about it.
 */
#include "base/alloc.h"
#include "base/memory.h"
#include "index/approx.h"
#include "kernels/convert.h"

enum {
    LEAST = 10000, /* rows: from about here on a graph answers in less time than a scan of codes does */
    KINDS = 2,     /* that it picks from */
};

const ht_approx_kind *ht_approx_granted(const ht_approx_spec *spec, uint64_t rows) {
    if (spec->kind != HITHER_AUTO)
        return ht_approx_kind_of(spec->kind);
    const uint64_t bytes = rows * ht_row_bytes(spec->dtype, spec->dim, false);
    return bytes > ht_memory_limit() / 2 ? &ht_approx_ivf : &ht_approx_hnsw;
}

static bool takes(hither_dtype dtype, hither_metric metric) {
    return ht_approx_hnsw.takes(dtype, metric) && ht_approx_ivf.takes(dtype, metric);
}

static hither_status complete(ht_approx_spec *spec, hither_error *err) {
    HT_TRY(ht_approx_hnsw.complete(spec, err));
    return ht_approx_ivf.complete(spec, err);
}

static hither_status extended(const ht_approx *from, const ht_approx_spec *spec, const ht_vectors *vectors,
                              const uint64_t *slots, size_t count, unsigned threads, const ht_hnsw_progress *progress,
                              ht_approx **out, hither_error *err) {
    const ht_approx_kind *kind = from ? from->kind : ht_approx_granted(spec, count);
    return kind->extended(from, spec, vectors, slots, count, threads, progress, out, err);
}

static hither_status repaired(const ht_approx *from, const ht_mask *live, bool renumber, unsigned threads,
                              ht_approx **out, hither_error *err) {
    return from->kind->repaired(from, live, renumber, threads, out, err);
}

static void release(ht_approx *approx) {
    if (approx)
        approx->kind->free(approx);
}

/* ---- searching */

typedef struct scratch {
    void *of[KINDS]; /* of hnsw, of ivf; NULL until there was a search of it */
} scratch;

static void *scratch_new(void) { return ht_calloc(1, sizeof(scratch)); }
static void scratch_free(void *room) {
    scratch *s = room;
    if (!s)
        return;
    ht_approx_hnsw.scratch_free(s->of[0]);
    ht_approx_ivf.scratch_free(s->of[1]);
    ht_release(s);
}

static hither_status find(const ht_approx *approx, void *room, const ht_vectors *vectors, const void *query,
                          const ht_approx_search *search, ht_hit *hits, size_t *count, ht_approx_stats *stats,
                          hither_error *err) {
    void **own = &((scratch *)room)->of[approx->kind == &ht_approx_ivf];
    if (!*own)
        *own = approx->kind->scratch_new();
    if (!*own)
        return ht_fail_nomem(err, 0, "a walk");
    return approx->kind->find(approx, *own, vectors, query, search, hits, count, stats, err);
}

static size_t efforts(const ht_approx *approx, uint32_t *out) { return approx->kind->efforts(approx, out); }

/* ---- facts, checks, files */

static void describe(const ht_approx *approx, ht_approx_facts *out) { approx->kind->describe(approx, out); }
static uint64_t living(const ht_approx *approx, const ht_mask *live) { return approx->kind->living(approx, live); }
static hither_status check(const ht_approx *approx, hither_error *err) { return approx->kind->check(approx, err); }
static hither_status put(const ht_approx *approx, ht_container_writer *writer, hither_error *err) {
    return approx->kind->put(approx, writer, err);
}

/* Which it was is told by the sections there are. */
static hither_status get(const ht_approx_spec *spec, ht_container *file, const ht_vectors *vectors, ht_approx **out,
                         hither_error *err) {
    size_t bytes;
    const bool lists = ht_container_section(file, "ivf", &bytes) != NULL;
    return (lists ? &ht_approx_ivf : &ht_approx_hnsw)->get(spec, file, vectors, out, err);
}

const ht_approx_kind ht_approx_auto = {
    .number = HITHER_AUTO,
    .name = "auto",
    .effort = "ef", /* until something is made */
    .pooled = true,
    .least = LEAST,
    .visit = 1,
    .thins = false,
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
