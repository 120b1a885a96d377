/*
 * output.h: what the command prints, and how it ends when nobody reads it any more.
 *
 * Standard output goes through ht_out_*: a pipe closed at the far end makes ht_out_write return false, the command
 * stops what it is doing, and ht_out_finish turns that into a quiet exit 0; a full disk is an error. Text from rows
 * that goes to a terminal has its control bytes escaped. One process-wide state; main thread only.
 */
#ifndef HT_CLI_OUTPUT_H
#define HT_CLI_OUTPUT_H

#include "base/strings.h"

typedef struct ht_terminal {
    bool tty;       /* standard output is a terminal */
    bool color;     /* and colours are welcome */
    bool error_tty; /* standard error is one */
    unsigned width; /* columns; UINT_MAX when standard output is no terminal */
} ht_terminal;

void ht_out_begin(void);
const ht_terminal *ht_out_terminal(void);

/* False once standard output is closed or failed: stop. */
bool ht_out_write(const void *data, size_t bytes);
bool ht_out_buf(ht_buf *buf); /* writes and empties it; false too when the buffer failed */
bool ht_out_flush(void);
/* Flushes, and gives the status to exit with: `status`, but 1 with a message if output was lost to anything but a
 * closed pipe, and 0 if it was lost to that and nothing else went wrong. */
int ht_out_finish(int status);

/* "hither: ..." on standard error. */
void ht_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From here on the last message goes into `text` instead, until that is NULL: then all of them are printed. */
void ht_say_into(char *text, size_t bytes);
/* "hither: MESSAGE (STATUS)" on standard error; gives the exit status. */
int ht_report(hither_status status, const hither_error *err);

/* Text for people on one line: line ends and tabs become spaces, on a terminal other control characters are escaped;
 * cut to `columns` with an ellipsis. Returns the columns used. */
unsigned ht_show_text(ht_buf *out, const char *text, size_t bytes, unsigned columns);
/* As given, but with control characters other than line ends and tabs escaped on a terminal. */
void ht_show_block(ht_buf *out, const char *text, size_t bytes);
void ht_show_dim(ht_buf *out, bool on);  /* dimmed text begins or ends, where colours are on */
void ht_show_bold(ht_buf *out, bool on); /* likewise */

/* 117659 as "117,659". */
void ht_show_count(ht_buf *out, uint64_t number);
/* A float so that it reads back to the same bits; NaN and infinities, which JSON lacks, as null. */
void ht_json_float(ht_buf *out, float value);
/* A JSON string of text that may not be UTF-8; bad bytes become U+FFFD. */
void ht_json_text(ht_buf *out, const char *text, size_t bytes);
/* JSON as it is stored, which may be spread over lines, on one line. */
void ht_json_stored(ht_buf *out, const char *text, size_t bytes);
/* Appends text with every byte that is not UTF-8 replaced by U+FFFD. */
void ht_clean_utf8(ht_buf *out, const char *text, size_t bytes);
void ht_json_id(ht_buf *out, const hither_ids *ids, size_t i);
void ht_show_id(ht_buf *out, const hither_ids *ids, size_t i);

/* The columns that text takes on a terminal. */
unsigned ht_columns(const char *text, size_t bytes);

/* Rows of cells, printed with the columns aligned. Cells are separated by '\t' and rows end with '\n' in `cells`.
 * `right` has a bit for each column aligned to the right. */
bool ht_print_table(const ht_buf *cells, uint32_t right);

#endif
