/* scan.c: see scan.h. Backtracking with a stack of its own; loops over one set keep one place on it, not one a turn. */
#include "embed/scan.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/token_chars.h"
#include "embed/scan_inside.h"

enum { STEPS_A_BYTE = 512, STEPS = 65536 };

static bool item_has(const ht_scan *s, const scan_item *i, uint32_t cp) {
    switch ((scan_item_kind)i->kind) {
    case SCAN_RANGE:
        return cp >= i->a && cp <= i->b;
    case SCAN_CATEGORIES:
        return (i->a >> (ht_token_facts(cp) & HT_FACT_CATEGORY) & 1) != 0;
    case SCAN_SPACE:
        return ht_token_space(cp);
    case SCAN_WORD:
        return (ht_token_facts(cp) & HT_FACT_WORD) != 0;
    default:
        return ht_scan_has(s, &s->sets[i->a], cp);
    }
}

bool ht_scan_has(const ht_scan *s, const scan_set *set, uint32_t cp) {
    for (uint32_t i = 0; i < set->count; i++) {
        const scan_item *item = &s->items[set->first + i];
        if (item_has(s, item, cp) != item->not )
            return !set->not ;
    }
    return set->not ;
}

/* Length of the character at `at` if the set has it, else 0. */
static size_t one(const ht_scan *s, uint32_t number, const char *text, size_t bytes, size_t at) {
    if (at >= bytes)
        return 0;
    const scan_set *set = &s->sets[number];
    unsigned char c = (unsigned char)text[at];
    if (c < 0x80)
        return set->ascii[c >> 5] >> (c & 31) & 1;
    size_t length;
    bool valid;
    uint32_t cp = ht_utf8_next(text + at, bytes - at, &length, &valid);
    return ht_scan_has(s, set, cp) ? length : 0;
}

static void leave(ht_scan_room *r, uint32_t pc, size_t least, size_t at) {
    if (r->top == HT_SCAN_STACK)
        r->steps = 0;
    else
        r->places[r->top++] = (ht_scan_place){pc, least, at};
}

/* Back to the last place left above `base`; false if there is none. */
static bool back(ht_scan_room *r, size_t base, const char *text, uint32_t *pc, size_t *at) {
    if (r->top == base)
        return false;
    ht_scan_place *p = &r->places[r->top - 1];
    if (p->at > p->least) { /* a loop gives a character back */
        do
            p->at--;
        while (p->at > p->least && ((unsigned char)text[p->at] & 0xc0u) == 0x80);
        *pc = p->pc;
        *at = p->at;
        if (p->at == p->least)
            r->top--;
        return true;
    }
    *pc = p->pc;
    *at = p->at;
    r->top--;
    return true;
}

/* Takes the turns of a loop; false if there are too few. */
static bool loop(const ht_scan *s, const scan_code *c, ht_scan_room *r, const char *text, size_t bytes, uint32_t pc,
                 size_t *at) {
    size_t least = *at, length;
    int32_t turns = 0;
    for (; turns != c->y && (length = one(s, c->set, text, bytes, *at)) != 0; turns += turns < INT32_MAX) {
        *at += length;
        if (turns + 1 == c->x)
            least = *at;
        if (r->steps == 0)
            return false;
        r->steps--;
    }
    if (turns < c->x)
        return false;
    if (!c->possessive && *at > least)
        leave(r, pc + 1, least, *at);
    return true;
}

static bool run(const ht_scan *s, ht_scan_room *r, const char *text, size_t bytes, uint32_t pc, size_t at,
                size_t *end) {
    size_t base = r->top, inner;
    for (;;) {
        const scan_code *c = &s->code[pc];
        bool good = r->steps > 0;
        r->steps -= good;
        if (!good)
            return false;
        switch ((scan_op)c->op) {
        case SCAN_ONE:
            inner = one(s, c->set, text, bytes, at);
            at += inner;
            pc++;
            good = inner > 0;
            break;
        case SCAN_LOOP:
            good = loop(s, c, r, text, bytes, pc, &at);
            pc++;
            break;
        case SCAN_SPLIT:
            leave(r, (uint32_t)((int32_t)pc + c->y), at, at);
            pc = (uint32_t)((int32_t)pc + c->x);
            break;
        case SCAN_JUMP:
            pc = (uint32_t)((int32_t)pc + c->x);
            break;
        case SCAN_LOOK:
            good = run(s, r, text, bytes, pc + 1, at, &inner) != c->not ;
            pc = (uint32_t)((int32_t)pc + c->x);
            break;
        case SCAN_ATOM:
            good = run(s, r, text, bytes, pc + 1, at, &at);
            pc = (uint32_t)((int32_t)pc + c->x);
            break;
        case SCAN_LINE_BEGIN:
            good = at == 0 || text[at - 1] == '\n';
            pc++;
            break;
        case SCAN_LINE_END:
            good = at == bytes || text[at] == '\n';
            pc++;
            break;
        default:
            *end = at;
            r->top = base;
            return true;
        }
        if (!good && !back(r, base, text, &pc, &at))
            return false;
    }
}

void ht_scan_begin(ht_scan_room *room, size_t bytes) {
    room->steps = STEPS + (uint64_t)bytes * STEPS_A_BYTE;
    room->top = 0;
}

hither_status ht_scan_next(const ht_scan *s, ht_scan_room *room, const char *text, size_t bytes, size_t at,
                           size_t *begin, size_t *end, hither_error *err) {
    for (; at < bytes; at++) {
        if (((unsigned char)text[at] & 0xc0u) == 0x80)
            continue;
        room->top = 0;
        bool found = run(s, room, text, bytes, 0, at, end);
        if (room->steps == 0)
            return ht_fail(err, HITHER_MODEL, "a pattern of the tokenizer takes too many steps on a text of %zu bytes",
                           bytes);
        if (found && *end > at)
            break;
    }
    *begin = at < bytes ? at : bytes;
    return HITHER_OK;
}

void ht_scan_free(ht_scan *s) {
    if (!s)
        return;
    ht_release(s->code);
    ht_release(s->sets);
    ht_release(s->items);
    ht_release(s);
}
