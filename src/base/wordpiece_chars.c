/* wordpiece_chars.c: see wordpiece_chars.h. */
#include "base/wordpiece_chars.h"

#include <utf8proc.h>

static ht_wordpiece_kind ascii_kind(uint32_t cp) {
    if (cp == ' ' || cp == '\t' || cp == '\n' || cp == '\r')
        return HT_WORDPIECE_SPACE;
    if (cp < ' ' || cp == 0x7f)
        return HT_WORDPIECE_DROPPED;
    if ((cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') || (cp >= 'a' && cp <= 'z'))
        return HT_WORDPIECE_LETTER;
    return HT_WORDPIECE_PUNCTUATION;
}

ht_wordpiece_kind ht_wordpiece_kind_of(uint32_t cp) {
    if (cp < 0x80)
        return ascii_kind(cp);
    size_t low = 0, high = ht_wordpiece_range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ht_wordpiece_ranges[middle].last < cp)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < ht_wordpiece_range_count && ht_wordpiece_ranges[low].first <= cp)
        return (ht_wordpiece_kind)ht_wordpiece_ranges[low].kind;
    return HT_WORDPIECE_LETTER;
}

size_t ht_wordpiece_decompose(uint32_t cp, uint32_t out[HT_WORDPIECE_MOST]) {
    int boundary = 0;
    utf8proc_int32_t parts[HT_WORDPIECE_MOST];
    utf8proc_ssize_t count = 1;
    if (cp >= 0xc0)
        count = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, HT_WORDPIECE_MOST, UTF8PROC_DECOMPOSE, &boundary);
    if (cp < 0xc0 || count < 1 || count > (utf8proc_ssize_t)HT_WORDPIECE_MOST ||
        ht_wordpiece_kind_of(cp) == HT_WORDPIECE_WHOLE) {
        out[0] = cp;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < count; i++)
        out[i] = (uint32_t)parts[i];
    return (size_t)count;
}

size_t ht_wordpiece_lower(uint32_t cp, uint32_t out[HT_WORDPIECE_MOST]) {
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
    if (cp != 0x130)
        return 1;
    out[0] = 'i'; /* the one letter whose lower case is two characters */
    out[1] = 0x307;
    return 2;
}

unsigned ht_wordpiece_order(uint32_t cp) { return utf8proc_get_property((utf8proc_int32_t)cp)->combining_class; }
