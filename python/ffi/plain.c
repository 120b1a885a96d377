/*
 * plain.c: the search that most searches are - one vector of float32, perhaps a filter - as one call for Python: what
 * hither_collection_search or hither_window_search found, copied into one block, which Python copies once more and
 * takes apart when somebody looks. Asking for each part of an answer by a call of its own cost Python more than the
 * search of a few hundred rows.
 *
 * Part of the extension module: build.py puts it behind hither.h, plain.cdef.txt declares it. A plain_search is lent to
 * one call at a time; any thread.
 *
 * The block begins with eight int64: the hits; 1 where ids are integers; and where, in bytes from its begin, or 0 for
 * what is not there, the ids, distances, metadata and documents are; where the plan is, and how long. Integers and
 * distances lie packed. A column of texts is 1 or 0 for whether there is a bitmap of those present, the offsets
 * (uint64, one more than hits, the first 0), that bitmap, and the bytes. All begin at multiples of 8.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 8, KEPT = 1 << 20 };

typedef struct plain_search {
    hither_query query;
    hither_search_options options;
    hither_error error;
    char *block;
    size_t room;
} plain_search;

static plain_search *plain_new(uint32_t include) {
    plain_search *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->query.size = sizeof s->query;
    s->query.vectors.rows = 1;
    s->query.vectors.dtype = HITHER_F32;
    s->options.size = sizeof s->options;
    s->options.include = include;
    return s;
}

static void plain_free(plain_search *s) {
    if (s)
        free(s->block);
    free(s);
}

static size_t padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

static size_t column_bytes(const hither_strings *c) {
    size_t n = c->count;
    if (!n)
        return 0;
    return 8 + 8 * (n + 1) + (c->valid ? padded((n + 7) / 8) : 0) + padded((size_t)(c->offsets[n] - c->offsets[0]));
}

static void put(char *block, size_t *at, const void *data, size_t bytes) {
    if (bytes)
        memcpy(block + *at, data, bytes);
    *at += padded(bytes);
}

/* Where it begins; 0 if it is empty. */
static int64_t put_column(char *block, size_t *at, const hither_strings *c) {
    size_t begin = *at, n = c->count;
    uint64_t valid = c->valid != NULL;
    if (!n)
        return 0;
    put(block, at, &valid, sizeof valid);
    for (size_t i = 0; i <= n; i++) {
        uint64_t offset = c->offsets[i] - c->offsets[0];
        memcpy(block + *at + 8 * i, &offset, sizeof offset);
    }
    *at += 8 * (n + 1);
    if (valid)
        put(block, at, c->valid, (n + 7) / 8);
    put(block, at, c->bytes + c->offsets[0], (size_t)(c->offsets[n] - c->offsets[0]));
    return (int64_t)begin;
}

static int make_room(plain_search *s, size_t bytes) {
    if (bytes <= s->room)
        return 1;
    free(s->block);
    s->room = 0;
    s->block = malloc(bytes);
    if (s->block)
        s->room = bytes;
    return s->block != NULL;
}

/* Copies the first group of a result; the bytes of the block, 0 without memory. */
static size_t lay_out(plain_search *s, const hither_result *r) {
    size_t n = hither_result_count(r, 0), at = HEAD * sizeof(int64_t);
    const hither_ids ids = hither_result_ids(r, 0);
    const float *distances = hither_result_distances(r, 0);
    const hither_strings metadata = hither_result_metadata(r, 0), documents = hither_result_documents(r, 0);
    const char *plan = hither_result_plan(r);
    size_t plan_bytes = strlen(plan);
    size_t bytes = at + (ids.ints ? n * sizeof(int64_t) : column_bytes(&ids.strings)) + padded(n * sizeof(float)) +
                   column_bytes(&metadata) + column_bytes(&documents) + padded(plan_bytes);
    if (!make_room(s, bytes))
        return 0;
    int64_t head[HEAD] = {(int64_t)n, ids.ints != NULL};
    head[2] = ids.ints ? (int64_t)at : put_column(s->block, &at, &ids.strings);
    if (ids.ints)
        put(s->block, &at, ids.ints, n * sizeof(int64_t));
    head[3] = distances ? (int64_t)at : 0;
    if (distances)
        put(s->block, &at, distances, n * sizeof(float));
    head[4] = put_column(s->block, &at, &metadata);
    head[5] = put_column(s->block, &at, &documents);
    head[6] = (int64_t)at;
    head[7] = (int64_t)plan_bytes;
    put(s->block, &at, plan, plan_bytes);
    memcpy(s->block, head, sizeof head);
    return at;
}

static int64_t answer(plain_search *s, hither_status status, hither_result *r) {
    s->query.vectors.data = NULL;
    s->options.where = NULL;
    if (status != HITHER_OK)
        return -(int64_t)status;
    size_t bytes = lay_out(s, r);
    hither_result_free(r);
    if (bytes)
        return (int64_t)bytes;
    s->error.status = HITHER_NOMEM;
    s->error.os_errno = 0;
    (void)snprintf(s->error.message, sizeof s->error.message, "no memory for the answer of a search");
    return -(int64_t)HITHER_NOMEM;
}

/* The bytes of the block, or a status below 0, which `error` says more about. where NULL: of all rows. */
static int64_t plain_run(plain_search *s, hither_collection *c, const void *query, size_t dim, uint32_t k,
                         const char *where) {
    hither_result *r = NULL;
    s->query.vectors.data = query;
    s->query.vectors.dim = dim;
    s->options.where = where;
    hither_status status = hither_collection_search(c, &s->query, k, &s->options, &r, &s->error);
    return answer(s, status, r);
}

/* The same in a window. */
static int64_t plain_window(plain_search *s, hither_window *w, const void *query, size_t dim, uint32_t k) {
    hither_result *r = NULL;
    s->query.vectors.data = query;
    s->query.vectors.dim = dim;
    hither_status status = hither_window_search(w, &s->query, k, &r, &s->error);
    return answer(s, status, r);
}

/* After the block was copied: a large one is not kept for the next call. */
static void plain_trim(plain_search *s) {
    if (s->room <= KEPT)
        return;
    free(s->block);
    s->block = NULL;
    s->room = 0;
}
