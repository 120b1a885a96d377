/*
 * alarm.h: which scores deserve attention, so that about a given share of all records does, whatever the stream is
 * like.
 *
 * The threshold is an estimate of the quantile of recent scores that corrects itself: an alarm raises it by a step, a
 * record without one lowers it by the step's share, so that the two balance at the rate asked for. Over n records the
 * alarms differ from rate * n by at most the range of scores / step, as long as enough records qualify; if fewer do, it
 * rests at the floor and fewer alarms come. Deterministic; a few bytes; no clock. One thread at a time.
 */
#ifndef HT_STREAM_ALARM_H
#define HT_STREAM_ALARM_H

#include <stdbool.h>

typedef struct ht_alarm {
    double rate; /* of records, in (0, 1] */
    double threshold;
} ht_alarm;

void ht_alarm_init(ht_alarm *alarm, double rate);
/* Whether a record is an alarm. candidate: it may be one at all; others count as records only. */
bool ht_alarm_take(ht_alarm *alarm, double score, bool candidate);

#endif
