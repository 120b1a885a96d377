/*
 * fuzz_schema.c: the input up to its first NUL as a schema, the rest as a row's metadata. A schema that is taken is
 * spelled so that it reads back to the same bytes, and a row either fits or is refused with a reason.
 */
#include <string.h>

#include "engine/schema.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t bytes = zero ? (size_t)(zero - data) : size, rest = zero ? size - bytes - 1 : 0;
    hither_error err;
    ht_schema *s = NULL, *again = NULL;
    json_t *row = NULL;
    hither_status status = ht_schema_parse(size ? (const char *)data : "", bytes, &s, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (s != NULL));
    if (status != HITHER_OK) {
        FUZZ_HOLDS(status != HITHER_NOMEM && strncmp(err.message, "schema", 6) == 0);
        FUZZ_HOLDS(ht_utf8_valid_prefix(err.message, strlen(err.message)) == strlen(err.message));
        return 0;
    }
    FUZZ_HOLDS(ht_schema_parse(s->text.data, s->text.size, &again, &err) == HITHER_OK);
    FUZZ_HOLDS(again->text.size == s->text.size && memcmp(again->text.data, s->text.data, s->text.size) == 0);
    if (zero && ht_json_parse((const char *)zero + 1, rest, HITHER_MAX_TEXT_BYTES, "row", &row, &err) != HITHER_OK)
        row = NULL;
    if (!row || json_is_object(row)) {
        status = ht_schema_check(s, row, "row 7", &err);
        FUZZ_HOLDS(status == HITHER_OK || status == HITHER_INVALID);
        FUZZ_HOLDS(status == HITHER_OK || strncmp(err.message, "row 7: '", 8) == 0);
        FUZZ_HOLDS(ht_schema_check(again, row, "row 7", &err) == status);
    }
    json_decref(row);
    ht_schema_free(again);
    ht_schema_free(s);
    return 0;
}
