/*
 * severity.h: the level a log line states itself: "ERROR", "[warn]", "level=fatal", "<3>". Not a judgement. Any thread.
 */
#ifndef HT_STREAM_SEVERITY_H
#define HT_STREAM_SEVERITY_H

#include "base/error.h"

hither_level ht_severity(const char *line, size_t bytes);

#endif
