/* model_files.c: see model_files.h. */
#include "embed/model_files.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum { MAX_CONFIG = 1 << 20, MAX_PREFIX = 1024 };

/* The text of a file, at most `most` bytes; a missing one is OK and leaves *there false. */
hither_status ht_model_read_file(const ht_io *io, const char *folder, const char *name, size_t most, ht_buf *out,
                                 bool *there, hither_error *err) {
    uint64_t bytes = 0;
    ht_io_kind kind = HT_IO_ABSENT;
    ht_file *file = NULL;
    ht_buf_init(out, most + 1);
    *there = false;
    char *path = ht_path_join(folder, name);
    if (!path)
        return ht_fail_nomem(err, strlen(folder), "a path");
    hither_status status = io->stat(io->ctx, path, &kind, &bytes, err);
    if (status == HITHER_OK && kind != HT_IO_ABSENT) {
        *there = true;
        status = io->open(io->ctx, path, 0, &file, err);
        if (status == HITHER_OK)
            status = io->file_size(file, &bytes, err);
        if (status == HITHER_OK && bytes > most)
            status = ht_fail(err, HITHER_TOO_LARGE, "%.150s: %llu bytes; at most %zu are read", path,
                             (unsigned long long)bytes, most);
        char *room = status == HITHER_OK ? ht_buf_grow(out, (size_t)bytes) : NULL;
        if (status == HITHER_OK)
            status = room ? io->read_at(file, room, (size_t)bytes, 0, err) : ht_buf_check(out, "a file", err);
        if (file)
            io->close(file);
    }
    ht_release(path);
    return status;
}

/* A JSON file; *out NULL where it is missing. */
hither_status ht_model_read_json(const ht_io *io, const char *folder, const char *name, json_t **out,
                                 hither_error *err) {
    ht_buf text;
    bool there;
    *out = NULL;
    hither_status status = ht_model_read_file(io, folder, name, MAX_CONFIG, &text, &there, err);
    if (status == HITHER_OK && there)
        status = ht_json_parse(text.data ? text.data : "", text.size, MAX_CONFIG, name, out, err);
    ht_buf_clear(&text);
    return status;
}

static hither_status read_lowercase(const ht_io *io, const char *folder, bool *out, hither_error *err) {
    json_t *config;
    HT_TRY(ht_model_read_json(io, folder, "tokenizer_config.json", &config, err));
    *out = !json_is_false(json_object_get(config, "do_lower_case"));
    json_decref(config);
    return HITHER_OK;
}

hither_status ht_model_read_tokenizer(const ht_io *io, const char *folder, uint32_t vectors, ht_tokenizer **out,
                                      uint64_t *digest, hither_error *err) {
    ht_buf text;
    bool there, lowercase = true;
    hither_status status = ht_model_read_file(io, folder, "tokenizer.json", HT_TOKENIZER_MAX_FILE, &text, &there, err);
    bool json = there;
    if (status == HITHER_OK && !there) {
        ht_buf_clear(&text);
        status = ht_model_read_file(io, folder, "vocab.txt", HT_TOKENIZER_MAX_FILE, &text, &there, err);
        if (status == HITHER_OK && !there)
            status = ht_fail(err, HITHER_MODEL, "%.150s: there is neither tokenizer.json nor vocab.txt", folder);
        if (status == HITHER_OK)
            status = read_lowercase(io, folder, &lowercase, err);
    }
    const char *data = text.data ? text.data : "";
    if (status == HITHER_OK)
        status = json ? ht_tokenizer_from_json(data, text.size, "tokenizer.json", out, err)
                      : ht_tokenizer_from_vocab(data, text.size, lowercase, "vocab.txt", out, err);
    if (status == HITHER_OK)
        *digest = ht_hash64(data, text.size, *digest + lowercase);
    ht_buf_clear(&text);
    if (status == HITHER_OK && ht_tokenizer_ids(*out) > vectors)
        status = ht_fail(err, HITHER_MODEL, "the tokenizer gives numbers up to %u, the model has vectors for %u tokens",
                         ht_tokenizer_ids(*out) - 1, vectors);
    return status;
}

static hither_status set_prefix(ht_embedder *out, ht_embed_role role, const char *text, hither_error *err) {
    ht_release(out->prefixes[role]);
    out->prefixes[role] = ht_strdup(text);
    if (!out->prefixes[role])
        return ht_fail_nomem(err, strlen(text), "a prefix");
    size_t bytes = strlen(text);
    if (bytes > MAX_PREFIX)
        return ht_fail(err, HITHER_TOO_LARGE, "a prefix of %zu bytes; at most %d are possible", bytes, MAX_PREFIX);
    if (ht_utf8_valid_prefix(text, bytes) < bytes)
        return ht_fail(err, HITHER_ENCODING, "a prefix is not UTF-8");
    return HITHER_OK;
}

hither_status ht_model_read_prefixes(const ht_io *io, const char *folder, const ht_model_options *o, ht_embedder *out,
                                     hither_error *err) {
    static const char *const keys[2][2] = {{"document", "passage"}, {"query", "query"}};
    json_t *config;
    HT_TRY(ht_model_read_json(io, folder, "config_sentence_transformers.json", &config, err));
    const json_t *prompts = json_object_get(config, "prompts");
    hither_status status = HITHER_OK;
    for (int role = 0; status == HITHER_OK && role < 2; role++) {
        const char *text = json_string_value(json_object_get(prompts, keys[role][0]));
        if (!text)
            text = json_string_value(json_object_get(prompts, keys[role][1]));
        const char *given = role == HT_EMBED_QUERY ? o->query_prefix : o->document_prefix;
        status = set_prefix(out, (ht_embed_role)role, given ? given : text ? text : "", err);
    }
    json_decref(config);
    return status;
}
