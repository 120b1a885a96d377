/*
 * import.h: rows out of files. A source reads one format from a reader, one row at a time, and holds no more than a
 * row; it knows no database. cmd_import.c puts the rows into batches.
 *
 * Sources take hostile input: a row is whole and checked (UTF-8, JSON, finite numbers), or `next` fails with a message
 * that names the file and the line (or row), what was expected, and what to do. One thread.
 */
#ifndef HT_CLI_IMPORT_H
#define HT_CLI_IMPORT_H

#include "base/json.h"
#include "npy.h"
#include "reader.h"

/* The longest line (JSONL) or record (CSV): a document, metadata and a long vector fit. */
#define HT_IMPORT_MAX_LINE ((size_t)64 << 20)

typedef enum ht_row_id {
    HT_ROW_ID_INT,  /* a number, and nothing else */
    HT_ROW_ID_TEXT, /* a string, and nothing else */
    HT_ROW_ID_LOOSE /* a number that may as well be taken as text: from CSV, an id file, or a line number */
} ht_row_id;

/* Texts and vector are good until the next row. */
typedef struct ht_row {
    uint64_t place; /* its line (text, jsonl, csv: where it begins) or row (npy) */
    ht_row_id id_kind;
    int64_t id;      /* unless TEXT */
    ht_text id_text; /* unless INT; LOOSE: its digits */
    ht_text document, metadata;
    ht_text fields;      /* what it has in vector fields, as JSON; see row_fields.h */
    const float *vector; /* NULL: none */
    uint32_t dim;
} ht_row;

/* Which fields hold what; NULL means the default names. */
typedef struct ht_fields {
    const char *id, *text, *vector;
    bool named; /* jsonl: "fields" holds what the row has in vector fields, and is no metadata */
    bool parts; /* jsonl and csv: a row may do without a text and a vector */
} ht_fields;

typedef struct ht_source ht_source;
struct ht_source {
    hither_status (*next)(ht_source *source, ht_row *row, bool *end, hither_error *err);
    void (*close)(ht_source *source);
    const char *unit; /* what `place` counts: "line" or "row" */
    uint32_t dim;     /* known beforehand (npy), else 0 */
    bool texts;       /* rows never have vectors (text) */
};

/* Each borrows the reader (and the reader of ids) until close, which NULL is fine for. */
HT_NODISCARD hither_status ht_source_text(ht_reader *r, ht_source **out, hither_error *err);
HT_NODISCARD hither_status ht_source_jsonl(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err);
HT_NODISCARD hither_status ht_source_csv(ht_reader *r, const ht_fields *fields, ht_source **out, hither_error *err);
HT_NODISCARD hither_status ht_source_npy(ht_reader *r, ht_reader *ids, ht_source **out, hither_error *err);
void ht_source_close(ht_source *source);

/* An integer as JSON writes it (no leading zeros or plus, not -0) that fits int64. */
bool ht_canonical_int(const char *text, size_t bytes, int64_t *out);
/* A number as JSON writes it that neither loses digits in a double nor overflows one. */
bool ht_canonical_number(const char *text, size_t bytes);

/* ht_json_parse for JSON that is one line of a file: the message names the column alone. */
HT_NODISCARD hither_status ht_json_parse_line(const char *text, size_t bytes, const char *where, json_t **out,
                                              hither_error *err);

/* Appends the floats of the JSON array of numbers text[0 ... bytes), which has been parsed as JSON already, to out.
 * `where` begins the message. SYNTAX, NOT_FINITE, TOO_LARGE. */
HT_NODISCARD hither_status ht_json_vector(const char *text, size_t bytes, const char *where, ht_buf *out,
                                          hither_error *err);

/* The members of the JSON object text[0 ... bytes), which has been parsed already, as they stand in the text. */
typedef struct ht_member {
    ht_text key;   /* between the quotes, escapes as they are */
    ht_text value; /* without space around */
} ht_member;
/* False at the end. *at is 0 at the start. */
bool ht_json_member(const char *text, size_t bytes, size_t *at, ht_member *member);
/* Whether its key is `name`, whatever escapes are in it. */
bool ht_key_is(const ht_member *m, const char *name);
/* The items of the JSON array text[0 ... bytes), likewise. False at the end. *at is 1 at the start. */
bool ht_json_item(const char *text, size_t bytes, size_t *at, ht_text *item);

#endif
