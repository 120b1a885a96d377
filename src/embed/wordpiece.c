/*
 * wordpiece.c: see wordpiece.h. One pass over the text: characters are normalised one at a time into the word under
 * way, and a word that ends is cut into pieces at once. Runs of ASCII take a short way.
 */
#include "embed/wordpiece.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/wordpiece_chars.h"
#include "embed/wordpiece_inside.h"

/* The word under way, and the tokens found so far. A word past its longest is counted, no longer kept: it is unknown.
 */
typedef struct encoding {
    const ht_wordpiece *w;
    ht_ids *ids;
    size_t chars, bytes;
    char word[(HT_WORD_MAX_CHARS + 1) * 4];
} encoding;

void ht_wordpiece_free(ht_wordpiece *w) {
    if (!w)
        return;
    ht_release(w->places);
    ht_buf_clear(&w->bytes);
    ht_release(w);
}

uint32_t ht_wordpiece_ids(const ht_wordpiece *w) { return w->ids; }

uint32_t ht_wordpiece_unknown(const ht_wordpiece *w) { return w->unknown; }

/* ---- a word to pieces */

static uint32_t find(const ht_wordpiece *w, uint32_t hash, const char *text, size_t bytes) {
    for (size_t at = hash & w->mask; w->places[at].id_plus_one; at = (at + 1) & w->mask) {
        const ht_piece *p = &w->places[at];
        if (p->hash == hash && p->length == bytes && memcmp(w->bytes.data + p->offset, text, bytes) == 0)
            return p->id_plus_one;
    }
    return 0;
}

uint32_t ht_wordpiece_find(const ht_wordpiece *w, const char *text, size_t bytes) {
    bool further = bytes > 2 && memcmp(text, "##", 2) == 0;
    size_t skipped = further ? 2 : 0;
    uint32_t h = further ? HT_PIECE_FURTHER : HT_PIECE_FIRST;
    for (size_t i = skipped; i < bytes; i++)
        h = ht_piece_step(h, (unsigned char)text[i]);
    return find(w, ht_piece_end(h), text + skipped, bytes - skipped);
}

/* The longest piece at the beginning of text: its number plus one, and its length; 0 if there is none. */
static uint32_t longest_piece(const ht_wordpiece *w, const char *text, size_t bytes, bool further, size_t *length) {
    uint32_t hashes[HT_WORD_MAX_CHARS * 4], h = further ? HT_PIECE_FURTHER : HT_PIECE_FIRST;
    size_t end = ht_min_size(bytes, w->longest);
    for (size_t i = 0; i < end; i++)
        hashes[i] = h = ht_piece_step(h, (unsigned char)text[i]);
    for (; end > 0; end--) {
        if (end < bytes && ((unsigned char)text[end] & 0xc0u) == 0x80)
            continue; /* within a character */
        uint32_t id = find(w, ht_piece_end(hashes[end - 1]), text, end);
        if (id) {
            *length = end;
            return id;
        }
    }
    return 0;
}

static void end_word(encoding *e) {
    size_t begin = e->ids->count, chars = e->chars, bytes = e->bytes, length;
    e->chars = e->bytes = 0;
    if (chars == 0)
        return;
    if (chars > e->w->most_chars) {
        ht_ids_put(e->ids, e->w->unknown);
        return;
    }
    for (size_t at = 0; at < bytes; at += length) {
        uint32_t id = longest_piece(e->w, e->word + at, bytes - at, at > 0, &length);
        if (!id) { /* then the word as a whole is unknown */
            e->ids->count = begin;
            ht_ids_put(e->ids, e->w->unknown);
            return;
        }
        ht_ids_put(e->ids, id - 1);
    }
}

static void add(encoding *e, const char *bytes, size_t count) {
    if (e->chars++ < e->w->most_chars) {
        memcpy(e->word + e->bytes, bytes, count);
        e->bytes += count;
    }
}

static void alone(encoding *e, const char *bytes, size_t count) {
    end_word(e);
    add(e, bytes, count);
    end_word(e);
}

/* ---- characters */

/* A character as it is after normalising. */
static void take(encoding *e, uint32_t cp) {
    char bytes[4];
    size_t count = ht_utf8_put(cp, bytes);
    switch (ht_wordpiece_kind_of(cp)) {
    case HT_WORDPIECE_SPACE:
        end_word(e);
        break;
    case HT_WORDPIECE_PUNCTUATION:
        alone(e, bytes, count);
        break;
    default:
        add(e, bytes, count);
    }
}

static void take_lower(encoding *e, uint32_t cp) {
    uint32_t lower[HT_WORDPIECE_MOST];
    size_t count = 1;
    lower[0] = cp;
    if (e->w->lowercase)
        count = ht_wordpiece_lower(cp, lower);
    for (size_t i = 0; i < count; i++)
        take(e, lower[i]);
}

/* Marks that are kept although accents are stripped stand in the order of their class. Only spacing marks are, so a
 * run of them is short; one that belongs before what is there already goes there. */
static void take_mark(encoding *e, uint32_t cp, unsigned order) {
    char bytes[4];
    size_t count = ht_utf8_put(cp, bytes), at = e->bytes;
    while (at > 0 && e->chars < e->w->most_chars) {
        size_t before = at, length;
        bool valid;
        do
            before--;
        while (before > 0 && ((unsigned char)e->word[before] & 0xc0u) == 0x80);
        if (ht_wordpiece_order(ht_utf8_next(e->word + before, at - before, &length, &valid)) <= order)
            break;
        at = before;
    }
    size_t end = e->bytes;
    bool fits = e->chars < e->w->most_chars;
    add(e, bytes, count);
    if (fits && at < end) {
        memmove(e->word + at + count, e->word + at, end - at);
        memcpy(e->word + at, bytes, count);
    }
}

static void take_stripped(encoding *e, uint32_t cp) {
    uint32_t parts[HT_WORDPIECE_MOST];
    size_t count = ht_wordpiece_decompose(cp, parts);
    for (size_t i = 0; i < count; i++) {
        if (ht_wordpiece_kind_of(parts[i]) == HT_WORDPIECE_MARK)
            continue;
        unsigned order = parts[i] < 0x300 ? 0 : ht_wordpiece_order(parts[i]);
        if (order)
            take_mark(e, parts[i], order);
        else
            take_lower(e, parts[i]);
    }
}

static void take_any(encoding *e, uint32_t cp) {
    const ht_wordpiece *w = e->w;
    ht_wordpiece_kind kind = ht_wordpiece_kind_of(cp);
    if (kind == HT_WORDPIECE_SPACE) {
        end_word(e);
        return;
    }
    if (kind == HT_WORDPIECE_DROPPED || cp == 0xfffd)
        return;
    bool chinese = w->chinese && kind == HT_WORDPIECE_CHINESE;
    if (chinese)
        end_word(e);
    if (w->strip)
        take_stripped(e, cp);
    else
        take_lower(e, cp);
    if (chinese)
        end_word(e);
}

/* ---- texts */

void ht_wordpiece_text(const ht_wordpiece *w, const char *text, size_t bytes, ht_ids *ids) {
    encoding e;
    e.w = w;
    e.ids = ids;
    e.chars = e.bytes = 0;
    for (size_t at = 0; at < bytes && ids->count < ids->most;) {
        unsigned char c = (unsigned char)text[at];
        size_t length = 1;
        bool valid;
        if (c >= 0x80) {
            take_any(&e, ht_utf8_next(text + at, bytes - at, &length, &valid));
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            add(&e, text + at, 1);
        } else if (c >= 'A' && c <= 'Z') {
            char lower = (char)(w->lowercase ? c | 0x20 : c);
            add(&e, &lower, 1);
        } else {
            take_any(&e, c);
        }
        at += length;
    }
    end_word(&e);
}
