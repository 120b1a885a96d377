/*
 * tokenizer.h: texts to token numbers, by a model's tokenizer.json or vocab.txt: added tokens are found, the rest is
 * normalised, split into words, and each word cut into pieces (WordPiece, Unigram or BPE). The numbers are those of the
 * tokenizer the models were trained behind, for any text. What a file has that is not known is refused by its name.
 *
 * Files are hostile until they are read. Immutable once made: any thread.
 */
#ifndef HT_EMBED_TOKENIZER_H
#define HT_EMBED_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define HT_TOKENIZER_MAX_FILE (64u << 20) /* bytes of a tokenizer's file */

typedef struct ht_tokenizer ht_tokenizer;

/* From the text of a tokenizer.json. What its file says of padding and truncation is left aside: both are the caller's.
 * `where` begins messages. MODEL (says what is not supported or wrong), SYNTAX, ENCODING, TOO_LARGE, NOMEM. */
HT_NODISCARD hither_status ht_tokenizer_from_json(const char *text, size_t bytes, const char *where, ht_tokenizer **out,
                                                  hither_error *err);
/* From the lines of a vocab.txt of the BERT family: line n is token n; texts stand between [CLS] and [SEP]. */
HT_NODISCARD hither_status ht_tokenizer_from_vocab(const char *text, size_t bytes, bool lowercase, const char *where,
                                                   ht_tokenizer **out, hither_error *err);
void ht_tokenizer_free(ht_tokenizer *tokenizer);

/* "WordPiece", "Unigram" or "BPE". */
const char *ht_tokenizer_type(const ht_tokenizer *tokenizer);
/* One more than the largest token number it gives. */
uint32_t ht_tokenizer_ids(const ht_tokenizer *tokenizer);
/* Tokens that stand around every text. */
size_t ht_tokenizer_around(const ht_tokenizer *tokenizer);
/* Whether static models pass over the token for what is not known, and which that is: not with Unigram. */
bool ht_tokenizer_skips_unknown(const ht_tokenizer *tokenizer, uint32_t *id);

/* One token with those around it; ids has room for all of them. Gives their number. */
size_t ht_tokenizer_wrap(const ht_tokenizer *tokenizer, uint32_t token, uint32_t *ids);

/* Writes the tokens of a text, with those around it if `around`, at most `most` (then more than ht_tokenizer_around);
 * what is beyond is cut off at the text's end. *count says how many. Any bytes: what is not UTF-8 counts as U+FFFD. A
 * word of more than a mebibyte is cut into several. MODEL if a pattern of the file takes too many steps on the text;
 * TOO_LARGE, NOMEM. WordPiece never fails, and takes no memory. */
HT_NODISCARD hither_status ht_tokenizer_encode(const ht_tokenizer *tokenizer, const char *text, size_t bytes,
                                               bool around, uint32_t *ids, size_t most, size_t *count,
                                               hither_error *err);

#endif
