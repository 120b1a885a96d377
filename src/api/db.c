/*
 * db.c: the database part of hither.h. Any thread.
 */
#include <string.h>

#include "api/api.h"

static hither_status check_name(const char *name, const char *what, hither_error *err) {
    if (!name)
        return ht_fail(err, HITHER_INVALID, "%s is NULL", what);
    size_t bytes = strlen(name);
    if (bytes < 1 || bytes > HITHER_MAX_NAME_BYTES)
        return ht_fail(err, HITHER_INVALID, "%s has %zu bytes; names have 1 to %u", what, bytes, HITHER_MAX_NAME_BYTES);
    size_t valid = ht_utf8_valid_prefix(name, bytes);
    if (valid < bytes)
        return ht_fail(err, HITHER_INVALID, "%s is not UTF-8 at byte %zu", what, valid);
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char *c = (const unsigned char *)name + i;
        bool control = *c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
        if (control || *c == '/')
            return ht_fail(err, HITHER_INVALID, "%s has a %s at byte %zu", what, control ? "control character" : "'/'",
                           i);
    }
    return HITHER_OK;
}

hither_status ht_name_check(const char *name, hither_error *err) {
    return check_name(name, "the collection's name", err);
}

hither_status hither_db_open(const char *path, const hither_db_options *options, hither_db **out, hither_error *err) {
    hither_db_options o;
    if (!out)
        return ht_fail(err, HITHER_INVALID, "out is NULL");
    *out = NULL;
    if (!path || !*path)
        return ht_fail(err, HITHER_INVALID, "the path of a database is missing");
    HT_TRY(ht_options_read(&o, sizeof o, options, "hither_db_options", err));
    if (o.io)
        HT_TRY(ht_io_check(o.io, err));
    if (o.flags & ~(uint32_t)(HITHER_OPEN_READONLY | HITHER_OPEN_EXISTING | HITHER_OPEN_NETWORK))
        return ht_fail(err, HITHER_UNSUPPORTED, "hither_db_options.flags has unknown bits: 0x%x", o.flags);
    if (o.durability && (o.durability < HITHER_DURABILITY_FULL || o.durability > HITHER_DURABILITY_RELAXED))
        return ht_fail(
            err, HITHER_INVALID,
            "hither_db_options.durability is %d; HITHER_DURABILITY_FULL (%d), _MEMORY (%d) and _RELAXED (%d) exist",
            (int)o.durability, HITHER_DURABILITY_FULL, HITHER_DURABILITY_MEMORY, HITHER_DURABILITY_RELAXED);
    ht_db_settings settings = {.io = o.io,
                               .flags = o.flags,
                               .busy_timeout_ms = o.busy_timeout_ms,
                               .relaxed_ms = o.relaxed_ms,
                               .buffer_bytes = o.buffer_bytes,
                               .flush_rows = o.flush_rows};
    settings.flags |= o.durability == HITHER_DURABILITY_MEMORY    ? HT_OPEN_UNSYNCED
                      : o.durability == HITHER_DURABILITY_RELAXED ? HT_OPEN_RELAXED
                                                                  : 0;
    ht_db *db;
    HT_TRY(ht_db_open(&settings, path, &db, err));
    *out = (hither_db *)db;
    return HITHER_OK;
}

const hither_io *hither_io_system(void) { return ht_io_posix(); }

void hither_db_close(hither_db *db) { ht_db_close(ht_db_in(db)); }

static hither_status check_call(const void *handle, const void *out, hither_error *err) {
    if (!handle)
        return ht_fail(err, HITHER_INVALID, "the database is NULL");
    if (!out)
        return ht_fail(err, HITHER_INVALID, "out is NULL");
    return HITHER_OK;
}

hither_status hither_db_flush(hither_db *db, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    return ht_db_flush(ht_db_in(db), err);
}

hither_status hither_db_list(hither_db *db, hither_result **out, hither_error *err) {
    HT_TRY(check_call(db, out, err));
    return ht_db_list(ht_db_in(db), out, err);
}

hither_status hither_db_info(hither_db *db, hither_result **out, hither_error *err) {
    HT_TRY(check_call(db, out, err));
    return ht_db_info(ht_db_in(db), out, err);
}

hither_status hither_db_drop(hither_db *db, const char *name, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    HT_TRY(ht_name_check(name, err));
    return ht_db_drop(ht_db_in(db), name, err);
}

hither_status hither_db_rename(hither_db *db, const char *from, const char *to, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    HT_TRY(ht_name_check(from, err));
    HT_TRY(check_name(to, "the new name", err));
    return ht_db_rename(ht_db_in(db), from, to, err);
}

hither_status hither_db_verify(hither_db *db, hither_result **report, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    return ht_db_verify(ht_db_in(db), NULL, report, err);
}

hither_status hither_db_verify_fast(hither_db *db, hither_result **report, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    return ht_db_verify_fast(ht_db_in(db), report, err);
}

hither_status ht_new_path_check(const char *path, hither_error *err) {
    if (!path || !*path)
        return ht_fail(err, HITHER_INVALID, "the path of the new database is missing");
    if (strcmp(path, ":memory:") == 0)
        return ht_fail(err, HITHER_INVALID, "the new database is a folder; name one instead of :memory:");
    return HITHER_OK;
}

hither_status hither_db_backup(hither_db *db, const char *path, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    HT_TRY(ht_new_path_check(path, err));
    return ht_db_backup(ht_db_in(db), path, NULL, err);
}

hither_status hither_db_pack(hither_db *db, const char *path, hither_error *err) {
    HT_TRY(check_call(db, db, err));
    if (!path || !*path || strcmp(path, ":memory:") == 0)
        return ht_fail(err, HITHER_INVALID, "the path of the pack is missing");
    return ht_db_pack(ht_db_in(db), path, err);
}

hither_status hither_db_repair(const char *path, const char *to, hither_result **report, hither_error *err) {
    if (!path || !*path)
        return ht_fail(err, HITHER_INVALID, "the path of the damaged database is missing");
    HT_TRY(ht_new_path_check(to, err));
    return ht_db_repair(path, to, NULL, report, err);
}
