/* models.c: see models.h. */
#include "models.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

enum { MAX_PATH = 4096, MAX_MODELS = 1024 };

hither_status ht_models_folder(ht_buf *out, hither_error *err) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    ht_buf_init(out, MAX_PATH);
    if (data && data[0] == '/')
        ht_buf_printf(out, "%s/hither/models", data);
    else if (home && home[0] == '/')
        ht_buf_printf(out, "%s/.local/share/hither/models", home);
    else
        return ht_fail(err, HITHER_NOT_FOUND, "there is no folder for models: neither HOME nor XDG_DATA_HOME is set");
    return ht_buf_check(out, "the folder of models", err);
}

static bool is_folder(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

hither_status ht_models_resolve(const char *name, ht_buf *out, hither_error *err) {
    ht_buf_init(out, MAX_PATH);
    if (!is_folder(name) && !strchr(name, '/') && name[0] != '.' && ht_models_folder(out, NULL) == HITHER_OK) {
        ht_buf_printf(out, "/%s", name);
        if (!out->failed && is_folder(out->data))
            return HITHER_OK;
    }
    ht_buf_clear(out);
    ht_buf_puts(out, name);
    return ht_buf_check(out, "a folder's name", err);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names in a folder, sorted; hidden ones are not models. */
static size_t names_in(const char *folder, char *names[MAX_MODELS]) {
    DIR *dir = opendir(folder);
    size_t count = 0;
    for (struct dirent *entry; dir && count < MAX_MODELS && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        names[count] = ht_strdup(entry->d_name);
        count += names[count] != NULL;
    }
    if (dir)
        (void)closedir(dir);
    if (count)
        qsort(names, count, sizeof *names, by_name);
    return count;
}

static bool each_listed(const char *list, bool (*each)(void *ctx, const char *folder), void *ctx) {
    char *folders = ht_strdup(list), *rest = folders;
    bool more = true;
    for (char *folder = folders ? strtok_r(rest, ":", &rest) : NULL; folder && more;
         folder = strtok_r(NULL, ":", &rest))
        more = each(ctx, folder);
    ht_release(folders);
    return more;
}

hither_status ht_models_each(bool (*each)(void *ctx, const char *folder), void *ctx, hither_error *err) {
    const char *list = getenv("HITHER_MODELS");
    ht_buf path;
    if (list && !each_listed(list, each, ctx))
        return HITHER_OK;
    if (ht_models_folder(&path, NULL) != HITHER_OK)
        return HITHER_OK;
    char **names = ht_calloc(MAX_MODELS, sizeof *names);
    if (!names) {
        ht_buf_clear(&path);
        return ht_fail_nomem(err, MAX_MODELS * sizeof *names, "models");
    }
    size_t count = names_in(path.data, names), end = path.size;
    bool more = true;
    for (size_t i = 0; i < count; i++) {
        path.size = end;
        ht_buf_printf(&path, "/%s", names[i]);
        if (more && !path.failed && is_folder(path.data))
            more = each(ctx, path.data);
        ht_release(names[i]);
    }
    ht_release(names);
    ht_buf_clear(&path);
    return HITHER_OK;
}
