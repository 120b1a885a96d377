/*
 * expiry.c: see expiry.h.
 */
#include "engine/expiry.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/state.h"

_Atomic int64_t ht_expiry_clock;

static int64_t now_ms(void) {
    int64_t given = atomic_load_explicit(&ht_expiry_clock, memory_order_relaxed);
    struct timespec now;
    if (given)
        return given;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ht_expiry_now(void) { return now_ms() / 1000; }

int64_t ht_collection_ttl(const ht_collection *c) { return atomic_load_explicit(&c->ttl, memory_order_acquire); }

hither_status ht_collection_set_ttl(ht_collection *c, int64_t seconds, hither_error *err) {
    HT_TRY(ht_collection_check_write(c, err));
    pthread_mutex_lock(&c->db->writer);
    hither_status status = ht_store_set_ttl(c->db->store, c->cid, seconds, err);
    if (status == HITHER_OK)
        atomic_store_explicit(&c->ttl, seconds, memory_order_release);
    pthread_mutex_unlock(&c->db->writer);
    return status;
}

static hither_status parse(const ht_buf *text, ht_filter **out, hither_error *err) {
    HT_TRY(ht_buf_check(text, "a filter", err));
    HT_TRY(ht_filter_parse(text->data, text->size, out, err));
    ht_release((*out)->text); /* it says what time it is: nobody asks it again */
    (*out)->text = NULL;
    return HITHER_OK;
}

/* {"_expires":{"$lte":NOW}}: a row without the field, or with something else in it than a number, never matches. */
static void put_expired(ht_buf *text) {
    int64_t now = now_ms();
    ht_buf_printf(text, "{\"" HT_EXPIRES "\":{\"$lte\":%" PRId64 ".%03d}}", now / 1000, (int)(now % 1000));
}

hither_status ht_expiry_filter(const ht_collection *c, const char *where, ht_filter **out, hither_error *err) {
    ht_filter *alone = NULL;
    *out = NULL;
    if (where) /* by itself, so that messages name places in what the caller wrote */
        HT_TRY(ht_filter_parse(where, strlen(where), &alone, err));
    if (ht_collection_ttl(c) < 0) {
        *out = alone;
        return HITHER_OK;
    }
    ht_filter_free(alone);
    ht_buf text;
    ht_buf_init(&text, HITHER_MAX_WHERE_BYTES);
    ht_buf_puts(&text, "{\"$and\":[{\"$not\":");
    put_expired(&text);
    ht_buf_puts(&text, where ? "}," : "}");
    if (where)
        ht_buf_puts(&text, where);
    ht_buf_puts(&text, "]}");
    hither_status status = parse(&text, out, err);
    ht_buf_clear(&text);
    return status;
}

hither_status ht_collection_expire(ht_collection *c, size_t *deleted, hither_error *err) {
    ht_filter *filter = NULL;
    ht_buf text;
    *deleted = 0;
    if (ht_collection_ttl(c) < 0)
        return HITHER_OK;
    ht_buf_init(&text, 1000);
    put_expired(&text);
    hither_status status = parse(&text, &filter, err);
    if (status == HITHER_OK)
        status = ht_collection_delete(c, NULL, filter, deleted, err);
    ht_filter_free(filter);
    ht_buf_clear(&text);
    return status;
}
