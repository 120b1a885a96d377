/*
 * forms.h: the distinct forms of a window's records: key, vector, how many records have it, and which other form is
 * nearest. The key is a masked text, or the bytes of the vector itself. Exact: distances are the reference distance D;
 * the nearest form is the one with the smallest D, and of several the oldest, at every SIMD level.
 *
 * Slots are in order of birth, so a form's nearest is kept by looking at the younger ones only, and whole blocks of
 * rows have 4-bit codes (index/codes.h) that are written once. What forms leave behind is closed by ht_forms_reserve,
 * which moves them. Vectors are borrowed: each lies where its form's newest record has it (ht_forms_lies), so only
 * codes are kept here. Codes lie in slabs, so that growing copies none; nothing is given back before ht_forms_clear, so
 * that a window whose forms come and go soon asks for no more memory. One thread at a time: the window's mutex guards
 * it. The caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_STREAM_FORMS_H
#define HT_STREAM_FORMS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/topk.h"
#include "index/exact.h"

#define HT_NO_FORM   UINT32_MAX
#define HT_FORM_SLAB 1024u /* rows */

typedef struct ht_form {
    char *text;      /* NULL: the vector is the key */
    uint32_t bytes;  /* of the key */
    uint32_t room;   /* of text */
    uint32_t count;  /* records of this form; the window's business, as are the next two */
    uint64_t newest; /* number of its latest record */
    bool alarmed;    /* one of its records was an alarm */
    uint8_t level;   /* that its records state, + 1; 0: not looked for yet */
    uint64_t hash;
    uint64_t birth; /* rises with every form; 0: it has gone */
    double norm2;
    double scale;           /* 1 / length, 0 for the zero vector */
    double distance;        /* to the nearest form in a slot below `seen` */
    uint64_t nearest_birth; /* of that form, to see that it is still the same; 0: not known */
    uint32_t nearest, seen;
} ht_form;

/* Memory for a text. */
typedef struct ht_text_room {
    char *text;
    uint32_t room;
} ht_text_room;

typedef struct ht_forms {
    uint32_t dim, most, room, used, live;
    uint64_t births;
    ht_form *forms;       /* by slot */
    const float **places; /* where the vector of each slot lies */
    float *nothing;       /* the vector of those that went: zeros */
    void **codes;         /* of HT_FORM_SLAB rows each; NULL: not used so far, or the dimension is too small */
    uint32_t coded;       /* the first so many rows have theirs */
    size_t stride;        /* of a vector, which has zeros past the dimension */
    float *norms;
    ht_part *parts; /* of a search */
    ht_exact_scratch scratch;
    ht_text_room *spare; /* texts of forms that went */
    uint32_t spares;
    uint64_t *alive; /* a bit a slot */
    const uint64_t **chunks;
    uint32_t *moved; /* where ht_forms_reserve put a slot */
    uint32_t *table; /* slot + 1 by hash, linear probing; 0: empty */
    size_t table_mask;
} ht_forms;

/* most: forms that live at a time. */
void ht_forms_init(ht_forms *forms, uint32_t dim, uint32_t most);
void ht_forms_clear(ht_forms *forms);

uint64_t ht_form_hash(const void *data, size_t bytes, bool is_vector);

/* The slot of the form with this key, or HT_NO_FORM. */
uint32_t ht_forms_find(const ht_forms *forms, const void *key, size_t bytes, bool is_vector, uint64_t hash);
/* Room for one more form. *moved (new slot by old one) is set if the forms changed their slots, else NULL. NOMEM
 * changes nothing. */
HT_NODISCARD hither_status ht_forms_reserve(ht_forms *forms, const uint32_t **moved, hither_error *err);
/* Adds a form that is not there, with count 0, after ht_forms_reserve; text NULL: the vector is the key. The vector is
 * not copied; by the next search it must have zeros up to `stride` bytes. NOMEM changes nothing. */
HT_NODISCARD hither_status ht_forms_add(ht_forms *forms, const char *text, size_t bytes, uint64_t hash,
                                        const float *vector, uint32_t *slot, hither_error *err);
void ht_forms_remove(ht_forms *forms, uint32_t slot);

static inline const float *ht_forms_vector(const ht_forms *forms, uint32_t slot) { return forms->places[slot]; }
/* The same vector lies there now, and stays until this is called again or the form goes. */
static inline void ht_forms_lies(const ht_forms *forms, uint32_t slot, const float *vector) {
    forms->places[slot] = vector;
}
/* The slot of the nearest other form and its D; HT_NO_FORM and 1 if it is the only one. NOMEM. */
HT_NODISCARD hither_status ht_forms_nearest(ht_forms *forms, uint32_t slot, uint32_t *nearest, double *distance,
                                            hither_error *err);
/* The k forms nearest to the query (or all, if fewer) by D and slot. hits has room for k. NOMEM. */
HT_NODISCARD hither_status ht_forms_search(ht_forms *forms, const float *query, uint32_t first, size_t k, ht_hit *hits,
                                           size_t *count, hither_error *err);

#endif
