/*
 * alarm.h: which scores deserve attention, so that about a given share of all records does, whatever the stream is
 * like.
 *
 * The threshold is an estimate of the quantile of recent scores that corrects itself: an alarm raises it by a step,
 * each record lowers it by the step times the alarms it may bring (the rate; or, for so many alarms a day, the time
 * since the record before), so that the two balance at what was asked for. Over a stream the alarms differ from that by
 * at most the range of scores / step, as long as enough records qualify; if fewer do, it rests at the floor and fewer
 * alarms come. Deterministic; a few bytes; no clock. One thread at a time.
 */
#ifndef HT_STREAM_ALARM_H
#define HT_STREAM_ALARM_H

#include <stdbool.h>

typedef struct ht_alarm {
    double threshold;
} ht_alarm;

void ht_alarm_init(ht_alarm *alarm);
/* Whether a record is an alarm. share: of an alarm, that it may bring. candidate: it may be one at all; others count as
 * records only. */
bool ht_alarm_take(ht_alarm *alarm, double share, double score, bool candidate);

#endif
