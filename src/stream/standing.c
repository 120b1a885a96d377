/* standing.c: see standing.h. */
#include "stream/standing.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "index/codes.h"

enum { BATCH = 64, CACHED = 4096, FEW = 6, LEAST_CODED_DIM = 32 };

/* What a form matches, if that is not much. */
typedef struct known_form {
    uint64_t form; /* 0: none */
    uint32_t count;
    ht_hit hits[FEW];
} known_form;

struct ht_standing {
    atomic_uint holders;
    uint32_t count, dim;
    size_t stride;
    float *rows, *norms, *radius;
    float widest; /* radius */
    bool first_only;
    void *codes;
    known_form *known; /* by form modulo CACHED */
};

hither_status ht_standing_new(float *rows, size_t stride, uint32_t dim, const float *radius, uint32_t count,
                              bool first_only, ht_standing **out, hither_error *err) {
    const size_t coded = dim >= LEAST_CODED_DIM ? count / HT_CODE_ROWS * HT_CODE_ROWS : 0;
    ht_standing *s = ht_calloc(1, sizeof *s);
    if (!s) {
        ht_release(rows);
        return ht_fail_nomem(err, sizeof *s, "standing queries");
    }
    *s = (ht_standing){.count = count, .dim = dim, .stride = stride, .rows = rows, .first_only = first_only};
    atomic_init(&s->holders, 1);
    s->norms = ht_calloc(count ? count : 1, sizeof *s->norms);
    s->radius = ht_calloc(count ? count : 1, sizeof *s->radius);
    s->known = ht_calloc(CACHED, sizeof *s->known);
    s->codes = coded ? ht_alloc_aligned(ht_codes_bytes(coded, dim)) : NULL;
    if (!s->norms || !s->radius || !s->known || (coded && !s->codes)) {
        ht_standing_release(s);
        return ht_fail_nomem(err, count * stride, "standing queries");
    }
    for (uint32_t i = 0; i < count; i++) {
        s->radius[i] = radius[i];
        s->widest = i == 0 || radius[i] > s->widest ? radius[i] : s->widest;
    }
    ht_exact_norms(rows, stride, count, dim, s->norms);
    if (coded)
        ht_codes_make(rows, stride, dim, 0, coded, s->codes);
    *out = s;
    return HITHER_OK;
}

ht_standing *ht_standing_acquire(ht_standing *s) {
    if (s)
        atomic_fetch_add_explicit(&s->holders, 1, memory_order_relaxed);
    return s;
}

void ht_standing_release(ht_standing *s) {
    if (!s || atomic_fetch_sub_explicit(&s->holders, 1, memory_order_acq_rel) != 1)
        return;
    ht_release(s->rows);
    ht_release(s->norms);
    ht_release(s->radius);
    ht_release(s->known);
    ht_release(s->codes);
    ht_release(s);
}

/* ---- matching */

/* A record whose matches are not written yet. */
typedef struct waiting {
    uint64_t form;
    int query; /* which of the matcher's; -1: `known` has the answer */
    known_form known;
} waiting;

struct ht_matcher {
    ht_standing *s; /* NULL: none */
    hither_result *result;
    size_t stride, records, queries, written;
    float *rows; /* BATCH of them */
    ht_exact_scratch scratch;
    ht_found found[BATCH];
    waiting waiting[BATCH];
};

hither_status ht_matcher_new(ht_standing *s, size_t stride, uint32_t dim, hither_result *result, ht_matcher **out,
                             hither_error *err) {
    ht_matcher *m = ht_calloc(1, sizeof *m);
    *out = NULL;
    if (!m)
        return ht_fail_nomem(err, sizeof *m, "standing queries");
    m->s = ht_standing_acquire(s && s->count && s->dim == dim ? s : NULL);
    m->result = result;
    m->stride = stride;
    m->rows = m->s ? ht_alloc_aligned(BATCH * stride) : NULL;
    if (m->s && !m->rows) {
        ht_matcher_free(m);
        return ht_fail_nomem(err, BATCH * stride, "standing queries");
    }
    if (m->rows)
        memset(m->rows, 0, BATCH * stride);
    *out = m;
    return HITHER_OK;
}

void ht_matcher_free(ht_matcher *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->queries; i++)
        ht_release(m->found[i].hits);
    ht_exact_scratch_clear(&m->scratch);
    ht_standing_release(m->s);
    ht_release(m->rows);
    ht_release(m);
}

static void put(ht_matcher *m, const ht_hit *hits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ht_result_add_int(m->result, (int64_t)hits[i].slot);
        ht_result_distance(m->result, (float)hits[i].distance);
    }
}

/* Of what is within the widest radius, that which is within its own; moved to the front. */
static void keep_own(const ht_standing *s, ht_found *found) {
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++)
        if ((float)found->hits[i].distance <= s->radius[found->hits[i].slot])
            found->hits[kept++] = found->hits[i];
    found->count = kept;
}

static hither_status search(ht_matcher *m, hither_error *err) {
    const ht_standing *s = m->s;
    const ht_part part = {
        .rows = s->rows,
        .count = s->count,
        .stride = s->stride,
        .norms = s->norms,
        .codes = s->codes,
        .coded_rows = s->codes ? s->count / HT_CODE_ROWS * HT_CODE_ROWS : 0,
    };
    const ht_vectors rows = {
        .dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = s->dim, .parts = &part, .part_count = 1};
    HT_TRY(ht_exact_within(&m->scratch, &rows, m->rows, m->stride, m->queries, NULL, NULL, s->widest, 1, m->found, NULL,
                           err));
    for (size_t i = 0; i < m->queries; i++)
        keep_own(s, &m->found[i]);
    return HITHER_OK;
}

static hither_status flush(ht_matcher *m, hither_error *err) {
    size_t queries = m->queries;
    if (queries > 0) {
        hither_status status = search(m, err);
        if (status != HITHER_OK) {
            m->queries = 0; /* nothing was found that would have to be released */
            return status;
        }
    }
    for (size_t i = 0; i < m->records; i++) {
        const waiting *r = &m->waiting[i];
        if (m->written++ > 0)
            ht_result_next_group(m->result);
        if (r->query < 0) {
            put(m, r->known.hits, r->known.count);
            continue;
        }
        const ht_found *found = &m->found[r->query];
        put(m, found->hits, found->count);
        if (r->form == 0 || found->count > FEW)
            continue;
        known_form *known = &m->s->known[r->form % CACHED];
        *known = (known_form){.form = r->form, .count = (uint32_t)found->count};
        if (found->count > 0)
            memcpy(known->hits, found->hits, found->count * sizeof *found->hits);
    }
    for (size_t i = 0; i < queries; i++) {
        ht_release(m->found[i].hits);
        m->found[i] = (ht_found){0}; /* those who wait next have not been searched for when something fails */
    }
    m->queries = m->records = 0;
    return HITHER_OK;
}

/* A record of the same form that waits too, or -1. */
static int same_form(const ht_matcher *m, uint64_t form) {
    for (size_t i = 0; form != 0 && i < m->records; i++)
        if (m->waiting[i].form == form)
            return m->waiting[i].query;
    return -1;
}

hither_status ht_matcher_add(ht_matcher *m, const float *vector, uint64_t form, bool known, hither_error *err) {
    if (m->records == BATCH)
        HT_TRY(flush(m, err));
    waiting *r = &m->waiting[m->records];
    *r = (waiting){.form = form, .query = -1};
    if (m->s && !(known && m->s->first_only)) {
        const known_form *there = form ? &m->s->known[form % CACHED] : NULL;
        if (there && there->form == form)
            r->known = *there;
        else if ((r->query = same_form(m, form)) < 0) {
            memcpy((char *)m->rows + m->queries * m->stride, vector, m->s->dim * sizeof *vector);
            r->query = (int)m->queries++;
        }
    }
    m->records++;
    return HITHER_OK;
}

hither_status ht_matcher_finish(ht_matcher *m, hither_error *err) { return flush(m, err); }
