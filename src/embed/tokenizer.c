/* tokenizer.c: see tokenizer.h. */
#include "embed/tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/strings.h"
#include "base/text.h"
#include "embed/tokenizer_inside.h"

enum { MAX_WORD = 1 << 20 };

/* ---- life */

hither_status ht_tokenizer_room_new(ht_tokenizer_room **out, hither_error *err) {
    ht_tokenizer_room *r = ht_calloc(1, sizeof *r);
    if (!r)
        return ht_fail_nomem(err, sizeof *r, "a tokenizer's room");
    ht_buf_init(&r->mended, HT_ROOM_MAX);
    r->normal.scan = r->split.scan = &r->scan;
    for (size_t i = 0; i < 2; i++) {
        ht_buf_init(&r->normal.texts[i], HT_ROOM_MAX);
        for (size_t j = 0; j < HT_SPLIT_MAX; j++)
            ht_buf_init(&r->split.texts[j][i], HT_ROOM_MAX);
    }
    *out = r;
    return HITHER_OK;
}

void ht_tokenizer_room_free(ht_tokenizer_room *r) {
    if (!r)
        return;
    ht_buf_clear(&r->mended);
    for (size_t i = 0; i < 2; i++) {
        ht_buf_clear(&r->normal.texts[i]);
        for (size_t j = 0; j < HT_SPLIT_MAX; j++)
            ht_buf_clear(&r->split.texts[j][i]);
    }
    ht_release(r->unigram.nodes);
    ht_release(r->bpe.symbols);
    ht_release(r->bpe.heap);
    ht_release(r);
}

void ht_tokenizer_free(ht_tokenizer *t) {
    if (!t)
        return;
    for (size_t i = 0; i < HT_TOKENIZER_ROOMS; i++)
        ht_tokenizer_room_free(atomic_load(&t->rooms[i]));
    ht_wordpiece_free(t->wordpiece);
    ht_unigram_clear(&t->unigram);
    ht_bpe_clear(&t->bpe);
    ht_normal_clear(&t->normal);
    ht_split_clear(&t->split);
    ht_added_clear(&t->added);
    ht_release(t);
}

const char *ht_tokenizer_type(const ht_tokenizer *t) {
    static const char *const names[] = {"WordPiece", "Unigram", "BPE"};
    return names[t->kind];
}

uint32_t ht_tokenizer_ids(const ht_tokenizer *t) { return t->ids; }

size_t ht_tokenizer_around(const ht_tokenizer *t) { return t->around.before_count + t->around.after_count; }

bool ht_tokenizer_skips_unknown(const ht_tokenizer *t, uint32_t *id) {
    *id = t->kind == HT_TOKENIZER_WORDPIECE ? ht_wordpiece_unknown(t->wordpiece) : t->bpe.unknown;
    return t->kind == HT_TOKENIZER_WORDPIECE || (t->kind == HT_TOKENIZER_BPE && t->bpe.has_unknown);
}

static hither_status take_room(ht_tokenizer *t, ht_tokenizer_room **out, hither_error *err) {
    for (size_t i = 0; i < HT_TOKENIZER_ROOMS; i++) {
        *out = atomic_exchange_explicit(&t->rooms[i], NULL, memory_order_acquire);
        if (*out)
            return HITHER_OK;
    }
    return ht_tokenizer_room_new(out, err);
}

static void leave_room(ht_tokenizer *t, ht_tokenizer_room *room) {
    for (size_t i = 0; i < HT_TOKENIZER_ROOMS; i++) {
        ht_tokenizer_room *nobody = NULL;
        if (atomic_compare_exchange_strong_explicit(&t->rooms[i], &nobody, room, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    ht_tokenizer_room_free(room);
}

/* ---- a text */

typedef struct encoding {
    const ht_tokenizer *t;
    ht_tokenizer_room *room; /* NULL for WordPiece */
    ht_ids ids;
    hither_error *err;
} encoding;

static hither_status take_piece(encoding *e, const char *text, size_t bytes) {
    if (e->t->kind == HT_TOKENIZER_UNIGRAM)
        return ht_unigram_word(&e->t->unigram, &e->room->unigram, text, bytes, &e->ids, e->err);
    return ht_bpe_word(&e->t->bpe, &e->room->bpe, text, bytes, &e->ids, e->err);
}

static hither_status take_word(void *ctx, const char *text, size_t bytes, bool *more, hither_error *err) {
    encoding *e = ctx;
    (void)err;
    while (bytes > MAX_WORD && e->ids.count < e->ids.most) {
        size_t cut = MAX_WORD;
        while (((unsigned char)text[cut] & 0xc0u) == 0x80)
            cut--;
        HT_TRY(take_piece(e, text, cut));
        text += cut;
        bytes -= cut;
    }
    if (e->ids.count < e->ids.most)
        HT_TRY(take_piece(e, text, bytes));
    *more = e->ids.count < e->ids.most;
    return HITHER_OK;
}

static hither_status take_words(encoding *e, const char *text, size_t bytes, bool front) {
    const ht_split_sink sink = {e, take_word};
    return ht_split_apply(&e->t->split, &e->room->split, text, bytes, front, &sink, e->err);
}

/* What lies between added tokens: normalised, and cut again at those that are looked for in normalised texts. */
static hither_status take_plain(encoding *e, const char *text, size_t bytes, bool front) {
    if (e->t->kind == HT_TOKENIZER_WORDPIECE) {
        ht_wordpiece_text(e->t->wordpiece, text, bytes, &e->ids);
        return HITHER_OK;
    }
    bool kept;
    HT_TRY(ht_normal_apply(&e->t->normal, &e->room->normal, &text, &bytes, &kept, e->err));
    front = front && kept;
    size_t begin = 0;
    for (size_t at = 0; at < bytes && e->ids.count < e->ids.most;) {
        ht_added_match m = ht_added_next(&e->t->added, true, text, bytes, begin, at);
        HT_TRY(take_words(e, text + begin, m.begin - begin, front && begin == 0));
        if (m.begin < m.end)
            ht_ids_put(&e->ids, m.id);
        begin = at = m.end;
    }
    return HITHER_OK;
}

static hither_status take_text(encoding *e, const char *text, size_t bytes) {
    size_t begin = 0;
    for (size_t at = 0; at < bytes && e->ids.count < e->ids.most;) {
        ht_added_match m = ht_added_next(&e->t->added, false, text, bytes, begin, at);
        if (m.begin > begin)
            HT_TRY(take_plain(e, text + begin, m.begin - begin, begin == 0));
        if (m.begin < m.end)
            ht_ids_put(&e->ids, m.id);
        begin = at = m.end;
    }
    return HITHER_OK;
}

/* One U+FFFD for each broken sequence. */
static hither_status mend(ht_buf *out, const char **text, size_t *bytes, hither_error *err) {
    size_t good = ht_utf8_valid_prefix(*text, *bytes), length;
    if (good == *bytes)
        return HITHER_OK;
    ht_buf_reset(out);
    ht_buf_put(out, *text, good);
    for (size_t at = good; at < *bytes; at += length) {
        bool valid;
        (void)ht_utf8_next(*text + at, *bytes - at, &length, &valid);
        ht_buf_put(out, valid ? *text + at : "\xef\xbf\xbd", valid ? length : 3);
    }
    HT_TRY(ht_buf_check(out, "a text", err));
    *text = out->data;
    *bytes = out->size;
    return HITHER_OK;
}

size_t ht_tokenizer_wrap(const ht_tokenizer *t, uint32_t token, uint32_t *ids) {
    const ht_around *a = &t->around;
    memcpy(ids, a->before, a->before_count * sizeof *ids);
    ids[a->before_count] = token;
    memcpy(ids + a->before_count + 1, a->after, a->after_count * sizeof *ids);
    return a->before_count + 1 + a->after_count;
}

hither_status ht_tokenizer_encode(const ht_tokenizer *t, const char *text, size_t bytes, bool around, uint32_t *ids,
                                  size_t most, size_t *count, hither_error *err) {
    const ht_around *a = &t->around;
    encoding e = {.t = t, .ids = {ids, 0, around ? most - a->after_count : most}, .err = err};
    for (size_t i = 0; around && i < a->before_count; i++)
        ht_ids_put(&e.ids, a->before[i]);
    hither_status status = HITHER_OK;
    if (t->kind == HT_TOKENIZER_WORDPIECE) {
        status = take_text(&e, text, bytes);
    } else {
        HT_TRY(take_room((ht_tokenizer *)t, &e.room, err));
        status = mend(&e.room->mended, &text, &bytes, err);
        if (status == HITHER_OK)
            status = take_text(&e, text, bytes);
        leave_room((ht_tokenizer *)t, e.room);
    }
    e.ids.most = most;
    for (size_t i = 0; around && i < a->after_count; i++)
        ht_ids_put(&e.ids, a->after[i]);
    *count = e.ids.count;
    return status;
}
