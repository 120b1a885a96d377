/*
 * regex_inside.h: what the files of the regular expressions share: the parsed pattern and the program. One thread.
 */
#ifndef HT_BASE_REGEX_INSIDE_H
#define HT_BASE_REGEX_INSIDE_H

#include "base/buf.h"
#include "base/regex.h"

#define HT_REGEX_BYTES   4096u  /* of a pattern */
#define HT_REGEX_DEPTH   64u    /* of groups in one another */
#define HT_REGEX_TIMES   1000u  /* the largest n of {n} */
#define HT_REGEX_PROGRAM 4096u  /* instructions */
#define HT_REGEX_FOLDED  65536u /* characters of ranges that (?i) looks at */

#define HT_NO_NODE UINT32_MAX

typedef enum ht_regex_kind {
    HT_REGEX_EMPTY,
    HT_REGEX_CLASS, /* one character out of ranges[first ... first + count) */
    HT_REGEX_BEGIN,
    HT_REGEX_END,
    HT_REGEX_CONCAT, /* of its children */
    HT_REGEX_ALTER,
    HT_REGEX_REPEAT /* of its one child; max UINT32_MAX: without end */
} ht_regex_kind;

typedef struct ht_regex_node {
    ht_regex_kind kind;
    uint32_t child, next; /* the first child; the next one of the same parent */
    uint32_t first, count;
    uint32_t min, max;
} ht_regex_node;

typedef struct ht_regex_range {
    uint32_t first, last; /* characters */
} ht_regex_range;

typedef struct ht_regex_tree {
    ht_buf nodes, ranges;
    uint32_t root;
} ht_regex_tree;

static inline ht_regex_node *ht_regex_node_at(const ht_regex_tree *tree, uint32_t i) {
    return &((ht_regex_node *)(void *)tree->nodes.data)[i];
}

/* The tree is to be cleared in any case. */
HT_NODISCARD hither_status ht_regex_parse(ht_regex_tree *tree, const char *pattern, size_t bytes, const char *what,
                                          hither_error *err);
void ht_regex_tree_clear(ht_regex_tree *tree);

typedef enum ht_regex_op { HT_OP_RANGE, HT_OP_SPLIT, HT_OP_BEGIN, HT_OP_END, HT_OP_MATCH } ht_regex_op;

typedef struct ht_regex_step {
    uint8_t op, low, high; /* of RANGE: a byte in low ... high leads to a */
    uint16_t a, b;         /* SPLIT leads to both; BEGIN and END to a, there */
} ht_regex_step;

typedef struct ht_regex_program {
    ht_regex_step *steps; /* the first is the only MATCH */
    uint32_t count;
    uint16_t start;
} ht_regex_program;

HT_NODISCARD hither_status ht_regex_program_make(const ht_regex_tree *tree, const char *what, ht_regex_program *out,
                                                 hither_error *err);

/* How many steps all searches so far have looked at to make states, and of how many the program is. What a search looks
 * at is at most a small multiple of the program for each byte; tests/unit/test_regex.c counts. */
uint64_t ht_regex_work(ht_regex *regex, uint32_t *steps);

#endif
