/* tokenizer_inside.h: the tokenizer as tokenizer.c uses it and tokenizer_read.c makes it. */
#ifndef HT_EMBED_TOKENIZER_INSIDE_H
#define HT_EMBED_TOKENIZER_INSIDE_H

#include <stdatomic.h>

#include "embed/added.h"
#include "embed/around.h"
#include "embed/bpe.h"
#include "embed/split.h"
#include "embed/tokenizer.h"
#include "embed/unigram.h"
#include "embed/wordpiece.h"

enum { HT_TOKENIZER_ROOMS = 64 };

/* Memory of one encoding, kept for the next. */
typedef struct ht_tokenizer_room {
    ht_buf mended; /* the text, where it is not UTF-8 */
    ht_scan_room scan;
    ht_normal_room normal;
    ht_split_room split;
    ht_unigram_room unigram;
    ht_bpe_room bpe;
} ht_tokenizer_room;

typedef enum ht_tokenizer_kind { HT_TOKENIZER_WORDPIECE, HT_TOKENIZER_UNIGRAM, HT_TOKENIZER_BPE } ht_tokenizer_kind;

struct ht_tokenizer {
    ht_tokenizer_kind kind;
    ht_wordpiece *wordpiece; /* normalises and splits by itself */
    ht_unigram unigram;
    ht_bpe bpe;
    ht_normal normal;
    ht_split split;
    ht_added added;
    ht_around around;
    uint32_t ids;
    _Atomic(ht_tokenizer_room *) rooms[HT_TOKENIZER_ROOMS]; /* not in use just now */
};

HT_NODISCARD hither_status ht_tokenizer_room_new(ht_tokenizer_room **out, hither_error *err);
void ht_tokenizer_room_free(ht_tokenizer_room *room);

#endif
