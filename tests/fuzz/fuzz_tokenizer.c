/*
 * fuzz_tokenizer.c: a tokenizer's file from outside, and texts through it. The input: a tokenizer.json, or if it does
 * not begin with a brace the lines of a vocab.txt; what follows the first NUL is a text.
 */
#include <string.h>

#include "embed/tokenizer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 24 };
    static const char plain[] = "A bird, of prey [CLS] \xe6\x97\xa5\xcc\x81 \xff unquestionably";
    const char *file = (const char *)data;
    const char *end = size ? memchr(file, '\0', size) : NULL;
    size_t bytes = end ? (size_t)(end - file) : size;
    ht_tokenizer *t = NULL;
    hither_error err;
    hither_status status = bytes && file[0] == '{'
                               ? ht_tokenizer_from_json(file, bytes, "tokenizer.json", &t, &err)
                               : ht_tokenizer_from_vocab(file, bytes, size % 2 == 0, "vocab.txt", &t, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (t != NULL));
    if (!t || ht_tokenizer_around(t) >= MOST) {
        ht_tokenizer_free(t);
        return 0;
    }
    uint32_t all[MOST], some[MOST];
    const char *text = end ? end + 1 : plain;
    size_t length = end ? size - bytes - 1 : sizeof plain - 1, count, few, around = ht_tokenizer_around(t);
    status = ht_tokenizer_encode(t, text, length, true, all, MOST, &count, &err);
    if (status == HITHER_OK) {
        FUZZ_HOLDS(count >= around && count <= MOST);
        for (size_t i = 0; i < count; i++)
            FUZZ_HOLDS(all[i] < ht_tokenizer_ids(t));
        FUZZ_HOLDS(ht_tokenizer_encode(t, text, length, true, some, around + 1, &few, &err) == HITHER_OK);
        FUZZ_HOLDS(few == (count < around + 1 ? count : around + 1));
    }
    ht_tokenizer_free(t);
    return 0;
}
