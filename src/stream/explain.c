/* explain.c: see explain.h. Stack only; the table has one byte a pair of words. */
#include "stream/explain.h"

#include <string.h>

enum { MOST_WORDS = 96 };

typedef struct words {
    ht_text at[MOST_WORDS];
    size_t count;
} words;

static void split(ht_text form, words *out) {
    out->count = 0;
    for (size_t i = 0; i < form.bytes && out->count < MOST_WORDS;) {
        const char *space = memchr(form.data + i, ' ', form.bytes - i);
        size_t end = space ? (size_t)(space - form.data) : form.bytes;
        if (end > i)
            out->at[out->count++] = (ht_text){form.data + i, end - i};
        i = end + 1;
    }
}

static bool same(ht_text a, ht_text b) { return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0; }

static void put_words(ht_buf *json, const char *name, const words *w, const bool *kept) {
    ht_buf_printf(json, ",\"%s\":[", name);
    bool first = true;
    for (size_t i = 0; i < w->count; i++) {
        if (kept[i])
            continue;
        if (!first)
            ht_buf_putc(json, ',');
        ht_buf_json_string(json, w->at[i].data, w->at[i].bytes);
        first = false;
    }
    ht_buf_putc(json, ']');
}

void ht_explain_words(ht_text form, ht_text nearest, ht_buf *json) {
    words a, b;
    uint8_t longest[MOST_WORDS + 1][MOST_WORDS + 1]; /* common to the words from here on */
    bool in_a[MOST_WORDS] = {false}, in_b[MOST_WORDS] = {false};
    split(form, &a);
    split(nearest, &b);
    for (size_t i = a.count + 1; i-- > 0;)
        for (size_t j = b.count + 1; j-- > 0;) {
            if (i == a.count || j == b.count)
                longest[i][j] = 0;
            else if (same(a.at[i], b.at[j]))
                longest[i][j] = (uint8_t)(longest[i + 1][j + 1] + 1);
            else
                longest[i][j] = longest[i + 1][j] > longest[i][j + 1] ? longest[i + 1][j] : longest[i][j + 1];
        }
    for (size_t i = 0, j = 0; i < a.count && j < b.count;) {
        if (same(a.at[i], b.at[j]))
            in_a[i++] = in_b[j++] = true;
        else if (longest[i + 1][j] >= longest[i][j + 1])
            i++;
        else
            j++;
    }
    put_words(json, "added", &a, in_a);
    put_words(json, "removed", &b, in_b);
}
