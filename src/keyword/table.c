/*
 * table.c: see table.h. Parts are replaced under both locks and never changed, so a view stays whole whatever comes.
 */
#include "keyword/table.h"

#include <string.h>

#include "base/alloc.h"
#include "keyword/build.h"

/* Parts are not merged past this. */
#define PART_BYTES ((uint64_t)1 << 30)

hither_status ht_keyword_table_init(ht_keyword_table *table, hither_error *err) {
    *table = (ht_keyword_table){0};
    atomic_init(&table->covered, 0);
    int rc = pthread_mutex_init(&table->build, NULL);
    if (rc)
        return ht_fail_errno(err, rc, "cannot make a lock");
    rc = pthread_mutex_init(&table->lock, NULL);
    if (!rc)
        return HITHER_OK;
    pthread_mutex_destroy(&table->build);
    return ht_fail_errno(err, rc, "cannot make a lock");
}

void ht_keyword_table_clear(ht_keyword_table *table) {
    for (size_t i = 0; i < table->count; i++)
        ht_postings_release(table->parts[i]);
    ht_release((void *)table->parts);
    table->parts = NULL;
    table->count = 0;
    pthread_mutex_destroy(&table->build);
    pthread_mutex_destroy(&table->lock);
}

bool ht_keyword_table_covers(const ht_keyword_table *table, uint64_t limit) {
    return atomic_load_explicit(&table->covered, memory_order_acquire) >= limit;
}

/* Puts a part at the end; `merged` of those there now are in it, and leave. Takes the part over. */
static hither_status put(ht_keyword_table *table, ht_postings *part, size_t merged, hither_error *err) {
    size_t kept = table->count - merged;
    ht_postings **parts = ht_alloc((kept + 1) * sizeof *parts), **old = table->parts;
    if (!parts) {
        ht_postings_release(part);
        return ht_fail_nomem(err, (kept + 1) * sizeof *parts, "postings");
    }
    if (kept)
        memcpy((void *)parts, (void *)old, kept * sizeof *parts);
    parts[kept] = part;
    pthread_mutex_lock(&table->lock);
    table->parts = parts;
    table->count = kept + 1;
    pthread_mutex_unlock(&table->lock);
    for (size_t i = kept; i < kept + merged; i++)
        ht_postings_release(old[i]);
    ht_release((void *)old);
    atomic_store_explicit(&table->covered, part->end, memory_order_release);
    return HITHER_OK;
}

/* Merges the last parts as long as they are of like size. */
static hither_status merge(ht_keyword_table *table, hither_error *err) {
    while (table->count > 1) {
        const ht_postings *a = table->parts[table->count - 2], *b = table->parts[table->count - 1];
        uint64_t x = ht_postings_bytes(a), y = ht_postings_bytes(b);
        ht_postings *merged;
        if (x > 2 * y || x + y > PART_BYTES)
            break;
        HT_TRY(ht_postings_merge(a, b, NULL, &merged, err));
        HT_TRY(put(table, merged, 2, err));
    }
    return HITHER_OK;
}

typedef struct covering {
    ht_keyword_table *table;
    ht_builder builder;
    uint64_t read;
    hither_error *err;
} covering;

/* Ends the builder's part at `end`; the next begins there. */
static hither_status end_part(covering *c, uint64_t end) {
    ht_postings *part;
    HT_TRY(ht_builder_end(&c->builder, end, &part, c->err));
    HT_TRY(put(c->table, part, 0, c->err));
    ht_builder_clear(&c->builder);
    ht_builder_init(&c->builder, end);
    return merge(c->table, c->err);
}

static hither_status cover_row(void *arg, uint64_t slot, ht_text document) {
    covering *c = arg;
    if (!document.data)
        return HITHER_OK;
    c->read++;
    HT_TRY(ht_builder_add(&c->builder, slot, document, c->err));
    return ht_builder_full(&c->builder) ? end_part(c, slot + 1) : HITHER_OK;
}

static hither_status cover_locked(covering *c, uint64_t limit, const ht_document_source *source) {
    if (source->load && !c->table->asked)
        source->load(source->ctx);
    c->table->asked = true;
    uint64_t begin = atomic_load_explicit(&c->table->covered, memory_order_relaxed);
    if (begin >= limit) /* another thread was at it */
        return HITHER_OK;
    ht_builder_init(&c->builder, begin);
    hither_status status = source->rows(source->ctx, begin, limit, cover_row, c, c->err);
    if (status == HITHER_OK && c->builder.first < limit)
        status = end_part(c, limit);
    ht_builder_clear(&c->builder);
    return status;
}

hither_status ht_keyword_table_cover(ht_keyword_table *table, uint64_t limit, const ht_document_source *source,
                                     uint64_t *read, hither_error *err) {
    if (ht_keyword_table_covers(table, limit))
        return HITHER_OK;
    covering *c = ht_calloc(1, sizeof *c);
    if (!c)
        return ht_fail_nomem(err, sizeof *c, "postings");
    c->table = table;
    c->err = err;
    pthread_mutex_lock(&table->build);
    hither_status status = cover_locked(c, limit, source);
    pthread_mutex_unlock(&table->build);
    *read += c->read;
    ht_release(c);
    return status;
}

bool ht_keyword_table_adopt(ht_keyword_table *table, ht_postings **parts, size_t count) {
    if (table->count)
        return false;
    pthread_mutex_lock(&table->lock);
    ht_release((void *)table->parts);
    table->parts = parts;
    table->count = count;
    pthread_mutex_unlock(&table->lock);
    atomic_store_explicit(&table->covered, parts[count - 1]->end, memory_order_release);
    return true;
}

hither_status ht_keyword_table_copy(ht_keyword_table *from, const ht_mask *needed, ht_keyword_table *to,
                                    hither_error *err) {
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&from->build);
    to->asked = from->asked;
    for (size_t i = 0; i < from->count && from->parts[i]->end <= needed->limit && status == HITHER_OK; i++) {
        ht_postings *part;
        status = ht_postings_merge(from->parts[i], NULL, needed, &part, err);
        if (status == HITHER_OK)
            status = put(to, part, 0, err);
        if (status == HITHER_OK)
            status = merge(to, err);
    }
    pthread_mutex_unlock(&from->build);
    return status;
}

hither_status ht_keyword_table_view(ht_keyword_table *table, ht_keyword_view *out, hither_error *err) {
    hither_status status = HITHER_OK;
    pthread_mutex_lock(&table->lock);
    *out = (ht_keyword_view){ht_alloc(table->count * sizeof *out->parts), table->count};
    for (size_t i = 0; out->parts && i < out->count; i++)
        ht_postings_hold(out->parts[i] = table->parts[i]);
    if (!out->parts)
        status = ht_fail_nomem(err, out->count * sizeof *out->parts, "postings");
    pthread_mutex_unlock(&table->lock);
    return status;
}

void ht_keyword_view_clear(ht_keyword_view *view) {
    for (size_t i = 0; view->parts && i < view->count; i++)
        ht_postings_release(view->parts[i]);
    ht_release((void *)view->parts);
    *view = (ht_keyword_view){0};
}
