/*
 * split.c: see split.h. Depth first: a piece goes through the steps that are left, and to the sink, before the next one
 * is cut, so a text of which only the beginning counts is read no further.
 */
#include "embed/split.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/token_chars.h"
#include "base/wordpiece_chars.h"
#include "embed/around.h"

enum { MAX_NESTED = 4 };

/* How byte-level tokenizers cut: contractions, letters, numbers and the rest with a space before each, and spaces. */
static const char byte_level[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- from the file */

static hither_status read_behavior(const json_t *p, const char *where, ht_behavior *out, hither_error *err) {
    static const char *const names[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"};
    const char *name = ht_json_text_of(p, "behavior");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (ht_behavior)i;
            return HITHER_OK;
        }
    }
    return ht_fail(err, HITHER_MODEL, "%s: the behavior \"%.60s\" of a pre-tokenizer is not supported", where, name);
}

static hither_status read_metaspace(const json_t *p, const char *where, ht_split_step *s, hither_error *err) {
    const char *mark = ht_json_text_of(p, "replacement"), *scheme = ht_json_text_of(p, "prepend_scheme");
    size_t length = 0;
    bool valid = false;
    if (mark[0])
        (void)ht_utf8_next(mark, strlen(mark), &length, &valid);
    if (!valid || mark[length])
        return ht_fail(err, HITHER_MODEL, "%s: the replacement \"%.60s\" of Metaspace is not one character", where,
                       mark);
    memcpy(s->mark, mark, length + 1);
    s->splits = !json_is_false(json_object_get(p, "split"));
    s->always = strcmp(scheme, "always") == 0 || (!scheme[0] && !json_is_false(json_object_get(p, "add_prefix_space")));
    s->first = strcmp(scheme, "first") == 0;
    if (scheme[0] && !s->always && !s->first && strcmp(scheme, "never") != 0)
        return ht_fail(err, HITHER_MODEL, "%s: the prepend_scheme \"%.60s\" is not supported", where, scheme);
    return HITHER_OK;
}

static hither_status read_step(const json_t *p, const char *type, const char *where, ht_split_step *s,
                               hither_error *err) {
    static const struct {
        const char *name;
        ht_split_kind kind;
        ht_behavior behavior;
    } known[] = {{"WhitespaceSplit", HT_SPLIT_SPACES, HT_REMOVED},   {"Whitespace", HT_SPLIT_WORDS, HT_ISOLATED},
                 {"Punctuation", HT_SPLIT_PUNCTUATION, HT_ISOLATED}, {"Digits", HT_SPLIT_DIGITS, HT_CONTIGUOUS},
                 {"BertPreTokenizer", HT_SPLIT_BERT, HT_ISOLATED},   {"Metaspace", HT_SPLIT_METASPACE, HT_WITH_NEXT},
                 {"ByteLevel", HT_SPLIT_BYTES, HT_ISOLATED},         {"Split", HT_SPLIT_PATTERN, HT_ISOLATED}};
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(known[i].name, type) != 0)
        i++;
    if (i == sizeof known / sizeof *known)
        return ht_fail(err, HITHER_MODEL, "%s: the pre-tokenizer \"%.60s\" is not supported", where, type);
    s->kind = known[i].kind;
    s->behavior = known[i].behavior;
    s->invert = s->kind == HT_SPLIT_PATTERN && json_is_true(json_object_get(p, "invert"));
    if (s->kind == HT_SPLIT_DIGITS && json_is_true(json_object_get(p, "individual_digits")))
        s->behavior = HT_ISOLATED;
    if (s->kind == HT_SPLIT_PATTERN || (s->kind == HT_SPLIT_PUNCTUATION && json_object_get(p, "behavior")))
        HT_TRY(read_behavior(p, where, &s->behavior, err));
    if (s->kind == HT_SPLIT_METASPACE)
        return read_metaspace(p, where, s, err);
    if (s->kind == HT_SPLIT_PATTERN)
        return ht_pattern_read(json_object_get(p, "pattern"), where, &s->scan, err);
    if (s->kind != HT_SPLIT_BYTES)
        return HITHER_OK;
    s->always = json_is_true(json_object_get(p, "add_prefix_space"));
    if (json_is_false(json_object_get(p, "use_regex")))
        return HITHER_OK;
    return ht_scan_compile(byte_level, sizeof byte_level - 1, where, &s->scan, err);
}

static hither_status read_one(const json_t *p, int depth, const char *where, ht_split *out, hither_error *err) {
    const char *type = ht_json_text_of(p, "type");
    if (!p || json_is_null(p))
        return HITHER_OK;
    if (strcmp(type, "Sequence") == 0 && depth < MAX_NESTED) {
        const json_t *parts = json_object_get(p, "pretokenizers"), *part;
        size_t i;
        json_array_foreach(parts, i, part) HT_TRY(read_one(part, depth + 1, where, out, err));
        return HITHER_OK;
    }
    if (out->count == HT_SPLIT_MAX)
        return ht_fail(err, HITHER_MODEL, "%s: more than %d pre-tokenizers", where, HT_SPLIT_MAX);
    return read_step(p, type, where, &out->steps[out->count++], err);
}

hither_status ht_split_read(const json_t *root, const char *where, ht_split *out, hither_error *err) {
    *out = (ht_split){0};
    return read_one(json_object_get(root, "pre_tokenizer"), 0, where, out, err);
}

void ht_split_clear(ht_split *split) {
    for (size_t i = 0; i < split->count; i++)
        ht_scan_free(split->steps[i].scan);
    *split = (ht_split){0};
}

/* ---- where a text is cut */

/* A cut of a text: a run that matches or one that does not. */
typedef struct cut {
    size_t begin, end;
    bool match;
} cut;

typedef struct cutting {
    const ht_split_step *step;
    ht_scan_room *scan;
    const char *text;
    size_t bytes, at;
    size_t begin, end; /* HT_SPLIT_PATTERN: the match that comes next */
} cutting;

static bool splits_at(const ht_split_step *s, const char *text, uint32_t cp) {
    switch (s->kind) {
    case HT_SPLIT_SPACES:
        return ht_token_space(cp);
    case HT_SPLIT_PUNCTUATION:
        return (ht_token_facts(cp) & HT_FACT_PUNCTUATION) != 0;
    case HT_SPLIT_DIGITS:
        return (ht_token_facts(cp) & HT_FACT_NUMERIC) != 0;
    default:
        return strncmp(text, s->mark, strlen(s->mark)) == 0;
    }
}

/* By characters: a match is one of them; what lies between is one cut. */
static void next_by_char(cutting *c, cut *out) {
    size_t length, at = c->at;
    bool valid;
    for (; at < c->bytes; at += length) {
        uint32_t cp = ht_utf8_next(c->text + at, c->bytes - at, &length, &valid);
        if (!splits_at(c->step, c->text + at, cp))
            continue;
        if (at == c->at)
            *out = (cut){at, at + length, true};
        else
            *out = (cut){c->at, at, false};
        c->at = out->end;
        return;
    }
    *out = (cut){c->at, c->bytes, false};
    c->at = c->bytes;
}

static hither_status next_by_pattern(cutting *c, cut *out, hither_error *err) {
    if (c->begin < c->at || c->end == 0)
        HT_TRY(ht_scan_next(c->step->scan, c->scan, c->text, c->bytes, c->at, &c->begin, &c->end, err));
    if (c->begin > c->at) {
        *out = (cut){c->at, c->begin, false};
        c->at = c->begin;
    } else {
        *out = (cut){c->begin, c->end, true};
        c->at = c->end;
    }
    return HITHER_OK;
}

static unsigned word_class(uint32_t cp) {
    return ht_token_facts(cp) & HT_FACT_PLAIN_WORD ? 1 : ht_token_space(cp) ? 2 : 0;
}

/* Runs of words, of spaces (which match and go), of the rest. */
static void next_word(cutting *c, cut *out) {
    size_t length, at = c->at;
    bool valid;
    unsigned class = word_class(ht_utf8_next(c->text + at, c->bytes - at, &length, &valid));
    for (at += length; at < c->bytes; at += length)
        if (word_class(ht_utf8_next(c->text + at, c->bytes - at, &length, &valid)) != class)
            break;
    *out = (cut){c->at, at, class == 2};
    c->at = at;
}

/* Spaces go, punctuation stands alone. */
static void next_bert(cutting *c, cut *out) {
    size_t length, at = c->at;
    bool valid;
    for (; at < c->bytes; at += length) {
        uint32_t cp = ht_utf8_next(c->text + at, c->bytes - at, &length, &valid);
        bool space = ht_token_space(cp);
        if (!space && ht_wordpiece_kind_of(cp) != HT_WORDPIECE_PUNCTUATION)
            continue;
        if (at > c->at)
            break;
        *out = (cut){at, at + length, space};
        c->at = at + length;
        return;
    }
    *out = (cut){c->at, at, false};
    c->at = at;
}

static hither_status next_cut(cutting *c, cut *out, hither_error *err) {
    hither_status status = HITHER_OK;
    if (c->step->scan)
        status = next_by_pattern(c, out, err);
    else if (c->step->kind == HT_SPLIT_WORDS)
        next_word(c, out);
    else if (c->step->kind == HT_SPLIT_BERT)
        next_bert(c, out);
    else
        next_by_char(c, out);
    out->match ^= c->step->invert;
    return status;
}

static ht_behavior behavior_of(const ht_split_step *s) { return s->kind == HT_SPLIT_WORDS ? HT_REMOVED : s->behavior; }

/* The next piece: cuts joined, or passed over, as the step wants; *length 0 at the end. */
typedef struct joining {
    cutting cutting;
    cut held;
    bool holds;
} joining;

static hither_status take_cut(joining *j, cut *out, bool *there, hither_error *err) {
    *there = j->holds || j->cutting.at < j->cutting.bytes;
    if (j->holds)
        *out = j->held;
    else if (*there)
        HT_TRY(next_cut(&j->cutting, out, err));
    j->holds = false;
    return HITHER_OK;
}

static hither_status next_piece(joining *j, size_t *begin, size_t *end, bool *there, hither_error *err) {
    ht_behavior behavior = behavior_of(j->cutting.step);
    cut c = {0}, next;
    bool more;
    bool removes = behavior == HT_REMOVED || j->cutting.step->kind == HT_SPLIT_BERT;
    do
        HT_TRY(take_cut(j, &c, there, err));
    while (*there && removes && c.match);
    if (!*there)
        return HITHER_OK;
    *begin = c.begin;
    *end = c.end;
    for (bool first = true; behavior >= HT_CONTIGUOUS; first = false) {
        HT_TRY(take_cut(j, &next, &more, err));
        if (!more)
            break;
        bool joins = behavior == HT_CONTIGUOUS      ? next.match == c.match
                     : behavior == HT_WITH_PREVIOUS ? first && next.match && !c.match
                                                    : first && c.match && !next.match;
        if (!joins) {
            j->held = next;
            j->holds = true;
            break;
        }
        *end = next.end;
    }
    return HITHER_OK;
}

/* ---- steps */

typedef struct splitting {
    const ht_split *split;
    ht_split_room *room;
    const ht_split_sink *sink;
    bool more;
    hither_error *err;
} splitting;

static hither_status run_step(splitting *s, size_t number, const char *text, size_t bytes, bool front);

static void replace_spaces(const char *text, size_t bytes, const char *mark, ht_buf *out) {
    for (size_t at = 0; at < bytes;) {
        const char *space = memchr(text + at, ' ', bytes - at);
        size_t end = space ? (size_t)(space - text) : bytes;
        ht_buf_put(out, text + at, end - at);
        if (space)
            ht_buf_puts(out, mark);
        at = end + (space != NULL);
    }
}

static bool begins(const char *text, size_t bytes, const char *with) {
    return bytes >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* With its mark before it, where that is wanted and not there yet, and its spaces as marks. */
static hither_status prepare(splitting *s, size_t number, const char **text, size_t *bytes, bool front) {
    const ht_split_step *step = &s->split->steps[number];
    ht_buf *out = &s->room->texts[number][0];
    const char *mark = step->kind == HT_SPLIT_METASPACE ? step->mark : " ";
    bool spaces = step->kind == HT_SPLIT_METASPACE && memchr(*text, ' ', *bytes);
    bool there = begins(*text, *bytes, mark) || (step->kind == HT_SPLIT_METASPACE && (*text)[0] == ' ');
    bool puts = !there && (step->always || (step->first && front));
    if (!spaces && !puts)
        return HITHER_OK;
    ht_buf_reset(out);
    if (puts)
        ht_buf_puts(out, mark);
    replace_spaces(*text, *bytes, spaces ? mark : " ", out);
    HT_TRY(ht_buf_check(out, "a text", s->err));
    *text = out->data;
    *bytes = out->size;
    return HITHER_OK;
}

/* A piece goes on; of byte-level ones with each byte as a character. */
static hither_status hand_on(splitting *s, size_t number, const char *text, size_t bytes, bool front) {
    ht_buf *out = &s->room->texts[number][1];
    char two[2];
    if (s->split->steps[number].kind == HT_SPLIT_BYTES) {
        ht_buf_reset(out);
        for (size_t i = 0; i < bytes; i++)
            ht_buf_put(out, two, ht_byte_char((unsigned char)text[i], two));
        HT_TRY(ht_buf_check(out, "a text", s->err));
        text = out->data;
        bytes = out->size;
    }
    return run_step(s, number + 1, text, bytes, front);
}

static hither_status run_step(splitting *s, size_t number, const char *text, size_t bytes, bool front) {
    if (number == s->split->count)
        return s->sink->word(s->sink->ctx, text, bytes, &s->more, s->err);
    const ht_split_step *step = &s->split->steps[number];
    if (step->kind == HT_SPLIT_METASPACE || step->kind == HT_SPLIT_BYTES)
        HT_TRY(prepare(s, number, &text, &bytes, front));
    if ((step->kind == HT_SPLIT_METASPACE && !step->splits) || (step->kind == HT_SPLIT_BYTES && !step->scan))
        return hand_on(s, number, text, bytes, front);
    ht_scan_room *scan = s->room->scan;
    joining j = {.cutting = {.step = step, .scan = scan, .text = text, .bytes = bytes}};
    uint64_t outer = scan->steps;
    ht_scan_begin(scan, bytes);
    for (bool there = true; s->more;) {
        size_t begin, end;
        HT_TRY(next_piece(&j, &begin, &end, &there, s->err));
        if (!there)
            break;
        uint64_t left = scan->steps; /* steps further on count their own */
        HT_TRY(hand_on(s, number, text + begin, end - begin, front && begin == 0));
        scan->steps = left;
    }
    scan->steps = outer;
    return HITHER_OK;
}

hither_status ht_split_apply(const ht_split *split, ht_split_room *room, const char *text, size_t bytes, bool front,
                             const ht_split_sink *sink, hither_error *err) {
    splitting s = {.split = split, .room = room, .sink = sink, .more = true, .err = err};
    return bytes ? run_step(&s, 0, text, bytes, front) : HITHER_OK;
}
