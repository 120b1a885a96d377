/*
 * fuzz_mask.c: any bytes through the masker. The form is UTF-8, no longer than the window reckons with, without a space
 * at either end or two in a row, and the same each time and whatever stood in the buffer before; and the same with a
 * rule that fits nowhere, with which every shape is tried at every letter.
 */
#include <string.h>

#include "base/strings.h"
#include "fuzz.h"
#include "stream/mask.h"

#define NEVER "never {{{{}}}}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ht_buf form, again;
    char *line = malloc(size ? size : 1); /* a copy of its own, so that a sanitizer sees every read past the end */
    FUZZ_HOLDS(line != NULL);
    if (size > 0)
        memcpy(line, data, size);
    ht_buf_init(&form, 6 * size + 64);
    ht_buf_init(&again, 6 * size + 64);
    ht_mask_line(NULL, line, size, &form);
    FUZZ_HOLDS(!form.failed);
    FUZZ_HOLDS(form.size == 0 || ht_utf8_valid_prefix(form.data, form.size) == form.size);
    for (size_t i = 0; i < form.size; i++)
        FUZZ_HOLDS(form.data[i] != ' ' || (i > 0 && i + 1 < form.size && form.data[i - 1] != ' '));
    ht_buf_puts(&again, "<num>");
    ht_mask_line(NULL, line, size, &again);
    FUZZ_HOLDS(!again.failed && again.size == form.size + 5);
    FUZZ_HOLDS(form.size == 0 || memcmp(again.data + 5, form.data, form.size) == 0);
    ht_rules *never;
    hither_error err;
    FUZZ_HOLDS(ht_rules_new(NEVER, sizeof NEVER - 1, &never, &err) == HITHER_OK);
    ht_buf_reset(&again);
    ht_mask_line(never, line, size, &again);
    if (!memmem(line, size, "{{}}}}", 6))
        FUZZ_HOLDS(again.size == form.size && (form.size == 0 || memcmp(again.data, form.data, form.size) == 0));
    ht_rules_free(never);
    ht_buf_clear(&form);
    ht_buf_clear(&again);
    free(line);
    return 0;
}
