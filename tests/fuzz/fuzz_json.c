/*
 * fuzz_json.c: metadata from outside, against jansson alone. What one accepts the other accepts, but for depth; merging
 * two good objects as texts gives what merging their values gives. The input: two texts with a 0xff between them, a
 * byte that no UTF-8 has.
 */
#include <string.h>

#include "base/json.h"
#include "base/strings.h"
#include "fuzz.h"

static hither_status parse(const char *text, size_t bytes) {
    hither_error err;
    json_t *value = NULL;
    hither_status status = ht_json_parse(text, bytes, HITHER_MAX_TEXT_BYTES, "input", &value, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (value != NULL));
    FUZZ_HOLDS(status != HITHER_NOMEM);
    if (status != HITHER_OK) {
        size_t length = strlen(err.message);
        FUZZ_HOLDS(err.status == (int32_t)status && length > 0);
        FUZZ_HOLDS(ht_utf8_valid_prefix(err.message, length) == length);
    }
    if (status != HITHER_TOO_LARGE && (bytes == 0 || !memchr(text, 0, bytes))) { /* jansson takes NUL for the end */
        json_t *twin = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        FUZZ_HOLDS((twin != NULL) == (value != NULL));
        FUZZ_HOLDS(!twin || json_equal(twin, value));
        json_decref(twin);
    }
    bool object = status == HITHER_OK && json_is_object(value);
    FUZZ_HOLDS((ht_json_check_object(text, bytes, "input", &err) == HITHER_OK) == object);
    json_decref(value);
    return object ? HITHER_OK : HITHER_SYNTAX;
}

static void check_merged(const ht_buf *merged, const char *text, size_t bytes, const char *patch, size_t patch_bytes) {
    json_t *found = json_loadb(merged->data, merged->size, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = bytes ? json_loadb(text, bytes, 0, NULL) : json_object();
    json_t *over = json_loadb(patch, patch_bytes, 0, NULL);
    FUZZ_HOLDS(found && wanted && over);
    FUZZ_HOLDS(json_object_update(wanted, over) == 0 && json_equal(found, wanted));
    json_decref(found);
    json_decref(wanted);
    json_decref(over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size;
    const char *patch = cut ? text + first + 1 : "{\"a\":1}";
    size_t patch_bytes = cut ? size - first - 1 : strlen(patch);
    bool good = (parse(text, first) == HITHER_OK || first == 0) && parse(patch, patch_bytes) == HITHER_OK;

    hither_error err;
    ht_buf merged;
    ht_buf_init(&merged, SIZE_MAX);
    FUZZ_HOLDS((ht_json_merge(text, first, patch, patch_bytes, &merged, &err) == HITHER_OK) == good);
    if (good)
        check_merged(&merged, text, first, patch, patch_bytes);
    ht_buf_clear(&merged);
    return 0;
}
