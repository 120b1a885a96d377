/*
 * forms.c: see forms.h. A form that goes leaves its slot behind, passed over by its bit in `alive`, until the slots run
 * out; then the living move together if that frees enough, or the arrays grow.
 */
#include "stream/forms.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "index/codes.h"
#include "index/exact.h"
#include "kernels/kernels.h"
#include "kernels/reference.h"

#define FIRST_ROOM      64u
#define LEAST_CODED_DIM 32u   /* below, codes are hardly smaller than rows */
#define CHUNK_WORDS     1024u /* of ht_mask */
#define TEXT_STEP       64u   /* texts get room in steps of so many bytes */
#define FEW             24u   /* forms sooner compared one by one than searched */

void ht_forms_init(ht_forms *forms, uint32_t dim, uint32_t most) {
    *forms = (ht_forms){.dim = dim, .most = most};
    forms->stride = ((size_t)dim * sizeof(float) + 63) / 64 * 64;
}

static uint32_t slabs_of(uint32_t rows) { return (rows + HT_FORM_SLAB - 1) / HT_FORM_SLAB; }

/* Not what they point to. */
static void release_arrays(ht_forms *forms) {
    ht_release(forms->forms);
    ht_release((void *)forms->places);
    ht_release((void *)forms->codes);
    ht_release(forms->norms);
    ht_release(forms->parts);
    ht_release(forms->spare);
    ht_release(forms->alive);
    ht_release((void *)forms->chunks);
    ht_release(forms->moved);
    ht_release(forms->table);
}

void ht_forms_clear(ht_forms *forms) {
    for (uint32_t i = 0; i < forms->used; i++)
        ht_release(forms->forms[i].text);
    for (uint32_t i = 0; i < forms->spares; i++)
        ht_release(forms->spare[i].text);
    for (uint32_t i = 0; i < slabs_of(forms->room); i++)
        ht_release(forms->codes[i]);
    ht_release(forms->nothing);
    ht_exact_scratch_clear(&forms->scratch);
    release_arrays(forms);
    ht_forms_init(forms, forms->dim, forms->most);
}

/* ---- the hash table */

/* Eight bytes at a step. Only this process sees the values. */
uint64_t ht_form_hash(const void *data, size_t bytes, bool is_vector) {
    const char *p = data;
    uint64_t h = bytes * 2 + is_vector, word;
    for (; bytes >= sizeof word; bytes -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    word = 0;
    if (bytes > 0)
        memcpy(&word, p, bytes);
    return ht_mix64(h ^ word);
}

static void table_put(const ht_forms *forms, uint32_t slot) {
    size_t at = (size_t)forms->forms[slot].hash & forms->table_mask;
    while (forms->table[at] != 0)
        at = (at + 1) & forms->table_mask;
    forms->table[at] = slot + 1;
}

static bool has_key(const ht_forms *forms, uint32_t slot, const void *key, size_t bytes, bool is_vector) {
    const ht_form *form = &forms->forms[slot];
    if (form->bytes != bytes || is_vector != (form->text == NULL))
        return false;
    return memcmp(is_vector ? (const void *)ht_forms_vector(forms, slot) : form->text, key, bytes) == 0;
}

uint32_t ht_forms_find(const ht_forms *forms, const void *key, size_t bytes, bool is_vector, uint64_t hash) {
    if (!forms->table)
        return HT_NO_FORM;
    for (size_t at = (size_t)hash & forms->table_mask; forms->table[at] != 0; at = (at + 1) & forms->table_mask) {
        uint32_t slot = forms->table[at] - 1;
        if (forms->forms[slot].hash == hash && has_key(forms, slot, key, bytes, is_vector))
            return slot;
    }
    return HT_NO_FORM;
}

/* Closes the gap by moving back what would no longer be found: no marks of the dead are left behind. */
static void table_remove(ht_forms *forms, uint32_t slot) {
    size_t mask = forms->table_mask, gap = (size_t)forms->forms[slot].hash & mask;
    while (forms->table[gap] != slot + 1)
        gap = (gap + 1) & mask;
    for (size_t at = (gap + 1) & mask; forms->table[at] != 0; at = (at + 1) & mask) {
        size_t home = (size_t)forms->forms[forms->table[at] - 1].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            forms->table[gap] = forms->table[at];
            gap = at;
        }
    }
    forms->table[gap] = 0;
}

static void table_fill(ht_forms *forms) {
    memset(forms->table, 0, (forms->table_mask + 1) * sizeof *forms->table);
    for (uint32_t i = 0; i < forms->used; i++)
        if (forms->forms[i].birth != 0)
            table_put(forms, i);
}

/* ---- room */

static void set_alive(const ht_forms *forms, uint32_t slot, bool alive) {
    uint64_t bit = (uint64_t)1 << slot % 64;
    if (alive)
        forms->alive[slot / 64] |= bit;
    else
        forms->alive[slot / 64] &= ~bit;
}

/* The block of codes that a slot is in. */
static char *code_block(const ht_forms *forms, uint32_t slot) {
    return (char *)forms->codes[slot / HT_FORM_SLAB] +
           ht_codes_bytes(slot % HT_FORM_SLAB / HT_CODE_ROWS * HT_CODE_ROWS, forms->dim);
}

/* At the first search after rows came: who only pushes need not pay. */
static void make_codes(ht_forms *forms) {
    const uint32_t end = forms->dim >= LEAST_CODED_DIM ? forms->used / HT_CODE_ROWS * HT_CODE_ROWS : 0;
    for (; forms->coded < end; forms->coded++)
        ht_codes_make_row(forms->places[forms->coded], forms->dim, code_block(forms, forms->coded),
                          forms->coded % HT_CODE_ROWS);
}

/* An eighth more than can live: the living move together once for so many new forms. */
static uint32_t largest_room(const ht_forms *forms) {
    return (forms->most + forms->most / 8 + 2 * FIRST_ROOM) / FIRST_ROOM * FIRST_ROOM;
}

static hither_status grow(ht_forms *forms, hither_error *err) {
    uint32_t room = forms->room ? forms->room * 2 : FIRST_ROOM;
    if (room > largest_room(forms))
        room = largest_room(forms);
    size_t slots = 1, words = room / 64, slabs = slabs_of(room);
    while (slots < (size_t)room * 2)
        slots *= 2;
    ht_forms new = *forms;
    new.room = room;
    new.table_mask = slots - 1;
    new.forms = ht_calloc(room, sizeof *new.forms);
    new.places = ht_calloc(room, sizeof *new.places);
    new.codes = ht_calloc(slabs, sizeof *new.codes);
    new.norms = ht_calloc(room, sizeof *new.norms);
    new.parts = ht_calloc(slabs, sizeof *new.parts);
    new.spare = ht_calloc(room, sizeof *new.spare);
    new.alive = ht_calloc((words + CHUNK_WORDS - 1) / CHUNK_WORDS * CHUNK_WORDS, sizeof *new.alive);
    new.chunks = ht_calloc((words + CHUNK_WORDS - 1) / CHUNK_WORDS, sizeof *new.chunks);
    new.moved = ht_calloc((size_t)room + 1, sizeof *new.moved);
    new.table = ht_calloc(slots, sizeof *new.table);
    if (!new.forms || !new.places || !new.codes || !new.norms || !new.parts || !new.spare || !new.alive ||
        !new.chunks || !new.moved || !new.table) {
        release_arrays(&new);
        return ht_fail_nomem(err, room * sizeof *new.forms, "forms of a window");
    }
    if (forms->room > 0) {
        memcpy(new.forms, forms->forms, forms->used * sizeof *new.forms);
        memcpy((void *)new.places, (void *)forms->places, forms->used * sizeof *new.places);
        memcpy((void *)new.codes, (void *)forms->codes, slabs_of(forms->room) * sizeof *new.codes);
        memcpy(new.norms, forms->norms, forms->used * sizeof *new.norms);
        memcpy(new.spare, forms->spare, forms->spares * sizeof *new.spare);
        memcpy(new.alive, forms->alive, ((size_t)forms->used + 63) / 64 * sizeof *new.alive);
    }
    for (size_t i = 0; i * CHUNK_WORDS < words; i++)
        new.chunks[i] = new.alive + i *CHUNK_WORDS;
    release_arrays(forms);
    *forms = new;
    table_fill(forms);
    return HITHER_OK;
}

/* Memory for the codes of the next row; the last slab has no more rows than there can be. */
static hither_status need_slab(ht_forms *forms, hither_error *err) {
    const uint32_t i = forms->used / HT_FORM_SLAB, left = largest_room(forms) - i * HT_FORM_SLAB;
    const size_t bytes = ht_codes_bytes(left < HT_FORM_SLAB ? left : HT_FORM_SLAB, forms->dim);
    if (!forms->nothing) {
        forms->nothing = ht_alloc_aligned(forms->stride);
        if (!forms->nothing)
            return ht_fail_nomem(err, forms->stride, "forms of a window");
        memset(forms->nothing, 0, forms->stride);
    }
    if (forms->codes[i] || forms->dim < LEAST_CODED_DIM)
        return HITHER_OK;
    forms->codes[i] = ht_alloc_aligned(bytes);
    return forms->codes[i] ? HITHER_OK : ht_fail_nomem(err, bytes, "forms of a window");
}

/* Moves the living together, in order. */
static void compact(ht_forms *forms) {
    uint32_t to = 0;
    for (uint32_t i = 0; i < forms->used; i++) {
        forms->moved[i] = to; /* of the dead: where the next of the living went */
        to += forms->forms[i].birth != 0;
    }
    forms->moved[forms->used] = to;
    uint32_t first = 0;
    while (first < forms->used && forms->forms[first].birth != 0)
        first++;
    for (uint32_t i = 0; i < forms->used; i++) {
        ht_form *form = &forms->forms[i];
        if (form->birth == 0)
            continue;
        form->seen = forms->moved[form->seen];
        if (form->nearest_birth != 0 && forms->forms[form->nearest].birth != form->nearest_birth)
            form->nearest_birth = 0; /* before its slot is another's */
    }
    for (uint32_t i = 0; i < forms->used; i++)
        if (forms->forms[i].birth != 0 && forms->forms[i].nearest_birth != 0)
            forms->forms[i].nearest = forms->moved[forms->forms[i].nearest];
    for (uint32_t i = first; i < forms->used; i++) {
        if (forms->forms[i].birth == 0)
            continue;
        const uint32_t now = forms->moved[i];
        forms->forms[now] = forms->forms[i];
        forms->places[now] = forms->places[i];
        forms->norms[now] = forms->norms[i];
        if (i < forms->coded)
            ht_codes_copy_row(code_block(forms, i), i % HT_CODE_ROWS, forms->dim, code_block(forms, now),
                              now % HT_CODE_ROWS);
    }
    for (uint32_t i = 0; i < forms->used; i++)
        set_alive(forms, i, i < to);
    memset(forms->forms + to, 0, (forms->used - to) * sizeof *forms->forms);
    forms->coded = forms->moved[forms->coded]; /* coded rows are moved to a block that may not be full any more */
    forms->used = to;
    table_fill(forms);
}

hither_status ht_forms_reserve(ht_forms *forms, const uint32_t **moved, hither_error *err) {
    *moved = NULL;
    if (forms->used == forms->room) {
        if (forms->room < largest_room(forms) && forms->live >= forms->room - forms->room / 4) {
            HT_TRY(grow(forms, err));
        } else {
            compact(forms);
            *moved = forms->moved;
        }
    }
    return need_slab(forms, err);
}

/* ---- neighbours */

hither_status ht_forms_search(ht_forms *forms, const float *query, uint32_t first, size_t k, ht_hit *hits,
                              size_t *count, hither_error *err) {
    make_codes(forms);
    first = first / 64 * 64;
    size_t parts = 0;
    for (uint32_t at = first, rows_here; at < forms->used; at += rows_here) {
        const uint32_t slab = at / HT_FORM_SLAB, end = (slab + 1) * HT_FORM_SLAB;
        rows_here = (end < forms->used ? end : forms->used) - at;
        const uint32_t coded = forms->coded > at ? (forms->coded - at) / HT_CODE_ROWS * HT_CODE_ROWS : 0;
        forms->parts[parts++] = (ht_part){
            .places = forms->places + at,
            .first_slot = at,
            .count = rows_here,
            .stride = forms->stride,
            .norms = forms->norms + at,
            .codes = coded ? (const char *)forms->codes[slab] + ht_codes_bytes(at % HT_FORM_SLAB, forms->dim) : NULL,
            .coded_rows = coded < rows_here ? coded : rows_here,
        };
    }
    const ht_vectors rows = {
        .dtype = HITHER_F32, .metric = HITHER_COSINE, .dim = forms->dim, .parts = forms->parts, .part_count = parts};
    const ht_mask alive = {forms->chunks, (forms->used + CHUNK_WORDS * 64 - 1) / (CHUNK_WORDS * 64), forms->used};
    *count = 0;
    if (forms->used <= first)
        return HITHER_OK;
    return ht_exact_search_in(&forms->scratch, &rows, query, forms->stride, 1, &alive, NULL, k, 1, hits, count, NULL,
                              err);
}

static void take_if_nearer(const ht_forms *forms, ht_form *form, uint32_t other, double distance) {
    /* At equal distance the older stays, and those that come are younger. */
    if (form->nearest_birth != 0 &&
        (distance > form->distance || (distance == form->distance && other >= form->nearest)))
        return;
    form->nearest = other;
    form->nearest_birth = forms->forms[other].birth;
    form->distance = distance;
}

/* Looks at the slots from form->seen on. */
static hither_status catch_up(ht_forms *forms, uint32_t slot, hither_error *err) {
    ht_form *form = &forms->forms[slot];
    if (forms->used - form->seen <= FEW) {
        const ht_kernels *kernels = ht_kernels_get();
        for (uint32_t i = form->seen; i < forms->used; i++) {
            const ht_form *other = &forms->forms[i];
            if (other->birth == 0 || i == slot)
                continue;
            double dot = kernels->ref_dot_f32(ht_forms_vector(forms, slot), ht_forms_vector(forms, i), forms->dim);
            take_if_nearer(forms, form, i, ht_ref_cosine(dot, form->norm2, other->norm2));
        }
        form->seen = forms->used;
        return HITHER_OK;
    }
    ht_hit hit;
    size_t found;
    set_alive(forms, slot, false); /* not its own neighbour */
    hither_status status = ht_forms_search(forms, ht_forms_vector(forms, slot), form->seen, 1, &hit, &found, err);
    set_alive(forms, slot, true);
    if (status != HITHER_OK)
        return status;
    if (found > 0)
        take_if_nearer(forms, form, (uint32_t)hit.slot, hit.distance);
    form->seen = forms->used;
    return HITHER_OK;
}

hither_status ht_forms_nearest(ht_forms *forms, uint32_t slot, uint32_t *nearest, double *distance, hither_error *err) {
    ht_form *form = &forms->forms[slot];
    *nearest = HT_NO_FORM;
    *distance = 1.0;
    if (form->nearest_birth == 0 || forms->forms[form->nearest].birth != form->nearest_birth) {
        form->nearest_birth = 0;
        form->seen = 0;
    }
    if (form->seen < forms->used)
        HT_TRY(catch_up(forms, slot, err));
    if (form->nearest_birth != 0) {
        *nearest = form->nearest;
        *distance = form->distance;
    }
    return HITHER_OK;
}

/* ---- coming and going */

/* A copy of the text, in memory that a form left behind if there is some. */
static hither_status copy_text(ht_forms *forms, const char *text, size_t bytes, ht_text_room *out, hither_error *err) {
    ht_text_room *last = forms->spares > 0 ? &forms->spare[forms->spares - 1] : NULL;
    *out = last ? *last : (ht_text_room){0};
    if (!out->text || out->room < bytes) {
        const size_t room = (bytes + TEXT_STEP) / TEXT_STEP * TEXT_STEP;
        char *larger = ht_resize(out->text, room);
        if (!larger)
            return ht_fail_nomem(err, room, "a form of a window");
        *out = (ht_text_room){larger, (uint32_t)room};
    }
    forms->spares -= last != NULL;
    if (bytes > 0)
        memcpy(out->text, text, bytes);
    return HITHER_OK;
}

hither_status ht_forms_add(ht_forms *forms, const char *text, size_t bytes, uint64_t hash, const float *vector,
                           uint32_t *slot, hither_error *err) {
    ht_text_room copy = {0};
    if (text)
        HT_TRY(copy_text(forms, text, bytes, &copy, err));
    uint32_t at = forms->used++;
    forms->places[at] = vector;
    ht_form *form = &forms->forms[at];
    *form = (ht_form){
        .text = copy.text, .room = copy.room, .bytes = (uint32_t)bytes, .hash = hash, .birth = ++forms->births};
    form->norm2 = ht_kernels_get()->ref_dot_f32(vector, vector, forms->dim);
    form->scale = form->norm2 > 0 ? 1 / sqrt(form->norm2) : 0;
    ht_exact_norms(vector, forms->stride, 1, forms->dim, &forms->norms[at]);
    set_alive(forms, at, true);
    table_put(forms, at);
    forms->live++;
    *slot = at;
    return HITHER_OK;
}

void ht_forms_remove(ht_forms *forms, uint32_t slot) {
    ht_form *form = &forms->forms[slot];
    table_remove(forms, slot);
    set_alive(forms, slot, false);
    if (form->text) /* there is room: no more texts than slots */
        forms->spare[forms->spares++] = (ht_text_room){form->text, form->room};
    *form = (ht_form){0};
    forms->places[slot] = forms->nothing;
    forms->live--;
}
