/* alarm.c: see alarm.h. */
#include "stream/alarm.h"

#define STEP  0.125 /* a burst of new forms is cut short after about ten of them */
#define START 1.0   /* novelty of a form that was never there is above, of a known one below */
#define FLOOR 0.5   /* so that after a long silence a burst brings few alarms more than it should */

void ht_alarm_init(ht_alarm *alarm) { *alarm = (ht_alarm){.threshold = START}; }

bool ht_alarm_take(ht_alarm *alarm, double share, double score, bool candidate) {
    bool hit = candidate && score >= alarm->threshold;
    alarm->threshold += (hit ? STEP : 0) - STEP * share;
    if (alarm->threshold < FLOOR)
        alarm->threshold = FLOOR;
    return hit;
}
