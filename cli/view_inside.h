/*
 * view_inside.h: what view.c, which knows what is to be shown, and view_screen.c, which knows the terminal, share. Only
 * view_screen.c includes ncurses.
 */
#ifndef HT_CLI_VIEW_INSIDE_H
#define HT_CLI_VIEW_INSIDE_H

#include "groups.h"
#include "view.h"

enum { HT_VIEW_ALARMS = 256, HT_VIEW_HITS = 100, HT_VIEW_PROMPT = 200, HT_VIEW_SPARKS = 20 };

typedef struct ht_view_alarm_kept {
    char *line, *nearest; /* nearest NULL: none */
    size_t bytes, nearest_bytes;
    char reason[24];
    float score;
} ht_view_alarm_kept;

typedef struct ht_view_hit {
    char *line;
    size_t bytes;
    float similarity;
    uint64_t count; /* lines as near as this one, which is the newest of them */
    bool archived;
} ht_view_hit;

typedef struct ht_view_screen ht_view_screen;

struct ht_view {
    const ht_watch *watch;
    ht_groups *groups;
    ht_view_screen *screen;
    ht_view_alarm_kept alarms[HT_VIEW_ALARMS]; /* ring; the newest is alarms[(count - 1) % HT_VIEW_ALARMS] */
    uint64_t alarm_count;
    size_t first; /* alarm shown first, counted from the newest */
    uint64_t lines;
    uint32_t per_second[HT_GROUP_TICKS]; /* as the ticks of groups */
    uint64_t seconds;                    /* passed */
    double latency_s;                    /* the slowest batch of the last second */
    double slowest_s;
    int64_t began_ms, drawn_ms;
    bool paused, dirty;
    /* The search. */
    bool asking;                    /* a text is being typed */
    char typed[HT_VIEW_PROMPT + 1]; /* so far */
    size_t typed_bytes;
    char sought[HT_VIEW_PROMPT + 1]; /* "": none */
    ht_view_hit hits[HT_VIEW_HITS];
    size_t hit_count;
    char said[256]; /* the last message, in the bottom line */
};

typedef struct ht_view_facts {
    uint64_t rate; /* lines a second, over the last five */
    uint64_t memory, records, capacity, forms;
} ht_view_facts;
HT_NODISCARD hither_status ht_view_measure(ht_view *view, ht_view_facts *out, hither_error *err);

/* view_screen.c */
HT_NODISCARD hither_status ht_screen_open(ht_view_screen **out, hither_error *err);
void ht_screen_close(ht_view_screen *screen);
int ht_screen_keys(const ht_view_screen *screen);
void ht_screen_draw(ht_view_screen *screen, const ht_view *view, const ht_view_facts *facts);
/* Rows for groups or hits, as the terminal is now. */
size_t ht_screen_list_rows(const ht_view_screen *screen);

/* A character, or one of these; 0: no key is waiting. */
enum {
    HT_KEY_NONE = 0,
    HT_KEY_ENTER = 10,
    HT_KEY_ESCAPE = 27,
    HT_KEY_BACK = 127,
    HT_KEY_UP = 256,
    HT_KEY_DOWN,
    HT_KEY_RESIZED
};
int ht_screen_key(ht_view_screen *screen);

#endif
