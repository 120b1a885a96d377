/* model.c: see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

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

static hither_status open_named(const ht_args *args, const char *name, hither_embedder **out, hither_error *err) {
    ht_buf folder;
    hither_status status = ht_models_resolve(name, &folder, err);
    if (status == HITHER_OK)
        status = open_model(args, folder.data, out, err);
    ht_buf_clear(&folder);
    return status;
}

hither_status ht_model_option(const ht_args *args, hither_embedder **out, hither_error *err) {
    const char *name = ht_args_text(args, HT_OPT_MODEL, NULL);
    return name ? open_named(args, name, out, err) : hither_embedder_builtin(out, err);
}

typedef struct search {
    const char *name;
    hither_embedder *found;
} search;

/* A folder that cannot be opened is passed over: it is not the one meant, or nothing could be done with it. */
static bool try_folder(void *ctx, const char *folder) {
    search *s = ctx;
    hither_embedder *embedder;
    if (open_model(NULL, folder, &embedder, NULL) != HITHER_OK)
        return true;
    if (strcmp(hither_embedder_name(embedder), s->name) == 0)
        s->found = embedder;
    else
        hither_embedder_close(embedder);
    return s->found == NULL;
}

hither_status ht_model_find(const ht_facts *facts, hither_embedder **out, hither_error *err) {
    *out = NULL;
    if (!facts->embeds || strncmp(facts->embedder, "builtin-", 8) == 0)
        return HITHER_OK;
    search s = {facts->embedder, NULL};
    HT_TRY(ht_models_each(try_folder, &s, err));
    *out = s.found;
    if (*out)
        return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "the collection was made with the model %s; give its folder by --model DIR%s",
                   facts->embedder,
                   getenv("HITHER_MODELS") ? " (none in HITHER_MODELS or of `hither model list` is it)"
                                           : " or HITHER_MODELS=DIR:DIR, or add it by `hither model add DIR`");
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
