/*
 * fuzz_times.c: any bytes as a log line whose time is sought. A time found is the same each time, and written out as
 * text it is found again.
 */
#include "../../cli/times.c"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const ht_times frame = {.now_ms = 1795267050000, .zone_s = -3600};
    char *line = malloc(size + 1); /* a copy of its own, so that a sanitizer sees every read past the end */
    FUZZ_HOLDS(line != NULL);
    if (size > 0)
        memcpy(line, data, size);
    char *exact = realloc(line, size ? size : 1);
    FUZZ_HOLDS(exact != NULL);
    const int64_t time_ms = ht_line_time(exact, size, &frame);
    FUZZ_HOLDS(ht_line_time(exact, size, &frame) == time_ms);
    if (time_ms != HT_NO_TIME) {
        char text[HT_TIME_TEXT];
        ht_time_text(time_ms, text);
        FUZZ_HOLDS(strlen(text) >= 20);
        if (strlen(text) == 24) /* a year of four digits */
            FUZZ_HOLDS(ht_line_time(text, strlen(text), &frame) == time_ms);
    }
    free(exact);
    return 0;
}
