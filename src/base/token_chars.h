/*
 * token_chars.h: characters as the tokenizers of sentence models know them: their categories, what stands between
 * words, normal forms and lower case. The tables (token_tables.c, written by tools/gen_token_chars.py) are those that
 * the models were trained behind, so they are the same beside any Unicode library. Pure; any thread.
 */
#ifndef HT_BASE_TOKEN_CHARS_H
#define HT_BASE_TOKEN_CHARS_H

#include "base/buf.h"

/* The general categories, in the order of the table. */
/* clang-format off */
typedef enum ht_category {
    HT_CN, HT_LU, HT_LL, HT_LT, HT_LM, HT_LO, HT_MN, HT_MC, HT_ME, HT_ND, HT_NL, HT_NO, HT_PC, HT_PD, HT_PS, HT_PE,
    HT_PI, HT_PF, HT_PO, HT_SM, HT_SC, HT_SK, HT_SO, HT_ZS, HT_ZL, HT_ZP, HT_CC, HT_CF, HT_CS, HT_CO
} ht_category;
/* clang-format on */

/* What a character is; the low five bits are its category. */
enum {
    HT_FACT_CATEGORY = 31,
    HT_FACT_WORD = 32,         /* \w of a pattern */
    HT_FACT_PLAIN_WORD = 64,   /* \w of the pre-tokenizer Whitespace, and of added tokens */
    HT_FACT_NUMERIC = 128,     /* what Digits splits at */
    HT_FACT_PUNCTUATION = 256, /* what Punctuation splits at */
    HT_FACT_MARK = 512,        /* what StripAccents leaves out */
    HT_FACT_INERT = 1024       /* newer than the tables of normal forms: stays as it is */
};

typedef struct ht_token_lower_case {
    uint32_t from, to;
} ht_token_lower_case;
extern const size_t ht_token_run_count, ht_token_page_count, ht_token_lower_count;
extern const uint32_t ht_token_runs[]; /* the first character of a run, shifted by 11, and what it is */
extern const uint16_t ht_token_pages[];
extern const ht_token_lower_case ht_token_lowers[];

/* cp is at most 0x10FFFF. */
unsigned ht_token_facts(uint32_t cp);
bool ht_token_space(uint32_t cp);
/* Its lower case, at most three characters; gives their number. */
size_t ht_token_lower(uint32_t cp, uint32_t out[3]);

/* Appends a normal form of the text, which is UTF-8. A run of more than 1,024 marks is left in the order it has. */
typedef enum ht_normal_form { HT_NFC, HT_NFD, HT_NFKC, HT_NFKD } ht_normal_form;
HT_NODISCARD hither_status ht_token_normal_form(ht_normal_form form, const char *text, size_t bytes, ht_buf *out,
                                                hither_error *err);

/* The length in bytes of the grapheme cluster that the text begins with; bytes > 0. */
size_t ht_token_grapheme(const char *text, size_t bytes);

#endif
