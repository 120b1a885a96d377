/*
 * near.h: how near lines are to a text that is sought. A line is as near as its nearest part: the whole of it, or a run
 * of about as many words as the text has, so that a long line that says it in passing is near too. Main thread only.
 */
#ifndef HT_CLI_NEAR_H
#define HT_CLI_NEAR_H

#include "base/strings.h"

#define HT_NEAR_ENOUGH 0.5  /* the similarity from which a line is taken to say it, unless told otherwise */
#define HT_NEAR_LOOK   0.1F /* of a whole line; below, it shares next to nothing with the text */
#define HT_NEAR_PARTS  96
#define HT_NEAR_WORDS  1024
#define HT_NEAR_WIDTHS 8

/* The runs of so many words of a line. */
typedef struct ht_near_runs {
    size_t width; /* 0: none */
    size_t count, from[HT_NEAR_PARTS], to[HT_NEAR_PARTS];
    float *vectors; /* NULL: not needed so far */
} ht_near_runs;

/* The embedder, and a line with the parts that some text was compared with: one for all texts. */
typedef struct ht_near_room {
    hither_embedder *embedder;
    uint32_t dim;
    ht_text line;
    float *whole;
    size_t words, begins[HT_NEAR_WORDS], ends[HT_NEAR_WORDS];
    ht_near_runs runs[HT_NEAR_WIDTHS]; /* by width modulo their number */
} ht_near_room;
HT_NODISCARD hither_status ht_near_room_init(ht_near_room *room, hither_error *err);
void ht_near_room_clear(ht_near_room *room);

typedef struct ht_near {
    char *text;
    float *vector;
    size_t words;
} ht_near;
/* INVALID if the text has no word to look for, ENCODING. */
HT_NODISCARD hither_status ht_near_init(ht_near *near, const char *text, const ht_near_room *room, hither_error *err);
void ht_near_clear(ht_near *near);

typedef struct ht_near_part {
    float similarity;
    size_t begin, end; /* of the part, in the line */
} ht_near_part;
/* The line that texts are compared with from here on; UTF-8 (ht_clean_utf8), and the caller's. */
HT_NODISCARD hither_status ht_near_read(ht_near_room *room, ht_text line, hither_error *err);
HT_NODISCARD hither_status ht_near_compare(const ht_near *near, ht_near_room *room, ht_near_part *out,
                                           hither_error *err);
/* Both at once. */
HT_NODISCARD hither_status ht_near_line(const ht_near *near, ht_near_room *room, ht_text line, ht_near_part *out,
                                        hither_error *err);

#endif
