/* cmd_ttl.c: ttl and expire: rows that end by themselves. Each function is a command of the table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "database.h"
#include "output.h"

/* "off", or seconds in digits. */
static bool read_lifetime(const char *text, int64_t *out) {
    if (strcmp(text, "off") == 0) {
        *out = HITHER_TTL_OFF;
        return true;
    }
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return *end == '\0' && errno == 0 && number <= HITHER_MAX_TTL;
}

int ht_run_ttl(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    int64_t seconds;
    if (!read_lifetime(args->operands[2], &seconds)) {
        ht_say("ttl: %.40s is no lifetime; give 0 to %d seconds, or off", args->operands[2], HITHER_MAX_TTL);
        return HT_EXIT_USAGE;
    }
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_WRITE, &opened, &err);
    if (status == HITHER_OK)
        status = hither_collection_set_ttl(opened.collection, seconds, &err);
    ht_close_both(&opened);
    return status == HITHER_OK ? HT_EXIT_OK : ht_report(status, &err);
}

int ht_run_expire(const ht_args *args) {
    hither_error err;
    ht_opened opened;
    size_t deleted = 0;
    hither_status status = ht_open_both(args->operands[0], args->operands[1], HT_OPEN_WRITE, &opened, &err);
    if (status == HITHER_OK)
        status = hither_collection_expire(opened.collection, &deleted, &err);
    ht_close_both(&opened);
    if (status != HITHER_OK)
        return ht_report(status, &err);
    ht_buf line;
    ht_buf_init(&line, 100);
    ht_buf_printf(&line, "deleted %zu\n", deleted);
    ht_out_buf(&line);
    ht_buf_clear(&line);
    return HT_EXIT_OK;
}
