/* runtime.c: see runtime.h. Texts are taken a thousand at a time, so that their tokens do not take much memory. */
#include "embed/runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "base/strings.h"

enum { TAKEN = 1024, SIDE_BY_SIDE = 32, MOST_TOKENS = 4096 }; /* texts, texts and tokens of a batch */

typedef struct text_tokens {
    uint32_t *ids;
    uint32_t count;
    size_t text;
} text_tokens;

typedef struct taken {
    const ht_runtime_job *job;
    const hither_strings *texts;
    float *vectors;
    size_t first, count;
    text_tokens of[TAKEN];
    size_t begins[TAKEN + 1]; /* of batches */
    size_t batches;
    atomic_int failed; /* taken by the first that fails, which alone writes status and error */
    hither_status status;
    hither_error error;
} taken;

static void fail(taken *t, hither_status status, const hither_error *error) {
    int nobody = 0;
    if (status != HITHER_OK && atomic_compare_exchange_strong(&t->failed, &nobody, 1)) {
        t->status = status;
        t->error = *error;
    }
}

static hither_status read_tokens(taken *t, size_t item, hither_error *err) {
    ht_text text = ht_strings_at(t->texts, t->first + item);
    text_tokens *to = &t->of[item];
    size_t count = 0;
    to->text = t->first + item;
    if (!text.data)
        return HITHER_OK;
    uint32_t *ids = ht_alloc(t->job->most * sizeof *ids);
    if (!ids)
        return ht_fail_nomem(err, t->job->most * sizeof *ids, "tokens");
    hither_status status = t->job->tokens(t->job->ctx, text.data, text.bytes, ids, &count, err);
    if (status == HITHER_OK && count > 0)
        to->ids = ht_memdup(ids, count * sizeof *ids);
    ht_release(ids);
    HT_TRY(status);
    to->count = to->ids ? (uint32_t)count : 0;
    return count > 0 && !to->ids ? ht_fail_nomem(err, count * sizeof *ids, "tokens") : HITHER_OK;
}

static void token_item(void *ctx, size_t item) {
    taken *t = ctx;
    hither_error error = {0};
    if (!atomic_load_explicit(&t->failed, memory_order_relaxed))
        fail(t, read_tokens(t, item, &error), &error);
}

static int by_length(const void *a, const void *b) {
    const text_tokens *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return x->text < y->text ? -1 : 1;
}

/* Batches of texts that stand in order of length. */
static void cut(taken *t) {
    size_t begin = 0;
    while (begin < t->count) {
        size_t end = begin + 1;
        while (end < t->count && end - begin < SIDE_BY_SIDE &&
               (end - begin + 1) * (size_t)t->of[end].count <= MOST_TOKENS && t->of[begin].count > 0)
            end++;
        t->begins[t->batches++] = begin;
        begin = end;
    }
    t->begins[t->batches] = t->count;
}

static hither_status run_batch(taken *t, size_t begin, size_t end, hither_error *err) {
    const size_t count = end - begin, longest = t->of[end - 1].count, dim = ht_ort_dim(t->job->ort);
    if (longest == 0) {
        memset(t->vectors + t->of[begin].text * dim, 0, dim * sizeof *t->vectors);
        return HITHER_OK;
    }
    uint32_t *tokens = ht_calloc(count * longest, sizeof *tokens), lengths[SIDE_BY_SIDE];
    float *vectors = ht_alloc(count * dim * sizeof *vectors);
    hither_status status =
        tokens && vectors ? HITHER_OK : ht_fail_nomem(err, count * (longest + dim) * sizeof *vectors, "a batch");
    for (size_t i = 0; status == HITHER_OK && i < count; i++) {
        lengths[i] = t->of[begin + i].count;
        memcpy(tokens + i * longest, t->of[begin + i].ids, lengths[i] * sizeof *tokens);
    }
    if (status == HITHER_OK)
        status = ht_ort_vectors(t->job->ort, tokens, lengths, count, longest, vectors, err);
    for (size_t i = 0; status == HITHER_OK && i < count; i++)
        memcpy(t->vectors + t->of[begin + i].text * dim, vectors + i * dim, dim * sizeof *vectors);
    ht_release(tokens);
    ht_release(vectors);
    return status;
}

static void batch_item(void *ctx, size_t item) {
    taken *t = ctx;
    hither_error error = {0};
    /* Long ones first: the last batch to end is a short one. */
    const size_t batch = t->batches - 1 - item;
    if (!atomic_load_explicit(&t->failed, memory_order_relaxed))
        fail(t, run_batch(t, t->begins[batch], t->begins[batch + 1], &error), &error);
}

static void take(taken *t) {
    ht_parallel(0, t->count, token_item, t);
    if (!atomic_load(&t->failed)) {
        qsort(t->of, t->count, sizeof *t->of, by_length);
        cut(t);
        ht_parallel(0, t->batches, batch_item, t);
    }
    for (size_t i = 0; i < t->count; i++)
        ht_release(t->of[i].ids);
}

hither_status ht_runtime_all(const ht_runtime_job *job, const hither_strings *texts, float *vectors,
                             hither_error *err) {
    hither_status status = HITHER_OK;
    taken *t = ht_alloc(sizeof *t);
    if (!t)
        return ht_fail_nomem(err, sizeof *t, "texts");
    for (size_t first = 0; status == HITHER_OK && first < texts->count; first += TAKEN) {
        memset(t, 0, sizeof *t);
        t->job = job;
        t->texts = texts;
        t->vectors = vectors;
        t->first = first;
        t->count = ht_min_size(texts->count - first, TAKEN);
        take(t);
        status = t->status;
        if (status != HITHER_OK && err)
            *err = t->error;
    }
    ht_release(t);
    return status;
}
