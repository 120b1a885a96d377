/*
 * forms.h: the distinct masked forms of a window: text, vector, how many records have it, and which other form is
 * nearest. Exact: distances are the reference distance D; the nearest form is the one with the smallest D, and of
 * several the oldest, at every SIMD level.
 *
 * A form's nearest is kept up to date as forms come (one scan per new form serves all) and looked for again only when
 * the nearest one has gone. One thread at a time: the window's mutex guards it.
 */
#ifndef HT_STREAM_FORMS_H
#define HT_STREAM_FORMS_H

#include <stdbool.h>

#include "base/error.h"

#define HT_NO_FORM UINT32_MAX

typedef struct ht_form {
    char *text;
    uint32_t bytes;
    uint32_t count; /* records of this form; the window's business */
    uint64_t hash;
    uint64_t newest; /* number of the newest of them; the window's too */
    uint64_t birth;  /* rises with every form; 0: the slot is free */
    double norm2;
    double distance;        /* to the nearest other form */
    uint64_t nearest_birth; /* of that form, to see that it is still the same; 0: not known */
    uint32_t nearest;
    uint32_t next_free;
} ht_form;

typedef struct ht_forms {
    uint32_t dim, room, used, live, free;
    uint64_t births;
    ht_form *forms; /* by slot */
    float *vectors; /* room rows of stride bytes */
    size_t stride;
    uint32_t *table; /* slot + 1 by hash, linear probing; 0: empty */
    size_t table_mask;
} ht_forms;

void ht_forms_init(ht_forms *forms, uint32_t dim);
void ht_forms_clear(ht_forms *forms);

/* The slot of the form with this text, or HT_NO_FORM. */
uint32_t ht_forms_find(const ht_forms *forms, const char *text, size_t bytes, uint64_t hash);
/* Adds a form that is not there, with count 0; vector has dim floats. NOMEM changes nothing. */
HT_NODISCARD hither_status ht_forms_add(ht_forms *forms, const char *text, size_t bytes, uint64_t hash,
                                        const float *vector, uint32_t *slot, hither_error *err);
void ht_forms_remove(ht_forms *forms, uint32_t slot);

static inline const float *ht_forms_vector(const ht_forms *forms, uint32_t slot) {
    return (const float *)(const void *)((const char *)forms->vectors + (size_t)slot * forms->stride);
}
/* The slot of the nearest other form and its D; HT_NO_FORM (and distance 1) if it is the only one. */
uint32_t ht_forms_nearest(ht_forms *forms, uint32_t slot, double *distance);

#endif
