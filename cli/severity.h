/*
 * severity.h: the level a log line states itself: "ERROR", "[warn]", "level=fatal", "<3>". Not a judgement. Any thread.
 */
#ifndef HT_CLI_SEVERITY_H
#define HT_CLI_SEVERITY_H

#include <stddef.h>

/* "fatal", "error", "warning", "info", "debug", "trace", or NULL if the line states none. */
const char *ht_severity(const char *line, size_t bytes);

#endif
