/*
 * explain.h: how two masked forms differ, in words: what an alarm shows beside the nearest known line. Any thread.
 */
#ifndef HT_STREAM_EXPLAIN_H
#define HT_STREAM_EXPLAIN_H

#include "base/strings.h"

/* Appends ,"added":[...],"removed":[...]: words of `form` that `nearest` lacks, and the other way round, in order, by a
 * longest common subsequence of the first 96 words of each. Both are UTF-8. */
void ht_explain_words(ht_text form, ht_text nearest, ht_buf *json);

#endif
