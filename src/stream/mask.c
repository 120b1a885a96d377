/*
 * mask.c: one pass over the line. At each place the shapes are tried in the order of docs/watch.md; what fits none is
 * copied. Everything is decided by the bytes of the line alone, so equal lines give equal forms. Most words are letters
 * or digits and nothing else: where what follows them shows that no shape can begin there, none is tried (without rules
 * of a user's own, which makes the slow twin that tests compare with).
 */
#include "stream/mask.h"

#include <string.h>

#include "base/pattern.h"
#include "base/text.h"
#include "stream/shapes.h"

typedef struct masker {
    const ht_rules *rules;
    const char *text;
    size_t bytes, at;
    size_t copied;   /* text[copied ... at) goes to out as it is */
    bool structured; /* JSON: strings are what the line says, so they stay */
    bool addressed;  /* there is an '@' in it */
    ht_buf *out;
    size_t start;           /* of this form in out */
    size_t word, last_word; /* where the current and the last space-separated word of out begin */
    size_t last_end;
    bool marked; /* the current word holds a mark */
} masker;

static void copy_pending(masker *m) {
    if (m->at > m->copied)
        ht_buf_put(m->out, m->text + m->copied, m->at - m->copied);
    m->copied = m->at;
}

/* Replaces the next `length` bytes by a mark. */
static void put_mark(masker *m, const char *mark, size_t length) {
    copy_pending(m);
    ht_buf_puts(m->out, mark);
    m->at += length;
    m->copied = m->at;
    m->marked = true;
}

/* Ends a word of the form. One with a mark that repeats the word before it is dropped: lists of numbers, blocks or
 * addresses have the same form whatever their length. */
static void end_word(masker *m) {
    copy_pending(m);
    if (m->out->failed || m->out->size == m->word)
        return;
    size_t length = m->out->size - m->word;
    if (m->marked && m->word > m->start && m->last_end - m->last_word == length &&
        memcmp(m->out->data + m->last_word, m->out->data + m->word, length) == 0) {
        m->out->size = m->word;
    } else {
        m->last_word = m->word;
        m->last_end = m->out->size;
        ht_buf_putc(m->out, ' ');
        m->word = m->out->size;
    }
    m->marked = false;
}

/* Shapes that begin where a word begins. */
static bool mask_word(masker *m) {
    const char *text = m->text;
    size_t bytes = m->bytes, at = m->at, n;
    char c = text[at], before = at > 0 ? text[at - 1] : ' ';
    if ((n = ht_match_name(text, bytes, at)) != 0)
        return put_mark(m, "<name>", n), true;
    if (ht_is_hex_digit(c)) {
        if ((n = ht_match_uuid(text, bytes, at)) != 0)
            return put_mark(m, "<uuid>", n), true;
        if ((n = ht_match_mac(text, bytes, at)) != 0)
            return put_mark(m, "<mac>", n), true;
    }
    if ((n = ht_match_time(text, bytes, at)) != 0)
        return put_mark(m, "<time>", n), true;
    if (ht_is_hex_digit(c)) {
        if ((n = ht_match_ipv6(text, bytes, at)) != 0 || (n = ht_match_ipv4(text, bytes, at)) != 0)
            return put_mark(m, "<ip>", n), true;
        if ((n = ht_match_hex(text, bytes, at)) != 0)
            return put_mark(m, "<hex>", n), true;
    }
    /* Only where the whole run begins, lest "a.a.a.a..." be read once from every dot. */
    if (before != '.' && before != '-' && before != '_' && before != '@') {
        if ((n = ht_match_email(text, bytes, at)) != 0)
            return put_mark(m, "<email>", n), true;
        if ((n = ht_match_host(text, bytes, at)) != 0)
            return put_mark(m, "<host>", n), true;
    }
    if (ht_is_digit(c)) /* before the id: 1h30m15s is a number with units */
        if ((n = ht_match_number(text, bytes, at)) != 0 && (at + n >= bytes || !ht_is_word(text[at + n])))
            return put_mark(m, "<num>", n), true;
    if ((n = ht_match_id(text, bytes, at)) != 0)
        return put_mark(m, "<id>", n), true;
    return false;
}

static bool mask_here(masker *m) {
    const char *text = m->text;
    size_t n;
    char c = text[m->at], before = m->at > 0 ? text[m->at - 1] : ' ';
    bool inside = ht_is_word(before);
    if (!inside && (ht_is_digit(c) || ht_is_letter(c)) && mask_word(m))
        return true;
    if (ht_is_digit(c))
        return put_mark(m, "<num>", (inside ? ht_match_digits : ht_match_number)(text, m->bytes, m->at)), true;
    if ((c == '-' || c == '+') && !inside && before != '-' && before != '>' && m->at + 1 < m->bytes &&
        ht_is_digit(text[m->at + 1]) && ht_match_uuid(text, m->bytes, m->at + 1) == 0) {
        size_t number = ht_match_number(text, m->bytes, m->at + 1);
        return put_mark(m, "<num>", 1 + number), true;
    }
    if ((c == '"' || c == '\'') && !m->structured && (n = ht_match_quoted(text, m->bytes, m->at)) != 0)
        return put_mark(m, "<str>", n), true;
    return false;
}

/* Three letters that may begin a month or a weekday. */
static bool begins_time(const char *three) {
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdecmontuewedthufrisatsun";
    if (three[0] < 'A' || three[0] > 'Z')
        return false;
    for (const char *name = names; *name; name += 3)
        if ((three[0] | 0x20) == name[0] && (three[1] | 0x20) == name[1] && (three[2] | 0x20) == name[2])
            return true;
    return false;
}

/* Whether no shape that begins with the letters text[at, end) reaches past them, going by what follows. hex: all of
 * them are hex digits. */
static bool stops_shapes(const masker *m, size_t end, bool hex) {
    const char *text = m->text;
    const char c = end < m->bytes ? text[end] : ' ';
    if (ht_is_word(c)) /* a digit, or a byte beyond ASCII */
        return false;
    switch (c) {
    case '-':
    case '@':
        return false;
    case '.': /* of a host unless it ends a sentence */
        return !m->addressed && (end + 1 >= m->bytes || text[end + 1] == ' ');
    case ':':
        return !hex || end - m->at > 4;
    case '%':
    case '+':
    case '_':
        return !m->addressed;
    default:
        return true;
    }
}

/* Whether what ht_match_name looks for may stand before this place: "user=", "user ", "for ", "/home/". */
static bool is_led(const masker *m) {
    const char before = m->at > 1 ? m->text[m->at - 1] : 0;
    return before == '=' || before == '/' || before == '\\' || (before == ' ' && (m->text[m->at - 2] | 0x20) == 'r');
}

/* The letters here, where a word begins, if no shape begins with them; or 0. */
static size_t plain_letters(const masker *m) {
    const char *text = m->text;
    const size_t bytes = m->bytes, at = m->at;
    size_t end = at;
    bool hex = true;
    for (; end < bytes && ht_is_letter(text[end]); end++)
        hex = hex && (text[end] | 0x20) <= 'f';
    if (!stops_shapes(m, end, hex) || (end - at >= 3 && begins_time(text + at)))
        return 0;
    return is_led(m) && ht_match_name(text, bytes, at) != 0 ? 0 : end - at;
}

/* Digits, where a word begins, that are a number because no other shape begins with them, or 0. */
static size_t plain_digits(const masker *m) {
    const char *text = m->text;
    const size_t bytes = m->bytes, at = m->at;
    size_t end = at;
    while (end < bytes && ht_is_digit(text[end]))
        end++;
    const char c = end < bytes ? text[end] : 0, next = end + 1 < bytes ? text[end + 1] : 0;
    if (is_led(m) || (c == ' ' && end - at < 3 && ht_is_letter(next))) /* a day and its month */
        return 0;
    const bool ends = c == 0 || c == ' ' || c == ')' || c == ']' || c == ';' || (c == ',' && !ht_is_digit(next));
    return ends ? end - at : 0;
}

static bool mask_by_rules(masker *m) {
    const char *mark;
    size_t n = m->rules ? ht_rules_match(m->rules, m->text, m->bytes, m->at, &mark) : 0;
    if (n > 0)
        put_mark(m, mark, n);
    return n > 0;
}

/* A letter, and letters behind it with which no shape begins. */
static void step_letter(masker *m) {
    const bool inside = m->at > 0 && ht_is_word(m->text[m->at - 1]);
    size_t letters = !m->rules && !inside ? plain_letters(m) : 0;
    if (letters == 0) {
        if (mask_here(m))
            return;
        for (letters = 1; !m->rules && m->at + letters < m->bytes && ht_is_letter(m->text[m->at + letters]);)
            letters++;
    }
    m->at += letters;
}

static void step_digit(masker *m) {
    const bool inside = m->at > 0 && ht_is_word(m->text[m->at - 1]);
    const size_t digits = !m->rules && !inside ? plain_digits(m) : 0;
    if (digits > 0)
        put_mark(m, "<num>", digits);
    else
        mask_here(m);
}

static void step(masker *m) {
    unsigned char c = (unsigned char)m->text[m->at];
    if (c > ' ' && mask_by_rules(m))
        return;
    if (c <= ' ' || c == 0x7F) {
        end_word(m);
        m->copied = ++m->at;
    } else if (c >= 0x80) {
        size_t length;
        bool valid;
        ht_utf8_next(m->text + m->at, m->bytes - m->at, &length, &valid);
        if (!valid) {
            copy_pending(m);
            ht_buf_puts(m->out, "\xEF\xBF\xBD");
            m->copied = m->at + length;
        }
        m->at += length;
    } else if (ht_is_letter((char)c)) {
        step_letter(m);
    } else if (ht_is_digit((char)c)) {
        step_digit(m);
    } else if (!mask_here(m)) {
        m->at++;
    }
}

void ht_mask_line(const ht_rules *rules, const char *line, size_t bytes, ht_buf *out) {
    masker m = {.rules = rules, .text = line, .bytes = bytes, .out = out, .start = out->size, .word = out->size};
    m.last_word = m.last_end = out->size;
    size_t first = 0;
    while (first < bytes && (unsigned char)line[first] <= ' ')
        first++;
    m.structured = first < bytes && line[first] == '{';
    m.addressed = bytes > 0 && memchr(line, '@', bytes) != NULL;
    while (m.at < bytes)
        step(&m);
    end_word(&m);
    if (!out->failed && out->size > m.start && out->data[out->size - 1] == ' ')
        out->data[--out->size] = 0;
}
