/*
 * filter.h: `where`, parsed: a small immutable tree of conditions on a row's metadata and document. docs/filters.md has
 * the meaning, for people; this is its one home in code besides: a condition is true or false for every row, whatever
 * is stored, and what makes no sense is refused when the filter is parsed, with the place in it.
 *
 * The tree is an array of nodes in preorder: the children of a node stand right after it, each followed by its own, and
 * `end` is the index after the last of them. Negated operators are a NOT over the positive one, so that every leaf is
 * positive: false where the field is missing or of another type.
 *
 * A filter is hostile input until it is parsed; how deep, long and wide it may be is bounded by HITHER_MAX_WHERE_... .
 * Any thread may read one filter.
 */
#ifndef HT_ENGINE_FILTER_H
#define HT_ENGINE_FILTER_H

#include "base/json.h"
#include "base/regex.h"
#include "base/strings.h"

/* What a field may hold. Also the types of cells in columns. */
typedef enum ht_value_type {
    HT_MISSING = 0, /* no such field */
    HT_NULL,
    HT_BOOL,
    HT_INT,
    HT_REAL,
    HT_STRING,
    HT_LIST,  /* a JSON array */
    HT_OBJECT /* or an array within an array: nothing but $exists is ever true of it */
} ht_value_type;
enum { HT_VALUE_TYPES = HT_OBJECT + 1 };

typedef struct ht_value {
    ht_value_type type;
    int64_t integer; /* of INT; of BOOL 0 or 1 */
    double real;
    ht_text text; /* of STRING */
} ht_value;

typedef enum ht_filter_op {
    HT_AND, /* of its children, one or more */
    HT_OR,
    HT_NOT, /* of its one child */
    /* leaves */
    HT_IN, /* equal to one of its values; $eq has one value, $in any number */
    HT_GT,
    HT_GTE,
    HT_LT,
    HT_LTE,
    HT_EXISTS,
    HT_CONTAINS,
    HT_MATCHES /* a regular expression */
} ht_filter_op;

#define HT_DOCUMENT UINT32_MAX /* the field of a leaf on the row's document */

typedef struct ht_filter_node {
    ht_filter_op op;
    uint32_t end;          /* the index after its subtree */
    uint32_t field;        /* of a leaf: index into fields, or HT_DOCUMENT */
    uint32_t first, count; /* of a leaf: its values */
    ht_regex *regex;       /* of MATCHES */
} ht_filter_node;

/* The way to a field: keys of nested objects, outermost first, each ended by a NUL (which no key holds). */
typedef struct ht_field {
    char *keys;
    size_t bytes; /* with all the NULs; two fields are the same iff these bytes are */
} ht_field;

typedef struct ht_filter {
    ht_filter_node *nodes;
    uint32_t node_count, node_room;
    ht_value *values; /* their texts belong to `source` */
    uint32_t value_count, value_room;
    ht_field *fields; /* each once */
    uint32_t field_count, field_room;
    uint32_t regex_count;
    bool documents; /* some leaf is on the document */
    json_t *source;
    char *text; /* as it was parsed, where what it selects may be kept under that name; else NULL */
    size_t text_bytes;
} ht_filter;

/* INVALID for what makes no sense, SYNTAX for what is not JSON, TOO_LARGE, ENCODING, NOMEM; messages begin with
 * "where" and the place in it. */
HT_NODISCARD hither_status ht_filter_parse(const char *text, size_t bytes, ht_filter **out, hither_error *err);
/* A filter that only asks whether one field is there: how a field is named where its values are wanted (fields[0]).
 * path is as in a filter. INVALID begins with `what`. */
HT_NODISCARD hither_status ht_filter_field(const char *path, const char *what, ht_filter **out, hither_error *err);
void ht_filter_free(ht_filter *filter);

/* The value of a field in a metadata object; metadata NULL: MISSING. An array is HT_LIST; *list is then its JSON. */
ht_value ht_field_value(const ht_field *field, const json_t *metadata, const json_t **list);
/* The value of one JSON value that is not an array; arrays give HT_OBJECT, as they do within an array. */
ht_value ht_value_of(const json_t *json);

/* Whether a row matches: the slow and obvious way, a tree walk over parsed JSON. metadata and document may be missing
 * (NULL). The columns (column.h) must agree with this for every row. */
bool ht_filter_matches(const ht_filter *filter, const json_t *metadata, ht_text document);

/* Whether a string is as CONTAINS, MATCHES, GT, GTE, LT or LTE wants it. */
bool ht_string_holds(const ht_filter *filter, const ht_filter_node *leaf, ht_text text);
/* Whether the bytes of `part` stand somewhere in `whole`. An empty part always does. */
bool ht_text_contains(ht_text whole, ht_text part);

/* Below, at or above 0 for two numbers, or for two strings. */
int ht_value_compare(const ht_value *a, const ht_value *b);
/* -1, 0, 1 by the exact values, whatever a conversion would round. */
int ht_compare_int_real(int64_t a, double b);

#endif
