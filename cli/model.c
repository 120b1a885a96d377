/* model.c: see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Where large models are kept packed: HITHER_CACHE, else the user's folder for such things; "" for nowhere. */
static hither_status cache_folder(char *out, size_t room, hither_error *err) {
    const char *own = getenv("HITHER_CACHE"), *user = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const int bytes = own             ? snprintf(out, room, "%s", own)
                      : user && *user ? snprintf(out, room, "%s/hither", user)
                      : home && *home ? snprintf(out, room, "%s/.cache/hither", home)
                                      : snprintf(out, room, "%s", "");
    return bytes >= 0 && (size_t)bytes < room ? HITHER_OK
                                              : ht_fail(err, HITHER_TOO_LARGE, "HITHER_CACHE or HOME is too long");
}

/* What runs it by options or environment; args may be NULL. */
static hither_status open_model(const ht_args *args, const char *folder, hither_embedder **out, hither_error *err) {
    const char *engine = args ? ht_args_text(args, HT_OPT_ENGINE, "auto") : "auto";
    char cache[4096];
    HT_TRY(cache_folder(cache, sizeof cache, err));
    hither_embedder_options options = {
        .size = sizeof options, .onnxruntime = getenv("HITHER_ONNXRUNTIME"), .cache = cache};
    if (args)
        options.onnxruntime = ht_args_text(args, HT_OPT_ONNXRUNTIME, options.onnxruntime);
    if (strcmp(engine, "auto") != 0)
        options.engine = strcmp(engine, "own") == 0 ? HITHER_ENGINE_OWN : HITHER_ENGINE_ONNXRUNTIME;
    return hither_embedder_open(folder, &options, out, err);
}

hither_status ht_model_option(const ht_args *args, hither_embedder **out, hither_error *err) {
    const char *folder = ht_args_text(args, HT_OPT_MODEL, NULL);
    return folder ? open_model(args, folder, out, err) : hither_embedder_builtin(out, err);
}

/* Opens the folders of the list in turn; *out NULL if none has that name. A folder that cannot be opened is passed
 * over: it is not the one meant, or nothing could be done with it. */
static hither_status search_list(const char *list, const char *name, hither_embedder **out, hither_error *err) {
    char *folders = ht_strdup(list), *rest = folders;
    if (!folders)
        return ht_fail_nomem(err, strlen(list), "HITHER_MODELS");
    for (char *folder = strtok_r(rest, ":", &rest); folder && !*out; folder = strtok_r(NULL, ":", &rest)) {
        hither_embedder *embedder;
        if (open_model(NULL, folder, &embedder, err) != HITHER_OK)
            continue;
        if (strcmp(hither_embedder_name(embedder), name) == 0)
            *out = embedder;
        else
            hither_embedder_close(embedder);
    }
    ht_release(folders);
    return HITHER_OK;
}

hither_status ht_model_find(const ht_facts *facts, hither_embedder **out, hither_error *err) {
    *out = NULL;
    if (!facts->embeds || strncmp(facts->embedder, "builtin-", 8) == 0)
        return HITHER_OK;
    const char *list = getenv("HITHER_MODELS");
    if (list)
        HT_TRY(search_list(list, facts->embedder, out, err));
    if (*out)
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "the collection was made with the model %s; give its folder by --model DIR%s",
                   facts->embedder, list ? " (none in HITHER_MODELS is it)" : " or HITHER_MODELS=DIR:DIR");
}

hither_status ht_open_for_texts(const ht_args *args, ht_open_how how, ht_opened *out, hither_error *err) {
    hither_embedder *embedder = NULL;
    HT_TRY(ht_open_both(args->operands[0], args->operands[1], how, out, err));
    hither_status status = ht_args_has(args, HT_OPT_MODEL) ? ht_model_option(args, &embedder, err)
                                                           : ht_model_find(&out->facts, &embedder, err);
    if (status == HITHER_OK && embedder) {
        const hither_collection_options options = {
            .size = sizeof options, .flags = HITHER_COLLECTION_EXISTING, .embedder = embedder};
        hither_collection_close(out->collection);
        out->collection = NULL;
        status = hither_collection_open(out->db, args->operands[1], &options, &out->collection, err);
    }
    hither_embedder_close(embedder);
    if (status != HITHER_OK)
        ht_close_both(out);
    return status;
}
