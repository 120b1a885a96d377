/*
 * resolve.h: the rows of a clause in one part of the postings, as a list. A term has one; those of prefixes and phrases
 * are made. One thread; the parts are only read.
 */
#ifndef HT_KEYWORD_RESOLVE_H
#define HT_KEYWORD_RESOLVE_H

#include "keyword/postings.h"
#include "keyword/query.h"

/* *made says whether the list was appended to `lists`, rather than being one of p->stored. NOMEM. */
HT_NODISCARD hither_status ht_clause_resolve(const ht_postings *p, const ht_query *query, const ht_clause *clause,
                                             ht_lists *lists, ht_list *out, bool *made, hither_error *err);

#endif
