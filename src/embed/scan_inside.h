/* scan_inside.h: a pattern as scan_parse.c compiles it and scan.c runs it. */
#ifndef HT_EMBED_SCAN_INSIDE_H
#define HT_EMBED_SCAN_INSIDE_H

#include "embed/scan.h"

enum { HT_SCAN_CODE = 4096, HT_SCAN_SETS = 1024, HT_SCAN_ITEMS = 4096, HT_SCAN_DEPTH = 16 };

typedef enum scan_op {
    SCAN_ONE,   /* a character of a set */
    SCAN_LOOP,  /* x to y of them, as many as there are, giving back unless possessive */
    SCAN_SPLIT, /* go on at x, or if that fails at y; both from here */
    SCAN_JUMP,  /* go on at x from here */
    SCAN_LOOK,  /* what follows up to its SCAN_END matches (or not) here; go on at x from here */
    SCAN_ATOM,  /* the same, and its end is where it goes on; it gives nothing back */
    SCAN_LINE_BEGIN,
    SCAN_LINE_END,
    SCAN_END
} scan_op;

typedef struct scan_code {
    uint8_t op;
    bool possessive, not ;
    uint32_t set;
    int32_t x, y; /* y -1 in SCAN_LOOP: without end */
} scan_code;

typedef enum scan_item_kind { SCAN_RANGE, SCAN_CATEGORIES, SCAN_SPACE, SCAN_WORD, SCAN_NESTED } scan_item_kind;

typedef struct scan_item {
    uint8_t kind;
    bool not ;
    uint32_t a, b; /* a range; the categories' bits; the number of a set */
} scan_item;

typedef struct scan_set {
    bool not ;
    uint32_t first, count; /* items */
    uint32_t ascii[4];     /* the answer for these */
} scan_set;

struct ht_scan {
    size_t code_count, set_count, item_count;
    scan_code *code;
    scan_set *sets;
    scan_item *items;
};

/* By the items, whatever `ascii` says. */
bool ht_scan_has(const ht_scan *scan, const scan_set *set, uint32_t cp);

#endif
