/*
 * io.c: what does not depend on the implementation of the I/O table. Any thread.
 */
#include "base/io.h"

#include <string.h>

#include "base/alloc.h"

char *ht_path_join(const char *folder, const char *name) {
    size_t left = strlen(folder), right = strlen(name), bytes;
    while (left > 1 && folder[left - 1] == '/')
        left--;
    bool slash = left > 0 && folder[left - 1] != '/';
    if (!ht_add_size(left + slash, right, &bytes) || !ht_add_size(bytes, 1, &bytes))
        return NULL;
    char *path = ht_alloc(bytes);
    if (!path)
        return NULL;
    memcpy(path, folder, left);
    if (slash)
        path[left] = '/';
    memcpy(path + left + slash, name, right + 1);
    return path;
}
