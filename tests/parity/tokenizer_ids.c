/*
 * tokenizer_ids.c: tokens of texts, for tests/parity to compare with those of others.
 *
 *     tokenizer_ids FILE MOST < texts > tokens
 *
 * FILE is a tokenizer.json or a vocab.txt. A text is its length as 4 bytes (lowest first) and its bytes; out comes the
 * number of its tokens and the tokens, 4 bytes each, at most MOST. With a third argument, N, all texts are read first
 * and tokenized N times, and the seconds of processor time that took go to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "embed/tokenizer.h"

static char *read_all(FILE *file, size_t *bytes) {
    size_t room = 1 << 20;
    char *data = malloc(room);
    *bytes = 0;
    while (data && !feof(file)) {
        if (*bytes == room)
            data = realloc(data, room *= 2);
        if (!data)
            break;
        *bytes += fread(data + *bytes, 1, room - *bytes, file);
        if (ferror(file))
            return NULL;
    }
    return data;
}

static int run(const ht_tokenizer *w, const char *texts, size_t bytes, size_t most, bool print) {
    uint32_t *ids = calloc(most + 1, sizeof *ids);
    if (!ids)
        return 1;
    for (size_t at = 0; at + 4 <= bytes;) {
        uint32_t length;
        memcpy(&length, texts + at, sizeof length);
        at += 4;
        if (length > bytes - at)
            return 1;
        size_t count;
        hither_error err;
        if (ht_tokenizer_encode(w, texts + at, length, true, ids + 1, most, &count, &err) != HITHER_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        ids[0] = (uint32_t)count;
        if (print && fwrite(ids, sizeof *ids, ids[0] + 1, stdout) != ids[0] + 1)
            return 1;
        at += length;
    }
    free(ids);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    FILE *file = fopen(argv[1], "rb");
    size_t bytes = 0, texts_bytes = 0;
    char *text = file ? read_all(file, &bytes) : NULL, *texts = read_all(stdin, &texts_bytes);
    ht_tokenizer *w = NULL;
    hither_error err = {0};
    if (!text || !texts)
        return 1;
    size_t name = strlen(argv[1]);
    bool json = name > 5 && strcmp(argv[1] + name - 5, ".json") == 0;
    hither_status status = json ? ht_tokenizer_from_json(text, bytes, argv[1], &w, &err)
                                : ht_tokenizer_from_vocab(text, bytes, true, argv[1], &w, &err);
    if (status != HITHER_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    size_t most = strtoull(argv[2], NULL, 10);
    if (most <= ht_tokenizer_around(w))
        return 2;
    clock_t begin = clock();
    int failed = 0;
    for (long i = argc > 3 ? strtol(argv[3], NULL, 10) : 0; i > 0 && !failed; i--)
        failed = run(w, texts, texts_bytes, most, false);
    if (argc > 3)
        (void)fprintf(stderr, "%.6f\n", (double)(clock() - begin) / CLOCKS_PER_SEC);
    else
        failed = run(w, texts, texts_bytes, most, true);
    ht_tokenizer_free(w);
    free(text);
    free(texts);
    (void)fclose(file);
    return failed;
}
