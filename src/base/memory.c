/*
 * memory.c: see memory.h. A group's limit may stand at any level from the process's own group up to the root; in a
 * container the group's own path is often not visible, and only the root is.
 */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static uint64_t machine(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
}

#if defined(__linux__)
static uint64_t limit_of_file(const char *path, uint64_t most) {
    char text[64], *end;
    if (!ht_io_system_text(path, text, sizeof text))
        return most;
    const unsigned long long limit = strtoull(text, &end, 10); /* "max" is none */
    return end != text && limit > 0 && limit < most ? limit : most;
}

static uint64_t limit_of_group(const char *root, char *group, const char *file, uint64_t most) {
    char path[512];
    for (;;) {
        char *last = strrchr(group, '/');
        (void)snprintf(path, sizeof path, "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, file);
        most = limit_of_file(path, most);
        if (!last || !*group)
            return most;
        *last = '\0';
    }
}

uint64_t ht_memory_limit(void) {
    char text[4096], *rest = text;
    uint64_t most = machine();
    if (!ht_io_system_text("/proc/self/cgroup", text, sizeof text))
        return most;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        /* number:controllers:path, and no controllers in version 2 */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            most = limit_of_group("/sys/fs/cgroup", group, "memory.max", most);
        else if (strstr(controllers + 1, "memory"))
            most = limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", most);
    }
    return most;
}
#else
uint64_t ht_memory_limit(void) { return machine(); }
#endif
