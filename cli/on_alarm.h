/*
 * on_alarm.h: runs a command for an alarm. What the line holds is never part of the command: it goes through the
 * environment. Main thread only.
 */
#ifndef HT_CLI_ON_ALARM_H
#define HT_CLI_ON_ALARM_H

#include "base/strings.h"

/* Runs `command` by /bin/sh with HITHER_LINE (to its first NUL byte), HITHER_SCORE and HITHER_REASON set and nothing on
 * standard input, and waits for its end. *code: what it ended with. IO if it could not be run. */
HT_NODISCARD hither_status ht_on_alarm(const char *command, ht_text line, double score, const char *reason, int *code,
                                       hither_error *err);

#endif
