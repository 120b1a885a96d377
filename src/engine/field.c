/*
 * field.c: reading a field's column as values. See field.h.
 */
#include "engine/field.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/derived.h"

typedef struct origin {
    ht_collection *c;
    const ht_snapshot *s;
    ht_reader **reader;
} origin;

static hither_status rows_of(void *ctx, uint64_t begin, uint64_t end,
                             hither_status (*each)(void *arg, uint64_t slot, ht_text metadata), void *arg,
                             hither_error *err) {
    const origin *o = ctx;
    if (!*o->reader)
        HT_TRY(ht_collection_reader(o->c, o->s, o->reader, err));
    return ht_reader_metadata(*o->reader, begin, end, each, arg, err);
}

static void load_columns(void *ctx) {
    const origin *o = ctx;
    ht_derived_load_columns(o->c, o->s);
}

hither_status ht_field_open(ht_field_values *values, ht_collection *c, const ht_snapshot *s, const ht_filter *field,
                            ht_reader **reader, hither_error *err) {
    origin o = {c, s, reader};
    ht_column_source source = {.rows = rows_of, .load = load_columns, .ctx = &o};
    bool complete;
    *values = (ht_field_values){0};
    HT_TRY(ht_columns_cover(&s->made->columns, field, s->slot_limit, &source, &values->column, &complete,
                            &values->parsed, err));
    /* Columns may have been made by a reader who came after a compaction. */
    if (atomic_load_explicit(&c->floor, memory_order_acquire) > s->seq)
        return ht_fail(err, HITHER_STALE, "compaction has overtaken this read");
    if (complete)
        return HITHER_OK;
    HT_TRY(ht_columns_init(&values->own, err));
    values->owned = true;
    source.load = NULL;
    hither_status status =
        ht_columns_cover(&values->own, field, s->slot_limit, &source, &values->column, &complete, &values->parsed, err);
    if (status != HITHER_OK)
        ht_field_close(values);
    return status;
}

void ht_field_close(ht_field_values *values) {
    if (values->owned)
        ht_columns_clear(&values->own);
    *values = (ht_field_values){0};
}

/* What ht_real_key made of it. */
static double real_of(int64_t key) {
    int64_t bits = key < 0 ? key ^ INT64_MAX : key;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static ht_key key_of(uint8_t type, int64_t number) {
    if (type == HT_REAL) {
        double x = real_of(number);
        if (x >= -0x1p63 && x < 0x1p63 && x == floor(x))
            return (ht_key){HT_INT, (int64_t)x};
    }
    return (ht_key){type, number};
}

ht_key ht_field_key(const ht_field_values *values, uint64_t slot, const ht_cell_list **list) {
    const ht_cells *cells = ht_column_cells(values->column, slot / HT_CELLS);
    if (!cells)
        return (ht_key){HT_MISSING, 0};
    uint8_t type = cells->type[slot % HT_CELLS];
    int64_t number = cells->value[slot % HT_CELLS];
    if (type == HT_LIST)
        *list = (const ht_cell_list *)(intptr_t)number;
    return key_of(type, number);
}

ht_key ht_field_element(const ht_cell_list *list, size_t i) {
    return key_of(list->items[i].type, list->items[i].value);
}

ht_value ht_key_value(const ht_field_values *values, ht_key key) {
    ht_value v = {.type = (ht_value_type)key.type, .integer = key.number};
    if (key.type == HT_REAL)
        v.real = real_of(key.number);
    if (key.type == HT_STRING)
        v.text = ht_column_word(values->column, (uint32_t)key.number);
    return v;
}

static int rank(const ht_value *v) { return v->type == HT_BOOL ? 0 : v->type == HT_STRING ? 2 : 1; }

int ht_value_order(const ht_value *a, const ht_value *b) {
    int left = rank(a), right = rank(b);
    if (left != right)
        return left < right ? -1 : 1;
    return left == 0 ? (a->integer > b->integer) - (a->integer < b->integer) : ht_value_compare(a, b);
}

/* So that it reads back to the same double, whatever the locale. */
static void put_real(ht_buf *out, double x) {
    char text[40];
    (void)snprintf(text, sizeof text, "%.17g", x);
    for (char *at = text; *at; at++)
        if (*at == ',')
            *at = '.';
    ht_buf_puts(out, text);
    if (!strpbrk(text, ".e"))
        ht_buf_puts(out, ".0");
}

void ht_value_json(ht_buf *out, const ht_value *value) {
    if (value->type == HT_BOOL)
        ht_buf_puts(out, value->integer ? "true" : "false");
    else if (value->type == HT_INT)
        ht_buf_printf(out, "%" PRId64, value->integer);
    else if (value->type == HT_REAL)
        put_real(out, value->real);
    else if (value->type == HT_STRING)
        ht_buf_json_string(out, value->text.data, value->text.bytes);
    else
        ht_buf_puts(out, "null");
}
