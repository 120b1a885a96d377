/* fields.h: vector fields beside rows' own vectors, as the command line has them. */
#ifndef HT_CLI_FIELDS_H
#define HT_CLI_FIELDS_H

#include "hither.h"

typedef struct ht_field_list {
    hither_field fields[HITHER_MAX_FIELDS];
    size_t count;
    char *text; /* what the names are in */
} ht_field_list;

/* "NAME:DIM[:METRIC]", "NAME:DIM:multi[:MOST]" or "NAME:sparse[:MOST]", several with commas between; NULL: none.
 * INVALID says what is wrong. To be cleared in any case. */
hither_status ht_fields_parse(const char *text, ht_field_list *out, hither_error *err);
/* Those of a collection. To be cleared in any case. */
hither_status ht_fields_of(hither_collection *c, ht_field_list *out, hither_error *err);
void ht_fields_clear(ht_field_list *list);

/* What the collection says of a field: kind, dim and metric. NOT_FOUND. */
hither_status ht_field_look(hither_collection *c, const char *name, hither_field *out, hither_error *err);

#endif
