/*
 * onnx_bert.c: see onnx_bert.h.
 *
 * The nodes are gone through once, in their order. A value that depends on no input is a constant: a tensor, perhaps
 * turned round, with a step and a zero. What is done with the others makes events: a table is looked up, a norm, a
 * product with a constant, a product of two values. Every value remembers the last event it depends on, shapes aside.
 * In BERT's graph each event depends on the one before, but for the three products of an attention, which are told
 * apart by the two products that take them: so the events name the weights.
 */
#include "embed/onnx_bert.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define NOTHING HT_ONNX_NOTHING

/* A matrix of numbers as the file has it. */
typedef struct matrix {
    uint32_t tensor, step, zero; /* tensors; NOTHING: step 1, zero 0 */
    bool turned;
} matrix;

typedef enum event_kind { LOOK_UP = 1, NORM, DENSE, SCORES, CONTEXT } event_kind;

typedef struct event {
    event_kind kind;
    uint32_t from;  /* what its input depends on: an event, as in state.last */
    uint32_t other; /* SCORES: the keys; CONTEXT: the values */
    matrix weights; /* DENSE, LOOK_UP; the scale of a NORM */
    uint32_t bias;  /* a tensor */
} event;

typedef struct fact {
    uint32_t last; /* 1 + the event it depends on; 0: on none */
    bool constant;
    matrix matrix;  /* of a constant */
    uint32_t step;  /* of a product of a constant and a step that is measured at run time: the constant */
    uint32_t scale; /* of a product with a vector: the vector, a tensor */
} fact;

struct ht_onnx_bert {
    const ht_onnx *onnx;
    const ht_onnx_graph *graph;
    ht_bert_shape shape;
    event *events;
    uint32_t count, room;
    fact *facts;                 /* of each value, while it is made */
    uint32_t tables[3];          /* events, by part */
    uint32_t first;              /* the norm of the embeddings */
    uint32_t (*parts)[HT_PARTS]; /* events of each layer */
};

static const ht_onnx_tensor *tensor_of(const ht_onnx_bert *b, uint32_t tensor) { return &b->graph->tensors[tensor]; }

static const fact *input(const ht_onnx_bert *b, const ht_onnx_node *n, uint32_t i) {
    static const fact none = {.step = NOTHING, .scale = NOTHING};
    uint32_t value = i < n->input_count ? b->graph->links[n->inputs + i] : NOTHING;
    return value == NOTHING ? &none : &b->facts[value];
}

static bool plain(const fact *f) {
    return f->constant && f->matrix.step == NOTHING && f->matrix.zero == NOTHING && !f->matrix.turned;
}

/* Whether it is a vector: as many numbers as its last dimension says, and more than one. */
static bool is_vector(const ht_onnx_bert *b, const fact *f) {
    if (!plain(f))
        return false;
    const ht_onnx_tensor *t = tensor_of(b, f->matrix.tensor);
    return t->rank > 0 && t->count > 1 && t->dims[t->rank - 1] == t->count;
}

/* ---- constants */

/* A step or a zero: of all, of each row (one column), or of each column. */
static bool is_step(const ht_onnx_bert *b, uint32_t step, uint32_t of) {
    const ht_onnx_tensor *s = tensor_of(b, step), *t = tensor_of(b, of);
    if (s->count == 1)
        return true;
    if (t->rank != 2)
        return false;
    return (s->rank == 2 && s->dims[1] == 1 && s->dims[0] == t->dims[0]) ||
           (s->count == t->dims[1] && s->dims[s->rank - 1] == s->count);
}

/* The constant a node makes of constants; false where it is not of the kinds that are known. */
static bool constant_of(const ht_onnx_bert *b, const ht_onnx_node *n, fact *out) {
    const fact *x = input(b, n, 0), *y = input(b, n, 1), *z = input(b, n, 2);
    if (!x->constant || (n->input_count > 1 && !y->constant))
        return false;
    *out = *x;
    if (ht_onnx_is(n->op, "Identity") || ht_onnx_is(n->op, "Cast"))
        return true;
    if (ht_onnx_is(n->op, "Transpose")) {
        out->matrix.turned = !out->matrix.turned;
        return tensor_of(b, x->matrix.tensor)->rank == 2;
    }
    if (ht_onnx_is(n->op, "Mul") && plain(x) && plain(y)) {
        const bool right = is_step(b, y->matrix.tensor, x->matrix.tensor);
        if (!right && !is_step(b, x->matrix.tensor, y->matrix.tensor))
            return false;
        out->matrix = right ? x->matrix : y->matrix;
        out->matrix.step = right ? y->matrix.tensor : x->matrix.tensor;
        return true;
    }
    if (!ht_onnx_is(n->op, "DequantizeLinear") || !plain(x) || !plain(y) || (n->input_count > 2 && !plain(z)))
        return false;
    out->matrix.step = y->matrix.tensor;
    out->matrix.zero = n->input_count > 2 ? z->matrix.tensor : NOTHING;
    int64_t axis = ht_onnx_integer(n, "axis", 1);
    return tensor_of(b, y->matrix.tensor)->count == 1 || axis == 1 || axis == -1;
}

/* ---- events */

static hither_status add_event(ht_onnx_bert *b, event e, fact *out, hither_error *err) {
    if (b->count == b->room) {
        uint32_t room = b->room ? 2 * b->room : 64;
        event *more = ht_resize(b->events, room * sizeof *more);
        if (!more)
            return ht_fail_nomem(err, room * sizeof *more, "a graph");
        b->events = more;
        b->room = room;
    }
    b->events[b->count++] = e;
    out->last = b->count;
    return HITHER_OK;
}

static event *event_of(const ht_onnx_bert *b, uint32_t last, event_kind kind) {
    return last > 0 && b->events[last - 1].kind == kind ? &b->events[last - 1] : NULL;
}

/* Operators that do the work of several: their weights would be looked for in vain. */
static hither_status refuse_joined(const ht_onnx_node *n, hither_error *err) {
    static const char *const joined[] = {"Attention",
                                         "QAttention",
                                         "MultiHeadAttention",
                                         "PackedAttention",
                                         "GroupQueryAttention",
                                         "EmbedLayerNormalization",
                                         "QEmbedLayerNormalization",
                                         "SkipLayerNormalization",
                                         "SkipSimplifiedLayerNormalization",
                                         "SimplifiedLayerNormalization",
                                         "BiasGelu",
                                         "FastGelu",
                                         "DynamicQuantizeMatMul",
                                         "MatMulIntegerToFloat",
                                         "MatMulNBits",
                                         "QLinearMatMul",
                                         "If",
                                         "Loop",
                                         "Scan"};
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++)
        if (ht_onnx_is(n->op, joined[i]))
            return ht_fail(err, HITHER_MODEL,
                           "the graph has the operator %s, which our own encoder does not take apart; a graph that was "
                           "not optimised is possible, or ONNX Runtime (engine \"onnxruntime\")",
                           joined[i]);
    return HITHER_OK;
}

static hither_status multiply(ht_onnx_bert *b, const ht_onnx_node *n, fact *out, hither_error *err) {
    const fact *x = input(b, n, 0), *y = input(b, n, 1);
    event e = {.kind = DENSE, .from = x->last, .weights = y->matrix, .bias = NOTHING};
    if (!y->constant) {
        e.kind = event_of(b, x->last, SCORES) ? CONTEXT : SCORES;
        e.other = y->last;
        return add_event(b, e, out, err);
    }
    if (ht_onnx_is(n->op, "MatMulInteger") && input(b, n, 3)->constant)
        e.weights.zero = input(b, n, 3)->matrix.tensor;
    if (ht_onnx_is(n->op, "Gemm")) {
        e.weights.turned = e.weights.turned != (ht_onnx_integer(n, "transB", 0) != 0);
        e.bias = input(b, n, 2)->constant ? input(b, n, 2)->matrix.tensor : NOTHING;
    }
    return add_event(b, e, out, err);
}

/* A sum with a vector: the end of a norm, or a bias. */
static hither_status add(ht_onnx_bert *b, const ht_onnx_node *n, fact *out, hither_error *err) {
    const fact *x = input(b, n, 0), *y = input(b, n, 1);
    const fact *vector = is_vector(b, x) ? x : y, *value = vector == x ? y : x;
    if (!is_vector(b, vector) || value->constant)
        return HITHER_OK;
    const uint32_t bias = vector->matrix.tensor;
    if (value->scale != NOTHING) {
        const matrix scale = {value->scale, NOTHING, NOTHING, false};
        return add_event(b, (event){.kind = NORM, .from = value->last, .weights = scale, .bias = bias}, out, err);
    }
    event *dense = event_of(b, value->last, DENSE);
    if (dense && dense->bias == NOTHING)
        dense->bias = bias;
    return HITHER_OK;
}

/* A product: of bytes' sums with their step, or the middle of a norm. */
static void scale_by(const ht_onnx_bert *b, const ht_onnx_node *n, fact *out) {
    const fact *x = input(b, n, 0), *y = input(b, n, 1);
    if (x->constant != y->constant) {
        const fact *constant = x->constant ? x : y;
        const fact *value = constant == x ? y : x;
        if (plain(constant) && value->last == 0)
            out->step = constant->matrix.tensor;
        if (is_vector(b, constant))
            out->scale = constant->matrix.tensor;
        return;
    }
    const fact *step = x->step != NOTHING ? x : y, *value = step == x ? y : x;
    event *dense = event_of(b, value->last, DENSE);
    if (step->step != NOTHING && dense && dense->weights.step == NOTHING && dense->bias == NOTHING)
        dense->weights.step = step->step;
}

/* Bytes that were looked up become numbers. */
static void dequantize(const ht_onnx_bert *b, const ht_onnx_node *n) {
    event *table = event_of(b, input(b, n, 0)->last, LOOK_UP);
    const fact *step = input(b, n, 1), *zero = input(b, n, 2);
    if (!table || table->weights.step != NOTHING || !step->constant)
        return;
    table->weights.step = step->matrix.tensor;
    table->weights.zero = zero->constant ? zero->matrix.tensor : NOTHING;
}

static hither_status take_node(ht_onnx_bert *b, const ht_onnx_node *n, fact *out, hither_error *err) {
    *out = (fact){.step = NOTHING, .scale = NOTHING};
    if (n->input_count > 0 && constant_of(b, n, out))
        return HITHER_OK;
    *out = (fact){.step = NOTHING, .scale = NOTHING};
    HT_TRY(refuse_joined(n, err));
    if (ht_onnx_is(n->op, "Shape") || ht_onnx_is(n->op, "Size"))
        return HITHER_OK;
    for (uint32_t i = 0; i < n->input_count; i++)
        out->last = input(b, n, i)->last > out->last ? input(b, n, i)->last : out->last;
    if (ht_onnx_is(n->op, "MatMul") || ht_onnx_is(n->op, "MatMulInteger") || ht_onnx_is(n->op, "Gemm"))
        return multiply(b, n, out, err);
    if (ht_onnx_is(n->op, "Add"))
        return add(b, n, out, err);
    if (ht_onnx_is(n->op, "Mul"))
        scale_by(b, n, out);
    if (ht_onnx_is(n->op, "DequantizeLinear"))
        dequantize(b, n);
    if (ht_onnx_is(n->op, "Gather") && input(b, n, 0)->constant && !input(b, n, 1)->constant)
        return add_event(b, (event){.kind = LOOK_UP, .weights = input(b, n, 0)->matrix, .bias = NOTHING}, out, err);
    if (ht_onnx_is(n->op, "LayerNormalization") && plain(input(b, n, 1)))
        return add_event(b,
                         (event){.kind = NORM,
                                 .from = out->last,
                                 .weights = input(b, n, 1)->matrix,
                                 .bias = plain(input(b, n, 2)) ? input(b, n, 2)->matrix.tensor : NOTHING},
                         out, err);
    return HITHER_OK;
}

static hither_status take_nodes(ht_onnx_bert *b, hither_error *err) {
    const ht_onnx_graph *g = b->graph;
    b->facts = ht_calloc(g->value_count, sizeof *b->facts);
    if (!b->facts)
        return ht_fail_nomem(err, g->value_count * sizeof *b->facts, "a graph");
    for (uint32_t i = 0; i < g->value_count; i++)
        b->facts[i] = (fact){.constant = g->values[i].tensor != NOTHING,
                             .matrix = {g->values[i].tensor, NOTHING, NOTHING, false},
                             .step = NOTHING,
                             .scale = NOTHING};
    for (uint32_t i = 0; i < g->node_count; i++) {
        const ht_onnx_node *n = &g->nodes[i];
        fact made;
        if (ht_onnx_is(n->op, "Constant"))
            continue;
        HT_TRY(take_node(b, n, &made, err));
        for (uint32_t j = 0; j < n->output_count; j++) {
            uint32_t value = g->links[n->outputs + j];
            if (value == NOTHING)
                continue;
            b->facts[value] = made;
            if (j > 0 && ht_onnx_is(n->op, "DynamicQuantizeLinear"))
                b->facts[value].last = 0; /* a step and a zero that are measured */
        }
    }
    return HITHER_OK;
}

/* ---- events to parts */

static hither_status not_bert(const char *what, uint32_t layer, hither_error *err) {
    return ht_fail(err, HITHER_MODEL,
                   "the graph is not in BERT's order: %s (layer %u); ONNX Runtime can run it (engine "
                   "\"onnxruntime\")",
                   what, layer);
}

/* The next event of a kind, from *at on, as its number + 1, which *at becomes; 0: there is none. */
static uint32_t next_of(const ht_onnx_bert *b, uint32_t *at, event_kind kind) {
    for (uint32_t i = *at; i < b->count; i++) {
        if (b->events[i].kind == kind) {
            *at = i + 1;
            return *at;
        }
    }
    return 0;
}

/* Tables are told apart by their rows. */
static hither_status find_tables(ht_onnx_bert *b, uint32_t end, hither_error *err) {
    const ht_bert_shape *s = &b->shape;
    const uint32_t rows[3] = {s->vocabulary, s->positions, s->types};
    static const char *const names[3] = {"words", "places", "types"};
    for (int part = 0; part < 3; part++) {
        uint32_t found = 0, same = 0;
        for (uint32_t i = 0; i + 1 < end; i++) {
            const ht_onnx_tensor *t = tensor_of(b, b->events[i].weights.tensor);
            if (b->events[i].kind != LOOK_UP || t->rank != 2 || t->dims[0] != rows[part] || t->dims[1] != s->width)
                continue;
            same += found == 0 || b->events[found - 1].weights.tensor != b->events[i].weights.tensor;
            found = i + 1;
        }
        if (same != 1)
            return ht_fail(err, HITHER_MODEL, "the graph has %u tables of %u x %u, which that of the %s should be",
                           same, rows[part], s->width, names[part]);
        b->tables[part] = found;
    }
    return HITHER_OK;
}

static bool dense_after(const ht_onnx_bert *b, uint32_t number, uint32_t from) {
    const event *e = event_of(b, number, DENSE);
    return e && e->from == from;
}

static hither_status find_layer(ht_onnx_bert *b, uint32_t layer, uint32_t *at, uint32_t norm, hither_error *err) {
    uint32_t *parts = b->parts[layer], scores_at = *at;
    uint32_t scores = next_of(b, &scores_at, SCORES), context = next_of(b, &scores_at, CONTEXT);
    if (!scores || !context || b->events[context - 1].from != scores)
        return not_bert("there is no attention", layer, err);
    parts[HT_QUERY] = b->events[scores - 1].from;
    parts[HT_KEY] = b->events[scores - 1].other;
    parts[HT_VALUE] = b->events[context - 1].other;
    if (!dense_after(b, parts[HT_QUERY], norm) || !dense_after(b, parts[HT_KEY], norm) ||
        !dense_after(b, parts[HT_VALUE], norm))
        return not_bert("queries, keys and values are not made of what is before", layer, err);
    *at = scores_at;
    static const struct {
        ht_part part;
        event_kind kind;
    } order[] = {{HT_OUT, DENSE}, {HT_ATTENTION_NORM, NORM}, {HT_UP, DENSE}, {HT_DOWN, DENSE}, {HT_INNER_NORM, NORM}};
    uint32_t before = context;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        uint32_t now = next_of(b, at, order[i].kind);
        if (!now || b->events[now - 1].from != before)
            return not_bert("what follows an attention is not two norms and three dense layers", layer, err);
        parts[order[i].part] = before = now;
    }
    return HITHER_OK;
}

static hither_status find_parts(ht_onnx_bert *b, hither_error *err) {
    uint32_t at = 0, norm = next_of(b, &at, NORM);
    if (!norm)
        return not_bert("there is no norm", 0, err);
    HT_TRY(find_tables(b, norm, err));
    b->first = norm;
    for (uint32_t i = 0; i < b->shape.layers; i++) {
        HT_TRY(find_layer(b, i, &at, norm, err));
        norm = b->parts[i][HT_INNER_NORM];
    }
    return next_of(b, &at, SCORES) ? not_bert("it has more layers than config.json says", b->shape.layers, err)
                                   : HITHER_OK;
}

hither_status ht_onnx_bert_find(const ht_onnx *onnx, const ht_bert_shape *shape, ht_onnx_bert **out,
                                hither_error *err) {
    ht_onnx_bert *b = ht_calloc(1, sizeof *b);
    if (!b)
        return ht_fail_nomem(err, sizeof *b, "a graph");
    b->onnx = onnx;
    b->graph = ht_onnx_graph_of(onnx);
    b->shape = *shape;
    b->parts = ht_calloc(shape->layers, sizeof *b->parts);
    hither_status status =
        b->parts ? take_nodes(b, err) : ht_fail_nomem(err, shape->layers * sizeof *b->parts, "a graph");
    if (status == HITHER_OK)
        status = find_parts(b, err);
    ht_release(b->facts);
    b->facts = NULL;
    if (status != HITHER_OK) {
        ht_onnx_bert_free(b);
        return status;
    }
    *out = b;
    return HITHER_OK;
}

void ht_onnx_bert_free(ht_onnx_bert *b) {
    if (!b)
        return;
    ht_release(b->events);
    ht_release(b->parts);
    ht_release(b);
}

/* ---- numbers */

static hither_status read_tensor(const ht_onnx_bert *b, uint32_t tensor, float **out, hither_error *err) {
    size_t count = (size_t)tensor_of(b, tensor)->count;
    *out = ht_calloc(count, sizeof **out);
    if (!*out)
        return ht_fail_nomem(err, count * sizeof **out, "weights");
    return ht_onnx_numbers(b->onnx, tensor, *out, err);
}

static bool by_row(const ht_onnx_tensor *t) { return t->rank == 2 && t->dims[1] == 1 && t->count > 1; }

/* Bytes become numbers: (x - zero) * step, in place. */
static hither_status apply_steps(const ht_onnx_bert *b, const matrix *m, size_t rows, size_t columns, float *x,
                                 float **step, float **zero, hither_error *err) {
    if (m->step != NOTHING)
        HT_TRY(read_tensor(b, m->step, step, err));
    if (m->zero != NOTHING)
        HT_TRY(read_tensor(b, m->zero, zero, err));
    const ht_onnx_tensor *s = *step ? tensor_of(b, m->step) : NULL, *z = *zero ? tensor_of(b, m->zero) : NULL;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            float value = x[i * columns + j];
            if (z)
                value -= (*zero)[z->count == 1 ? 0 : by_row(z) ? i : j];
            x[i * columns + j] = s ? value * (*step)[s->count == 1 ? 0 : by_row(s) ? i : j] : value;
        }
    }
    return HITHER_OK;
}

/* What each row of the matrix as it is wanted is whole multiples of; 0 where there is no such thing. */
static void steps_of(const ht_onnx_bert *b, const matrix *m, const float *step, const float *zero, size_t rows,
                     float *out) {
    const ht_onnx_tensor *t = tensor_of(b, m->tensor), *s = step ? tensor_of(b, m->step) : NULL;
    const ht_onnx_tensor *z = zero ? tensor_of(b, m->zero) : NULL;
    const bool bytes = t->type == HT_ONNX_I8 || t->type == HT_ONNX_U8;
    for (size_t i = 0; i < rows; i++) {
        const float wanted = t->type == HT_ONNX_U8 ? 128 : 0, have = z ? zero[z->count == 1 ? 0 : i] : 0;
        /* a step is of a row as wanted if it is of all, or of a column of what is turned */
        const bool of_row = s && (s->count == 1 || by_row(s) != m->turned);
        const bool zero_of_row = !z || z->count == 1 || by_row(z) != m->turned;
        const float value = of_row ? step[s->count == 1 ? 0 : i] : 0;
        out[i] = bytes && zero_of_row && have == wanted && value > 0 ? value : 0;
    }
}

static bool fits(const ht_onnx_bert *b, uint32_t tensor, uint32_t of) {
    return tensor == NOTHING || is_step(b, tensor, of);
}

/* The rows x columns of a matrix; turned where the graph has it the other way round. */
static hither_status read_matrix(const ht_onnx_bert *b, const matrix *m, size_t rows, size_t columns, float *out,
                                 float *steps, hither_error *err) {
    const ht_onnx_tensor *t = tensor_of(b, m->tensor);
    const size_t high = m->turned ? columns : rows, wide = m->turned ? rows : columns;
    if (t->rank == 0 || t->count != (uint64_t)rows * columns || t->dims[t->rank - 1] != wide ||
        !fits(b, m->step, m->tensor) || !fits(b, m->zero, m->tensor))
        return ht_fail(err, HITHER_MODEL,
                       "the graph's array \"%.*s\" is not of the shape that config.json wants: %zu x %zu",
                       (int)(t->name.bytes < 60 ? t->name.bytes : 60), t->name.data, high, wide);
    if (!out)
        return HITHER_OK;
    float *x = NULL, *step = NULL, *zero = NULL;
    hither_status status = read_tensor(b, m->tensor, &x, err);
    if (status == HITHER_OK)
        status = apply_steps(b, m, high, wide, x, &step, &zero, err);
    for (size_t i = 0; status == HITHER_OK && i < rows; i++) {
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = m->turned ? x[j * wide + i] : x[i * wide + j];
    }
    for (size_t i = 0; status == HITHER_OK && i < rows * columns; i++) {
        if (!isfinite(out[i]))
            status = ht_fail(err, HITHER_MODEL, "the graph's array \"%.*s\" has steps that are too large",
                             (int)(t->name.bytes < 60 ? t->name.bytes : 60), t->name.data);
    }
    if (status == HITHER_OK && steps)
        steps_of(b, m, step, zero, rows, steps);
    ht_release(x);
    ht_release(step);
    ht_release(zero);
    return status;
}

static hither_status read_part(const void *ctx, unsigned layer, ht_part part, bool bias, size_t rows, size_t columns,
                               float *out, float *steps, hither_error *err) {
    const ht_onnx_bert *b = ctx;
    const uint32_t number = part < HT_FIRST_NORM    ? b->tables[part]
                            : part == HT_FIRST_NORM ? b->first
                                                    : b->parts[layer][part];
    const event *e = &b->events[number - 1];
    matrix m = e->weights;
    if (bias)
        m = (matrix){e->bias, NOTHING, NOTHING, false};
    else if (e->kind == DENSE)
        m.turned = !m.turned; /* a graph multiplies from the left */
    if (m.tensor == NOTHING)
        return not_bert("a bias is missing", layer, err);
    return read_matrix(b, &m, rows, columns, out, steps, err);
}

ht_weights ht_onnx_bert_weights(const ht_onnx_bert *found) { return (ht_weights){found, read_part}; }
