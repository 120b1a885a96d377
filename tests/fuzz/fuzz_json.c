/*
 * fuzz_json.c: metadata from outside. What passes the check must parse, and merging it over an object must give an
 * object that passes again. The input: two texts with a 0xff between them, a byte that no UTF-8 has.
 */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size;
    const char *patch = cut ? text + first + 1 : "{\"a\":1}";
    size_t patch_bytes = cut ? size - first - 1 : strlen(patch);
    hither_error err;

    hither_status status = ht_json_check_object(text, first, "input", &err);
    json_t *value = NULL;
    hither_status parsed = ht_json_parse(text, first, HITHER_MAX_TEXT_BYTES, "input", &value, &err);
    FUZZ_HOLDS(status != HITHER_OK || (parsed == HITHER_OK && json_is_object(value)));
    if (parsed == HITHER_OK)
        json_decref(value);
    else
        FUZZ_HOLDS(value == NULL && err.status == (int32_t)parsed && err.message[0]);

    hither_status patch_status = ht_json_check_object(patch, patch_bytes, "patch", &err);
    if (status == HITHER_OK && patch_status == HITHER_OK) {
        ht_buf merged;
        ht_buf_init(&merged, HITHER_MAX_TEXT_BYTES);
        if (ht_json_merge(text, first, patch, patch_bytes, &merged, &err) == HITHER_OK)
            FUZZ_HOLDS(ht_json_check_object(merged.data, merged.size, "merged", &err) == HITHER_OK);
        ht_buf_clear(&merged);
    }
    return 0;
}
