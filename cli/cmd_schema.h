/*
 * cmd_schema.h: a schema as the command line names one. Main thread.
 */
#ifndef HT_CLI_CMD_SCHEMA_H
#define HT_CLI_CMD_SCHEMA_H

#include "base/buf.h"

/* The schema in `given`: JSON, or the name of a file with it; "-" is standard input. `out` is the caller's to clear,
 * even on failure, and NUL-terminated. */
HT_NODISCARD hither_status ht_schema_read(const char *given, ht_buf *out, hither_error *err);

#endif
