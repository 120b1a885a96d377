/*
 * near.h: how near lines are to a text that is sought. A line is as near as its nearest part: the whole of it, or a run
 * of about as many words as the text has, so that a long line that says it in passing is near too. Main thread only.
 */
#ifndef HT_CLI_NEAR_H
#define HT_CLI_NEAR_H

#include "base/strings.h"

#define HT_NEAR_ENOUGH 0.5 /* the similarity from which a line is taken to say it, unless told otherwise */

/* The embedder, and room for the parts of a line: one for all texts. */
typedef struct ht_near_room {
    hither_embedder *embedder;
    uint32_t dim;
    float *vectors;
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
/* The line is UTF-8 (ht_clean_utf8). */
HT_NODISCARD hither_status ht_near_line(const ht_near *near, const ht_near_room *room, ht_text line, ht_near_part *out,
                                        hither_error *err);

#endif
