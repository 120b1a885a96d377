/* rows.c: see rows.h. */
#include "rows.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

hither_strings test_strings(test_column *room, size_t count, const char *const *texts) {
    size_t at = 0;
    memset(room->valid, 0, sizeof room->valid);
    if (count > HT_TEST_ROWS)
        abort();
    for (size_t i = 0; i < count; i++) {
        size_t bytes = texts[i] ? strlen(texts[i]) : 0;
        if (at + bytes > sizeof room->bytes)
            abort();
        room->offsets[i] = at;
        if (texts[i]) {
            memcpy(room->bytes + at, texts[i], bytes);
            room->valid[i / 8] |= (uint8_t)(1u << (i % 8));
        }
        at += bytes;
    }
    room->offsets[count] = at;
    return (hither_strings){.bytes = room->bytes, .offsets = room->offsets, .count = count, .valid = room->valid};
}

hither_ids test_int_ids(const int64_t *ints, size_t count) { return (hither_ids){.ints = ints, .count = count}; }

hither_matrix test_matrix(const float *data, size_t rows, size_t dim) {
    return (hither_matrix){.data = data, .rows = rows, .dim = dim, .dtype = HITHER_F32};
}

float test_float(uint64_t seed, uint64_t i) {
    return (float)(ht_mix64(seed * 0x9e3779b97f4a7c15u + i) >> 40) * 0x1p-23f - 1.0f;
}

char *test_path(void) {
    const char *base = getenv("TMPDIR");
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s/hither-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        abort();
    size_t bytes = strlen(folder) + sizeof "/db.hither";
    char *path = malloc(bytes);
    if (!path)
        abort();
    (void)snprintf(path, bytes, "%s/db.hither", folder);
    return path;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *ftw) {
    (void)stat;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void test_remove_tree(char *path) {
    if (!path)
        return;
    char *slash = strrchr(path, '/');
    *slash = '\0'; /* the folder made by mkdtemp */
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}
