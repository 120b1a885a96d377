/*
 * scan_parse.c: a pattern to a program (scan_inside.h). One pass, by recursive descent; what a quantifier repeats is
 * copied, so jumps are from where they stand. Anything that is not known is refused with its place.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/token_chars.h"
#include "embed/scan_inside.h"

enum { MAX_TURNS = 1000, MAX_SET_DEPTH = 4 };

typedef struct parsing {
    const char *text;
    size_t bytes, at;
    const char *where;
    ht_scan *s;
    bool any_case;
    int depth;
    hither_error *err;
} parsing;

static hither_status refuse(const parsing *p, const char *what) {
    return ht_fail(p->err, HITHER_MODEL, "%s: pattern \"%.*s\" is not supported: %s at byte %zu", p->where,
                   (int)ht_min_size(p->bytes, 120), p->text, what, p->at);
}

static hither_status too_large(const parsing *p) {
    return ht_fail(p->err, HITHER_TOO_LARGE, "%s: pattern \"%.*s\" is too large", p->where,
                   (int)ht_min_size(p->bytes, 120), p->text);
}

static bool looking_at(const parsing *p, const char *what) {
    size_t length = strlen(what);
    return p->bytes - p->at >= length && memcmp(p->text + p->at, what, length) == 0;
}

static bool eat(parsing *p, const char *what) {
    bool there = looking_at(p, what);
    p->at += there ? strlen(what) : 0;
    return there;
}

static uint32_t next_char(parsing *p) {
    size_t length;
    bool valid;
    uint32_t cp = ht_utf8_next(p->text + p->at, p->bytes - p->at, &length, &valid);
    p->at += length;
    return cp;
}

/* ---- sets */

static hither_status add_item(parsing *p, scan_item item) {
    if (p->s->item_count == HT_SCAN_ITEMS)
        return too_large(p);
    p->s->items[p->s->item_count++] = item;
    return HITHER_OK;
}

static hither_status add_range(parsing *p, uint32_t from, uint32_t to) {
    HT_TRY(add_item(p, (scan_item){SCAN_RANGE, false, from, to}));
    if (!p->any_case)
        return HITHER_OK;
    if (to >= 0x80)
        return refuse(p, "a character beyond ASCII in any case");
    uint32_t low = from > 'a' ? from : 'a', high = to < 'z' ? to : 'z';
    if (low <= high)
        HT_TRY(add_item(p, (scan_item){SCAN_RANGE, false, low - 32, high - 32}));
    if ((from <= 's' && to >= 's') || (from <= 'S' && to >= 'S'))
        HT_TRY(add_item(p, (scan_item){SCAN_RANGE, false, 0x17f, 0x17f})); /* the long s */
    if ((from <= 'k' && to >= 'k') || (from <= 'K' && to >= 'K'))
        HT_TRY(add_item(p, (scan_item){SCAN_RANGE, false, 0x212a, 0x212a})); /* the Kelvin sign */
    low = from > 'A' ? from : 'A';
    high = to < 'Z' ? to : 'Z';
    return low <= high ? add_item(p, (scan_item){SCAN_RANGE, false, low + 32, high + 32}) : HITHER_OK;
}

/* Closes the set whose items are those from `first` on. */
static hither_status close_set(parsing *p, bool not, uint32_t first, uint32_t *number) {
    ht_scan *s = p->s;
    if (s->set_count == HT_SCAN_SETS)
        return too_large(p);
    scan_set *set = &s->sets[s->set_count];
    *set = (scan_set){.not = not, .first = first, .count = (uint32_t)s->item_count - first};
    for (uint32_t cp = 0; cp < 0x80; cp++)
        set->ascii[cp >> 5] |= (uint32_t)ht_scan_has(s, set, cp) << (cp & 31);
    *number = (uint32_t)s->set_count++;
    return HITHER_OK;
}

static hither_status categories(parsing *p, bool not, scan_item *out) {
    static const char *const names[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                        "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                        "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
    const char *end = p->at < p->bytes && p->text[p->at] == '{'
                          ? memchr(p->text + p->at, '}', ht_min_size(p->bytes - p->at, 8))
                          : NULL;
    const char *name = p->text + p->at + 1;
    size_t length = end ? (size_t)(end - name) : 0;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
        if (length > 0 && length <= 2 && memcmp(names[i], name, length) == 0)
            bits |= 1u << i;
    if (!bits)
        return refuse(p, "a property that is no general category");
    p->at += length + 2;
    *out = (scan_item){SCAN_CATEGORIES, not, bits, 0};
    return HITHER_OK;
}

static int hex_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The number of `most` hex digits at most, up to a brace if one is there. */
static hither_status hex_char(parsing *p, size_t most, uint32_t *out) {
    bool brace = eat(p, "{");
    size_t begin = p->at;
    uint32_t cp = 0;
    while (p->at < p->bytes && p->at - begin < (brace ? 6 : most) && hex_of(p->text[p->at]) >= 0)
        cp = cp * 16 + (uint32_t)hex_of(p->text[p->at++]);
    if (p->at == begin || (!brace && p->at - begin != most) || (brace && !eat(p, "}")) || cp > 0x10ffff)
        return refuse(p, "a character by a number that cannot be read");
    if (!brace && most == 2 && cp >= 0x80)
        return refuse(p, "a byte that is no character");
    *out = cp;
    return HITHER_OK;
}

/* What stands behind a backslash: a class of characters, or one (then out->kind is SCAN_RANGE). */
static hither_status escape(parsing *p, scan_item *out) {
    static const char from[] = "rntfvae0", to[] = "\r\n\t\f\v\a\033";
    if (p->at >= p->bytes)
        return refuse(p, "an escape");
    char c = p->text[p->at++];
    const char *known = c ? strchr(from, c) : NULL;
    const uint32_t digits = 1u << HT_ND;
    uint32_t cp = (unsigned char)c;
    switch (c) {
    case 's':
    case 'S':
        *out = (scan_item){SCAN_SPACE, c == 'S', 0, 0};
        return HITHER_OK;
    case 'd':
    case 'D':
        *out = (scan_item){SCAN_CATEGORIES, c == 'D', digits, 0};
        return HITHER_OK;
    case 'w':
    case 'W':
        *out = (scan_item){SCAN_WORD, c == 'W', 0, 0};
        return HITHER_OK;
    case 'p':
    case 'P':
        return categories(p, c == 'P', out);
    case 'u':
        HT_TRY(hex_char(p, 4, &cp));
        break;
    case 'x':
        HT_TRY(hex_char(p, 2, &cp));
        break;
    default:
        if (known)
            cp = (unsigned char)to[known - from];
        else if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return refuse(p, "an escape");
        if (cp >= 0x80) {
            p->at--;
            cp = next_char(p);
        }
    }
    *out = (scan_item){SCAN_RANGE, false, cp, cp};
    return HITHER_OK;
}

/* One character of a class, or a class within it. */
static hither_status class_item(parsing *p, scan_item *out) {
    if (eat(p, "\\"))
        return escape(p, out);
    uint32_t cp = next_char(p);
    *out = (scan_item){SCAN_RANGE, false, cp, cp};
    return HITHER_OK;
}

/* A set's items lie side by side, so those of a set within another wait in `within` until it is closed. */
static hither_status class_set(parsing *p, int depth, uint32_t *number) {
    bool not = eat(p, "^");
    scan_item within[64];
    size_t count = 0;
    if (depth > MAX_SET_DEPTH)
        return refuse(p, "sets within sets");
    for (bool first = true; !looking_at(p, "]") || first; first = false) {
        scan_item item, last;
        if (p->at >= p->bytes || looking_at(p, "&&") || looking_at(p, "[:") || (first && looking_at(p, "]")))
            return refuse(p, "a set");
        if (count + 4 >= sizeof within / sizeof *within)
            return too_large(p);
        if (eat(p, "[")) {
            uint32_t inner;
            HT_TRY(class_set(p, depth + 1, &inner));
            within[count++] = (scan_item){SCAN_NESTED, false, inner, 0};
            continue;
        }
        HT_TRY(class_item(p, &item));
        if (item.kind == SCAN_RANGE && looking_at(p, "-") && p->at + 1 < p->bytes && p->text[p->at + 1] != ']') {
            p->at++;
            HT_TRY(class_item(p, &last));
            if (last.kind != SCAN_RANGE || last.a < item.a)
                return refuse(p, "a range");
            item.b = last.a;
        }
        within[count++] = item;
    }
    p->at++;
    uint32_t begin = (uint32_t)p->s->item_count;
    for (size_t i = 0; i < count; i++)
        HT_TRY(within[i].kind == SCAN_RANGE ? add_range(p, within[i].a, within[i].b) : add_item(p, within[i]));
    return close_set(p, not, begin, number);
}

/* ---- code */

static hither_status emit(parsing *p, scan_code code) {
    if (p->s->code_count == HT_SCAN_CODE)
        return too_large(p);
    p->s->code[p->s->code_count++] = code;
    return HITHER_OK;
}

static hither_status emit_copy(parsing *p, const scan_code *code, size_t count) {
    for (size_t i = 0; i < count; i++)
        HT_TRY(emit(p, code[i]));
    return HITHER_OK;
}

static hither_status emit_set(parsing *p, scan_item item) {
    uint32_t first = (uint32_t)p->s->item_count, number;
    HT_TRY(item.kind == SCAN_RANGE ? add_range(p, item.a, item.b) : add_item(p, item));
    HT_TRY(close_set(p, false, first, &number));
    return emit(p, (scan_code){.op = SCAN_ONE, .set = number});
}

typedef struct turns {
    int32_t least, most; /* most -1: without end */
    bool lazy, possessive;
} turns;

static bool number_of(parsing *p, int32_t *out) {
    size_t begin = p->at;
    for (*out = 0; p->at < p->bytes && p->text[p->at] >= '0' && p->text[p->at] <= '9' && *out <= MAX_TURNS; p->at++)
        *out = *out * 10 + (p->text[p->at] - '0');
    return p->at > begin && *out <= MAX_TURNS;
}

static hither_status interval(parsing *p, turns *t) {
    if (!number_of(p, &t->least))
        return refuse(p, "an interval");
    t->most = t->least;
    bool range = eat(p, ",");
    if (range && looking_at(p, "}"))
        t->most = -1;
    else if (range && (!number_of(p, &t->most) || t->most < t->least))
        return refuse(p, "an interval");
    if (!eat(p, "}") || (!range && looking_at(p, "?")))
        return refuse(p, "an interval");
    t->lazy = eat(p, "?");
    return HITHER_OK;
}

static hither_status quantifier(parsing *p, turns *t, bool *there) {
    *t = (turns){0};
    *there = true;
    if (eat(p, "{"))
        return interval(p, t);
    if (eat(p, "*"))
        t->most = -1;
    else if (eat(p, "+"))
        *t = (turns){.least = 1, .most = -1};
    else if (eat(p, "?"))
        t->most = 1;
    else
        *there = false;
    if (*there) {
        t->possessive = eat(p, "+");
        t->lazy = !t->possessive && eat(p, "?");
    }
    return HITHER_OK;
}

static hither_status emit_split(parsing *p, int32_t onward, int32_t past, bool lazy) {
    return emit(p, (scan_code){.op = SCAN_SPLIT, .x = lazy ? past : onward, .y = lazy ? onward : past});
}

/* The code from `begin` on, t times. */
static hither_status emit_turns(parsing *p, const scan_code *code, int32_t count, const turns *t) {
    if (t->possessive)
        HT_TRY(emit(p, (scan_code){.op = SCAN_ATOM}));
    size_t atom = p->s->code_count;
    for (int32_t i = 0; i < t->least; i++)
        HT_TRY(emit_copy(p, code, (size_t)count));
    if (t->most < 0) {
        HT_TRY(emit_split(p, 1, count + 2, t->lazy));
        HT_TRY(emit_copy(p, code, (size_t)count));
        HT_TRY(emit(p, (scan_code){.op = SCAN_JUMP, .x = -(count + 1)}));
    }
    for (int32_t i = t->least; i < t->most; i++) { /* each may be the last */
        HT_TRY(emit_split(p, 1, (t->most - i) * (count + 1), t->lazy));
        HT_TRY(emit_copy(p, code, (size_t)count));
    }
    if (!t->possessive)
        return HITHER_OK;
    HT_TRY(emit(p, (scan_code){.op = SCAN_END}));
    p->s->code[atom - 1].x = (int32_t)(p->s->code_count - atom + 1);
    return HITHER_OK;
}

static hither_status repeat(parsing *p, size_t begin, const turns *t) {
    ht_scan *s = p->s;
    size_t count = s->code_count - begin;
    if (count == 1 && s->code[begin].op == SCAN_ONE && !t->lazy) {
        s->code[begin].op = SCAN_LOOP;
        s->code[begin].x = t->least;
        s->code[begin].y = t->most;
        s->code[begin].possessive = t->possessive;
        return HITHER_OK;
    }
    scan_code *code = ht_memdup(s->code + begin, count * sizeof *code);
    if (!code)
        return ht_fail_nomem(p->err, count * sizeof *code, "a pattern");
    s->code_count = begin;
    hither_status status = emit_turns(p, code, (int32_t)count, t);
    ht_release(code);
    return status;
}

static hither_status alternatives(parsing *p);

/* A group; what stands between its brackets goes between `op` and its end where there is one. */
static hither_status group(parsing *p) {
    bool outer = p->any_case, wraps = false;
    scan_code code = {.op = SCAN_LOOK};
    if (eat(p, "?:")) {
    } else if (eat(p, "?i:")) {
        p->any_case = true;
    } else if (eat(p, "?=") || eat(p, "?!")) {
        code.not = p->text[p->at - 1] == '!';
        wraps = true;
    } else if (eat(p, "?>")) {
        code.op = SCAN_ATOM;
        wraps = true;
    } else if (looking_at(p, "?")) {
        return refuse(p, "a group");
    }
    size_t begin = p->s->code_count;
    if (wraps)
        HT_TRY(emit(p, code));
    HT_TRY(alternatives(p));
    if (!eat(p, ")"))
        return refuse(p, "a group without an end");
    p->any_case = outer;
    if (!wraps)
        return HITHER_OK;
    HT_TRY(emit(p, (scan_code){.op = SCAN_END}));
    p->s->code[begin].x = (int32_t)(p->s->code_count - begin);
    return HITHER_OK;
}

static hither_status atom(parsing *p) {
    scan_item item;
    uint32_t number;
    if (eat(p, "("))
        return group(p);
    if (eat(p, "[")) {
        HT_TRY(class_set(p, 0, &number));
        return emit(p, (scan_code){.op = SCAN_ONE, .set = number});
    }
    if (eat(p, "^"))
        return emit(p, (scan_code){.op = SCAN_LINE_BEGIN});
    if (eat(p, "$"))
        return emit(p, (scan_code){.op = SCAN_LINE_END});
    if (eat(p, ".")) {
        uint32_t first = (uint32_t)p->s->item_count;
        HT_TRY(add_item(p, (scan_item){SCAN_RANGE, false, '\n', '\n'}));
        HT_TRY(close_set(p, true, first, &number));
        return emit(p, (scan_code){.op = SCAN_ONE, .set = number});
    }
    if (strchr("*+?{", p->text[p->at]))
        return refuse(p, "nothing to repeat");
    if (eat(p, "\\")) {
        HT_TRY(escape(p, &item));
        return emit_set(p, item);
    }
    uint32_t cp = next_char(p);
    return emit_set(p, (scan_item){SCAN_RANGE, false, cp, cp});
}

static hither_status sequence(parsing *p) {
    while (p->at < p->bytes && !looking_at(p, "|") && !looking_at(p, ")")) {
        size_t begin = p->s->code_count;
        HT_TRY(atom(p));
        for (bool there = true; there;) {
            turns t;
            HT_TRY(quantifier(p, &t, &there));
            if (there)
                HT_TRY(repeat(p, begin, &t));
        }
    }
    return HITHER_OK;
}

static hither_status alternatives(parsing *p) {
    size_t begin = p->s->code_count;
    if (++p->depth > HT_SCAN_DEPTH)
        return refuse(p, "groups within groups");
    HT_TRY(sequence(p));
    if (eat(p, "|")) { /* SPLIT, this one, a JUMP past the rest, the rest */
        size_t count = p->s->code_count - begin;
        HT_TRY(emit(p, (scan_code){0}));
        memmove(p->s->code + begin + 1, p->s->code + begin, count * sizeof *p->s->code);
        p->s->code[begin] = (scan_code){.op = SCAN_SPLIT, .x = 1, .y = (int32_t)count + 2};
        HT_TRY(emit(p, (scan_code){.op = SCAN_JUMP}));
        size_t rest = p->s->code_count;
        p->depth--;
        HT_TRY(alternatives(p));
        p->depth++;
        p->s->code[rest - 1].x = (int32_t)(p->s->code_count - rest) + 1;
    }
    p->depth--;
    return HITHER_OK;
}

/* ---- the whole */

static hither_status scan_new(ht_scan **out, hither_error *err) {
    ht_scan *s = ht_calloc(1, sizeof *s);
    if (s) {
        s->code = ht_calloc(HT_SCAN_CODE, sizeof *s->code);
        s->sets = ht_calloc(HT_SCAN_SETS, sizeof *s->sets);
        s->items = ht_calloc(HT_SCAN_ITEMS, sizeof *s->items);
    }
    if (!s || !s->code || !s->sets || !s->items) {
        ht_scan_free(s);
        return ht_fail_nomem(err, HT_SCAN_CODE * sizeof(scan_code), "a pattern");
    }
    *out = s;
    return HITHER_OK;
}

/* Gives back what a pattern did not need. */
static void shrink(ht_scan *s) {
    scan_code *code = ht_resize(s->code, s->code_count * sizeof *code);
    s->code = code ? code : s->code;
    scan_set *sets = ht_resize(s->sets, (s->set_count + 1) * sizeof *sets);
    s->sets = sets ? sets : s->sets;
    scan_item *items = ht_resize(s->items, (s->item_count + 1) * sizeof *items);
    s->items = items ? items : s->items;
}

static hither_status finish(parsing *p, hither_status status, ht_scan **out) {
    if (status == HITHER_OK)
        status = emit(p, (scan_code){.op = SCAN_END});
    if (status != HITHER_OK) {
        ht_scan_free(p->s);
        return status;
    }
    shrink(p->s);
    *out = p->s;
    return HITHER_OK;
}

hither_status ht_scan_compile(const char *pattern, size_t bytes, const char *where, ht_scan **out, hither_error *err) {
    parsing p = {.text = pattern, .bytes = bytes, .where = where, .err = err};
    HT_TRY(scan_new(&p.s, err));
    hither_status status = alternatives(&p);
    if (status == HITHER_OK && p.at < bytes)
        status = refuse(&p, "a bracket without its other");
    return finish(&p, status, out);
}

hither_status ht_scan_literal(const char *text, size_t bytes, const char *where, ht_scan **out, hither_error *err) {
    parsing p = {.text = text, .bytes = bytes, .where = where, .err = err};
    HT_TRY(scan_new(&p.s, err));
    hither_status status = HITHER_OK;
    while (status == HITHER_OK && p.at < bytes) {
        uint32_t cp = next_char(&p);
        status = emit_set(&p, (scan_item){SCAN_RANGE, false, cp, cp});
    }
    return finish(&p, status, out);
}
