/*
 * wordpiece.h: words to the pieces that models of the BERT family were trained on: texts normalised, split at spaces
 * and punctuation, each word cut into the longest pieces that the vocabulary has; all in one pass, because most models
 * are of this family. Inside tokenizer.h. Immutable once made: any thread.
 */
#ifndef HT_EMBED_WORDPIECE_H
#define HT_EMBED_WORDPIECE_H

#include "embed/added.h"
#include "embed/around.h"
#include "embed/ids.h"

typedef struct ht_wordpiece ht_wordpiece;

/* The model, the normalizer and the pre-tokenizer of a tokenizer.json. MODEL (says what is not supported or wrong),
 * NOMEM. */
HT_NODISCARD hither_status ht_wordpiece_read(const json_t *root, const char *where, ht_wordpiece **out,
                                             hither_error *err);
/* From the lines of a vocab.txt, with the tokens that are found as they stand and those around a text. What was read is
 * the caller's to clear, whatever comes back. */
HT_NODISCARD hither_status ht_wordpiece_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                                   ht_wordpiece **out, ht_added *added, ht_around *around,
                                                   hither_error *err);
void ht_wordpiece_free(ht_wordpiece *wordpiece);

/* One more than the largest token number it gives. */
uint32_t ht_wordpiece_ids(const ht_wordpiece *wordpiece);
uint32_t ht_wordpiece_unknown(const ht_wordpiece *wordpiece);
/* The number of a piece as the vocabulary writes it, plus one; 0 if it has none. */
uint32_t ht_wordpiece_find(const ht_wordpiece *wordpiece, const char *text, size_t bytes);

/* Puts the tokens of a text. Any bytes: what is not UTF-8 counts as U+FFFD, which is left out. Without memory of its
 * own. */
void ht_wordpiece_text(const ht_wordpiece *wordpiece, const char *text, size_t bytes, ht_ids *ids);

#endif
