/*
 * place.h: a database with one small collection, in memory or on disk, and short ways to fill it and to look at it. For
 * tests of the public face: BOTH runs a test in each place.
 */
#ifndef HT_TESTS_PLACE_H
#define HT_TESTS_PLACE_H

#include "cmocka_all.h"
#include "hither.h"
#include "rows.h"

#define DIM 3

typedef struct place {
    bool disk;
    char *path; /* NULL in memory */
    hither_db *db;
    hither_collection *c;
} place;

extern hither_error err; /* of the last call that took one */

int place_set_up(void **state);
int place_tear_down(void **state);
#define BOTH(test)                                                                                                     \
    {#test " in memory", test, place_set_up, place_tear_down, NULL}, {                                                 \
#test " on disk", test, place_set_up, place_tear_down, (void *)"disk"                                          \
    }

hither_db *open_db(const place *p, uint32_t flags);
hither_collection *open_notes(hither_db *db);
/* On disk: closes everything and opens it again, so that what follows sees what was kept. */
void reopen(place *p);

uint64_t count_of(hither_collection *c);
/* Columns that are NULL are not given. */
hither_status put_ints(hither_collection *c, hither_mode mode, const int64_t *ids, size_t n, const float *vectors,
                       const char *const *metadata, const char *const *documents, size_t *written);

/* Three rows that most tests begin with. */
extern const int64_t three_ids[3];
extern const float three_vectors[3 * DIM];
extern const char *const three_metadata[3], *const three_documents[3];
void put_three(hither_collection *c);
void assert_three(hither_collection *c);

void assert_text(hither_strings column, size_t i, const char *wanted);
/* What the row with this id holds; metadata and document NULL: missing. */
void assert_row(hither_collection *c, int64_t id, const float *vector, const char *metadata, const char *document);

#endif
