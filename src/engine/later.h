/*
 * later.h: durability "relaxed": upserts whose call returns once they are checked, copied and queued. One thread of the
 * database commits them, as the leader of group.c does, when the oldest has waited as long as was asked for, when
 * enough rows wait, and when the database is closed. Everything that needs an answer from what is stored (insert,
 * update, delete, flush) joins the same queue behind them and waits, as it does anyway; so nothing overtakes anything.
 *
 * What must stay true: batches are committed in the order they came. One that cannot be committed now (no space, no
 * memory) goes back to the head of the queue, nothing behind it is committed before it, and until it is, every write
 * waits for its own commit and returns what stands in the way. Any thread, but for start and stop.
 */
#ifndef HT_ENGINE_LATER_H
#define HT_ENGINE_LATER_H

#include "engine/state.h"

/* Starts the thread of a database that was opened so. */
HT_NODISCARD hither_status ht_later_start(ht_db *db, hither_error *err);
/* Commits what waits, and ends the thread. What cannot be committed is lost, as in a crash. */
void ht_later_stop(ht_db *db);

/* Whether this write may be left to the thread. */
bool ht_later_takes(const ht_db *db, hither_mode mode);
/* Checks, copies and queues an upsert. Waits where twice as much as a group holds is queued already. */
HT_NODISCARD hither_status ht_later_put(ht_collection *c, const char *embedder, const hither_batch *batch,
                                        size_t *written, hither_error *err);
/* Frees a request made by ht_later_put. */
void ht_later_free(ht_request *request);

#endif
