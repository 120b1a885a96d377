/*
 * fuzz_tokenizer.c: a tokenizer's file from outside, and texts through it. The input: a tokenizer.json, or if it does
 * not begin with a brace the lines of a vocab.txt; what follows the first NUL is a text.
 */
#include <string.h>

#include "embed/wordpiece.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 24 };
    static const char plain[] = "A bird, of prey [CLS] \xe6\x97\xa5\xcc\x81 \xff unquestionably";
    const char *file = (const char *)data;
    const char *end = size ? memchr(file, '\0', size) : NULL;
    size_t bytes = end ? (size_t)(end - file) : size;
    ht_wordpiece *w = NULL;
    hither_error err;
    hither_status status = bytes && file[0] == '{'
                               ? ht_wordpiece_from_json(file, bytes, "tokenizer.json", &w, &err)
                               : ht_wordpiece_from_vocab(file, bytes, size % 2 == 0, "vocab.txt", &w, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (w != NULL));
    if (!w || ht_wordpiece_around(w) >= MOST) {
        ht_wordpiece_free(w);
        return 0;
    }
    uint32_t all[MOST], some[MOST];
    const char *text = end ? end + 1 : plain;
    size_t length = end ? size - bytes - 1 : sizeof plain - 1;
    size_t count = ht_wordpiece_encode(w, text, length, all, MOST);
    FUZZ_HOLDS(count >= ht_wordpiece_around(w) && count <= MOST);
    for (size_t i = 0; i < count; i++)
        FUZZ_HOLDS(all[i] < ht_wordpiece_ids(w));
    size_t least = ht_wordpiece_around(w) + 1;
    FUZZ_HOLDS(ht_wordpiece_encode(w, text, length, some, least) == (count < least ? count : least));
    ht_wordpiece_free(w);
    return 0;
}
