/*
 * rules.c: see rules.h. A pattern is a row of elements: a byte that must stand there, or a class that takes as much as
 * it can. A class that could swallow what follows it ({any}) ends before the next byte that is asked for.
 */
#include "stream/rules.h"

#include <string.h>

#include "base/alloc.h"
#include "base/pattern.h"
#include "base/strings.h"
#include "stream/shapes.h"

enum { MOST_ELEMENTS = 128, MOST_RUN = 256, MOST_NAME = HT_RULE_MARK_BYTES - 2 };

typedef enum kind { BYTE, NUM, WORD, HEX, ANY, UUID, IP, MAC } kind;

typedef struct element {
    uint8_t kind;
    char byte;
} element;

typedef struct rule {
    char mark[HT_RULE_MARK_BYTES + 1];
    bool anywhere; /* not only where a word begins */
    uint32_t count;
    element elements[MOST_ELEMENTS];
} rule;

struct ht_rules {
    char *text;
    size_t bytes, count;
    bool first[256]; /* a rule may begin with this byte */
    rule rules[];
};

static const struct {
    const char *name;
    kind kind;
} CLASSES[] = {{"{num}", NUM},   {"{word}", WORD}, {"{hex}", HEX}, {"{any}", ANY},
               {"{uuid}", UUID}, {"{ip}", IP},     {"{mac}", MAC}};
enum { CLASS_COUNT = sizeof CLASSES / sizeof CLASSES[0] };

/* ---- matching */

static bool in_class(kind k, char c) {
    if (k == NUM)
        return ht_is_digit(c);
    if (k == HEX)
        return ht_is_hex_digit(c);
    return k == WORD ? ht_is_word(c) || c == '_' : (unsigned char)c > ' ' && c != 0x7F;
}

/* How much of text[at] and after the element takes; 0: it does not fit. `stop` ends a run, -1: nothing does. */
static size_t take(kind k, const char *text, size_t bytes, size_t at, int stop) {
    if (k == UUID)
        return ht_match_uuid(text, bytes, at);
    if (k == MAC)
        return ht_match_mac(text, bytes, at);
    if (k == IP) {
        size_t n = ht_match_ipv4(text, bytes, at);
        return n ? n : ht_match_ipv6(text, bytes, at);
    }
    size_t n = 0;
    while (at + n < bytes && n < MOST_RUN && in_class(k, text[at + n]) &&
           (k != ANY || stop < 0 || (unsigned char)text[at + n] != stop))
        n++;
    /* A run that was cut short ends between characters. */
    while (n > 0 && at + n < bytes && ((unsigned char)text[at + n] & 0xC0) == 0x80)
        n--;
    return n;
}

static size_t match_rule(const rule *r, const char *text, size_t bytes, size_t at) {
    size_t here = at;
    for (uint32_t i = 0; i < r->count; i++) {
        const element *e = &r->elements[i];
        if (e->kind == BYTE) {
            if (here >= bytes || text[here] != e->byte)
                return 0;
            here++;
            continue;
        }
        bool followed = i + 1 < r->count && r->elements[i + 1].kind == BYTE;
        size_t n = take((kind)e->kind, text, bytes, here, followed ? (unsigned char)r->elements[i + 1].byte : -1);
        if (n == 0)
            return 0;
        here += n;
    }
    return here - at;
}

size_t ht_rules_match(const ht_rules *rules, const char *text, size_t bytes, size_t at, const char **mark) {
    if (!rules->first[(unsigned char)text[at]])
        return 0;
    bool inside = at > 0 && (ht_is_word(text[at - 1]) || text[at - 1] == '_');
    for (size_t i = 0; i < rules->count; i++) {
        const rule *r = &rules->rules[i];
        size_t n = inside && !r->anywhere ? 0 : match_rule(r, text, bytes, at);
        if (n > 0) {
            *mark = r->mark;
            return n;
        }
    }
    return 0;
}

/* ---- reading */

static hither_status read_class(const char *p, size_t left, size_t line, element *e, size_t *length,
                                hither_error *err) {
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        size_t n = strlen(CLASSES[i].name);
        if (left >= n && memcmp(p, CLASSES[i].name, n) == 0) {
            *e = (element){(uint8_t)CLASSES[i].kind, 0};
            *length = n;
            return HITHER_OK;
        }
    }
    return ht_fail(err, HITHER_INVALID,
                   "rules: line %zu: '{' begins {num}, {word}, {hex}, {any}, {uuid}, {ip} or {mac}; write {{ for the "
                   "character itself",
                   line);
}

static hither_status read_pattern(const char *p, size_t left, size_t line, rule *r, hither_error *err) {
    while (left > 0) {
        if (r->count == MOST_ELEMENTS)
            return ht_fail(err, HITHER_INVALID, "rules: line %zu: the pattern has more than %d elements", line,
                           MOST_ELEMENTS);
        element *e = &r->elements[r->count];
        size_t length = 1;
        *e = (element){BYTE, *p};
        if (*p == '{' && left > 1 && p[1] == '{')
            length = 2;
        else if (*p == '{')
            HT_TRY(read_class(p, left, line, e, &length, err));
        p += length;
        left -= length;
        r->count++;
    }
    r->anywhere = r->elements[0].kind == BYTE && !ht_is_word(r->elements[0].byte);
    return HITHER_OK;
}

static hither_status read_rule(const char *p, size_t bytes, size_t line, rule *r, hither_error *err) {
    size_t name = 0;
    while (name < bytes && (ht_is_word(p[name]) || p[name] == '_' || p[name] == '-') && (unsigned char)p[name] < 0x80)
        name++;
    if (name == 0 || name > MOST_NAME || name >= bytes || (p[name] != ' ' && p[name] != '\t'))
        return ht_fail(err, HITHER_INVALID,
                       "rules: line %zu: a rule is NAME PATTERN, the name 1 to %d letters, digits, '_' and '-'", line,
                       MOST_NAME);
    r->mark[0] = '<';
    memcpy(r->mark + 1, p, name);
    r->mark[1 + name] = '>';
    size_t at = name;
    while (at < bytes && (p[at] == ' ' || p[at] == '\t'))
        at++;
    if (at == bytes)
        return ht_fail(err, HITHER_INVALID, "rules: line %zu: the name is followed by no pattern", line);
    return read_pattern(p + at, bytes - at, line, r, err);
}

static void mark_first(ht_rules *rules, const rule *r) {
    const element *e = &r->elements[0];
    for (int c = 0; c < 256; c++)
        if (e->kind == BYTE   ? e->byte == (char)c
            : e->kind >= UUID ? ht_is_hex_digit((char)c)
                              : in_class((kind)e->kind, (char)c))
            rules->first[c] = true;
}

static hither_status read_all(ht_rules *rules, hither_error *err) {
    size_t line = 1;
    for (size_t at = 0, end; at < rules->bytes; at = end + 1, line++) {
        const char *p = rules->text + at, *newline = memchr(p, '\n', rules->bytes - at);
        end = newline ? (size_t)(newline - rules->text) : rules->bytes;
        size_t bytes = end - at;
        while (bytes > 0 && (unsigned char)p[bytes - 1] <= ' ')
            bytes--;
        while (bytes > 0 && (*p == ' ' || *p == '\t')) {
            p++;
            bytes--;
        }
        if (bytes == 0 || *p == '#')
            continue;
        if (rules->count == HT_RULES_MOST)
            return ht_fail(err, HITHER_TOO_LARGE, "rules: line %zu: more than %u rules", line, HT_RULES_MOST);
        rule *r = &rules->rules[rules->count];
        HT_TRY(read_rule(p, bytes, line, r, err));
        mark_first(rules, r);
        rules->count++;
    }
    return HITHER_OK;
}

hither_status ht_rules_new(const char *text, size_t bytes, ht_rules **out, hither_error *err) {
    *out = NULL;
    if (bytes > HT_RULES_TEXT_BYTES)
        return ht_fail(err, HITHER_TOO_LARGE, "rules: %zu bytes; at most %u are possible", bytes, HT_RULES_TEXT_BYTES);
    size_t valid = ht_utf8_valid_prefix(text, bytes);
    if (valid < bytes)
        return ht_fail(err, HITHER_ENCODING, "rules: not UTF-8 at byte %zu", valid);
    ht_rules *rules = ht_calloc(1, sizeof *rules + HT_RULES_MOST * sizeof(rule));
    char *copy = ht_alloc(bytes + 1);
    if (!rules || !copy) {
        ht_release(rules);
        ht_release(copy);
        return ht_fail_nomem(err, sizeof *rules + HT_RULES_MOST * sizeof(rule), "mask rules");
    }
    if (bytes > 0)
        memcpy(copy, text, bytes);
    copy[bytes] = 0;
    rules->text = copy;
    rules->bytes = bytes;
    hither_status status = read_all(rules, err);
    if (status == HITHER_OK)
        *out = rules;
    else
        ht_rules_free(rules);
    return status;
}

void ht_rules_free(ht_rules *rules) {
    if (!rules)
        return;
    ht_release(rules->text);
    ht_release(rules);
}

const char *ht_rules_text(const ht_rules *rules, size_t *bytes) {
    *bytes = rules->bytes;
    return rules->text;
}
