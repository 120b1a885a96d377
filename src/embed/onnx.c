/* onnx.c: see onnx.h. The numbers of the fields are those of onnx.proto. */
#include "embed/onnx.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "embed/onnx_inside.h"
#include "embed/protobuf.h"

enum { MAX_DEPTH = 8, MAX_NODES = 1 << 20, MAX_LINKS = 1 << 23, MODEL_GRAPH = 7, MODEL_TRAINING = 20 };

static hither_status broken(const ht_onnx *o, const char *what, const uint8_t *at, hither_error *err) {
    return ht_fail(err, HITHER_MODEL, "%.100s: no ONNX file: %s is broken before byte %zu", o->name, what,
                   (size_t)(at - o->data));
}

static ht_onnx_text text_of(const ht_pb_field *f) { return (ht_onnx_text){(const char *)f->data, f->bytes}; }

bool ht_onnx_is(ht_onnx_text text, const char *what) {
    return text.bytes == strlen(what) && memcmp(text.data, what, text.bytes) == 0;
}

/* ---- values by name */

static uint32_t *slot_of(const ht_onnx *o, ht_onnx_text name) {
    size_t at = (size_t)ht_hash64(name.data, name.bytes, 0) & o->mask;
    for (;; at = (at + 1) & o->mask) {
        if (o->table[at] == HT_ONNX_NOTHING)
            return &o->table[at];
        const ht_onnx_text *have = &o->values[o->table[at]].name;
        if (have->bytes == name.bytes && memcmp(have->data, name.data, name.bytes) == 0)
            return &o->table[at];
    }
}

/* A value that is not there yet, or what is wrong with that. */
static hither_status new_value(ht_onnx *o, ht_onnx_text name, uint32_t *out, hither_error *err) {
    uint32_t *slot = slot_of(o, name);
    if (*slot != HT_ONNX_NOTHING)
        return ht_fail(err, HITHER_MODEL, "%.100s: the value \"%.*s\" is given twice", o->name, ONNX_NAME(name));
    *out = *slot = o->graph.value_count++;
    o->values[*out] = (ht_onnx_value){name, HT_ONNX_NOTHING, HT_ONNX_NOTHING};
    return HITHER_OK;
}

/* ---- what is walked for its safety alone */

static hither_status check_domain(const ht_onnx *o, ht_onnx_text domain, ht_onnx_text op, hither_error *err) {
    static const char *const known[] = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"};
    /* These load what a name in the model says. */
    if (ht_onnx_is(op, "EPContext") || ht_onnx_is(op, "PyOp"))
        return ht_fail(err, HITHER_MODEL, "%.100s: the operator %.*s is not supported: it loads other files", o->name,
                       ONNX_NAME(op));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ht_onnx_is(domain, known[i]))
            return HITHER_OK;
    return ht_fail(err, HITHER_MODEL, "%.100s: operators of \"%.*s\" are not supported: only those of ONNX itself are",
                   o->name, ONNX_NAME(domain));
}

static hither_status check_graph(ht_onnx *o, const uint8_t *data, size_t bytes, int depth, hither_error *err);

/* The tensors and graphs in a node's attributes. */
static hither_status check_attribute(ht_onnx *o, const ht_pb_field *attribute, int depth, hither_error *err) {
    enum { ONE_TENSOR = 5, ONE_GRAPH = 6, TENSORS = 10, GRAPHS = 11, SPARSE = 22, SPARSES = 23 };
    ht_pb p = ht_pb_over(attribute->data, attribute->bytes);
    ht_pb_field f;
    while (ht_pb_next(&p, &f)) {
        ht_onnx_tensor tensor;
        if (f.number == SPARSE || f.number == SPARSES)
            return ht_fail(err, HITHER_MODEL, "%.100s: sparse arrays are not supported", o->name);
        if (f.number != ONE_TENSOR && f.number != TENSORS && f.number != ONE_GRAPH && f.number != GRAPHS)
            continue;
        if (f.kind != HT_PB_BYTES)
            return broken(o, "an attribute", f.data ? f.data : p.at, err);
        if (f.number == ONE_GRAPH || f.number == GRAPHS)
            HT_TRY(check_graph(o, f.data, f.bytes, depth + 1, err));
        else
            HT_TRY(ht_onnx_tensor_read(o, f.data, f.bytes, &tensor, err));
    }
    return p.broken ? broken(o, "an attribute", p.at, err) : HITHER_OK;
}

enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5, NODE_DOMAIN = 7 };

/* Checks a node and what is in it; says its operator and how many values it names. */
static hither_status check_node(ht_onnx *o, const ht_pb_field *node, int depth, ht_onnx_node *out, hither_error *err) {
    ht_pb p = ht_pb_over(node->data, node->bytes);
    ht_pb_field f;
    *out = (ht_onnx_node){.op = {"", 0}, .domain = {"", 0}, .body = node->data, .bytes = node->bytes};
    while (ht_pb_next(&p, &f)) {
        if (f.number <= NODE_DOMAIN && f.kind != HT_PB_BYTES)
            return broken(o, "a node", f.data ? f.data : p.at, err);
        if (f.number == NODE_INPUT)
            out->input_count++;
        else if (f.number == NODE_OUTPUT)
            out->output_count++;
        else if (f.number == NODE_OP)
            out->op = text_of(&f);
        else if (f.number == NODE_DOMAIN)
            out->domain = text_of(&f);
        else if (f.number == NODE_ATTRIBUTE)
            HT_TRY(check_attribute(o, &f, depth, err));
    }
    return p.broken ? broken(o, "a node", p.at, err) : check_domain(o, out->domain, out->op, err);
}

enum { GRAPH_NODE = 1, GRAPH_TENSOR = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_SPARSE = 15 };

static hither_status next_of_graph(const ht_onnx *o, ht_pb *p, ht_pb_field *f, bool *there, hither_error *err) {
    *there = ht_pb_next(p, f);
    if (p->broken)
        return broken(o, "the graph", p->at, err);
    if (*there && f->number == GRAPH_SPARSE)
        return ht_fail(err, HITHER_MODEL, "%.100s: sparse arrays are not supported", o->name);
    bool ours = *there && (f->number == GRAPH_NODE || f->number == GRAPH_TENSOR || f->number == GRAPH_INPUT ||
                           f->number == GRAPH_OUTPUT);
    return ours && f->kind != HT_PB_BYTES ? broken(o, "the graph", p->at, err) : HITHER_OK;
}

/* A graph within a node: nothing of it is kept. */
static hither_status check_graph(ht_onnx *o, const uint8_t *data, size_t bytes, int depth, hither_error *err) {
    ht_pb p = ht_pb_over(data, bytes);
    ht_pb_field f;
    ht_onnx_tensor tensor;
    ht_onnx_node node;
    bool there;
    if (depth > MAX_DEPTH)
        return ht_fail(err, HITHER_MODEL, "%.100s: graphs stand in one another more than %d deep", o->name, MAX_DEPTH);
    for (;;) {
        HT_TRY(next_of_graph(o, &p, &f, &there, err));
        if (!there)
            return HITHER_OK;
        if (f.number == GRAPH_NODE)
            HT_TRY(check_node(o, &f, depth, &node, err));
        else if (f.number == GRAPH_TENSOR)
            HT_TRY(ht_onnx_tensor_read(o, f.data, f.bytes, &tensor, err));
    }
}

/* ---- the graph */

typedef struct counts {
    size_t nodes, tensors, links, inputs, outputs;
} counts;

static hither_status count_graph(ht_onnx *o, const ht_pb_field *graph, counts *c, hither_error *err) {
    ht_pb p = ht_pb_over(graph->data, graph->bytes);
    ht_pb_field f;
    ht_onnx_node node;
    bool there;
    for (;;) {
        HT_TRY(next_of_graph(o, &p, &f, &there, err));
        if (!there)
            return HITHER_OK;
        if (f.number == GRAPH_NODE) {
            HT_TRY(check_node(o, &f, 0, &node, err));
            c->nodes++;
            c->tensors += ht_onnx_is(node.op, "Constant");
            c->links += (size_t)node.input_count + node.output_count;
        }
        c->tensors += f.number == GRAPH_TENSOR;
        c->inputs += f.number == GRAPH_INPUT;
        c->outputs += f.number == GRAPH_OUTPUT;
        if (c->nodes > MAX_NODES || c->tensors > MAX_NODES || c->links > MAX_LINKS || c->inputs > MAX_NODES ||
            c->outputs > MAX_NODES)
            return ht_fail(err, HITHER_TOO_LARGE, "%.100s: a graph of more than %d nodes, or as large in another way",
                           o->name, MAX_NODES);
    }
}

static hither_status make_room(ht_onnx *o, const counts *c, hither_error *err) {
    size_t values = c->tensors + c->links + c->inputs, slots = 16;
    while (slots < 2 * values)
        slots *= 2;
    o->mask = slots - 1;
    o->nodes = ht_calloc(c->nodes, sizeof *o->nodes);
    o->tensors = ht_calloc(c->tensors, sizeof *o->tensors);
    o->values = ht_calloc(values, sizeof *o->values);
    o->links = ht_calloc(c->links, sizeof *o->links);
    o->inputs = ht_calloc(c->inputs, sizeof *o->inputs);
    o->outputs = ht_calloc(c->outputs, sizeof *o->outputs);
    o->input_types = ht_calloc(c->inputs, sizeof *o->input_types);
    o->table = ht_alloc(slots * sizeof *o->table);
    if (!o->nodes || !o->tensors || !o->values || !o->links || !o->inputs || !o->outputs || !o->input_types ||
        !o->table)
        return ht_fail_nomem(err, c->nodes * sizeof *o->nodes + values * sizeof *o->values, "a graph");
    memset(o->table, 0xff, slots * sizeof *o->table);
    o->graph = (ht_onnx_graph){.nodes = o->nodes,
                               .tensors = o->tensors,
                               .values = o->values,
                               .links = o->links,
                               .inputs = o->inputs,
                               .input_types = o->input_types,
                               .outputs = o->outputs};
    return HITHER_OK;
}

static hither_status add_tensor(ht_onnx *o, const uint8_t *data, size_t bytes, const ht_onnx_text *name, uint32_t *out,
                                hither_error *err) {
    ht_onnx_tensor *t = &o->tensors[o->graph.tensor_count];
    uint32_t value = HT_ONNX_NOTHING;
    HT_TRY(ht_onnx_tensor_read(o, data, bytes, t, err));
    if (name)
        t->name = *name;
    HT_TRY(new_value(o, t->name, &value, err));
    o->values[value].tensor = o->graph.tensor_count++;
    *out = value;
    return HITHER_OK;
}

/* The tensor that is a Constant; NULL for one that is spelt in another way. */
static const uint8_t *constant_tensor(const ht_onnx_node *node, size_t *bytes) {
    enum { NAME = 1, TENSOR = 5 };
    ht_pb p = ht_pb_over(node->body, node->bytes);
    ht_pb_field f, a;
    while (ht_pb_next(&p, &f)) {
        if (f.number != NODE_ATTRIBUTE)
            continue;
        ht_pb inner = ht_pb_over(f.data, f.bytes);
        while (ht_pb_next(&inner, &a)) {
            if (a.number == TENSOR && a.kind == HT_PB_BYTES) {
                *bytes = a.bytes;
                return a.data;
            }
        }
    }
    return NULL;
}

/* What a node takes must be there already. */
static hither_status link_inputs(ht_onnx *o, ht_onnx_node *node, uint32_t *link, hither_error *err) {
    ht_pb p = ht_pb_over(node->body, node->bytes);
    ht_pb_field f;
    node->inputs = *link;
    while (ht_pb_next(&p, &f)) {
        if (f.number != NODE_INPUT)
            continue;
        uint32_t value = f.bytes ? *slot_of(o, text_of(&f)) : HT_ONNX_NOTHING;
        if (f.bytes && value == HT_ONNX_NOTHING)
            return ht_fail(err, HITHER_MODEL, "%.100s: a node takes \"%.*s\", which nothing before it gives", o->name,
                           ONNX_NAME(text_of(&f)));
        o->links[(*link)++] = value;
    }
    return HITHER_OK;
}

static hither_status link_outputs(ht_onnx *o, ht_onnx_node *node, uint32_t number, uint32_t *link, hither_error *err) {
    ht_pb p = ht_pb_over(node->body, node->bytes);
    ht_pb_field f;
    size_t bytes = 0;
    const uint8_t *constant = ht_onnx_is(node->op, "Constant") ? constant_tensor(node, &bytes) : NULL;
    node->outputs = *link;
    while (ht_pb_next(&p, &f)) {
        if (f.number != NODE_OUTPUT)
            continue;
        uint32_t value = HT_ONNX_NOTHING;
        ht_onnx_text name = text_of(&f);
        if (f.bytes && constant)
            HT_TRY(add_tensor(o, constant, bytes, &name, &value, err));
        else if (f.bytes)
            HT_TRY(new_value(o, name, &value, err));
        constant = NULL;
        if (value != HT_ONNX_NOTHING)
            o->values[value].node = number;
        o->links[(*link)++] = value;
    }
    return HITHER_OK;
}

static ht_onnx_text name_of(const ht_pb_field *info) {
    ht_pb p = ht_pb_over(info->data, info->bytes);
    ht_pb_field f;
    while (ht_pb_next(&p, &f))
        if (f.number == 1 && f.kind == HT_PB_BYTES)
            return text_of(&f);
    return (ht_onnx_text){"", 0};
}

/* What an input's tensor is of: the first number of the message in the first field of the second. */
static uint32_t element_type(const ht_pb_field *info) {
    enum { TYPE = 2, TENSOR = 1, ELEMENT = 1 };
    static const uint32_t way[] = {TYPE, TENSOR, ELEMENT};
    ht_pb p = ht_pb_over(info->data, info->bytes);
    ht_pb_field f;
    for (size_t step = 0; ht_pb_next(&p, &f);) {
        if (f.number != way[step])
            continue;
        if (step == 2)
            return f.kind == HT_PB_VARINT && f.value < 64 ? (uint32_t)f.value : 0;
        p = ht_pb_over(f.data, f.bytes);
        step++;
    }
    return 0;
}

/* One kind of a graph's parts after the other: arrays, inputs, nodes, outputs. */
static hither_status take_parts(ht_onnx *o, const ht_pb_field *graph, uint32_t kind, uint32_t *link,
                                hither_error *err) {
    ht_pb p = ht_pb_over(graph->data, graph->bytes);
    ht_pb_field f;
    uint32_t value = HT_ONNX_NOTHING;
    while (ht_pb_next(&p, &f)) {
        if (f.number != kind)
            continue;
        if (kind == GRAPH_TENSOR)
            HT_TRY(add_tensor(o, f.data, f.bytes, NULL, &value, err));
        if (kind == GRAPH_INPUT && *slot_of(o, name_of(&f)) == HT_ONNX_NOTHING) {
            HT_TRY(new_value(o, name_of(&f), &value, err));
            o->input_types[o->graph.input_count] = element_type(&f);
            o->inputs[o->graph.input_count++] = value;
        }
        if (kind == GRAPH_OUTPUT) {
            value = *slot_of(o, name_of(&f));
            if (value == HT_ONNX_NOTHING)
                return ht_fail(err, HITHER_MODEL, "%.100s: nothing gives the output \"%.*s\"", o->name,
                               ONNX_NAME(name_of(&f)));
            o->outputs[o->graph.output_count++] = value;
        }
        if (kind == GRAPH_NODE) {
            uint32_t number = o->graph.node_count++;
            ht_onnx_node *node = &o->nodes[number];
            HT_TRY(check_node(o, &f, 0, node, err));
            HT_TRY(link_inputs(o, node, link, err));
            HT_TRY(link_outputs(o, node, number, link, err));
        }
    }
    return HITHER_OK;
}

/* ---- the model */

static hither_status check_opset(const ht_onnx *o, const ht_pb_field *opset, hither_error *err) {
    return check_domain(o, name_of(opset), (ht_onnx_text){"", 0}, err);
}

static hither_status walk_model(ht_onnx *o, hither_error *err) {
    enum { OPSET = 8, FUNCTIONS = 25 };
    ht_pb p = ht_pb_over(o->data, o->bytes);
    ht_pb_field f, graph = {0};
    while (ht_pb_next(&p, &f)) {
        if ((f.number == MODEL_GRAPH || f.number == OPSET) && f.kind != HT_PB_BYTES)
            return broken(o, "the model", p.at, err);
        if (f.number == MODEL_GRAPH && graph.data)
            return ht_fail(err, HITHER_MODEL, "%.100s: there are two graphs", o->name);
        if (f.number == MODEL_GRAPH)
            graph = f;
        if (f.number == OPSET)
            HT_TRY(check_opset(o, &f, err));
        if (f.number == FUNCTIONS || f.number == MODEL_TRAINING)
            return ht_fail(err, HITHER_MODEL, "%.100s: %s are not supported", o->name,
                           f.number == FUNCTIONS ? "functions of a model's own" : "graphs for training");
    }
    if (p.broken)
        return broken(o, "the model", p.at, err);
    if (!graph.data)
        return ht_fail(err, HITHER_MODEL, "%.100s: no ONNX file: there is no graph in its %zu bytes", o->name,
                       o->bytes);
    counts c = {0};
    uint32_t link = 0;
    HT_TRY(count_graph(o, &graph, &c, err));
    HT_TRY(make_room(o, &c, err));
    HT_TRY(take_parts(o, &graph, GRAPH_TENSOR, &link, err));
    HT_TRY(take_parts(o, &graph, GRAPH_INPUT, &link, err));
    HT_TRY(take_parts(o, &graph, GRAPH_NODE, &link, err));
    return take_parts(o, &graph, GRAPH_OUTPUT, &link, err);
}

static hither_status read_all(ht_onnx *o, const char *path, hither_error *err) {
    ht_file *file;
    uint64_t bytes = 0;
    HT_TRY(o->io->open(o->io->ctx, path, 0, &file, err));
    hither_status status = o->io->file_size(file, &bytes, err);
    if (status == HITHER_OK && bytes > HT_ONNX_MAX_FILE)
        status = ht_fail(err, HITHER_TOO_LARGE, "%.100s: %llu bytes; at most %llu are possible", o->name,
                         (unsigned long long)bytes, (unsigned long long)HT_ONNX_MAX_FILE);
    if (status == HITHER_OK) {
        o->data = ht_alloc((size_t)bytes);
        o->bytes = (size_t)bytes;
        status = o->data ? o->io->read_at(file, o->data, o->bytes, 0, err) : ht_fail_nomem(err, o->bytes, "a model");
    }
    o->io->close(file);
    return status;
}

hither_status ht_onnx_open(const ht_io *io, const char *folder, const char *name, ht_onnx **out, hither_error *err) {
    ht_onnx *o = ht_calloc(1, sizeof *o);
    if (!o)
        return ht_fail_nomem(err, sizeof *o, "a model");
    o->io = io;
    o->folder = ht_strdup(folder);
    o->name = ht_strdup(name);
    char *path = ht_path_join(folder, name);
    hither_status status =
        o->folder && o->name && path ? read_all(o, path, err) : ht_fail_nomem(err, strlen(folder), "a path");
    if (status == HITHER_OK)
        status = walk_model(o, err);
    ht_release(path);
    if (status != HITHER_OK) {
        ht_onnx_close(o);
        return status;
    }
    ht_release(o->table);
    o->table = NULL;
    *out = o;
    return HITHER_OK;
}

void ht_onnx_close(ht_onnx *o) {
    if (!o)
        return;
    ht_release(o->data);
    ht_release(o->folder);
    ht_release(o->name);
    ht_release(o->nodes);
    ht_release(o->tensors);
    ht_release(o->values);
    ht_release(o->links);
    ht_release(o->inputs);
    ht_release(o->outputs);
    ht_release(o->input_types);
    ht_release(o->table);
    ht_release(o);
}

const ht_onnx_graph *ht_onnx_graph_of(const ht_onnx *o) { return &o->graph; }

const void *ht_onnx_file(const ht_onnx *o, size_t *bytes) {
    *bytes = o->bytes;
    return o->data;
}

bool ht_onnx_has_files(const ht_onnx *o) {
    for (uint32_t i = 0; i < o->graph.tensor_count; i++)
        if (o->tensors[i].file.bytes)
            return true;
    return false;
}

/* ---- attributes */

static bool find_attribute(const ht_onnx_node *node, const char *name, ht_pb *out) {
    ht_pb p = ht_pb_over(node->body, node->bytes);
    ht_pb_field f;
    while (ht_pb_next(&p, &f)) {
        if (f.number == NODE_ATTRIBUTE && ht_onnx_is(name_of(&f), name)) {
            *out = ht_pb_over(f.data, f.bytes);
            return true;
        }
    }
    return false;
}

int64_t ht_onnx_integer(const ht_onnx_node *node, const char *name, int64_t otherwise) {
    enum { INTEGER = 3 };
    ht_pb p;
    ht_pb_field f;
    if (find_attribute(node, name, &p))
        while (ht_pb_next(&p, &f))
            if (f.number == INTEGER && f.kind == HT_PB_VARINT)
                return (int64_t)f.value;
    return otherwise;
}

size_t ht_onnx_integers(const ht_onnx_node *node, const char *name, int64_t *out, size_t most) {
    enum { INTEGERS = 8 };
    ht_pb p;
    ht_pb_field f;
    size_t count = 0;
    if (!find_attribute(node, name, &p))
        return 0;
    while (ht_pb_next(&p, &f) && count < most) {
        if (f.number != INTEGERS)
            continue;
        if (f.kind == HT_PB_VARINT)
            out[count++] = (int64_t)f.value;
        ht_pb packed = ht_pb_over(f.data, f.bytes);
        uint64_t value;
        while (packed.at < packed.end && count < most && ht_pb_varint(&packed, &value))
            out[count++] = (int64_t)value;
    }
    return count;
}
