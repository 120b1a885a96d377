/*
 * regex_parse.c: a pattern, parsed over code points into a tree. Recursion is as deep as groups are, which is bounded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/regex_inside.h"
#include "base/text.h"

#define LAST_CHARACTER 0x10FFFFu

typedef struct parser {
    ht_regex_tree *tree;
    const char *text, *what;
    size_t bytes, at;
    unsigned depth;
    bool any_case, dot_all;
    uint32_t folded;
    hither_error *err;
} parser;

static hither_status refuse(parser *p, const char *why) {
    size_t character = 1;
    for (size_t i = 0; i < p->at && i < p->bytes; i++)
        character += ((unsigned char)p->text[i] & 0xc0) != 0x80;
    return ht_fail(p->err, HITHER_INVALID, "%s: at character %zu of the pattern: %s", p->what, character, why);
}

static bool more(const parser *p) { return p->at < p->bytes; }
static char here(const parser *p) { return more(p) ? p->text[p->at] : '\0'; }
static bool follows(const parser *p, const char *text) {
    size_t n = strlen(text);
    return p->bytes - p->at >= n && memcmp(p->text + p->at, text, n) == 0;
}

static uint32_t next_character(parser *p) {
    size_t length;
    bool valid;
    uint32_t cp = ht_utf8_next(p->text + p->at, p->bytes - p->at, &length, &valid);
    p->at += length;
    return cp;
}

static uint32_t add_node(parser *p, ht_regex_node node) {
    uint32_t at = (uint32_t)(p->tree->nodes.size / sizeof node);
    node.next = HT_NO_NODE;
    ht_buf_put(&p->tree->nodes, &node, sizeof node);
    return at;
}

/* ---- sets of characters: ranges at the end of tree->ranges, from `first` on */

static uint32_t range_count(const parser *p) { return (uint32_t)(p->tree->ranges.size / sizeof(ht_regex_range)); }

static void add_range(parser *p, uint32_t first, uint32_t last) {
    ht_buf_put(&p->tree->ranges, &(ht_regex_range){first, last}, sizeof(ht_regex_range));
}

static int by_first(const void *a, const void *b) {
    const ht_regex_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Sorts the ranges from `first` on and joins those that touch. */
static void tidy(parser *p, uint32_t first) {
    if (p->tree->ranges.failed)
        return;
    ht_regex_range *all = (ht_regex_range *)(void *)p->tree->ranges.data + first;
    uint32_t count = range_count(p) - first, kept = 0;
    qsort(all, count, sizeof *all, by_first);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && all[i].first <= all[kept - 1].last + 1)
            all[kept - 1].last = all[i].last > all[kept - 1].last ? all[i].last : all[kept - 1].last;
        else
            all[kept++] = all[i];
    }
    p->tree->ranges.size = (first + kept) * sizeof *all;
}

/* Turns the set from `first` on into all other characters; it is tidy and stays so. */
static void negate(parser *p, uint32_t first) {
    if (p->tree->ranges.failed)
        return;
    uint32_t count = range_count(p) - first, from = 0, at = first;
    add_range(p, 0, 0); /* there may be one more than before */
    if (p->tree->ranges.failed)
        return;
    ht_regex_range *all = (ht_regex_range *)(void *)p->tree->ranges.data;
    for (uint32_t i = 0; i < count; i++) {
        ht_regex_range old = all[first + i];
        if (old.first > from)
            all[at++] = (ht_regex_range){from, old.first - 1};
        from = old.last + 1;
    }
    if (from <= LAST_CHARACTER)
        all[at++] = (ht_regex_range){from, LAST_CHARACTER};
    p->tree->ranges.size = at * sizeof *all;
}

/* Adds the other cases of the characters of a range. */
static hither_status fold_range(parser *p, uint32_t first, uint32_t last) {
    p->folded += last - first;
    if (p->folded > HT_REGEX_FOLDED)
        return refuse(p, "ranges too wide for (?i)");
    for (uint32_t cp = first; cp <= last; cp++) {
        uint32_t lower = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
        uint32_t upper = (uint32_t)utf8proc_toupper((utf8proc_int32_t)cp);
        if (lower != cp)
            add_range(p, lower, lower);
        if (upper != cp)
            add_range(p, upper, upper);
    }
    return HITHER_OK;
}

static hither_status add_characters(parser *p, uint32_t first, uint32_t last) {
    add_range(p, first, last);
    return p->any_case ? fold_range(p, first, last) : HITHER_OK;
}

/* \d \w \s and their opposites; false for any other letter. */
static bool add_shorthand(parser *p, char letter) {
    uint32_t first = range_count(p);
    char lower = (char)(letter | 0x20);
    if (lower != 'd' && lower != 'w' && lower != 's')
        return false;
    if (lower == 's') {
        add_range(p, '\t', '\r');
        add_range(p, ' ', ' ');
    } else {
        add_range(p, '0', '9');
    }
    if (lower == 'w') {
        add_range(p, 'A', 'Z');
        add_range(p, '_', '_');
        add_range(p, 'a', 'z');
    }
    if (letter != lower)
        negate(p, first);
    return true;
}

/* ---- escapes */

static hither_status hex(parser *p, unsigned digits, uint32_t *out) {
    uint32_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = here(p), lower = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9', letter = lower >= 'a' && lower <= 'f';
        if (!digit && !letter)
            return refuse(p, digits == 2 ? "expected two hex digits after \\x" : "expected four hex digits after \\u");
        value = value << 4 | (uint32_t)(digit ? c - '0' : lower - 'a' + 10);
        p->at++;
    }
    if (value >= 0xD800 && value <= 0xDFFF)
        return refuse(p, "half of a surrogate pair is no character");
    *out = value;
    return HITHER_OK;
}

/* What stands for one character after a backslash, at p->at. */
static hither_status escaped(parser *p, uint32_t *out) {
    static const char letters[] = "ntrfv", meant[] = "\n\t\r\f\v";
    char c = here(p);
    if (!more(p))
        return refuse(p, "a backslash at the end");
    const char *known = c ? strchr(letters, c) : NULL;
    bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (known) {
        *out = (uint32_t)meant[known - letters];
        p->at++;
        return HITHER_OK;
    }
    if (c == 'x' || c == 'u') {
        p->at++;
        return hex(p, c == 'x' ? 2 : 4, out);
    }
    if (word)
        return refuse(p, "no such escape; there are \\d \\w \\s \\D \\W \\S \\A \\z \\n \\t \\r \\f \\v \\xHH \\uHHHH");
    *out = next_character(p);
    return HITHER_OK;
}

/* ---- atoms */

/* One character of a class in brackets, or a shorthand (*shorthand true, and it is added). */
static hither_status class_member(parser *p, uint32_t *out, bool *shorthand) {
    *shorthand = false;
    if (here(p) != '\\') {
        *out = next_character(p);
        return HITHER_OK;
    }
    p->at++;
    *shorthand = more(p) && add_shorthand(p, here(p));
    if (*shorthand) {
        p->at++;
        return HITHER_OK;
    }
    return escaped(p, out);
}

static hither_status parse_class(parser *p, uint32_t *node) {
    uint32_t first = range_count(p);
    size_t begin = p->at++;
    bool negated = here(p) == '^', shorthand = false;
    p->at += negated;
    for (bool any = false; !any || here(p) != ']' || !more(p); any = true) {
        uint32_t low = 0, high;
        if (!more(p)) {
            p->at = begin;
            return refuse(p, "a [ without its ]");
        }
        HT_TRY(class_member(p, &low, &shorthand));
        if (shorthand)
            continue;
        high = low;
        if (here(p) == '-' && p->at + 1 < p->bytes && p->text[p->at + 1] != ']') {
            p->at++;
            HT_TRY(class_member(p, &high, &shorthand));
            if (shorthand || high < low)
                return refuse(p, shorthand ? "\\d and the like cannot end a range" : "a range ends before it begins");
        }
        HT_TRY(add_characters(p, low, high));
    }
    p->at++;
    tidy(p, first);
    if (negated)
        negate(p, first);
    *node = add_node(p, (ht_regex_node){.kind = HT_REGEX_CLASS, .first = first, .count = range_count(p) - first});
    return HITHER_OK;
}

static uint32_t set_node(parser *p, uint32_t first) {
    tidy(p, first);
    return add_node(p, (ht_regex_node){.kind = HT_REGEX_CLASS, .first = first, .count = range_count(p) - first});
}

static hither_status parse_escape(parser *p, uint32_t *node) {
    uint32_t first = range_count(p), cp;
    p->at++;
    char c = here(p);
    if (c == 'A' || c == 'z') {
        p->at++;
        *node = add_node(p, (ht_regex_node){.kind = c == 'A' ? HT_REGEX_BEGIN : HT_REGEX_END});
        return HITHER_OK;
    }
    if (more(p) && add_shorthand(p, c)) {
        p->at++;
    } else {
        HT_TRY(escaped(p, &cp));
        HT_TRY(add_characters(p, cp, cp));
    }
    *node = set_node(p, first);
    return HITHER_OK;
}

static hither_status parse_alternatives(parser *p, uint32_t *node);

static hither_status parse_group(parser *p, uint32_t *node) {
    size_t begin = p->at++;
    if (follows(p, "?:"))
        p->at += 2;
    else if (here(p) == '?')
        return refuse(p, "of groups with ? there is (?:...); (?i) and (?s) stand at the beginning of the pattern");
    if (++p->depth > HT_REGEX_DEPTH)
        return refuse(p, "groups are nested too deeply");
    HT_TRY(parse_alternatives(p, node));
    p->depth--;
    if (here(p) != ')') {
        p->at = begin;
        return refuse(p, "a ( without its )");
    }
    p->at++;
    return HITHER_OK;
}

static hither_status parse_atom(parser *p, uint32_t *node) {
    uint32_t first = range_count(p);
    char c = here(p);
    if (c == '(')
        return parse_group(p, node);
    if (c == '[')
        return parse_class(p, node);
    if (c == '\\')
        return parse_escape(p, node);
    if (c && strchr("*+?{}", c))
        return refuse(p, c == '}' ? "a } without its {; a brace itself is \\}" : "nothing to repeat before it");
    if (c == '^' || c == '$') {
        p->at++;
        *node = add_node(p, (ht_regex_node){.kind = c == '^' ? HT_REGEX_BEGIN : HT_REGEX_END});
        return HITHER_OK;
    }
    if (c == '.') {
        p->at++;
        if (!p->dot_all)
            add_range(p, '\n', '\n');
        negate(p, first);
    } else {
        uint32_t cp = next_character(p);
        HT_TRY(add_characters(p, cp, cp));
    }
    *node = set_node(p, first);
    return HITHER_OK;
}

/* ---- repetition */

static bool number(parser *p, uint32_t *out) {
    size_t begin = p->at;
    for (*out = 0; here(p) >= '0' && here(p) <= '9'; p->at++)
        if (*out <= HT_REGEX_TIMES)
            *out = *out * 10 + (uint32_t)(here(p) - '0');
    return p->at > begin;
}

static hither_status braces(parser *p, uint32_t *min, uint32_t *max) {
    p->at++;
    bool least = number(p, min);
    *max = *min;
    if (here(p) == ',') {
        p->at++;
        if (!number(p, max))
            *max = UINT32_MAX;
    }
    if (!least || here(p) != '}')
        return refuse(p, "expected {n}, {n,} or {n,m}; a brace itself is \\{");
    if (*min > HT_REGEX_TIMES || (*max > HT_REGEX_TIMES && *max != UINT32_MAX))
        return refuse(p, "more than 1000 repetitions");
    if (*max < *min)
        return refuse(p, "more repetitions at least than at most");
    p->at++;
    return HITHER_OK;
}

static hither_status parse_repeated(parser *p, uint32_t *node) {
    uint32_t min = 0, max = UINT32_MAX;
    HT_TRY(parse_atom(p, node));
    char c = here(p);
    if (!c || !strchr("*+?{", c))
        return HITHER_OK;
    ht_regex_kind kind = p->tree->nodes.failed ? HT_REGEX_EMPTY : ht_regex_node_at(p->tree, *node)->kind;
    if (kind == HT_REGEX_BEGIN || kind == HT_REGEX_END)
        return refuse(p, "an anchor cannot be repeated");
    if (c == '{') {
        HT_TRY(braces(p, &min, &max));
    } else {
        min = c == '+';
        max = c == '?' ? 1 : UINT32_MAX;
        p->at++;
    }
    p->at += here(p) == '?'; /* as few as possible: it matches the same texts */
    if (here(p) && strchr("*+?{", here(p)))
        return refuse(p, "a repetition of a repetition; put the inner one into (?:...)");
    *node = add_node(p, (ht_regex_node){.kind = HT_REGEX_REPEAT, .child = *node, .min = min, .max = max});
    return HITHER_OK;
}

/* ---- sequences and alternatives */

static void append_child(parser *p, uint32_t parent, uint32_t *last, uint32_t child) {
    if (p->tree->nodes.failed)
        return;
    if (*last == HT_NO_NODE)
        ht_regex_node_at(p->tree, parent)->child = child;
    else
        ht_regex_node_at(p->tree, *last)->next = child;
    *last = child;
}

static hither_status parse_sequence(parser *p, uint32_t *node) {
    uint32_t last = HT_NO_NODE, child;
    *node = add_node(p, (ht_regex_node){.kind = HT_REGEX_CONCAT, .child = HT_NO_NODE});
    while (more(p) && here(p) != '|' && here(p) != ')') {
        HT_TRY(parse_repeated(p, &child));
        append_child(p, *node, &last, child);
    }
    return HITHER_OK;
}

static hither_status parse_alternatives(parser *p, uint32_t *node) {
    uint32_t last = HT_NO_NODE, child;
    *node = add_node(p, (ht_regex_node){.kind = HT_REGEX_ALTER, .child = HT_NO_NODE});
    for (;;) {
        HT_TRY(parse_sequence(p, &child));
        append_child(p, *node, &last, child);
        if (here(p) != '|')
            return HITHER_OK;
        p->at++;
    }
}

hither_status ht_regex_parse(ht_regex_tree *tree, const char *pattern, size_t bytes, const char *what,
                             hither_error *err) {
    parser p = {.tree = tree, .text = pattern, .what = what, .bytes = bytes, .err = err};
    ht_buf_init(&tree->nodes, SIZE_MAX);
    ht_buf_init(&tree->ranges, SIZE_MAX);
    if (bytes > HT_REGEX_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "%s: a pattern of %zu bytes, the limit is %u", what, bytes,
                       HT_REGEX_BYTES);
    while (follows(&p, "(?i") || follows(&p, "(?s")) {
        for (p.at += 2; here(&p) == 'i' || here(&p) == 's'; p.at++) {
            p.any_case = p.any_case || here(&p) == 'i';
            p.dot_all = p.dot_all || here(&p) == 's';
        }
        if (here(&p) != ')')
            return refuse(&p, "of flags there are (?i) and (?s)");
        p.at++;
    }
    HT_TRY(parse_alternatives(&p, &tree->root));
    if (more(&p))
        return refuse(&p, "a ) without its (");
    HT_TRY(ht_buf_check(&tree->nodes, "a regular expression", err));
    return ht_buf_check(&tree->ranges, "a regular expression", err);
}

void ht_regex_tree_clear(ht_regex_tree *tree) {
    ht_buf_clear(&tree->nodes);
    ht_buf_clear(&tree->ranges);
}
