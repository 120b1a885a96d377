/*
 * pattern.c: see pattern.h. Hand-written matchers without backtracking; none reads past text + bytes.
 */
#include "base/pattern.h"

#define IPV6_LONGEST 39u

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool ht_is_hex_digit(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

static bool may_end(const char *text, size_t bytes, size_t at) {
    if (at >= bytes)
        return true;
    unsigned char c = (unsigned char)text[at];
    return c < 0x80 && !is_digit((char)c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static size_t hex_run(const char *text, size_t bytes, size_t at) {
    size_t end = at;
    while (end < bytes && ht_is_hex_digit(text[end]))
        end++;
    return end - at;
}

size_t ht_match_uuid(const char *text, size_t bytes, size_t at) {
    if (bytes - at < 36 || text[at + 8] != '-')
        return 0;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[at + i] != '-' : !ht_is_hex_digit(text[at + i]))
            return 0;
    }
    return may_end(text, bytes, at + 36) ? 36 : 0;
}

size_t ht_match_mac(const char *text, size_t bytes, size_t at) {
    if (bytes - at < 17 || (text[at + 2] != ':' && text[at + 2] != '-'))
        return 0;
    for (size_t i = 0; i < 17; i++)
        if (i % 3 == 2 ? text[at + i] != text[at + 2] : !ht_is_hex_digit(text[at + i]))
            return 0;
    return may_end(text, bytes, at + 17) ? 17 : 0;
}

size_t ht_match_ipv4(const char *text, size_t bytes, size_t at) {
    size_t i = at;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (i >= bytes || text[i++] != '.'))
            return 0;
        unsigned value = 0;
        size_t digits = 0;
        for (; i < bytes && is_digit(text[i]) && digits < 4; i++, digits++)
            value = value * 10 + (unsigned)(text[i] - '0');
        if (digits < 1 || digits > 3 || value > 255)
            return 0;
    }
    if (i + 1 < bytes && text[i] == '.' && is_digit(text[i + 1]))
        return 0;
    return may_end(text, bytes, i) ? i - at : 0;
}

size_t ht_match_ipv6(const char *text, size_t bytes, size_t at) {
    size_t length = 0, groups = 0, in_group = 0, pairs = 0;
    bool digit = false;
    while (at + length < bytes && (text[at + length] == ':' || ht_is_hex_digit(text[at + length])))
        if (++length > IPV6_LONGEST)
            return 0;
    if (length < 3 || text[at] == ':')
        return 0;
    if (text[at + length - 1] == ':' && text[at + length - 2] != ':')
        length--; /* the colon of "fe80::1: unreachable" */
    for (size_t i = 0; i < length; i++) {
        char c = text[at + i];
        if (c == ':') {
            if (text[at + i - 1] == ':') {
                if (++pairs > 1)
                    return 0; /* two pairs, or three in a row */
            }
            in_group = 0;
            continue;
        }
        if (in_group++ == 0)
            groups++;
        if (in_group > 4)
            return 0;
        digit = digit || is_digit(c);
    }
    if (!digit || (pairs == 0 ? groups != 8 : groups > 7))
        return 0;
    return may_end(text, bytes, at + length) ? length : 0;
}

size_t ht_match_hex(const char *text, size_t bytes, size_t at) {
    if (bytes - at > 2 && text[at] == '0' && (text[at + 1] | 0x20) == 'x') {
        size_t digits = hex_run(text, bytes, at + 2);
        return digits > 0 && may_end(text, bytes, at + 2 + digits) ? 2 + digits : 0;
    }
    size_t length = hex_run(text, bytes, at);
    if (length < 7 || !may_end(text, bytes, at + length))
        return 0;
    bool digit = false, letter = false;
    for (size_t i = 0; i < length; i++)
        *(is_digit(text[at + i]) ? &digit : &letter) = true;
    return digit && letter ? length : 0;
}
