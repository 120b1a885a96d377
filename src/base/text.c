/*
 * text.c: see text.h. ASCII takes a short way through the class table; everything else is looked up.
 */
#include "base/text.h"

#include <string.h>

#include "base/pattern.h"

#define REPLACEMENT 0xFFFDu

static const uint8_t ascii_class[128] = {
    ['0'] = HT_CHAR_DIGIT,  ['1'] = HT_CHAR_DIGIT,  ['2'] = HT_CHAR_DIGIT,  ['3'] = HT_CHAR_DIGIT,
    ['4'] = HT_CHAR_DIGIT,  ['5'] = HT_CHAR_DIGIT,  ['6'] = HT_CHAR_DIGIT,  ['7'] = HT_CHAR_DIGIT,
    ['8'] = HT_CHAR_DIGIT,  ['9'] = HT_CHAR_DIGIT,  ['A'] = HT_CHAR_LETTER, ['B'] = HT_CHAR_LETTER,
    ['C'] = HT_CHAR_LETTER, ['D'] = HT_CHAR_LETTER, ['E'] = HT_CHAR_LETTER, ['F'] = HT_CHAR_LETTER,
    ['G'] = HT_CHAR_LETTER, ['H'] = HT_CHAR_LETTER, ['I'] = HT_CHAR_LETTER, ['J'] = HT_CHAR_LETTER,
    ['K'] = HT_CHAR_LETTER, ['L'] = HT_CHAR_LETTER, ['M'] = HT_CHAR_LETTER, ['N'] = HT_CHAR_LETTER,
    ['O'] = HT_CHAR_LETTER, ['P'] = HT_CHAR_LETTER, ['Q'] = HT_CHAR_LETTER, ['R'] = HT_CHAR_LETTER,
    ['S'] = HT_CHAR_LETTER, ['T'] = HT_CHAR_LETTER, ['U'] = HT_CHAR_LETTER, ['V'] = HT_CHAR_LETTER,
    ['W'] = HT_CHAR_LETTER, ['X'] = HT_CHAR_LETTER, ['Y'] = HT_CHAR_LETTER, ['Z'] = HT_CHAR_LETTER,
    ['a'] = HT_CHAR_LETTER, ['b'] = HT_CHAR_LETTER, ['c'] = HT_CHAR_LETTER, ['d'] = HT_CHAR_LETTER,
    ['e'] = HT_CHAR_LETTER, ['f'] = HT_CHAR_LETTER, ['g'] = HT_CHAR_LETTER, ['h'] = HT_CHAR_LETTER,
    ['i'] = HT_CHAR_LETTER, ['j'] = HT_CHAR_LETTER, ['k'] = HT_CHAR_LETTER, ['l'] = HT_CHAR_LETTER,
    ['m'] = HT_CHAR_LETTER, ['n'] = HT_CHAR_LETTER, ['o'] = HT_CHAR_LETTER, ['p'] = HT_CHAR_LETTER,
    ['q'] = HT_CHAR_LETTER, ['r'] = HT_CHAR_LETTER, ['s'] = HT_CHAR_LETTER, ['t'] = HT_CHAR_LETTER,
    ['u'] = HT_CHAR_LETTER, ['v'] = HT_CHAR_LETTER, ['w'] = HT_CHAR_LETTER, ['x'] = HT_CHAR_LETTER,
    ['y'] = HT_CHAR_LETTER, ['z'] = HT_CHAR_LETTER,
};

ht_char_class ht_char_class_of(uint32_t cp) {
    if (cp < 0x80)
        return (ht_char_class)ascii_class[cp];
    size_t low = cp < 0x10000 ? ht_class_pages[cp >> 8] : ht_class_pages[256];
    size_t high = cp < 0x10000 ? ht_class_pages[(cp >> 8) + 1] : ht_class_range_count;
    if (high < ht_class_range_count)
        high++; /* the entry that reaches beyond the page may begin in it */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ht_class_ranges[middle].last < cp)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < ht_class_range_count && ht_class_ranges[low].first <= cp;
    return found ? (ht_char_class)ht_class_ranges[low].kind : HT_CHAR_OTHER;
}

static size_t fold_to_several(uint32_t cp, uint32_t out[HT_FOLD_MAX]) {
    size_t low = 0, high = ht_fold_several_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ht_fold_severals[middle].from < cp)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == ht_fold_several_count || ht_fold_severals[low].from != cp) {
        out[0] = cp;
        return 1;
    }
    size_t count = 0;
    while (count < HT_FOLD_MAX && ht_fold_severals[low].to[count] != 0) {
        out[count] = ht_fold_severals[low].to[count];
        count++;
    }
    return count;
}

size_t ht_char_fold(uint32_t cp, uint32_t out[HT_FOLD_MAX]) {
    if (cp < 0x80) {
        out[0] = cp >= 'A' && cp <= 'Z' ? cp | 0x20 : cp;
        return 1;
    }
    size_t low = cp < 0x10000 ? ht_fold_pages[cp >> 8] : ht_fold_pages[256];
    size_t high = cp < 0x10000 ? ht_fold_pages[(cp >> 8) + 1] : ht_fold_run_count;
    if (high < ht_fold_run_count)
        high++;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ht_fold_runs[middle].last < cp)
            low = middle + 1;
        else
            high = middle;
    }
    const ht_fold_run *run = &ht_fold_runs[low];
    if (low < ht_fold_run_count && run->first <= cp && (cp - run->first) % run->step == 0) {
        out[0] = (uint32_t)((int32_t)cp + run->delta);
        return 1;
    }
    return fold_to_several(cp, out);
}

uint32_t ht_utf8_next(const char *text, size_t bytes, size_t *length, bool *valid) {
    unsigned char lead = (unsigned char)text[0];
    *valid = true;
    *length = 1;
    if (lead < 0x80)
        return lead;
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    uint32_t cp = lead & (0x3Fu >> need);
    /* The second byte's range keeps out overlong forms, surrogates and what lies beyond U+10FFFF. */
    unsigned char first = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char last = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    *valid = lead >= 0xC2 && lead <= 0xF4;
    for (size_t i = 1; *valid && i <= need; i++) {
        unsigned char c = i < bytes ? (unsigned char)text[i] : 0;
        *valid = c >= first && c <= last;
        if (*valid)
            *length = i + 1;
        cp = cp << 6 | (c & 0x3Fu);
        first = 0x80;
        last = 0xBF;
    }
    return *valid ? cp : REPLACEMENT;
}

size_t ht_utf8_put(uint32_t cp, char *out) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t more = cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[more] | cp >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (cp >> (6 * (more - i)) & 0x3F));
    return more + 1;
}

size_t ht_utf8_put_folded(uint32_t cp, char *out) {
    uint32_t folded[HT_FOLD_MAX];
    size_t count = ht_char_fold(cp, folded), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += ht_utf8_put(folded[i], out + bytes);
    return bytes;
}

void ht_tokens_start(ht_tokens *tokens, const char *text, size_t bytes) {
    tokens->text = text;
    tokens->bytes = bytes;
    tokens->at = 0;
    tokens->in_run = tokens->after_cjk = false;
}

static ht_char_class class_at(const ht_tokens *t, size_t at, uint32_t *cp, size_t *length) {
    unsigned char c = (unsigned char)t->text[at];
    if (c < 0x80) {
        *cp = c;
        *length = 1;
        return (ht_char_class)ascii_class[c];
    }
    bool valid;
    *cp = ht_utf8_next(t->text + at, t->bytes - at, length, &valid);
    return valid ? ht_char_class_of(*cp) : HT_CHAR_OTHER;
}

/* A machine-written shape at the start of a run of word characters; 0 if there is none. */
static size_t match_shape(const ht_tokens *t, ht_token_kind *kind) {
    const char *text = t->text;
    size_t bytes = t->bytes, at = t->at, length;
    if (!ht_is_hex_digit(text[at]))
        return 0;
    *kind = HT_TOKEN_UUID;
    if ((length = ht_match_uuid(text, bytes, at)) != 0)
        return length;
    *kind = HT_TOKEN_ADDRESS;
    if ((length = ht_match_mac(text, bytes, at)) != 0 || (length = ht_match_ipv6(text, bytes, at)) != 0 ||
        (length = ht_match_ipv4(text, bytes, at)) != 0)
        return length;
    *kind = HT_TOKEN_HEX;
    return ht_match_hex(text, bytes, at);
}

/* Reads a run of letters, or of digits with '.' and ',' between them, up to HT_TOKEN_MAX_CHARS characters. */
static size_t read_run(ht_tokens *t, ht_char_class kind) {
    size_t filled = 0, count = 0, length, next;
    uint32_t cp, other;
    while (t->at < t->bytes && count < HT_TOKEN_MAX_CHARS) {
        ht_char_class here = class_at(t, t->at, &cp, &length);
        if (here == kind) {
            if (cp < 0x80)
                t->folded[filled++] = (char)(cp >= 'A' && cp <= 'Z' ? cp | 0x20 : cp);
            else
                filled += ht_utf8_put_folded(cp, t->folded + filled);
            count++;
        } else if (here == HT_CHAR_OTHER && kind == HT_CHAR_DIGIT && (cp == '.' || cp == ',')) {
            if (t->at + 1 >= t->bytes || class_at(t, t->at + 1, &other, &next) != HT_CHAR_DIGIT)
                break;
            t->folded[filled++] = (char)cp;
            count++;
        } else if (here != HT_CHAR_IGNORED) {
            break;
        }
        t->at += length;
    }
    return filled;
}

static bool next_cjk(ht_tokens *t, uint32_t cp, size_t length, ht_token *out) {
    size_t bytes = ht_utf8_put_folded(cp, t->folded);
    *out = (ht_token){t->folded, bytes, HT_TOKEN_CJK, t->after_cjk, t->at, t->at + length};
    t->at += length;
    t->in_run = t->after_cjk = true;
    return true;
}

bool ht_tokens_next(ht_tokens *t, ht_token *out) {
    while (t->at < t->bytes) {
        uint32_t cp;
        size_t length;
        ht_char_class class = class_at(t, t->at, &cp, &length);
        if (class == HT_CHAR_OTHER)
            t->in_run = t->after_cjk = false;
        if (class == HT_CHAR_OTHER || class == HT_CHAR_IGNORED) {
            t->at += length;
            continue;
        }
        if (class == HT_CHAR_CJK)
            return next_cjk(t, cp, length, out);
        size_t begin = t->at, bytes;
        ht_token_kind kind = class == HT_CHAR_DIGIT ? HT_TOKEN_NUMBER : HT_TOKEN_WORD;
        size_t shape = t->in_run ? 0 : match_shape(t, &kind);
        t->in_run = true;
        t->after_cjk = false;
        if (shape != 0) {
            bytes = shape < HT_TOKEN_MAX_CHARS ? shape : HT_TOKEN_MAX_CHARS;
            for (size_t i = 0; i < bytes; i++) {
                char c = t->text[begin + i];
                t->folded[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
            }
            t->at += shape;
        } else {
            kind = class == HT_CHAR_DIGIT ? HT_TOKEN_NUMBER : HT_TOKEN_WORD;
            bytes = read_run(t, class);
        }
        *out = (ht_token){t->folded, bytes, kind, false, begin, t->at};
        return true;
    }
    return false;
}
