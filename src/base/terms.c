/*
 * terms.c: see terms.h. Runs of ASCII take a short way; everything else is looked up.
 */
#include "base/terms.h"

#include "base/text.h"

void ht_terms_start(ht_terms *terms, const char *text, size_t bytes) {
    terms->text = text;
    terms->bytes = bytes;
    terms->at = 0;
}

/* What an ASCII letter or digit folds to, 0 for the rest. */
static char ascii_folded(unsigned char c) {
    unsigned lower = c | 0x20u;
    if (lower >= 'a' && lower <= 'z')
        return (char)lower;
    return c >= '0' && c <= '9' ? (char)c : '\0';
}

static ht_char_class class_at(const ht_terms *t, size_t at, uint32_t *cp, size_t *length) {
    bool valid;
    *cp = ht_utf8_next(t->text + at, t->bytes - at, length, &valid);
    return valid ? ht_char_class_of(*cp) : HT_CHAR_OTHER;
}

/* A run of letters and digits from t->at on; characters without a meaning of their own within it are left out. */
static size_t read_word(ht_terms *t) {
    size_t filled = 0, count = 0, length;
    uint32_t cp;
    while (t->at < t->bytes && count < HT_TERM_MAX_CHARS) {
        unsigned char c = (unsigned char)t->text[t->at];
        if (c < 0x80) {
            char folded = ascii_folded(c);
            if (!folded)
                break;
            t->folded[filled++] = folded;
            t->at++;
            count++;
            continue;
        }
        ht_char_class kind = class_at(t, t->at, &cp, &length);
        if (kind == HT_CHAR_LETTER || kind == HT_CHAR_DIGIT) {
            filled += ht_utf8_put_folded(cp, t->folded + filled);
            count++;
        } else if (kind != HT_CHAR_IGNORED) {
            break;
        }
        t->at += length;
    }
    return filled;
}

/* The CJK character at t->at, and the one after it if there is one. */
static void read_pair(ht_terms *t, uint32_t cp, size_t length, ht_term *out) {
    size_t bytes = ht_utf8_put_folded(cp, t->folded), next = t->at + length, skipped;
    ht_char_class kind = HT_CHAR_OTHER;
    uint32_t other = 0;
    for (; next < t->bytes; next += skipped) {
        kind = class_at(t, next, &other, &skipped);
        if (kind != HT_CHAR_IGNORED)
            break;
    }
    bool pair = next < t->bytes && kind == HT_CHAR_CJK;
    if (pair)
        bytes += ht_utf8_put_folded(other, t->folded + bytes);
    *out = (ht_term){t->folded, bytes, pair ? HT_TERM_PAIR : HT_TERM_LAST, t->at, t->at + length};
    t->at += length;
}

bool ht_terms_next(ht_terms *t, ht_term *out) {
    while (t->at < t->bytes) {
        uint32_t cp;
        size_t length;
        ht_char_class kind = class_at(t, t->at, &cp, &length);
        if (kind == HT_CHAR_CJK) {
            read_pair(t, cp, length, out);
            return true;
        }
        if (kind == HT_CHAR_LETTER || kind == HT_CHAR_DIGIT) {
            size_t begin = t->at, bytes = read_word(t);
            *out = (ht_term){t->folded, bytes, HT_TERM_WORD, begin, t->at};
            return true;
        }
        t->at += length;
    }
    return false;
}
