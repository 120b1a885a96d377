/*
 * plan.h: what a search did, as a tree for people. Main thread.
 */
#ifndef HT_CLI_PLAN_H
#define HT_CLI_PLAN_H

#include "base/buf.h"

/* Appends the plan (hither_result_plan's JSON) a stage a line; nothing for "". */
HT_NODISCARD hither_status ht_plan_tree(ht_buf *out, const char *plan, hither_error *err);

#endif
