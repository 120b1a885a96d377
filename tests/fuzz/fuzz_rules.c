/*
 * fuzz_rules.c: the input up to its first NUL as mask rules, the rest as a line. Rules that are taken mask any line to
 * UTF-8 of bounded length, the same each time.
 */
#include <string.h>

#include "base/strings.h"
#include "fuzz.h"
#include "stream/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t bytes = zero ? (size_t)(zero - data) : size, rest = zero ? size - bytes - 1 : 0;
    char *text = malloc(bytes + 1), *line = malloc(rest + 1);
    FUZZ_HOLDS(text != NULL && line != NULL);
    if (bytes > 0)
        memcpy(text, data, bytes);
    if (rest > 0)
        memcpy(line, zero + 1, rest);
    ht_rules *rules = NULL;
    hither_error err;
    hither_status status = ht_rules_new(text, bytes, &rules, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (rules != NULL));
    if (rules && ht_utf8_valid_prefix(line, rest) == rest) {
        ht_buf form, again;
        ht_buf_init(&form, (HT_RULE_MARK_BYTES + 1) * rest + 64);
        ht_buf_init(&again, (HT_RULE_MARK_BYTES + 1) * rest + 64);
        ht_mask_line(rules, line, rest, &form);
        ht_mask_line(rules, line, rest, &again);
        FUZZ_HOLDS(!form.failed && form.size == again.size);
        FUZZ_HOLDS(form.size == 0 || memcmp(form.data, again.data, form.size) == 0);
        FUZZ_HOLDS(form.size == 0 || ht_utf8_valid_prefix(form.data, form.size) == form.size);
        ht_buf_clear(&form);
        ht_buf_clear(&again);
    }
    ht_rules_free(rules);
    free(text);
    free(line);
    return 0;
}
