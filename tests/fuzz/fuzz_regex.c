/*
 * fuzz_regex.c: patterns from outside, and the automaton against the program run step by step. The input: a pattern,
 * then texts, each with a 0xff before it, a byte that no UTF-8 has.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/regex_inside.h"
#include "base/strings.h"
#include "fuzz.h"

static void add(const ht_regex_program *p, bool *set, uint16_t step, bool begin, bool end) {
    if (set[step])
        return;
    set[step] = true;
    const ht_regex_step *s = &p->steps[step];
    if (s->op == HT_OP_SPLIT || (s->op == HT_OP_BEGIN && begin) || (s->op == HT_OP_END && end))
        add(p, set, s->a, begin, end);
    if (s->op == HT_OP_SPLIT)
        add(p, set, s->b, begin, end);
}

static bool run(const ht_regex_program *p, const unsigned char *text, size_t bytes) {
    static bool now[HT_REGEX_PROGRAM], next[HT_REGEX_PROGRAM];
    memset(now, 0, sizeof now);
    for (size_t i = 0;; i++) {
        memset(next, 0, sizeof next);
        for (uint32_t j = 0; i && j < p->count; j++)
            if (now[j] && p->steps[j].op == HT_OP_RANGE && text[i - 1] >= p->steps[j].low &&
                text[i - 1] <= p->steps[j].high)
                add(p, next, p->steps[j].a, false, i == bytes);
        add(p, next, p->start, i == 0, i == bytes);
        for (uint32_t j = 0; j < p->count; j++)
            if (next[j] && p->steps[j].op == HT_OP_MATCH)
                return true;
        if (i == bytes)
            return false;
        memcpy(now, next, sizeof now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *end = text + size, *cut = size ? memchr(text, 0xff, size) : NULL;
    size_t pattern = cut ? (size_t)(cut - text) : size;
    hither_error err;
    ht_regex_tree tree;
    ht_regex_program program;
    ht_regex *r = NULL;
    if (ht_utf8_valid_prefix(text, pattern) != pattern)
        return 0;
    hither_status status = ht_regex_compile(text, pattern, "p", &r, &err);
    FUZZ_HOLDS((status == HITHER_OK) == (r != NULL) && status != HITHER_NOMEM);
    if (status != HITHER_OK) {
        FUZZ_HOLDS(strncmp(err.message, "p: ", 3) == 0);
        return 0;
    }
    FUZZ_HOLDS(ht_regex_parse(&tree, text, pattern, "p", &err) == HITHER_OK);
    FUZZ_HOLDS(ht_regex_program_make(&tree, "p", &program, &err) == HITHER_OK);
    for (unsigned texts = 0; cut && cut < end && texts < 16; texts++) {
        const char *begin = cut + 1;
        cut = memchr(begin, 0xff, (size_t)(end - begin));
        size_t bytes = (size_t)((cut ? cut : end) - begin);
        FUZZ_HOLDS(ht_regex_search(r, begin, bytes) == run(&program, (const unsigned char *)begin, bytes));
    }
    ht_release(program.steps);
    ht_regex_tree_clear(&tree);
    ht_regex_free(r);
    return 0;
}
