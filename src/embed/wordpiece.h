/*
 * wordpiece.h: texts to the token numbers that models of the BERT family were trained on: normalised, split at spaces
 * and punctuation, each word cut into the longest pieces that the vocabulary has. The numbers are those of the
 * tokenizer the models come with, for any text.
 *
 * Made from a tokenizer.json or a vocab.txt, which are hostile until made. Immutable: any thread.
 */
#ifndef HT_EMBED_WORDPIECE_H
#define HT_EMBED_WORDPIECE_H

#include <stdbool.h>

#include "base/error.h"

#define HT_WORDPIECE_MAX_FILE (64u << 20) /* bytes of a tokenizer's file */
#define HT_WORDPIECE_MAX_IDS  (1u << 24)

typedef struct ht_wordpiece ht_wordpiece;

/* From the text of a tokenizer.json. What its file says of padding and truncation is left aside: both are the caller's.
 * `where` begins messages. MODEL (says what is not supported or wrong), SYNTAX, ENCODING, TOO_LARGE, NOMEM. */
HT_NODISCARD hither_status ht_wordpiece_from_json(const char *text, size_t bytes, const char *where, ht_wordpiece **out,
                                                  hither_error *err);
/* From the lines of a vocab.txt: line n is token n; texts stand between [CLS] and [SEP]. */
HT_NODISCARD hither_status ht_wordpiece_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                                   ht_wordpiece **out, hither_error *err);
void ht_wordpiece_free(ht_wordpiece *wordpiece);

/* One more than the largest token number it gives. */
uint32_t ht_wordpiece_ids(const ht_wordpiece *wordpiece);
/* Tokens that stand around every text. */
size_t ht_wordpiece_around(const ht_wordpiece *wordpiece);

/* Writes the tokens of a text with those around it, at most `most` (more than ht_wordpiece_around); what is beyond is
 * cut off at the text's end. Returns how many. Any bytes: what is not UTF-8 counts as U+FFFD, which is left out.
 * Without memory of its own. */
size_t ht_wordpiece_encode(const ht_wordpiece *wordpiece, const char *text, size_t bytes, uint32_t *ids, size_t most);

#endif
