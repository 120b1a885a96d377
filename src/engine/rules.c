/*
 * rules.c: the schema of a collection. Any thread.
 */
#include "engine/rules.h"

#include <string.h>

#include "engine/unique.h"

hither_status ht_rules_read(ht_db *db, int64_t cid, ht_schema **out, hither_error *err) {
    ht_buf text;
    hither_error why;
    ht_buf_init(&text, HITHER_MAX_SCHEMA_BYTES);
    hither_status status = ht_store_schema(db->store, cid, &text, err);
    *out = NULL;
    if (status == HITHER_OK && text.size) {
        status = ht_schema_parse(text.data, text.size, out, &why);
        if (status == HITHER_NOMEM)
            ht_fail(err, status, "%s", why.message);
        else if (status != HITHER_OK)
            status = ht_fail(err, HITHER_CORRUPT, "catalog: %s", why.message);
    }
    ht_buf_clear(&text);
    return status;
}

hither_status ht_rules_load(ht_collection *c, hither_error *err) {
    HT_TRY(ht_rules_read(c->db, c->cid, &c->schema, err));
    atomic_store_explicit(&c->strict, c->schema != NULL, memory_order_relaxed);
    return HITHER_OK;
}

hither_status ht_rules_agree(ht_db *db, const ht_collection_row *row, const char *schema, hither_error *err) {
    ht_schema *wanted, *there = NULL;
    HT_TRY(ht_schema_parse(schema, strlen(schema), &wanted, err));
    hither_status status = ht_rules_read(db, row->cid, &there, err);
    if (status == HITHER_OK && !there)
        status =
            ht_fail(err, HITHER_INVALID, "collection '%s' has no schema; set one on the open collection", row->name);
    else if (status == HITHER_OK && (there->text.size != wanted->text.size ||
                                     memcmp(there->text.data, wanted->text.data, wanted->text.size) != 0))
        status = ht_fail(err, HITHER_INVALID, "collection '%s' has another schema; set it on the open collection",
                         row->name);
    ht_schema_free(there);
    ht_schema_free(wanted);
    return status;
}

hither_status ht_rules_create(ht_db *db, ht_collection_row *row, const char *schema, hither_error *err) {
    ht_schema *parsed = NULL;
    ht_text text = {0};
    if (schema) {
        HT_TRY(ht_schema_parse(schema, strlen(schema), &parsed, err));
        text = (ht_text){parsed->text.data, parsed->text.size};
    }
    hither_status status = ht_store_create(db->store, row, text, err);
    ht_schema_free(parsed);
    return status;
}

bool ht_collection_strict(const ht_collection *c) { return atomic_load_explicit(&c->strict, memory_order_relaxed); }

void ht_collection_hasten(ht_collection *c, bool strict) {
    pthread_mutex_lock(&c->db->queue.lock);
    atomic_store_explicit(&c->strict, strict, memory_order_relaxed);
    pthread_mutex_unlock(&c->db->queue.lock);
}

/* The writer lock is held. Takes `fresh` over where it succeeds. */
static hither_status replace(ht_collection *c, ht_schema *fresh, hither_error *err) {
    ht_uniques uniques = {0};
    HT_TRY(ht_collection_check_write(c, err));
    if (fresh)
        HT_TRY(ht_uniques_make(c, fresh, atomic_load_explicit(&c->home.current, memory_order_relaxed), NULL, &uniques,
                               err));
    ht_text text = fresh ? (ht_text){fresh->text.data, fresh->text.size} : (ht_text){0};
    hither_status status = ht_store_set_schema(c->db->store, c->cid, text, err);
    if (status != HITHER_OK) {
        ht_uniques_clear(&uniques);
        return status;
    }
    ht_schema_free(c->schema);
    ht_uniques_clear(&c->uniques);
    c->schema = fresh;
    c->uniques = uniques;
    return HITHER_OK;
}

hither_status ht_collection_set_schema(ht_collection *c, const char *schema, hither_error *err) {
    ht_schema *fresh = NULL;
    HT_TRY(ht_collection_check_write(c, err));
    if (schema)
        HT_TRY(ht_schema_parse(schema, strlen(schema), &fresh, err));
    /* From here on nobody's upsert is acknowledged before it is committed, and what was is committed first: it must not
     * be refused later, when nobody is there to be told. */
    ht_collection_hasten(c, true);
    hither_status status = ht_queue_flush(c->db, err);
    pthread_mutex_lock(&c->db->writer);
    if (status == HITHER_OK)
        status = replace(c, fresh, err);
    if (status != HITHER_OK)
        ht_schema_free(fresh);
    ht_collection_hasten(c, c->schema != NULL);
    pthread_mutex_unlock(&c->db->writer);
    return status;
}
