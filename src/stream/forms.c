/*
 * forms.c: see forms.h. Slots of forms that went are reused, so the vectors stay one block to scan; a free slot keeps
 * its old vector and is passed over.
 */
#include "stream/forms.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

#define FIRST_ROOM 64u
#define BLOCK      256u /* rows estimated at a time */

void ht_forms_init(ht_forms *forms, uint32_t dim) {
    *forms = (ht_forms){.dim = dim, .free = HT_NO_FORM};
    forms->stride = (dim * sizeof(float) + 63) / 64 * 64;
}

void ht_forms_clear(ht_forms *forms) {
    for (uint32_t i = 0; i < forms->used; i++)
        ht_release(forms->forms[i].text);
    ht_release(forms->forms);
    ht_release(forms->vectors);
    ht_release(forms->table);
    ht_forms_init(forms, forms->dim);
}

/* ---- the hash table */

static size_t home_of(const ht_forms *forms, uint64_t hash) { return (size_t)hash & forms->table_mask; }

static void table_put(const ht_forms *forms, uint32_t *table, size_t mask, uint32_t slot) {
    size_t at = (size_t)forms->forms[slot].hash & mask;
    while (table[at] != 0)
        at = (at + 1) & mask;
    table[at] = slot + 1;
}

uint32_t ht_forms_find(const ht_forms *forms, const char *text, size_t bytes, uint64_t hash) {
    if (!forms->table)
        return HT_NO_FORM;
    for (size_t at = home_of(forms, hash); forms->table[at] != 0; at = (at + 1) & forms->table_mask) {
        const ht_form *form = &forms->forms[forms->table[at] - 1];
        if (form->hash == hash && form->bytes == bytes && memcmp(form->text, text, bytes) == 0)
            return forms->table[at] - 1;
    }
    return HT_NO_FORM;
}

/* Closes the gap by moving back what would no longer be found: no marks of the dead are left behind. */
static void table_remove(ht_forms *forms, uint32_t slot) {
    size_t mask = forms->table_mask, gap = home_of(forms, forms->forms[slot].hash);
    while (forms->table[gap] != slot + 1)
        gap = (gap + 1) & mask;
    for (size_t at = (gap + 1) & mask; forms->table[at] != 0; at = (at + 1) & mask) {
        size_t home = home_of(forms, forms->forms[forms->table[at] - 1].hash);
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            forms->table[gap] = forms->table[at];
            gap = at;
        }
    }
    forms->table[gap] = 0;
}

static hither_status grow(ht_forms *forms, hither_error *err) {
    uint32_t room = forms->room ? forms->room * 2 : FIRST_ROOM;
    size_t bytes = 0;
    hither_status status = HITHER_OK;
    if (room < forms->room || !ht_mul_size(room, forms->stride, &bytes))
        return ht_fail(err, HITHER_TOO_LARGE, "a window cannot hold more than %u forms", forms->room);
    ht_form *slots = ht_calloc(room, sizeof *slots);
    float *vectors = ht_alloc_aligned(bytes);
    uint32_t *table = ht_calloc((size_t)room * 2, sizeof *table);
    if (!slots || !vectors || !table) {
        status = ht_fail_nomem(err, bytes, "forms of a window");
        goto done;
    }
    if (forms->used > 0) {
        memcpy(slots, forms->forms, forms->used * sizeof *slots);
        memcpy(vectors, forms->vectors, forms->used * forms->stride);
    }
    for (uint32_t i = 0; i < forms->used; i++)
        if (forms->forms[i].birth != 0)
            table_put(forms, table, (size_t)room * 2 - 1, i);
    ht_release(forms->forms);
    ht_release(forms->vectors);
    ht_release(forms->table);
    forms->forms = slots;
    forms->vectors = vectors;
    forms->table = table;
    forms->table_mask = (size_t)room * 2 - 1;
    forms->room = room;
    return HITHER_OK;
done:
    ht_release(table);
    ht_release(vectors);
    ht_release(slots);
    return status;
}

/* ---- neighbours */

static double exact_distance(const ht_forms *forms, uint32_t a, uint32_t b) {
    double dot = ht_kernels_get()->ref_dot_f32(ht_forms_vector(forms, a), ht_forms_vector(forms, b), forms->dim);
    return ht_ref_cosine(dot, forms->forms[a].norm2, forms->forms[b].norm2);
}

static void take_if_nearer(ht_form *form, uint32_t other, uint64_t birth, double distance) {
    if (form->nearest_birth != 0 &&
        (distance > form->distance || (distance == form->distance && birth >= form->nearest_birth)))
        return;
    form->nearest = other;
    form->nearest_birth = birth;
    form->distance = distance;
}

/* Finds the nearest of `slot`. With `offer` also tells every other form of it: it is new, and may be their nearest.
 * Estimates only rule pairs out; the slack covers the kernels' error bound and the roundings of the norms. */
static void scan(ht_forms *forms, uint32_t slot, bool offer) {
    const ht_kernels *kernels = ht_kernels_get();
    ht_form *self = &forms->forms[slot];
    double slack = ((double)forms->dim / kernels->lanes + 8) * 0x1p-23 + 0x1p-20;
    float dots[BLOCK];
    self->nearest_birth = 0;
    for (uint32_t begin = 0; begin < forms->used; begin += BLOCK) {
        uint32_t count = forms->used - begin < BLOCK ? forms->used - begin : BLOCK;
        kernels->dot_f32(ht_forms_vector(forms, slot), ht_forms_vector(forms, begin), forms->stride, count, forms->dim,
                         dots);
        for (uint32_t i = 0; i < count; i++) {
            ht_form *other = &forms->forms[begin + i];
            if (other->birth == 0 || begin + i == slot)
                continue;
            double norms = sqrt(self->norm2 * other->norm2);
            double least = 1.0 - (norms > 0 ? (double)dots[i] / norms : 0.0) - slack;
            bool mine = self->nearest_birth == 0 || least <= self->distance;
            bool theirs = offer && other->nearest_birth != 0 && least <= other->distance;
            if (!mine && !theirs)
                continue;
            double distance = exact_distance(forms, slot, begin + i);
            if (mine)
                take_if_nearer(self, begin + i, other->birth, distance);
            if (theirs)
                take_if_nearer(other, slot, self->birth, distance);
        }
    }
}

uint32_t ht_forms_nearest(ht_forms *forms, uint32_t slot, double *distance) {
    ht_form *form = &forms->forms[slot];
    *distance = 1.0;
    if (forms->live < 2)
        return HT_NO_FORM;
    if (form->nearest_birth == 0 || forms->forms[form->nearest].birth != form->nearest_birth)
        scan(forms, slot, false);
    *distance = form->distance;
    return form->nearest;
}

/* ---- coming and going */

hither_status ht_forms_add(ht_forms *forms, const char *text, size_t bytes, uint64_t hash, const float *vector,
                           uint32_t *slot, hither_error *err) {
    if (forms->free == HT_NO_FORM && forms->used == forms->room)
        HT_TRY(grow(forms, err));
    char *copy = ht_memdup(text, bytes);
    if (!copy)
        return ht_fail_nomem(err, bytes, "a form of a window");
    uint32_t at = forms->free;
    if (at != HT_NO_FORM)
        forms->free = forms->forms[at].next_free;
    else
        at = forms->used++;
    memcpy((char *)forms->vectors + (size_t)at * forms->stride, vector, forms->dim * sizeof *vector);
    forms->forms[at] = (ht_form){.text = copy, .bytes = (uint32_t)bytes, .hash = hash, .birth = ++forms->births};
    forms->forms[at].norm2 = ht_kernels_get()->ref_dot_f32(vector, vector, forms->dim);
    table_put(forms, forms->table, forms->table_mask, at);
    forms->live++;
    scan(forms, at, true);
    *slot = at;
    return HITHER_OK;
}

void ht_forms_remove(ht_forms *forms, uint32_t slot) {
    ht_form *form = &forms->forms[slot];
    table_remove(forms, slot);
    ht_release(form->text);
    *form = (ht_form){.next_free = forms->free};
    forms->free = slot;
    forms->live--;
}
