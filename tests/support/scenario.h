/*
 * scenario.h: what the tests of faults do to a database, and what must be in it afterwards.
 *
 * A scenario is a list of acts, drawn from a seed: open, create, drop, insert, upsert, update, delete, flush, compact,
 * back up, pack, reopen. A model, plain arrays that know nothing of the engine, says what the database holds after
 * each. Both are compared as text (scenario_expect, scenario_dump), every byte of every row included. One thread.
 */
#ifndef HT_TESTS_SCENARIO_H
#define HT_TESTS_SCENARIO_H

#include "base/buf.h"
#include "base/io.h"
#include "engine/engine.h"

enum { SCENARIO_COLLECTIONS = 3, SCENARIO_IDS = 90, SCENARIO_BATCH = 9 };

typedef struct model_row {
    bool live;
    uint32_t vector, version, document; /* numbers that the contents are made from; document 0: none */
    uint32_t one, few;                  /* the same of what it has in the vector fields; 0: nothing */
} model_row;

typedef struct model {
    struct {
        uint32_t dim; /* 0: no such collection */
        model_row rows[SCENARIO_IDS];
    } collections[SCENARIO_COLLECTIONS];
} model;

typedef enum act_kind {
    ACT_OPEN, /* closes first, if it was open */
    ACT_CREATE,
    ACT_DROP,
    ACT_INSERT,
    ACT_UPSERT,
    ACT_UPDATE,
    ACT_DELETE,
    ACT_FLUSH,
    ACT_COMPACT, /* or purge: of odd versions */
    ACT_BACKUP,
    ACT_PACK
} act_kind;

typedef struct act {
    act_kind kind;
    unsigned collection;
    uint32_t dim;     /* of CREATE */
    uint32_t version; /* makes the contents of this act's rows */
    bool vectors;     /* whether an UPDATE brings vectors */
    size_t count;
    int64_t ids[SCENARIO_BATCH]; /* none twice */
} act;

/* The first act opens, the second creates, the last compacts. `large` mixes in a collection whose vectors fill segments
 * quickly; with `copies` one act backs up and one packs. */
void scenario_make(act *acts, size_t count, uint64_t seed, bool large, bool copies);
void model_apply(model *m, const act *a);
void scenario_expect(const model *m, ht_buf *out);
/* Where a BACKUP or a PACK puts its copy. */
void act_copy_path(const act *a, const char *path, char *out, size_t room);
void act_describe(const act *a, char *text, size_t room);

/* Does one act. *db is opened, closed and reopened as the acts say, its caches kept; after a failed open it is NULL. */
HT_NODISCARD hither_status act_do(const ht_io *io, const char *path, ht_db **db, const act *a, hither_error *err);
HT_NODISCARD hither_status scenario_dump(ht_db *db, ht_buf *out, hither_error *err);

/* Whether the database holds what one of the models says: 0 for `a`, 1 for `b` (may be NULL), -1 for neither or for an
 * error. `why` then has the first difference from `a`, or the error. */
int scenario_compare(ht_db *db, const model *a, const model *b, char *why, size_t room);

#endif
