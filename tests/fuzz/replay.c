/*
 * replay.c: runs a fuzz target without a fuzzer, over files and over the files of folders: replay PATH... It says how
 * many inputs there were, and fails when there were none.
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

static size_t inputs;

static void replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    FUZZ_HOLDS(file != NULL);
    FUZZ_HOLDS(fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    FUZZ_HOLDS(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
    /* Exactly as large as the input, so that a sanitizer sees a read past its end. */
    uint8_t *data = malloc(size ? (size_t)size : 1);
    FUZZ_HOLDS(data && fread(data, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    inputs++;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            replay_file(argv[i]);
            continue;
        }
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            FUZZ_HOLDS(snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name) < (int)sizeof path);
            replay_file(path);
        }
        closedir(folder);
    }
    printf("%zu inputs replayed\n", inputs);
    return inputs == 0;
}
