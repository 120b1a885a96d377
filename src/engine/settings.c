/*
 * settings.c: what a database is opened with, completed by the environment and by defaults. Any thread.
 */
#include <pthread.h>
#include <stdlib.h>

#include "engine/engine.h"

#define DEFAULT_RELAXED_MS 100u
#define DEFAULT_BUFFER     ((uint64_t)1 << 20)
#define LARGEST_BUFFER     ((uint64_t)1 << 30)

/* What the environment says, read once in a process. */
static struct { const char *buffer, *rows; } environment;

static void read_environment(void) {
    environment.buffer = getenv("HITHER_BUFFER_SIZE");
    environment.rows = getenv("HITHER_FLUSH_ROWS");
}

static hither_status number(const char *name, const char *text, uint64_t *out, hither_error *err) {
    char *end;
    unsigned long long value = text ? strtoull(text, &end, 10) : 0;
    if (!text || !*text)
        return HITHER_OK;
    if (*text < '0' || *text > '9' || *end || value == 0)
        return ht_fail(err, HITHER_INVALID, "the environment variable %s is '%.40s'; give a number, 1 or more", name,
                       text);
    *out = value;
    return HITHER_OK;
}

hither_status ht_db_settings_complete(ht_db_settings *s, hither_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, read_environment);
    if (!s->buffer_bytes)
        HT_TRY(number("HITHER_BUFFER_SIZE", environment.buffer, &s->buffer_bytes, err));
    if (!s->flush_rows)
        HT_TRY(number("HITHER_FLUSH_ROWS", environment.rows, &s->flush_rows, err));
    if (!s->buffer_bytes)
        s->buffer_bytes = DEFAULT_BUFFER;
    if (s->buffer_bytes > LARGEST_BUFFER)
        s->buffer_bytes = LARGEST_BUFFER;
    if (!s->flush_rows)
        s->flush_rows = UINT64_MAX;
    if (!s->relaxed_ms)
        s->relaxed_ms = DEFAULT_RELAXED_MS;
    return HITHER_OK;
}
