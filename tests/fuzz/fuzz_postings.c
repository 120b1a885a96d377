/*
 * fuzz_postings.c: bytes that say they are postings kept on disk, as they came and with their checksums made right.
 * Reading them ends in a status; what is read is searched by words, phrases and beginnings, every hit is what its row
 * says of itself, and merged or thinned it holds together.
 */
#include "base/alloc.h"
#include "fuzz.h"
#include "keyword/kept.h"
#include "keyword/rank.h"
#include "seal.h"

#define KIND "cache-words"
enum { MOST_SLOTS = 20000, SLOTS_AT = 24, K = 40 };

static size_t search(ht_postings *const *parts, size_t count, const char *text, const ht_mask *live) {
    hither_error err;
    ht_query query;
    ht_job *job;
    ht_hit hits[K];
    size_t found;
    FUZZ_HOLDS(ht_query_parse(&query, (ht_text){text, strlen(text)}, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_job_new(parts, count, &query, live, &job, &err) == HITHER_OK);
    FUZZ_HOLDS(ht_job_top(job, live, NULL, K, hits, &found, &err) == HITHER_OK);
    for (size_t i = 0; i < found; i++) {
        double score;
        FUZZ_HOLDS(ht_job_score(job, hits[i].slot, &score) && score == -hits[i].distance);
    }
    ht_job_free(job);
    ht_query_clear(&query);
    return found;
}

static void search_all(ht_postings *const *parts, size_t count, uint64_t slots) {
    static const char *const queries[] = {"owl", "hawk night sea", "\"owl and\"", "row* -sea", "+and +night"};
    const ht_mask live = {NULL, (size_t)(slots / 65536 + 1), slots};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        (void)search(parts, count, queries[i], &live);
}

/* One of all parts, without every third row. */
static void thin(ht_postings *const *parts, size_t count, uint64_t slots) {
    static uint64_t words[65536 / 64];
    const uint64_t *chunk = words;
    const ht_mask keep = {&chunk, 1, slots};
    hither_error err;
    ht_postings *all = NULL, *next;
    for (size_t i = 0; i < 65536 / 64; i++)
        words[i] = 0xb6db6db6db6db6dbu;
    for (size_t i = 0; i < count; i++) {
        hither_status status = all ? ht_postings_merge(all, parts[i], &keep, &next, &err)
                                   : ht_postings_merge(parts[i], NULL, &keep, &next, &err);
        FUZZ_HOLDS(status == HITHER_OK);
        ht_postings_release(all);
        all = next;
    }
    search_all(&all, 1, slots);
    ht_postings_release(all);
}

static void look(ht_io *io, size_t size) {
    (void)size;
    hither_error err;
    ht_container *file = NULL;
    if (ht_container_open(io, SEAL_PATH, KIND, &file, &err) == HITHER_OK) {
        size_t bytes, count = 0;
        const char *head = ht_container_section(file, "head", &bytes);
        uint64_t slots = 0;
        if (bytes >= SLOTS_AT + sizeof slots)
            memcpy(&slots, head + SLOTS_AT, sizeof slots);
        slots = slots && slots <= MOST_SLOTS ? slots : 100;
        ht_postings **parts = NULL;
        hither_status status = ht_postings_get(file, slots, &parts, &count, &err);
        FUZZ_HOLDS(status == HITHER_OK || status == HITHER_CORRUPT);
        if (status == HITHER_OK) {
            FUZZ_HOLDS(count > 0 && parts[0]->first == 0 && parts[count - 1]->end == slots);
            search_all(parts, count, slots);
            thin(parts, count, slots);
            for (size_t i = 0; i < count; i++)
                ht_postings_release(parts[i]);
            ht_release((void *)parts);
        }
        ht_container_close(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    seal_look(data, size, look);
    return 0;
}
