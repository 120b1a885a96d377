/*
 * test_ring_model.c: the protocol of stream/ring.c and ring_view.c as a small machine, each atomic access a step, run
 * through every interleaving of two writers and a reader until the ring has wrapped around. In every state that can be
 * reached a reader sees whole records only, exactly as many as it should, and a writer can read the record that its own
 * drives out. The same machine with one step left out or two swapped must fail, or the model would prove nothing.
 *
 * The names are those of ring.c. All accesses are sequentially consistent here, so this is about the order of steps;
 * the weaker orders of single accesses are ThreadSanitizer's and the stress test's business (test_window_ring.c).
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cmocka_all.h"

enum { WRITERS = 2, MOST_CHUNKS = 6, MOST_PLACES = 12, NOT_PINNED = 255 };

enum {
    FLAG_BEFORE_DATA = 1,     /* a record is shown before it is written */
    COUNT_BEFORE_DATA = 2,    /* or its chunk is */
    NO_PIN = 4,               /* a reader does not say what it looks at */
    FLOOR_BEFORE_PIN = 8,     /* a reader looks at the floor before it has pinned */
    FLOOR_AFTER_PINS = 16,    /* who opens a chunk looks at the pins before it raised the floor */
    NO_WAIT_FOR_WRITER = 32,  /* a chunk is opened though one of long ago is not whole */
    NO_WAIT_FOR_LEAVING = 64, /* a ticket is taken though what it drives out is not whole */
    END_FIRST = 128           /* a reader looks no further than where the window ended before it pinned: no mistake */
};

typedef struct shape {
    uint8_t chunk, capacity, unfinished, chunks, total; /* records a chunk; ...; tickets that are taken in all */
    unsigned mistakes;
} shape;

enum { NEXT, LIMIT, WHOLE, FLOOR, PINS, OPEN, LEAVING, CLAIM, OLD_0, OLD_1, WRITE_0, WRITE_1, SHOW, COUNT, DONE };
enum { R_NEXT, R_PIN, R_FLOOR, R_END, R_WHOLE, R_FLAG, R_READ_0, R_READ_1, R_UNPIN, R_DONE };

typedef struct writer {
    uint8_t pc, t, q;
} writer;

/* Bytes only, so that equal states are equal bytes. What a step no longer needs is zeroed. */
typedef struct machine {
    uint8_t next, opened, floor, pin;
    uint8_t done[MOST_CHUNKS], flags[MOST_PLACES], low[MOST_PLACES], high[MOST_PLACES]; /* two words a record */
    writer writers[WRITERS];
    uint8_t pc, from, end, at, found, marks[3]; /* the reader: its lowest ticket, the last, the one it looks at */
} machine;

static uint8_t place(const shape *p, unsigned ticket) { return (uint8_t)(ticket % (p->chunks * p->chunk)); }
static bool whole(const shape *p, const machine *s, unsigned q) {
    return s->done[q % p->chunks] >= p->chunk * (q / p->chunks + 1);
}

static uint8_t first_of_write(const shape *p) {
    return p->mistakes & FLAG_BEFORE_DATA ? SHOW : p->mistakes & COUNT_BEFORE_DATA ? COUNT : WRITE_0;
}

/* False: something is seen that must not be. */
static bool step_writer(const shape *p, machine *s, writer *w) {
    const uint8_t at = place(p, w->t);
    switch (w->pc) {
    case NEXT:
        *w = s->next >= p->total ? (writer){.pc = DONE} : (writer){.pc = LIMIT, .t = s->next};
        return true;
    case LIMIT:
        w->q = s->opened;
        w->pc = w->t < w->q * p->chunk ? LEAVING : WHOLE;
        if (w->pc == WHOLE && p->mistakes & NO_WAIT_FOR_WRITER)
            w->pc = w->q < p->chunks ? OPEN : FLOOR;
        return true;
    case WHOLE:
        w->pc = w->q < p->chunks ? OPEN : p->mistakes & FLOOR_AFTER_PINS ? PINS : FLOOR;
        if (w->q >= p->unfinished && !whole(p, s, w->q - p->unfinished))
            *w = (writer){.pc = NEXT};
        return true;
    case FLOOR: {
        const uint8_t wanted = (uint8_t)((w->q - p->chunks + 1) * p->chunk);
        s->floor = s->floor < wanted ? wanted : s->floor;
        w->pc = p->mistakes & FLOOR_AFTER_PINS ? OPEN : PINS;
        return true;
    }
    case PINS:
        w->pc = p->mistakes & FLOOR_AFTER_PINS ? FLOOR : OPEN;
        if (s->pin < (w->q - p->chunks + 1) * p->chunk)
            *w = (writer){.pc = NEXT};
        return true;
    case OPEN:
        s->opened = s->opened == w->q ? w->q + 1 : s->opened;
        *w = (writer){.pc = NEXT};
        return true;
    case LEAVING:
        w->q = 0;
        w->pc = CLAIM;
        if (!(p->mistakes & NO_WAIT_FOR_LEAVING) && w->t >= p->capacity &&
            !whole(p, s, (unsigned)(w->t - p->capacity) / p->chunk) &&
            s->flags[place(p, w->t - p->capacity)] != w->t - p->capacity + 1)
            *w = (writer){.pc = NEXT};
        return true;
    case CLAIM:
        if (s->next != w->t) {
            *w = (writer){.pc = NEXT};
            return true;
        }
        s->next++;
        w->pc = w->t >= p->capacity ? OLD_0 : first_of_write(p);
        return true;
    case OLD_0:
        w->pc = OLD_1;
        return s->low[place(p, w->t - p->capacity)] == w->t - p->capacity + 1;
    case OLD_1:
        w->pc = first_of_write(p);
        return s->high[place(p, w->t - p->capacity)] == w->t - p->capacity + 1;
    case WRITE_0:
        s->low[at] = w->t + 1;
        w->pc = WRITE_1;
        return true;
    case WRITE_1:
        s->high[at] = w->t + 1;
        w->pc = p->mistakes & FLAG_BEFORE_DATA ? COUNT : SHOW;
        return true;
    case SHOW:
        s->flags[at] = w->t + 1;
        w->pc = p->mistakes & FLAG_BEFORE_DATA ? WRITE_0 : COUNT;
        if (p->mistakes & COUNT_BEFORE_DATA)
            *w = (writer){.pc = NEXT};
        return true;
    case COUNT:
        s->done[at / p->chunk]++;
        if (p->mistakes & COUNT_BEFORE_DATA)
            w->pc = WRITE_0;
        else
            *w = (writer){.pc = NEXT};
        return true;
    default:
        return true;
    }
}

/* One ticket was looked at. The last: as many as should be there are. */
static bool looked(const shape *p, machine *s, bool there) {
    const unsigned bit = s->at - s->from;
    s->found += there;
    s->marks[bit / 8] |= (uint8_t)(there << bit % 8);
    s->pc = R_WHOLE;
    if (s->found < p->capacity && s->at > s->from) {
        s->at--;
        return true;
    }
    const bool enough = s->found == p->capacity || s->from == 0;
    s->at = s->from;
    s->pc = R_READ_0;
    return enough;
}

static bool marked(const machine *s) { return s->marks[(s->at - s->from) / 8] >> (s->at - s->from) % 8 & 1; }

static bool step_reader(const shape *p, machine *s) {
    const unsigned back = p->capacity + (p->unfinished + 1u) * p->chunk;
    switch (s->pc) {
    case R_NEXT:
        s->from = s->next > back ? (uint8_t)((s->next - back) / p->chunk * p->chunk) : 0;
        s->end = p->mistakes & END_FIRST ? s->next : 0;
        s->pc = p->mistakes & FLOOR_BEFORE_PIN ? R_FLOOR : R_PIN;
        return true;
    case R_PIN:
        s->pin = p->mistakes & NO_PIN ? NOT_PINNED : s->from;
        s->pc = p->mistakes & FLOOR_BEFORE_PIN ? R_END : R_FLOOR;
        return true;
    case R_FLOOR:
        s->pc = s->floor > s->from ? R_NEXT : p->mistakes & FLOOR_BEFORE_PIN ? R_PIN : R_END;
        return true;
    case R_END:
        s->end = p->mistakes & END_FIRST ? s->end : s->next;
        s->at = s->end - 1;
        s->pc = s->end == s->from ? R_UNPIN : R_WHOLE;
        return true;
    case R_WHOLE:
        s->pc = R_FLAG;
        return whole(p, s, s->at / p->chunk) ? looked(p, s, true) : true;
    case R_FLAG:
        return looked(p, s, s->flags[place(p, s->at)] == s->at + 1);
    case R_READ_0:
    case R_READ_1: {
        const uint8_t *word = s->pc == R_READ_0 ? s->low : s->high;
        if (marked(s) && word[place(p, s->at)] != s->at + 1)
            return false;
        if (s->pc == R_READ_0 && marked(s)) {
            s->pc = R_READ_1;
            return true;
        }
        s->pc = s->at + 1 == s->end ? R_UNPIN : R_READ_0;
        s->at++;
        return true;
    }
    case R_UNPIN:
        s->pin = NOT_PINNED;
        s->pc = R_DONE;
        s->from = s->end = s->at = s->found = 0;
        memset(s->marks, 0, sizeof s->marks);
        return true;
    default:
        return true;
    }
}

/* ---- every interleaving */

typedef struct search {
    uint64_t *seen; /* hashes, open addressing; 0: empty */
    size_t room, states;
    machine *stack;
    size_t depth, stack_room, ends;
} search;

/* Two writers that do the same are one state, whichever is which. */
static void visit(search *m, const machine *given) {
    machine s = *given;
    if (memcmp(&s.writers[0], &s.writers[1], sizeof s.writers[0]) > 0) {
        s.writers[0] = given->writers[1];
        s.writers[1] = given->writers[0];
    }
    const uint64_t hash = ht_hash64(&s, sizeof s, 7) | 1;
    size_t i = hash >> 20 & (m->room - 1);
    while (m->seen[i] != 0 && m->seen[i] != hash)
        i = (i + 1) & (m->room - 1);
    if (m->seen[i] == hash)
        return;
    m->seen[i] = hash;
    assert_true(++m->states < m->room - m->room / 8);
    if (m->depth == m->stack_room) {
        m->stack_room = 2 * m->stack_room + 1024;
        m->stack = realloc(m->stack, m->stack_room * sizeof s);
        assert_non_null(m->stack);
    }
    m->stack[m->depth++] = s;
}

/* Whether all states that can be reached are as they should be. */
static bool holds(const shape *p, size_t *states) {
    search m = {.room = 1 << 23};
    m.seen = calloc(m.room, sizeof *m.seen);
    assert_non_null(m.seen);
    machine first = {.pin = NOT_PINNED};
    bool ok = true;
    visit(&m, &first);
    while (ok && m.depth > 0) {
        const machine s = m.stack[--m.depth];
        m.ends += s.pc == R_DONE && s.writers[0].pc == DONE && s.writers[1].pc == DONE;
        for (int who = 0; ok && who <= WRITERS; who++) {
            machine next = s;
            ok = who < WRITERS ? step_writer(p, &next, &next.writers[who]) : step_reader(p, &next);
            if (ok)
                visit(&m, &next);
        }
    }
    assert_true(!ok || m.ends > 0); /* it can come to its end */
    *states = m.states;
    free(m.seen);
    free(m.stack);
    return ok;
}

/* Chunks as ht_ring_new would have them: capacity, unfinished, 3 more. */
static const shape shapes[] = {
    {.chunk = 1, .capacity = 1, .unfinished = 1, .chunks = 5, .total = 8},
    {.chunk = 2, .capacity = 2, .unfinished = 1, .chunks = 5, .total = 12},
    {.chunk = 1, .capacity = 1, .unfinished = 2, .chunks = 6, .total = 8},
};

static void test_holds(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        size_t states;
        assert_true(holds(&shapes[i], &states));
        print_message("chunks of %d, %d tickets: %zu states\n", shapes[i].chunk, shapes[i].total, states);
    }
}

static bool holds_with(unsigned mistakes) {
    shape p = shapes[2];
    size_t states;
    p.mistakes = mistakes;
    return holds(&p, &states);
}

static void test_mistakes_are_found(void **unused) {
    (void)unused;
    assert_false(holds_with(FLAG_BEFORE_DATA));
    assert_false(holds_with(COUNT_BEFORE_DATA));
    assert_false(holds_with(NO_PIN));
    assert_false(holds_with(NO_WAIT_FOR_LEAVING));
    assert_false(holds_with(NO_WAIT_FOR_LEAVING | NO_WAIT_FOR_WRITER));
}

/* What the floor is for: a reader may then go by what it saw before it pinned, and only if both sides keep the order.
 */
static void test_floor(void **unused) {
    (void)unused;
    assert_true(holds_with(END_FIRST));
    assert_false(holds_with(END_FIRST | FLOOR_BEFORE_PIN));
    assert_false(holds_with(END_FIRST | FLOOR_AFTER_PINS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_mistakes_are_found),
        cmocka_unit_test(test_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
