/*
 * schema.h: what rows of a collection must be like, parsed: declared metadata fields with a type, some required, some
 * unique. docs/collections.md has the meaning, for people:
 *
 *   {"fields": {"year": "int", "tags": "string[]", "mail": {"type": "string", "required": true, "unique": true}},
 *    "closed": true}
 *
 * A schema is hostile input until it is parsed. Immutable afterwards; any thread. Which values are taken already is
 * not known here but in unique.h.
 */
#ifndef HT_ENGINE_SCHEMA_H
#define HT_ENGINE_SCHEMA_H

#include "engine/filter.h"

typedef enum ht_declared_type {
    HT_DECLARED_ANY,
    HT_DECLARED_BOOL,
    HT_DECLARED_INT,
    HT_DECLARED_FLOAT, /* any number */
    HT_DECLARED_STRING
} ht_declared_type;

typedef struct ht_declared {
    ht_filter *path; /* fields[0] is the field */
    char *name;      /* the path as it was written */
    ht_declared_type type;
    bool array, required, unique;
} ht_declared;

typedef struct ht_schema {
    ht_declared *fields;
    size_t count;
    bool closed; /* no other keys at the top level, but "_expires" */
    size_t unique_count;
    ht_buf text; /* as it is stored: of equal schemas the bytes are the same */
} ht_schema;

/* INVALID for what makes no sense, SYNTAX for what is not JSON, TOO_LARGE, ENCODING, NOMEM; messages begin with
 * "schema". */
HT_NODISCARD hither_status ht_schema_parse(const char *text, size_t bytes, ht_schema **out, hither_error *err);
void ht_schema_free(ht_schema *schema);

/* INVALID unless a row's metadata (NULL: it has none) is as declared; uniqueness aside. `row` begins the message. */
HT_NODISCARD hither_status ht_schema_check(const ht_schema *schema, const json_t *metadata, const char *row,
                                           hither_error *err);

#endif
