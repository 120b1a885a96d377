/*
 * regex.c: running a program as an automaton. A state is the set of steps the program may stand at, without those that
 * lead on by themselves; states are made when they are first met, kept in memory of a fixed size, and all forgotten
 * when that is full. So a byte costs a look into a table, or at worst once through the program.
 */
#include "base/regex.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/regex_inside.h"

#define MEMORY ((size_t)256 << 10) /* of states */
#define STATES 4096u
#define TABLE  (2 * STATES)
#define NONE   UINT16_MAX
#define MATCH  0 /* the step of that kind */

typedef struct state {
    uint32_t hash;
    uint16_t count;     /* of its steps */
    bool match, at_end; /* it has matched; it would, were the text at its end */
    uint16_t links[];   /* per class of bytes the state it leads to, NONE: not known; then the steps */
} state;

/* A set of steps that knows its members and their order of coming. */
typedef struct set {
    uint16_t *members, *places;
    uint32_t count;
} set;

struct ht_regex {
    ht_regex_program program;
    pthread_mutex_t lock;
    uint8_t class_of[256];
    uint8_t byte_of[256]; /* some byte of each class */
    uint32_t class_count;
    set next;
    uint16_t *stack, *sorted;
    char *memory;
    size_t used;
    uint32_t *offsets; /* per state, in memory */
    uint16_t *table;   /* state + 1, by hash */
    uint32_t state_count;
    uint16_t start;
    uint64_t work; /* see ht_regex_work */
};

/* ---- sets of steps */

static bool has(const set *s, uint16_t step) {
    return s->places[step] < s->count && s->members[s->places[step]] == step;
}

static void put(set *s, uint16_t step) {
    s->places[step] = (uint16_t)s->count;
    s->members[s->count++] = step;
}

/* Adds a step and those it leads to without a byte. */
static void close_over(ht_regex *r, uint16_t first, bool begin, bool end) {
    uint32_t depth = 0;
    if (has(&r->next, first))
        return;
    put(&r->next, first);
    r->stack[depth++] = first;
    while (depth) {
        const ht_regex_step *s = &r->program.steps[r->stack[--depth]];
        bool on = s->op == HT_OP_SPLIT || (s->op == HT_OP_BEGIN && begin) || (s->op == HT_OP_END && end);
        if (on && !has(&r->next, s->a)) {
            put(&r->next, s->a);
            r->stack[depth++] = s->a;
        }
        if (s->op == HT_OP_SPLIT && !has(&r->next, s->b)) {
            put(&r->next, s->b);
            r->stack[depth++] = s->b;
        }
    }
}

/* ---- states */

static state *state_at(const ht_regex *r, uint16_t i) { return (state *)(void *)(r->memory + r->offsets[i]); }
static uint16_t *steps_of(const ht_regex *r, state *s) { return s->links + r->class_count; }

static void forget(ht_regex *r) {
    r->used = 0;
    r->state_count = 0;
    memset(r->table, 0, TABLE * sizeof *r->table);
}

/* The members of r->next that wait for a byte, a match or the end, by rising number; gives how many. */
static uint32_t sort_members(ht_regex *r) {
    uint32_t count = 0;
    uint64_t bits[HT_REGEX_PROGRAM / 64] = {0};
    for (uint32_t i = 0; i < r->next.count; i++) {
        uint16_t step = r->next.members[i];
        uint8_t op = r->program.steps[step].op;
        if (op == HT_OP_RANGE || op == HT_OP_MATCH || op == HT_OP_END)
            bits[step / 64] |= (uint64_t)1 << step % 64;
    }
    for (uint32_t w = 0; w * 64 < r->program.count; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1)
            r->sorted[count++] = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(left));
    return count;
}

/* Whether the sorted members lead to a match at the end of the text. Uses r->next up. */
static bool matches_at_end(ht_regex *r, uint32_t count) {
    r->next.count = 0;
    for (uint32_t i = 0; i < count; i++)
        close_over(r, r->sorted[i], false, true);
    r->work += count + r->next.count;
    return has(&r->next, MATCH);
}

/* The state of the steps in r->next. *forgotten is set where all older states had to go. */
static uint16_t intern(ht_regex *r, bool *forgotten) {
    uint32_t count = sort_members(r);
    uint32_t hash = (uint32_t)ht_hash64(r->sorted, count * sizeof *r->sorted, 0);
    size_t at = hash & (TABLE - 1);
    for (; r->table[at]; at = (at + 1) & (TABLE - 1)) {
        state *s = state_at(r, (uint16_t)(r->table[at] - 1));
        if (s->hash == hash && s->count == count && memcmp(steps_of(r, s), r->sorted, count * sizeof *r->sorted) == 0)
            return (uint16_t)(r->table[at] - 1);
    }
    size_t bytes = (sizeof(state) + (r->class_count + count) * sizeof(uint16_t) + 7) & ~(size_t)7;
    if (r->used + bytes > MEMORY || r->state_count == STATES) {
        forget(r);
        *forgotten = true;
        at = hash & (TABLE - 1);
    }
    state *s = (state *)(void *)(r->memory + r->used);
    r->offsets[r->state_count] = (uint32_t)r->used;
    r->used += bytes;
    *s = (state){.hash = hash, .count = (uint16_t)count, .match = count && r->sorted[0] == MATCH};
    memset(s->links, 0xff, r->class_count * sizeof *s->links);
    memcpy(steps_of(r, s), r->sorted, count * sizeof *r->sorted);
    s->at_end = s->match || matches_at_end(r, count);
    r->table[at] = (uint16_t)(r->state_count + 1);
    return (uint16_t)r->state_count++;
}

/* Where a state goes on a class of bytes. A match may begin anywhere, so the start is always among the steps. */
static uint16_t follow(ht_regex *r, uint16_t from, unsigned class) {
    state *s = state_at(r, from);
    uint8_t byte = r->byte_of[class];
    const uint16_t *steps = steps_of(r, s);
    bool forgotten = false;
    r->next.count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const ht_regex_step *step = &r->program.steps[steps[i]];
        if (step->op == HT_OP_RANGE && byte >= step->low && byte <= step->high)
            close_over(r, step->a, false, false);
    }
    close_over(r, r->program.start, false, false);
    r->work += s->count + r->next.count;
    uint16_t to = intern(r, &forgotten);
    if (forgotten)
        r->start = NONE;
    else
        state_at(r, from)->links[class] = to;
    return to;
}

static uint16_t start_state(ht_regex *r) {
    bool forgotten = false;
    if (r->start == NONE) {
        r->next.count = 0;
        close_over(r, r->program.start, true, false);
        r->start = intern(r, &forgotten);
    }
    return r->start;
}

/* Where the beginning is the end. */
static bool search_nothing(ht_regex *r) {
    r->next.count = 0;
    close_over(r, r->program.start, true, true);
    return has(&r->next, MATCH);
}

static bool search(ht_regex *r, const unsigned char *text, size_t bytes) {
    if (!bytes)
        return search_nothing(r);
    uint16_t at = start_state(r);
    for (size_t i = 0; i < bytes; i++) {
        const state *s = state_at(r, at);
        if (s->match)
            return true;
        if (!s->count)
            return false; /* a pattern that begins with ^, and did not match there */
        unsigned class = r->class_of[text[i]];
        uint16_t to = s->links[class];
        at = to != NONE ? to : follow(r, at, class);
    }
    return state_at(r, at)->at_end;
}

bool ht_regex_search(ht_regex *r, const char *text, size_t bytes) {
    pthread_mutex_lock(&r->lock);
    bool found = search(r, (const unsigned char *)text, bytes);
    pthread_mutex_unlock(&r->lock);
    return found;
}

uint64_t ht_regex_work(ht_regex *r, uint32_t *steps) {
    pthread_mutex_lock(&r->lock);
    uint64_t work = r->work;
    pthread_mutex_unlock(&r->lock);
    *steps = r->program.count;
    return work;
}

/* ---- compiling */

/* Bytes that no step tells apart are of one class. */
static void classify(ht_regex *r) {
    bool cut[257] = {false};
    for (uint32_t i = 0; i < r->program.count; i++) {
        const ht_regex_step *s = &r->program.steps[i];
        if (s->op == HT_OP_RANGE && s->low <= s->high)
            cut[s->low] = cut[s->high + 1] = true;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        r->class_count += byte == 0 || cut[byte];
        r->class_of[byte] = (uint8_t)(r->class_count - 1);
        r->byte_of[r->class_count - 1] = (uint8_t)byte;
    }
}

static bool allocate(ht_regex *r) {
    uint32_t n = r->program.count;
    r->next.members = ht_calloc(n, sizeof(uint16_t));
    r->next.places = ht_calloc(n, sizeof(uint16_t));
    r->stack = ht_calloc(n, sizeof(uint16_t));
    r->sorted = ht_calloc(n, sizeof(uint16_t));
    r->memory = ht_alloc(MEMORY);
    r->offsets = ht_calloc(STATES, sizeof *r->offsets);
    r->table = ht_calloc(TABLE, sizeof *r->table);
    return r->next.members && r->next.places && r->stack && r->sorted && r->memory && r->offsets && r->table;
}

static hither_status make(const ht_regex_tree *tree, const char *what, ht_regex **out, hither_error *err) {
    ht_regex *r = ht_calloc(1, sizeof *r);
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "a regular expression");
    int rc = pthread_mutex_init(&r->lock, NULL);
    if (rc) {
        ht_release(r);
        return ht_fail_errno(err, rc, "cannot make a lock");
    }
    hither_status status = ht_regex_program_make(tree, what, &r->program, err);
    if (status == HITHER_OK) {
        classify(r);
        r->start = NONE;
        status = allocate(r) ? HITHER_OK : ht_fail_nomem(err, MEMORY, "a regular expression");
    }
    if (status == HITHER_OK)
        *out = r;
    else
        ht_regex_free(r);
    return status;
}

hither_status ht_regex_compile(const char *pattern, size_t bytes, const char *what, ht_regex **out, hither_error *err) {
    ht_regex_tree tree;
    hither_status status = ht_regex_parse(&tree, pattern, bytes, what, err);
    if (status == HITHER_OK)
        status = make(&tree, what, out, err);
    ht_regex_tree_clear(&tree);
    return status;
}

void ht_regex_free(ht_regex *r) {
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    ht_release(r->program.steps);
    ht_release(r->next.members);
    ht_release(r->next.places);
    ht_release(r->stack);
    ht_release(r->sorted);
    ht_release(r->memory);
    ht_release(r->offsets);
    ht_release(r->table);
    ht_release(r);
}
