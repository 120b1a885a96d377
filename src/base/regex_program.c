/*
 * regex_program.c: from the tree to steps over bytes. It is built from its end: compiling a part needs to know where it
 * leads to. A set of characters becomes sequences of byte ranges, which share their ends.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/regex_inside.h"
#include "base/text.h"

typedef struct compiler {
    const ht_regex_tree *tree;
    ht_regex_step *steps;
    uint32_t count;
    bool full;
    uint32_t shared; /* steps from here on belong to the set that is being compiled */
} compiler;

static uint16_t emit(compiler *c, ht_regex_step step) {
    if (c->count == HT_REGEX_PROGRAM) {
        c->full = true;
        return 0;
    }
    c->steps[c->count] = step;
    return (uint16_t)c->count++;
}

static uint16_t emit_split(compiler *c, uint16_t a, uint16_t b) {
    return emit(c, (ht_regex_step){.op = HT_OP_SPLIT, .a = a, .b = b});
}

/* ---- sets of characters */

static uint16_t emit_bytes(compiler *c, unsigned char low, unsigned char high, uint16_t next) {
    for (uint32_t i = c->shared; i < c->count; i++) {
        const ht_regex_step *s = &c->steps[i];
        if (s->op == HT_OP_RANGE && s->low == low && s->high == high && s->a == next)
            return (uint16_t)i;
    }
    return emit(c, (ht_regex_step){.op = HT_OP_RANGE, .low = low, .high = high, .a = next});
}

/* Characters whose encodings are of one length, and which are all that lie between the bytes of the first and last. */
static uint16_t emit_box(compiler *c, uint32_t first, uint32_t last, uint16_t next) {
    char low[4], high[4];
    size_t n = ht_utf8_put(first, low);
    (void)ht_utf8_put(last, high);
    while (n--)
        next = emit_bytes(c, (unsigned char)low[n], (unsigned char)high[n], next);
    return next;
}

typedef struct choice {
    uint16_t entry;
    bool any;
} choice;

/* A further way in. */
static void also(compiler *c, choice *all, uint16_t entry) {
    all->entry = all->any ? emit_split(c, entry, all->entry) : entry;
    all->any = true;
}

/* Cuts a range into boxes; the recursion is at most 4 levels of 2 cuts. */
static void emit_range(compiler *c, uint32_t first, uint32_t last, uint16_t next, choice *all) {
    static const uint32_t lengths[] = {0x7F, 0x7FF, 0xD7FF, 0xDFFF, 0xFFFF};
    if (first > last || c->full)
        return;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        if (first <= lengths[i] && last > lengths[i]) {
            emit_range(c, first, lengths[i], next, all);
            emit_range(c, lengths[i] + 1, last, next, all);
            return;
        }
    }
    if (first >= 0xD800 && last <= 0xDFFF)
        return; /* surrogates are in no text */
    for (unsigned i = 1; first > 0x7F && i < 4; i++) {
        uint32_t mask = ((uint32_t)1 << 6 * i) - 1;
        if ((first & ~mask) == (last & ~mask))
            continue;
        if (first & mask) {
            emit_range(c, first, first | mask, next, all);
            emit_range(c, (first | mask) + 1, last, next, all);
            return;
        }
        if ((last & mask) != mask) {
            emit_range(c, first, (last & ~mask) - 1, next, all);
            emit_range(c, last & ~mask, last, next, all);
            return;
        }
    }
    also(c, all, emit_box(c, first, last, next));
}

static uint16_t compile_class(compiler *c, const ht_regex_node *node, uint16_t next) {
    const ht_regex_range *ranges = (const ht_regex_range *)(const void *)c->tree->ranges.data + node->first;
    choice all = {0};
    c->shared = c->count;
    for (uint32_t i = 0; i < node->count && !c->full; i++)
        emit_range(c, ranges[i].first, ranges[i].last, next, &all);
    if (!all.any) /* no character at all */
        all.entry = emit(c, (ht_regex_step){.op = HT_OP_RANGE, .low = 1, .high = 0});
    return all.entry;
}

/* ---- the rest */

static uint16_t compile(compiler *c, uint32_t at, uint16_t next);

/* The children from `at` on, which lead to one another and then to next. The recursion would be as deep as the sequence
 * is long, so they are turned round first. */
static uint16_t compile_sequence(compiler *c, uint32_t child, uint16_t next) {
    ht_regex_node *nodes = ht_regex_node_at(c->tree, 0);
    uint32_t reversed = HT_NO_NODE, after;
    for (uint32_t i = child; i != HT_NO_NODE; i = after) {
        after = nodes[i].next;
        nodes[i].next = reversed;
        reversed = i;
    }
    uint32_t forward = HT_NO_NODE;
    for (uint32_t i = reversed; i != HT_NO_NODE; i = after) {
        next = c->full ? 0 : compile(c, i, next);
        after = nodes[i].next;
        nodes[i].next = forward;
        forward = i;
    }
    return next;
}

static uint16_t compile_repeat(compiler *c, const ht_regex_node *node, uint16_t next) {
    uint16_t to = next;
    if (node->max == UINT32_MAX) {
        to = emit_split(c, 0, next);
        uint16_t body = compile(c, node->child, to);
        if (!c->full)
            c->steps[to].a = body;
    }
    for (uint32_t i = node->min; node->max != UINT32_MAX && i < node->max && !c->full; i++)
        to = emit_split(c, compile(c, node->child, to), next);
    for (uint32_t i = 0; i < node->min && !c->full; i++) {
        uint32_t before = c->count;
        to = compile(c, node->child, to);
        if (c->count == before)
            break; /* the empty text, however often: without this, groups of it would take for ever */
    }
    return to;
}

/* Where a part begins that leads to `next`. */
static uint16_t compile(compiler *c, uint32_t at, uint16_t next) {
    const ht_regex_node *node = ht_regex_node_at(c->tree, at);
    choice all = {0};
    switch (node->kind) {
    case HT_REGEX_CLASS:
        return compile_class(c, node, next);
    case HT_REGEX_BEGIN:
        return emit(c, (ht_regex_step){.op = HT_OP_BEGIN, .a = next});
    case HT_REGEX_END:
        return emit(c, (ht_regex_step){.op = HT_OP_END, .a = next});
    case HT_REGEX_CONCAT:
        return compile_sequence(c, node->child, next);
    case HT_REGEX_REPEAT:
        return compile_repeat(c, node, next);
    default:
        for (uint32_t i = node->child; i != HT_NO_NODE && !c->full; i = ht_regex_node_at(c->tree, i)->next)
            also(c, &all, compile(c, i, next));
        return all.entry;
    }
}

hither_status ht_regex_program_make(const ht_regex_tree *tree, const char *what, ht_regex_program *out,
                                    hither_error *err) {
    compiler c = {.tree = tree, .steps = ht_alloc(HT_REGEX_PROGRAM * sizeof *c.steps)};
    if (!c.steps)
        return ht_fail_nomem(err, HT_REGEX_PROGRAM * sizeof *c.steps, "a regular expression");
    uint16_t match = emit(&c, (ht_regex_step){.op = HT_OP_MATCH});
    uint16_t start = compile(&c, tree->root, match);
    if (c.full) {
        ht_release(c.steps);
        return ht_fail(err, HITHER_TOO_LARGE, "%s: the pattern is too large: it takes more than %u steps written out",
                       what, HT_REGEX_PROGRAM);
    }
    ht_regex_step *fitted = ht_resize(c.steps, c.count * sizeof *fitted);
    *out = (ht_regex_program){fitted ? fitted : c.steps, c.count, start};
    return HITHER_OK;
}
