/* batch.c: see batch.h. */
#include "batch.h"

#include <string.h>

#include "base/alloc.h"
#include "model.h"

void ht_batch_init(ht_batch *b, const ht_source *source, const char *name, const ht_field_list *fields) {
    *b = (ht_batch){.source = source, .name = name};
    ht_buf *bufs[] = {&b->kinds, &b->places, &b->numbers, &b->vectors};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        ht_buf_init(bufs[i], SIZE_MAX / 2);
    ht_column_init(&b->id_texts);
    ht_column_init(&b->documents);
    ht_column_init(&b->metadata);
    ht_row_fields_init(&b->named, fields);
}

void ht_batch_clear(ht_batch *b) {
    ht_buf *bufs[] = {&b->kinds, &b->places, &b->numbers, &b->vectors};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        ht_buf_clear(bufs[i]);
    ht_column_clear(&b->id_texts);
    ht_column_clear(&b->documents);
    ht_column_clear(&b->metadata);
    ht_row_fields_clear(&b->named);
    b->rows = 0;
}

bool ht_batch_accepts(const ht_batch *b, const ht_row *row) {
    return b->rows == 0 || (b->dim != 0) == (row->vector != NULL);
}

size_t ht_batch_bytes(const ht_batch *b) {
    return b->vectors.size + b->documents.bytes.size + b->metadata.bytes.size + b->id_texts.bytes.size +
           ht_row_fields_bytes(&b->named);
}

static hither_status check_row(const ht_batch *b, const ht_target *target, const ht_row *row, hither_error *err) {
    const char *unit = b->source->unit;
    unsigned long long place = row->place;
    if (row->id_kind != HT_ROW_ID_INT) {
        if (row->id_text.bytes == 0 || row->id_text.bytes > HITHER_MAX_ID_BYTES)
            return ht_fail(err, row->id_text.bytes ? HITHER_TOO_LARGE : HITHER_INVALID,
                           "%.100s: %s %llu: the id %s; 1 to %u bytes are possible", b->name, unit, place,
                           row->id_text.bytes ? "is too long" : "is empty", HITHER_MAX_ID_BYTES);
        if (memchr(row->id_text.data, 0, row->id_text.bytes) ||
            ht_utf8_valid_prefix(row->id_text.data, row->id_text.bytes) < row->id_text.bytes)
            return ht_fail(err, HITHER_ENCODING, "%.100s: %s %llu: the id is not UTF-8 without NUL", b->name, unit,
                           place);
    }
    if (row->document.bytes > HITHER_MAX_TEXT_BYTES || row->metadata.bytes > HITHER_MAX_TEXT_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "%.100s: %s %llu: the %s is longer than %u bytes", b->name, unit, place,
                       row->document.bytes > HITHER_MAX_TEXT_BYTES ? "text" : "metadata", HITHER_MAX_TEXT_BYTES);
    uint32_t dim = target->opened.collection ? target->opened.facts.dim : b->rows ? b->dim : row->dim;
    if (row->vector && row->dim != dim)
        return ht_fail(err, HITHER_DIMENSION, "%.100s: %s %llu: the vector has %u dimensions, %s %u", b->name, unit,
                       place, row->dim, target->opened.collection ? "the collection has" : "those before it", dim);
    return HITHER_OK;
}

hither_status ht_batch_add(ht_batch *b, const ht_target *target, const ht_row *row, hither_error *err) {
    HT_TRY(check_row(b, target, row, err));
    char where[160];
    (void)snprintf(where, sizeof where, "%.100s: %s %llu", b->name, b->source->unit, (unsigned long long)row->place);
    HT_TRY(ht_row_fields_add(&b->named, row->fields, where, err));
    const unsigned char kind = (unsigned char)row->id_kind;
    char digits[24];
    ht_text text = row->id_text;
    if (row->id_kind == HT_ROW_ID_INT) {
        text.data = digits;
        text.bytes = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)row->id);
    }
    ht_buf_put(&b->kinds, &kind, 1);
    ht_buf_put(&b->places, &row->place, sizeof row->place);
    ht_buf_put(&b->numbers, &row->id, sizeof row->id);
    ht_column_add(&b->id_texts, text.data, text.bytes);
    ht_column_add(&b->documents, row->document.data, row->document.bytes);
    ht_column_add(&b->metadata, row->metadata.data, row->metadata.bytes);
    if (row->vector)
        ht_buf_put(&b->vectors, row->vector, row->dim * sizeof(float));
    b->dim = row->vector ? row->dim : 0;
    b->rows++;
    HT_TRY(ht_buf_check(&b->kinds, "a batch", err));
    HT_TRY(ht_buf_check(&b->places, "a batch", err));
    HT_TRY(ht_buf_check(&b->numbers, "a batch", err));
    HT_TRY(ht_buf_check(&b->vectors, "a batch", err));
    HT_TRY(ht_column_check(&b->id_texts, err));
    HT_TRY(ht_column_check(&b->documents, err));
    return ht_column_check(&b->metadata, err);
}

/* ---- the collection */

static hither_status make_collection(const ht_batch *b, ht_target *t, hither_error *err) {
    hither_embedder *embedder = NULL;
    if (!b->dim || ht_args_has(t->args, HT_OPT_MODEL))
        HT_TRY(ht_model_option(t->args, &embedder, err));
    const hither_collection_options options = {.size = sizeof options,
                                               .dim = b->dim,
                                               .metric = t->metric,
                                               .embedder = embedder,
                                               .fields = t->fields->fields,
                                               .field_count = t->fields->count};
    hither_status status = hither_collection_open(t->opened.db, t->name, &options, &t->opened.collection, err);
    hither_embedder_close(embedder);
    return status;
}

/* Opens an existing collection anew with the model that its texts need, where that is not the built-in one. */
static hither_status give_model(ht_target *t, hither_error *err) {
    hither_embedder *embedder = NULL;
    HT_TRY(ht_args_has(t->args, HT_OPT_MODEL) ? ht_model_option(t->args, &embedder, err)
                                              : ht_model_find(&t->opened.facts, &embedder, err));
    if (!embedder)
        return HITHER_OK;
    const hither_collection_options options = {
        .size = sizeof options, .flags = HITHER_COLLECTION_EXISTING, .embedder = embedder};
    hither_collection_close(t->opened.collection);
    t->opened.collection = NULL;
    hither_status status = hither_collection_open(t->opened.db, t->name, &options, &t->opened.collection, err);
    hither_embedder_close(embedder);
    return status;
}

/* Opens the collection, or makes it of the batch's kind. */
static hither_status open_target(const ht_batch *b, ht_target *t, hither_error *err) {
    const hither_collection_options possible = {.size = sizeof possible,
                                                .dim = b->dim ? b->dim : 1,
                                                .fields = t->fields->fields,
                                                .field_count = t->fields->count};
    HT_TRY(ht_try_collection(t->name, &possible, err));
    HT_TRY(ht_open_database(t->path, t->mode == HITHER_UPDATE ? HT_OPEN_WRITE : HT_OPEN_MAKE, &t->opened.db, err));
    const hither_collection_options existing = {.size = sizeof existing,
                                                .flags = HITHER_COLLECTION_EXISTING,
                                                .metric = t->metric,
                                                .fields = t->fields->fields,
                                                .field_count = t->fields->count};
    hither_status status = hither_collection_open(t->opened.db, t->name, &existing, &t->opened.collection, err);
    if (status == HITHER_NOT_FOUND && t->mode != HITHER_UPDATE) {
        HT_TRY(make_collection(b, t, err));
        return ht_read_facts(t->opened.collection, &t->opened.facts, err);
    }
    HT_TRY(status);
    HT_TRY(ht_read_facts(t->opened.collection, &t->opened.facts, err));
    return b->dim ? HITHER_OK : give_model(t, err);
}

static unsigned long long place_of(const ht_batch *b, size_t i) {
    uint64_t place;
    memcpy(&place, b->places.data + i * sizeof place, sizeof place);
    return place;
}

/* A collection's ids are of one kind: the one it has, the one asked for, or the one the rows of the first batch allow.
 */
static hither_status decide_ids(const ht_batch *b, ht_target *t, hither_error *err) {
    ht_ids_are have = t->opened.facts.ids;
    if (have != HT_IDS_UNDECIDED && t->asked != HT_IDS_UNDECIDED && have != t->asked)
        return ht_fail(err, HITHER_INVALID, "the ids of \"%.100s\" are %s; --id-type cannot change that", t->name,
                       have == HT_IDS_INT ? "integers" : "strings");
    t->ids = have != HT_IDS_UNDECIDED ? have : t->asked;
    if (t->ids == HT_IDS_UNDECIDED && b->rows)
        t->ids = memchr(b->kinds.data, HT_ROW_ID_TEXT, b->rows) ? HT_IDS_TEXT : HT_IDS_INT;
    return HITHER_OK;
}

/* A number and a string are different ids: neither becomes the other unless it was asked for. */
static hither_status check_ids(const ht_batch *b, const ht_target *t, hither_error *err) {
    const bool ints = t->ids == HT_IDS_INT;
    if (!ints && t->asked == HT_IDS_TEXT)
        return HITHER_OK;
    const char *bad = memchr(b->kinds.data, ints ? HT_ROW_ID_TEXT : HT_ROW_ID_INT, b->rows);
    if (!bad)
        return HITHER_OK;
    size_t i = (size_t)(bad - b->kinds.data);
    hither_strings ids = ht_column_view(&b->id_texts);
    ht_text id = ht_strings_at(&ids, i);
    int shown = (int)ht_utf8_valid_prefix(id.data, ht_min_size(id.bytes, 40));
    if (ints)
        return ht_fail(err, HITHER_INVALID,
                       "%.60s: %s %llu: the id \"%.*s\" is a string, the ids of \"%.40s\" are integers; use another "
                       "collection, with --id-type text",
                       b->name, b->source->unit, place_of(b, i), shown, id.data, t->name);
    return ht_fail(err, HITHER_INVALID,
                   "%.60s: %s %llu: the id %.*s is a number, the ids of \"%.40s\" are strings; --id-type text makes it "
                   "one",
                   b->name, b->source->unit, place_of(b, i), shown, id.data, t->name);
}

/* Before anything is made: ids that no collection could take. */
static hither_status check_mixture(const ht_batch *b, ht_target *t, hither_error *err) {
    hither_status status = HITHER_OK;
    if (b->rows) {
        HT_TRY(decide_ids(b, t, err));
        status = check_ids(b, t, err);
    }
    t->ids = HT_IDS_UNDECIDED;
    return status;
}

static hither_status put(const ht_batch *b, ht_target *t, hither_error *err) {
    hither_batch batch = {.size = sizeof batch};
    batch.ids = t->ids == HT_IDS_INT ? (hither_ids){.ints = (const void *)b->numbers.data, .count = b->rows}
                                     : (hither_ids){.strings = ht_column_view(&b->id_texts), .count = b->rows};
    batch.documents = ht_column_view(&b->documents);
    batch.metadata = ht_column_view(&b->metadata);
    if (b->dim)
        batch.vectors = (hither_matrix){.data = b->vectors.data, .rows = b->rows, .dim = b->dim, .dtype = HITHER_F32};
    hither_named named[HITHER_MAX_FIELDS];
    batch.named_count = ht_row_fields_view(&b->named, named);
    batch.named = named;
    if (t->mode == HITHER_UPDATE)
        batch.remove = ht_column_view(t->remove);
    hither_error why = {0};
    hither_status status = hither_collection_put(t->opened.collection, t->mode, &batch, NULL, &why);
    if (status != HITHER_OK)
        return ht_fail(err, status, "%.60s: %s %llu to %llu: %s", b->name, b->source->unit, place_of(b, 0),
                       place_of(b, b->rows - 1), why.message);
    t->written += b->rows;
    return HITHER_OK;
}

hither_status ht_batch_write(ht_batch *b, ht_target *t, hither_error *err) {
    if (!t->opened.collection) {
        HT_TRY(check_mixture(b, t, err));
        HT_TRY(open_target(b, t, err));
        if (b->dim && b->dim != t->opened.facts.dim)
            return ht_fail(err, HITHER_DIMENSION, "%.100s: the vectors have %u dimensions, collection \"%.60s\" has %u",
                           b->name, b->dim, t->name, t->opened.facts.dim);
    }
    if (t->ids == HT_IDS_UNDECIDED)
        HT_TRY(decide_ids(b, t, err));
    if (!b->dim && !t->opened.facts.embeds && t->mode != HITHER_UPDATE)
        return ht_fail(err, HITHER_MODEL,
                       "%.80s has texts, but collection \"%.60s\" holds vectors and has no embedder; "
                       "import texts into a collection of their own",
                       b->name, t->name);
    if (b->rows) {
        HT_TRY(check_ids(b, t, err));
        HT_TRY(put(b, t, err));
    }
    uint32_t dim = b->dim;
    const ht_source *source = b->source;
    const char *name = b->name;
    const ht_field_list *fields = b->named.fields;
    ht_batch_clear(b);
    ht_batch_init(b, source, name, fields);
    b->dim = dim;
    return HITHER_OK;
}
