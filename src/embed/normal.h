/*
 * normal.h: what a tokenizer does to a whole text before it splits it: the normalizers of a tokenizer.json, one after
 * the other. Read once, then constant: any thread, each with a room of its own.
 */
#ifndef HT_EMBED_NORMAL_H
#define HT_EMBED_NORMAL_H

#include "base/json.h"
#include "embed/charsmap.h"
#include "embed/scan.h"

enum { HT_NORMAL_MAX = 24 };
#define HT_ROOM_MAX ((size_t)128 << 20) /* bytes of a text on its way */

typedef enum ht_normal_kind {
    HT_NORMAL_FORM,
    HT_NORMAL_LOWERCASE,
    HT_NORMAL_MARKS,
    HT_NORMAL_STRIP,
    HT_NORMAL_REPLACE,
    HT_NORMAL_PREPEND,
    HT_NORMAL_BYTES,
    HT_NORMAL_BERT,
    HT_NORMAL_NMT,
    HT_NORMAL_CHARSMAP
} ht_normal_kind;

typedef struct ht_normal_step {
    ht_normal_kind kind;
    int form;                                /* HT_NORMAL_FORM */
    bool left, right;                        /* HT_NORMAL_STRIP */
    bool clean, chinese, accents, lowercase; /* HT_NORMAL_BERT */
    ht_scan *scan;                           /* HT_NORMAL_REPLACE */
    char *text;                              /* what is put there */
    ht_charsmap map;
} ht_normal_step;

typedef struct ht_normal {
    ht_normal_step steps[HT_NORMAL_MAX];
    size_t count;
} ht_normal;

typedef struct ht_normal_room {
    ht_buf texts[2];
    ht_scan_room *scan;
} ht_normal_room;

/* From the member normalizer. MODEL names what is not supported; what was read is the caller's to clear. */
HT_NODISCARD hither_status ht_normal_read(const json_t *root, const char *where, ht_normal *out, hither_error *err);
void ht_normal_clear(ht_normal *normal);

/* The text, which is UTF-8, normalised: in the room or itself. *front says whether it still begins with what the text
 * begins with. */
HT_NODISCARD hither_status ht_normal_apply(const ht_normal *normal, ht_normal_room *room, const char **text,
                                           size_t *bytes, bool *front, hither_error *err);

/* A byte as byte-level tokenizers write it: a printable character. Gives its length, 1 or 2. */
size_t ht_byte_char(unsigned char byte, char out[2]);
/* A pattern of a tokenizer.json, {"String": ...} or {"Regex": ...}. */
HT_NODISCARD hither_status ht_pattern_read(const json_t *pattern, const char *where, ht_scan **out, hither_error *err);

#endif
