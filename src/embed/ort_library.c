/* ort_library.c: see ort_library.h. */
#include "embed/ort_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { MOST_PATH = 4096 };
static const char library_name[] = "libonnxruntime.so";
static const char help[] = "python3 -m pip install onnxruntime, or give the path of a libonnxruntime.so by "
                           "--onnxruntime or HITHER_ONNXRUNTIME";

/* The name of a file in a folder, by what it begins with: of several the last. */
typedef struct search {
    const char *begin;
    ht_io_kind kind;
    char found[256];
} search;

static hither_status look_at(void *arg, const char *name, ht_io_kind kind) {
    search *s = arg;
    if (strncmp(name, s->begin, strlen(s->begin)) == 0 && strlen(name) < sizeof s->found && kind == s->kind &&
        strcmp(name, s->found) > 0)
        (void)snprintf(s->found, sizeof s->found, "%s", name);
    return HITHER_OK;
}

/* Puts "folder/NAME" into out, of the entry that begins so; false where there is none. */
static bool find_in(const ht_io *io, const char *folder, const char *begin, ht_io_kind kind, char *out) {
    search s = {.begin = begin, .kind = kind};
    return io->list(io->ctx, folder, look_at, &s, NULL) == HITHER_OK && s.found[0] &&
           snprintf(out, MOST_PATH, "%s/%s", folder, s.found) < MOST_PATH;
}

static void *open_at(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }

/* The library in a folder, or in the environment whose programs that folder holds. */
static void *open_near(const ht_io *io, const char *folder, bool environment) {
    char path[MOST_PATH], python[MOST_PATH];
    void *library = NULL;
    if (find_in(io, folder, library_name, HT_IO_FILE, path))
        library = open_at(path);
    if (library || !environment)
        return library;
    if (snprintf(path, sizeof path, "%s/../lib", folder) >= MOST_PATH ||
        !find_in(io, path, "python3", HT_IO_FOLDER, python) ||
        snprintf(path, sizeof path, "%.3900s/site-packages/onnxruntime/capi", python) >= MOST_PATH)
        return NULL;
    return find_in(io, path, library_name, HT_IO_FILE, python) ? open_at(python) : NULL;
}

static void *open_somewhere(const ht_io *io) {
    char folder[MOST_PATH];
    void *library = ht_io_program_folder(folder, sizeof folder) ? open_near(io, folder, true) : NULL;
    if (!library)
        library = open_at("libonnxruntime.so.1");
    return library ? library : open_at(library_name);
}

static hither_status open_library(const ht_io *io, const char *path, void **out, hither_error *err) {
    ht_io_kind kind = HT_IO_ABSENT;
    uint64_t bytes;
    if (!path) {
        *out = open_somewhere(io);
        return *out ? HITHER_OK : ht_fail(err, HITHER_MODEL, "ONNX Runtime is not there: %s", help);
    }
    HT_TRY(io->stat(io->ctx, path, &kind, &bytes, err));
    if (kind == HT_IO_ABSENT)
        return ht_fail(err, HITHER_MODEL, "no ONNX Runtime: there is no %.80s: %s", path, help);
    *out = kind == HT_IO_FOLDER ? open_near(io, path, false) : open_at(path);
    if (*out)
        return HITHER_OK;
    const char *why = kind == HT_IO_FOLDER ? "there is no libonnxruntime.so in it" : dlerror();
    return ht_fail(err, HITHER_MODEL, "no ONNX Runtime: %.80s: %.140s", path, why ? why : "it cannot be opened");
}

static hither_status check_version(const char *version, hither_error *err) {
    char *end;
    unsigned long major = strtoul(version, &end, 10), minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    if (major == HT_ORT_MAJOR && minor >= HT_ORT_MINOR)
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "ONNX Runtime is of version %.20s; %d.%d or newer is needed: %s", version,
                   HT_ORT_MAJOR, HT_ORT_MINOR, help);
}

hither_status ht_ort_library(const ht_io *io, const char *path, ht_ort_table *out, hither_error *err) {
    void *library;
    HT_TRY(open_library(io, path, &library, err));
    /* ISO C knows no way from an object's pointer to a function's, POSIX does. */
    const OrtApiBase *(*get_base)(void);
    void *symbol = dlsym(library, "OrtGetApiBase");
    memcpy(&get_base, &symbol, sizeof get_base);
    if (!symbol)
        return ht_fail(err, HITHER_MODEL, "%.100s is no ONNX Runtime: it has no OrtGetApiBase", path ? path : "it");
    const OrtApiBase *base = get_base();
    HT_TRY(check_version(base->GetVersionString(), err));
    const OrtApi *api = base->GetApi(HT_ORT_API);
    if (!api)
        return ht_fail(err, HITHER_MODEL, "ONNX Runtime %.20s does not give its functions", base->GetVersionString());
#define SLOT(name, number, gives, takes) out->name = (gives(*) takes)api->slots[number];
    HT_ORT_SLOTS(SLOT)
#undef SLOT
    return HITHER_OK;
}
