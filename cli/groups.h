/*
 * groups.h: near-equal lines as one group each: what uniq, top and the live view show. A group is led by its first
 * line; a line joins the group whose leader is nearest, if that is near enough, and else leads a group of its own.
 *
 * The caller has pushed the lines into a window of its own; the forms in its scores say which lines need no search.
 * The groups kept are bounded: beyond `capacity` the one that was led first is forgotten. Main thread only.
 */
#ifndef HT_CLI_GROUPS_H
#define HT_CLI_GROUPS_H

#include "base/strings.h"

enum { HT_GROUP_TICKS = 64 };
#define HT_NEAR 0.3 /* the cosine distance of lines that are near-equal, unless told otherwise */

typedef struct ht_line_group {
    char *text; /* of the leader */
    size_t bytes;
    uint64_t count;                 /* lines */
    uint64_t line;                  /* number of the first one, from 1 */
    uint32_t ticks[HT_GROUP_TICKS]; /* lines in each of the last ticks; that of `now` is ticks[now % HT_GROUP_TICKS] */
} ht_line_group;

typedef struct ht_groups ht_groups;

/* near: the cosine distance up to which lines are near-equal, by this embedder (NULL: the built-in one);
 * 0: only lines of one form are. */
HT_NODISCARD hither_status ht_groups_new(uint32_t capacity, double near, hither_embedder *embedder, ht_groups **out,
                                         hither_error *err);
void ht_groups_free(ht_groups *g);
/* leaving, if not NULL, is called with each group that is about to be forgotten. */
void ht_groups_on_leaving(ht_groups *g, void (*leaving)(void *ctx, const ht_line_group *group), void *ctx);
HT_NODISCARD hither_status ht_groups_add(ht_groups *g, const hither_strings *lines, const hither_score *scores,
                                         hither_error *err);
/* Ends a tick. */
void ht_groups_tick(ht_groups *g);
/* The groups in the order of their first lines, 0 to count - 1. */
size_t ht_groups_count(const ht_groups *g);
const ht_line_group *ht_groups_at(const ht_groups *g, size_t i);
/* Lines of the group in the tick that ended `ago` ticks before this one (0: the present one). */
uint32_t ht_groups_lines(const ht_groups *g, const ht_line_group *group, unsigned ago);
/* The `most` groups with most lines in the last `ticks` ticks, most first, of equals the older one first; their number.
 * Groups without any come last, by all their lines. */
size_t ht_groups_growing(const ht_groups *g, unsigned ticks, const ht_line_group **out, size_t most);

#endif
