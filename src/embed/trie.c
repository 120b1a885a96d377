/* trie.c: see trie.h. Nodes are numbered level by level, so that the children of one lie side by side. */
#include "embed/trie.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_NODES (1u << 25)

static int compare(const void *a, const void *b) {
    const ht_trie_key *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);
    if (order)
        return order;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static size_t count_nodes(const ht_trie_key *keys, size_t count) {
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++) {
        size_t same = 0, most = i ? ht_min_size(keys[i].bytes, keys[i - 1].bytes) : 0;
        while (same < most && keys[i].text[same] == keys[i - 1].text[same])
            same++;
        nodes += keys[i].bytes - same;
    }
    return nodes;
}

/* The keys below a node. */
typedef struct below {
    uint32_t begin, end;
} below;

static void lay_out(const ht_trie_key *keys, size_t count, below *ranges, ht_trie *t) {
    uint32_t made = 1, depth = 0, level = 1; /* where the next level begins */
    ranges[0] = (below){0, (uint32_t)count};
    for (uint32_t n = 0; n < t->nodes; n++) {
        if (n == level) {
            depth++;
            level = made;
        }
        uint32_t at = ranges[n].begin, end = ranges[n].end;
        t->firsts[n] = made;
        for (; at < end && keys[at].bytes == depth; at++)
            t->values[n] = depth ? keys[at].value + 1 : 0;
        while (at < end) {
            unsigned char label = (unsigned char)keys[at].text[depth];
            uint32_t begin = at;
            while (at < end && (unsigned char)keys[at].text[depth] == label)
                at++;
            t->labels[made] = label;
            ranges[made++] = (below){begin, at};
        }
    }
    t->firsts[t->nodes] = made;
}

hither_status ht_trie_build(ht_trie_key *keys, size_t count, ht_trie *out, hither_error *err) {
    if (count)
        qsort(keys, count, sizeof *keys, compare);
    size_t nodes = count_nodes(keys, count);
    if (nodes > MAX_NODES)
        return ht_fail(err, HITHER_TOO_LARGE, "a vocabulary of %zu tokens takes %zu nodes; at most %u are possible",
                       count, nodes, MAX_NODES);
    ht_trie t = {.nodes = (uint32_t)nodes};
    t.labels = ht_calloc(nodes, 1);
    t.firsts = ht_calloc(nodes + 1, sizeof *t.firsts);
    t.values = ht_calloc(nodes, sizeof *t.values);
    below *ranges = ht_calloc(nodes, sizeof *ranges);
    bool fits = t.labels && t.firsts && t.values && ranges;
    if (fits)
        lay_out(keys, count, ranges, &t);
    ht_release(ranges);
    if (!fits) {
        ht_trie_clear(&t);
        return ht_fail_nomem(err, nodes * 9, "a vocabulary");
    }
    *out = t;
    return HITHER_OK;
}

void ht_trie_clear(ht_trie *t) {
    ht_release(t->labels);
    ht_release(t->firsts);
    ht_release(t->values);
    *t = (ht_trie){0};
}

uint32_t ht_trie_step(const ht_trie *t, uint32_t node, unsigned char byte) {
    uint32_t first = t->firsts[node], count = t->firsts[node + 1] - first;
    const uint8_t *labels = t->labels + first;
    const uint8_t *found = count ? memchr(labels, byte, count) : NULL;
    return found ? first + (uint32_t)(found - labels) : 0;
}

uint32_t ht_trie_find(const ht_trie *t, const char *text, size_t bytes) {
    uint32_t node = 0;
    for (size_t i = 0; i < bytes; i++) {
        node = ht_trie_step(t, node, (unsigned char)text[i]);
        if (!node)
            return 0;
    }
    return bytes ? t->values[node] : 0;
}

void ht_trie_find_bytes(const ht_trie *t, bool has[256], uint32_t values[256]) {
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        (void)snprintf(name, sizeof name, "<0x%02X>", byte);
        const uint32_t found = ht_trie_find(t, name, strlen(name));
        has[byte] = found != 0;
        values[byte] = found ? found - 1 : 0;
    }
}
