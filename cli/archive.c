/* archive.c: see archive.h. Ids are microseconds since 1970 of the start of the run, and count on from there: larger
 * than those of earlier runs, as long as lines come slower than a million a second and the clock does not go back; if
 * an id is taken all the same, the count begins anew at the present time. */
#include "archive.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "database.h"
#include "output.h"
#include "times.h"

enum { BATCH_ROWS = 1000, MOST_ROWS = 16384, WRITE_MS = 1000, RETRY_MS = 5000 };

struct ht_archive {
    char *path;
    const char *name; /* within path */
    hither_db *db;
    hither_collection *collection;
    hither_embedder *embedder;
    int64_t next; /* id of the next line */
    ht_buf ids;
    ht_column documents, metadata;
    int64_t written_ms, failed_ms; /* on the monotonic clock; failed_ms 0: all is well */
    uint64_t written, lost;
};

static int64_t clock_ms(clockid_t which) {
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void empty(ht_archive *a) {
    ht_buf_clear(&a->ids);
    ht_column_clear(&a->documents);
    ht_column_clear(&a->metadata);
    ht_buf_init(&a->ids, SIZE_MAX / 2);
    ht_column_init(&a->documents);
    ht_column_init(&a->metadata);
}

static void disconnect(ht_archive *a) {
    hither_collection_close(a->collection);
    hither_db_close(a->db);
    a->collection = NULL;
    a->db = NULL;
}

/* Whether a collection that is there takes lines: first looked at without an embedder, to say what is wrong with it. */
static hither_status check(ht_archive *a, hither_error *err) {
    ht_facts facts = {0};
    HT_TRY(ht_read_facts(a->collection, &facts, err));
    if (!facts.embeds)
        return ht_fail(err, HITHER_MODEL,
                       "--archive: collection \"%.80s\" holds vectors and has no embedder; name another one", a->name);
    if (facts.ids == HT_IDS_TEXT)
        return ht_fail(err, HITHER_INVALID,
                       "--archive: the ids of collection \"%.80s\" are strings, lines have integers; name another one",
                       a->name);
    const char *mine = hither_embedder_name(a->embedder);
    if (strcmp(facts.embedder, mine) != 0)
        return ht_fail(err, HITHER_MODEL,
                       "--archive: collection \"%.80s\" was made with the embedder %.60s and the window has %.60s; %s, "
                       "or name another collection",
                       a->name, facts.embedder, mine,
                       strncmp(facts.embedder, "builtin-", 8) == 0 ? "leave out --model"
                                                                   : "give that one's folder by --model DIR");
    return HITHER_OK;
}

static hither_status connect_to(ht_archive *a, hither_error *err) {
    hither_status status = ht_open_database(a->path, HT_OPEN_MAKE, &a->db, err);
    hither_collection_options options = {.size = sizeof options, .flags = HITHER_COLLECTION_EXISTING};
    if (status == HITHER_OK)
        status = hither_collection_open(a->db, a->name, &options, &a->collection, err);
    if (status == HITHER_OK) {
        status = check(a, err);
        hither_collection_close(a->collection);
        a->collection = NULL;
    } else if (status == HITHER_NOT_FOUND && a->db) {
        options.flags = 0;
        status = HITHER_OK;
    }
    options.embedder = a->embedder;
    if (status == HITHER_OK)
        status = hither_collection_open(a->db, a->name, &options, &a->collection, err);
    if (status != HITHER_OK)
        disconnect(a);
    return status;
}

hither_status ht_archive_open(const char *place, hither_embedder *embedder, ht_archive **out, hither_error *err) {
    *out = NULL;
    const char *slash = strrchr(place, '/');
    if (!slash || slash == place || !slash[1])
        return ht_fail(err, HITHER_INVALID,
                       "--archive %.100s: a database and a collection are wanted, "
                       "such as notes.hither/logs",
                       place);
    ht_archive *a = ht_calloc(1, sizeof *a);
    if (a)
        a->path = ht_strdup(place);
    if (!a || !a->path) {
        ht_release(a);
        return ht_fail_nomem(err, strlen(place), "the archive");
    }
    a->embedder = embedder;
    a->path[slash - place] = '\0';
    a->name = a->path + (slash - place) + 1;
    a->next = clock_ms(CLOCK_REALTIME) * 1000;
    a->written_ms = clock_ms(CLOCK_MONOTONIC);
    empty(a);
    hither_status status = connect_to(a, err);
    if (status == HITHER_OK) {
        *out = a;
        return HITHER_OK;
    }
    ht_release(a->path);
    ht_release(a);
    return status;
}

int64_t ht_archive_next(const ht_archive *a) { return a->next; }

void ht_archive_add(ht_archive *a, ht_text line, int64_t time_ms, const char *file, const char *level) {
    const int64_t id = a->next++;
    if (a->documents.count >= MOST_ROWS) {
        a->lost++;
        return;
    }
    char time[HT_TIME_TEXT];
    ht_buf text;
    ht_buf_init(&text, SIZE_MAX / 2);
    ht_time_text(time_ms, time);
    ht_buf_put(&a->ids, &id, sizeof id);
    ht_buf_printf(&text, "{\"time\":\"%s\"", time);
    if (file) {
        ht_buf_puts(&text, ",\"file\":");
        ht_json_text(&text, file, strlen(file));
    }
    if (level)
        ht_buf_printf(&text, ",\"level\":\"%s\"", level);
    ht_buf_putc(&text, '}');
    ht_column_add(&a->metadata, text.data ? text.data : "{}", text.data ? text.size : 2);
    ht_buf_reset(&text);
    ht_clean_utf8(&text, line.data, line.bytes);
    ht_column_add(&a->documents, text.data ? text.data : "", text.size);
    ht_buf_clear(&text);
}

static hither_status put(ht_archive *a, hither_error *err) {
    HT_TRY(ht_buf_check(&a->ids, "the archive", err));
    HT_TRY(ht_column_check(&a->documents, err));
    HT_TRY(ht_column_check(&a->metadata, err));
    if (!a->collection)
        HT_TRY(connect_to(a, err));
    const hither_batch batch = {.size = sizeof batch,
                                .ids = {.ints = (const void *)a->ids.data, .count = a->documents.count},
                                .documents = ht_column_view(&a->documents),
                                .metadata = ht_column_view(&a->metadata)};
    return hither_collection_put(a->collection, HITHER_INSERT, &batch, NULL, err);
}

/* Ids from the present time on, if theirs are taken. */
static void renumber(ht_archive *a) {
    int64_t *ids = (void *)a->ids.data, first = clock_ms(CLOCK_REALTIME) * 1000;
    for (size_t i = 0; i < a->documents.count; i++)
        ids[i] = first + (int64_t)i;
    a->next = first + (int64_t)a->documents.count;
}

void ht_archive_write(ht_archive *a, bool now) {
    const int64_t ms = clock_ms(CLOCK_MONOTONIC);
    const bool due = now || a->documents.count >= BATCH_ROWS || ms - a->written_ms >= WRITE_MS;
    if (!due || a->documents.count == 0 || (a->failed_ms && !now && ms - a->failed_ms < RETRY_MS))
        return;
    hither_error err = {0};
    hither_status status = put(a, &err);
    if (status == HITHER_EXISTS) {
        renumber(a);
        status = put(a, &err);
    }
    a->written_ms = ms;
    if (status == HITHER_OK) {
        a->written += a->documents.count;
        if (a->failed_ms)
            ht_say("the archive takes lines again");
        a->failed_ms = 0;
        empty(a);
        return;
    }
    if (!a->failed_ms)
        ht_say("the archive %.200s/%.100s takes no lines, watching goes on: %s (%s)", a->path, a->name, err.message,
               hither_status_name(status));
    a->failed_ms = ms;
    disconnect(a); /* whatever was wrong with it, the next try begins anew */
}

hither_status ht_archive_search(ht_archive *a, const char *text, uint32_t k, hither_result **out, hither_error *err) {
    *out = NULL;
    if (!a->collection)
        return ht_fail(err, HITHER_IO, "the archive cannot be read");
    const uint64_t offsets[] = {0, strlen(text)};
    const hither_query query = {.size = sizeof query, .texts = {.bytes = text, .offsets = offsets, .count = 1}};
    return hither_collection_search(a->collection, &query, k, NULL, out, err);
}

void ht_archive_close(ht_archive *a) {
    if (!a)
        return;
    ht_archive_write(a, true);
    a->lost += a->documents.count;
    if (a->lost)
        ht_say("%llu line%s did not reach the archive", (unsigned long long)a->lost, a->lost == 1 ? "" : "s");
    empty(a);
    disconnect(a);
    ht_release(a->path);
    ht_release(a);
}
