/*
 * collection.c: the collection part of hither.h but for what searches (search.c) and lists (page.c). Joins text ->
 * embed
 * -> put. Any thread.
 */
#include "api/collection.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/expiry.h"
#include "engine/reembed.h"
#include "kernels/kernels.h"

enum { REEMBEDDED = 8 }; /* times a collection may be moved to another embedder during one call */

ht_collection *ht_collection_in(hither_collection *c) { return c->inner; }

/* ---- open and close */

/* What the engine is to open or make, given the caller's options. */
static hither_status spec_of(const hither_collection_options *o, ht_collection_spec *spec, hither_error *err) {
    if (o->flags & ~(uint32_t)(HITHER_COLLECTION_EXISTING | HITHER_COLLECTION_NEW))
        return ht_fail(err, HITHER_UNSUPPORTED, "hither_collection_options.flags has unknown bits: 0x%x", o->flags);
    if (o->flags == (HITHER_COLLECTION_EXISTING | HITHER_COLLECTION_NEW))
        return ht_fail(err, HITHER_INVALID, "a collection cannot be both existing and new");
    *spec = (ht_collection_spec){
        .flags = o->flags, .dim = o->dim, .dtype = o->dtype, .metric = o->metric, .schema = o->schema};
    if (o->field_count && !o->fields)
        return ht_fail(err, HITHER_INVALID, "hither_collection_options.fields is NULL");
    spec->fields = o->fields;
    spec->field_count = o->field_count;
    if (!o->embedder)
        return HITHER_OK;
    uint32_t dim = hither_embedder_dim(o->embedder);
    if (o->dim && o->dim != dim)
        return ht_fail(err, HITHER_DIMENSION, "%u dimensions were asked for, the embedder gives %u", o->dim, dim);
    spec->dim = dim;
    spec->embedder = hither_embedder_name(o->embedder);
    return HITHER_OK;
}

/* The embedder of an opened collection: the one given, or the built-in one where that is what the collection names. */
static hither_status find_embedder(hither_collection *c, hither_embedder *given, hither_error *err) {
    if (given)
        c->embedder = ht_embedder_acquire(ht_embedder_in(given));
    else if (strcmp(ht_collection_embedder(c->inner), HT_BUILTIN_NAME) == 0)
        return ht_embedder_builtin(&c->embedder, err);
    return HITHER_OK;
}

hither_status hither_collection_open(hither_db *db, const char *name, const hither_collection_options *options,
                                     hither_collection **out, hither_error *err) {
    hither_collection_options o;
    ht_collection_spec spec;
    if (!out)
        return ht_fail(err, HITHER_INVALID, "out is NULL");
    *out = NULL;
    if (!db)
        return ht_fail(err, HITHER_INVALID, "the database is NULL");
    HT_TRY(ht_name_check(name, err));
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_collection_options", err));
    HT_TRY(spec_of(&o, &spec, err));
    hither_collection *c = ht_calloc(1, sizeof *c);
    if (!c)
        return ht_fail_nomem(err, sizeof *c, "a collection");
    hither_status status = ht_collection_open(ht_db_in(db), name, &spec, &c->inner, err);
    if (status == HITHER_OK)
        status = find_embedder(c, o.embedder, err);
    if (status == HITHER_OK)
        *out = c;
    else
        hither_collection_close(c);
    return status;
}

void hither_collection_close(hither_collection *c) {
    if (!c)
        return;
    ht_collection_close(c->inner);
    ht_embedder_release(c->embedder);
    ht_release(c);
}

hither_status ht_call_check(const hither_collection *c, const void *out, hither_error *err) {
    if (!c)
        return ht_fail(err, HITHER_INVALID, "the collection is NULL");
    if (!out)
        return ht_fail(err, HITHER_INVALID, "a pointer that is needed is NULL");
    return HITHER_OK;
}

hither_status hither_collection_info(hither_collection *c, hither_result **out, hither_error *err) {
    HT_TRY(ht_call_check(c, out, err));
    return ht_collection_info(c->inner, out, err);
}

hither_status hither_collection_set_schema(hither_collection *c, const char *schema, hither_error *err) {
    HT_TRY(ht_call_check(c, c, err));
    return ht_collection_set_schema(c->inner, schema, err);
}

/* ---- filters */

/* The floating-point mode matters from here on: operands are numbers. where NULL: no filter. */
hither_status ht_reading_where(const hither_collection *c, const char *where, ht_filter **out, hither_error *err) {
    return ht_expiry_filter(c->inner, where, out, err);
}

hither_status ht_where_parse(const char *where, ht_filter **out, hither_error *err) {
    *out = NULL;
    return where ? ht_filter_parse(where, strlen(where), out, err) : HITHER_OK;
}

hither_status ht_field_parse(const char *path, const char *what, ht_filter **out, hither_error *err) {
    *out = NULL;
    if (!path)
        return HITHER_OK;
    size_t bytes = strlen(path), good = ht_utf8_valid_prefix(path, bytes);
    if (good < bytes)
        return ht_fail(err, HITHER_ENCODING, "%s: byte %zu is not UTF-8", what, good);
    return ht_filter_field(path, what, out, err);
}

hither_status hither_collection_count(hither_collection *c, const char *where, uint64_t *out, hither_error *err) {
    ht_filter *filter;
    HT_TRY(ht_call_check(c, out, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_reading_where(c, where, &filter, err);
    if (status == HITHER_OK)
        status = ht_collection_count(c->inner, filter, out, err);
    ht_filter_free(filter);
    ht_fp_leave(fp);
    return status;
}

/* ---- texts to vectors */

/* The embedder that rows are of now: the handle's own, or the one a reembedding has left. */
static ht_embedder *embedder_now(const hither_collection *c, const char *name) {
    ht_embedder *moved = ht_collection_shape(c->inner)->companion;
    if (c->embedder && strcmp(ht_embedder_name(c->embedder), name) == 0)
        return c->embedder;
    return moved && strcmp(ht_embedder_name(moved), name) == 0 ? moved : NULL;
}

hither_status ht_texts_embed(hither_collection *c, ht_embed_role role, const hither_strings *texts, ht_floats *out,
                             const char **by, hither_error *err) {
    const char *name = ht_collection_embedder(c->inner);
    ht_embedder *embedder = embedder_now(c, name);
    if (!embedder && name[0])
        return ht_fail(err, HITHER_MODEL, "this collection was made with embedder '%s'; open it with that embedder",
                       name);
    if (!embedder)
        return ht_fail(err, HITHER_MODEL, "this collection has no embedder; give vectors instead of texts");
    size_t bytes, dim = ht_embedder_dim(embedder);
    float *vectors = ht_mul_size(texts->count, dim * sizeof(float), &bytes) ? ht_alloc(bytes) : NULL;
    if (!vectors)
        return ht_fail_nomem(err, texts->count, "the vectors of texts");
    hither_status status = ht_embedder_embed(embedder, role, texts, vectors, err);
    *by = name;
    if (status == HITHER_OK)
        ht_floats_own(vectors, texts->count, dim, out);
    else
        ht_release(vectors);
    return status;
}

static hither_status embed_for_move(void *ctx, const hither_strings *texts, float *vectors, hither_error *err) {
    return ht_embedder_embed(ctx, HT_EMBED_DOCUMENT, texts, vectors, err);
}

static void let_go(void *embedder) { ht_embedder_release(embedder); }

hither_status ht_reembed(hither_collection *c, ht_embedder *embedder, ht_progress *progress, hither_error *err) {
    const ht_reembedding with = {.name = ht_embedder_name(embedder),
                                 .dim = ht_embedder_dim(embedder),
                                 .embed = embed_for_move,
                                 .ctx = embedder,
                                 .companion = ht_embedder_acquire(embedder),
                                 .release = let_go};
    return ht_collection_reembed(c->inner, &with, progress, err);
}

/* ---- put and delete */

static hither_status check_column(size_t count, size_t rows, const char *what, hither_error *err) {
    if (count && count != rows)
        return ht_fail(err, HITHER_INVALID, "%zu %s for %zu ids", count, what, rows);
    return HITHER_OK;
}

static hither_status check_remove(const hither_batch *b, hither_mode mode, hither_error *err) {
    if (!b->remove.count)
        return HITHER_OK;
    if (mode != HITHER_UPDATE)
        return ht_fail(err, HITHER_INVALID, "only an update removes keys; other modes replace the whole metadata");
    HT_TRY(ht_strings_check(&b->remove, "remove", HITHER_MAX_TEXT_BYTES, err));
    for (size_t i = 0; i < b->remove.count; i++) {
        if (!ht_strings_has(&b->remove, i))
            return ht_fail(err, HITHER_INVALID, "remove: key %zu is missing", i);
    }
    return HITHER_OK;
}

static hither_status check_batch(const hither_batch *b, hither_mode mode, hither_error *err) {
    size_t n = b->ids.count;
    HT_TRY(ht_ids_check(&b->ids, err));
    HT_TRY(check_column(b->vectors.rows, n, "vectors", err));
    HT_TRY(check_column(b->metadata.count, n, "metadata objects", err));
    HT_TRY(check_column(b->documents.count, n, "documents", err));
    HT_TRY(ht_strings_check(&b->metadata, "metadata", HITHER_MAX_TEXT_BYTES, err));
    HT_TRY(ht_strings_check(&b->documents, "documents", HITHER_MAX_TEXT_BYTES, err));
    if (b->named_count && !b->named)
        return ht_fail(err, HITHER_INVALID, "named is NULL");
    return check_remove(b, mode, err);
}

/* Vectors of the batch's documents, where it has no vectors of its own. An update needs none; there only rows with a
 * document get a new vector, and only if the collection has an embedder. */
static hither_status embed_documents(hither_collection *c, hither_mode mode, const hither_batch *b, ht_floats *out,
                                     const char **by, hither_error *err) {
    bool update = mode == HITHER_UPDATE;
    if (update && (!b->documents.count || !ht_collection_embedder(c->inner)[0]))
        return HITHER_OK;
    for (size_t i = 0; !update && i < b->ids.count; i++) {
        if (!ht_strings_has(&b->documents, i))
            return ht_fail(err, HITHER_INVALID, "row %zu has neither a vector nor a document", i);
    }
    return ht_texts_embed(c, HT_EMBED_DOCUMENT, &b->documents, out, by, err);
}

static hither_status put_once(hither_collection *c, hither_mode mode, hither_batch *b, size_t *written,
                              hither_error *err) {
    ht_floats vectors = {0};
    const uint8_t *has_vector = NULL;
    const char *by = NULL;
    hither_status status = HITHER_OK;
    if (b->vectors.rows) {
        status = ht_floats_read(&b->vectors, "vectors", &vectors, err);
    } else if (b->ids.count) {
        status = embed_documents(c, mode, b, &vectors, &by, err);
        has_vector = mode == HITHER_UPDATE ? b->documents.valid : NULL;
    }
    b->vectors = vectors.view;
    ht_named_list named = {0};
    if (status == HITHER_OK)
        status = ht_named_read(b->named, b->named_count, &named, err);
    b->named = named.columns;
    if (status == HITHER_OK)
        status = ht_collection_put_by(c->inner, by, mode, b, has_vector, written, err);
    ht_named_clear(&named);
    ht_floats_clear(&vectors);
    return status;
}

/* A batch that was embedded while the collection moved to another embedder is embedded anew. */
static hither_status put(hither_collection *c, hither_mode mode, const hither_batch *b, size_t *written,
                         hither_error *err) {
    hither_status status = HITHER_STALE;
    for (int i = 0; i < REEMBEDDED && status == HITHER_STALE; i++) {
        hither_batch again = *b;
        status = put_once(c, mode, &again, written, err);
    }
    return status;
}

/* An id whose row has expired is free to be inserted, and not there to be updated. */
static hither_status put_living(hither_collection *c, hither_mode mode, hither_batch *b, size_t *written,
                                hither_error *err) {
    ht_column room;
    size_t expired;
    /* Nor does an expired row keep the value of a unique field. */
    if (mode != HITHER_UPSERT || ht_collection_strict(c->inner))
        HT_TRY(ht_collection_expire(c->inner, &expired, err));
    ht_column_init(&room);
    hither_status status = mode == HITHER_UPDATE ? HITHER_OK : ht_moments_add(c, b, &room, err);
    if (status == HITHER_OK)
        status = put(c, mode, b, written, err);
    ht_column_clear(&room);
    return status;
}

hither_status hither_collection_put(hither_collection *c, hither_mode mode, const hither_batch *batch, size_t *written,
                                    hither_error *err) {
    hither_batch b;
    HT_TRY(ht_call_check(c, batch, err));
    if (mode < HITHER_INSERT || mode > HITHER_UPDATE)
        return ht_fail(err, HITHER_INVALID, "%d is not a mode", (int)mode);
    HT_TRY(ht_options_read(&b, sizeof b, batch, "hither_batch", err));
    HT_TRY(check_batch(&b, mode, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = put_living(c, mode, &b, written, err);
    ht_fp_leave(fp);
    return status;
}

hither_status hither_collection_delete(hither_collection *c, const hither_ids *ids, const char *where, size_t *deleted,
                                       hither_error *err) {
    ht_filter *filter;
    HT_TRY(ht_call_check(c, c, err));
    if (!ids && !where)
        return ht_fail(err, HITHER_INVALID, "neither ids nor a filter say what to delete");
    if (ids)
        HT_TRY(ht_ids_check(ids, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_where_parse(where, &filter, err);
    if (status == HITHER_OK)
        status = ht_collection_delete(c->inner, ids, filter, deleted, err);
    ht_filter_free(filter);
    ht_fp_leave(fp);
    return status;
}

/* ---- get */

hither_status ht_include_check(uint32_t include, hither_error *err) {
    uint32_t columns =
        HITHER_INCLUDE_VECTORS | HITHER_INCLUDE_METADATA | HITHER_INCLUDE_DOCUMENTS | HITHER_INCLUDE_FIELDS;
    if (include & ~(columns | HITHER_INCLUDE_NOTHING))
        return ht_fail(err, HITHER_UNSUPPORTED, "include has unknown bits: 0x%x", include);
    if ((include & HITHER_INCLUDE_NOTHING) && (include & columns))
        return ht_fail(err, HITHER_INVALID, "include asks for columns and for nothing");
    return HITHER_OK;
}

hither_status hither_collection_get(hither_collection *c, const hither_ids *ids, const char *where, uint32_t include,
                                    hither_result **out, hither_error *err) {
    ht_filter *filter;
    HT_TRY(ht_call_check(c, ids && out ? out : NULL, err));
    HT_TRY(ht_ids_check(ids, err));
    HT_TRY(ht_include_check(include, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_reading_where(c, where, &filter, err);
    if (status == HITHER_OK)
        status = ht_collection_get(c->inner, ids, filter, include, out, err);
    ht_filter_free(filter);
    ht_fp_leave(fp);
    return status;
}

/* ---- scan (the cursor's own functions are in cursor.c) */

hither_status hither_collection_scan(hither_collection *c, const char *where, uint32_t include, hither_cursor **out,
                                     hither_error *err) {
    ht_cursor *cursor;
    ht_filter *filter;
    HT_TRY(ht_call_check(c, out, err));
    *out = NULL;
    HT_TRY(ht_include_check(include, err));
    ht_fp_state fp = ht_fp_enter();
    hither_status status = ht_reading_where(c, where, &filter, err);
    if (status == HITHER_OK)
        status = ht_collection_scan(c->inner, filter, include, &cursor, err);
    if (status == HITHER_OK)
        *out = (hither_cursor *)cursor;
    ht_filter_free(filter);
    ht_fp_leave(fp);
    return status;
}
