/*
 * window_inside.h: what the files of a window share. Records live in a ring, which needs no lock. A window that scores
 * novelty is serial: its forms, alarms and sums are one thread's at a time, under the mutex. What must stay true then:
 * scored[i] of the newest `count` records says which form each has, the forms' counts add up to `count`, and sums is
 * exactly the sum of the records' fixed-point unit vectors, so it never drifts. One without novelty is open: pushes run
 * side by side, and its sums are atomic integers.
 */
#ifndef HT_STREAM_WINDOW_INSIDE_H
#define HT_STREAM_WINDOW_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "stream/alarm.h"
#include "stream/forms.h"
#include "stream/ring.h"
#include "stream/standing.h"
#include "stream/window.h"

typedef struct ht_scored {
    uint32_t form;
    uint8_t level;
    int64_t time_ms; /* never before that of the record before it */
} ht_scored;

enum { HT_TIMES_UNKNOWN, HT_TIMES_CLOCK, HT_TIMES_OWN };

/* What a push into an open window works in. */
typedef struct ht_push_room ht_push_room;
enum { HT_PUSH_ROOMS = 8 }; /* kept between pushes */

struct ht_window {
    ht_window_spec spec;
    ht_ring *ring;
    bool frozen;                                  /* a snapshot */
    _Atomic int64_t now_ms;                       /* the latest time so far */
    _Atomic int times;                            /* whether they come with the records */
    _Atomic int64_t *open_sums;                   /* of an open window: as sums below */
    _Atomic(ht_push_room *) rooms[HT_PUSH_ROOMS]; /* not in use now; NULL: none */
    pthread_mutex_t mutex;                        /* of all that follows */
    ht_standing *standing;                        /* NULL: none */
    uint32_t count;
    uint64_t next; /* number of the next record */
    ht_scored *scored;
    uint32_t levels[HITHER_LEVEL_FATAL + 1]; /* records of each level */
    ht_forms forms;
    ht_alarm alarm;
    double *sums;  /* whole numbers below 2^53; with a half life their decaying sum */
    double keeps;  /* what a record keeps of its weight from one to the next; 1 without a half life */
    double weight; /* of all records, with a half life */
    float *mean;   /* the sums, rounded */
    double mean2;  /* |mean|^2 */
    double share;  /* of an alarm, that the record now coming may bring */
    float *vector; /* of the text being pushed */
    ht_buf clean;  /* its text, where that had to be mended */
    ht_buf masked; /* its form */
};

static inline ht_scored *ht_window_scored(const ht_window *w, uint64_t number) {
    return &w->scored[number % w->spec.capacity];
}
/* Floats in a row with its padding. */
static inline size_t ht_window_padded(const ht_window *w) { return ht_ring_stride(w->ring) / sizeof(float); }

static inline bool ht_window_alarms(const ht_window *w) { return w->spec.alarm_rate > 0 || w->spec.alarms_per_day > 0; }

/* A component of a unit vector is this often 1; 2^24 of them are below 2^53. */
#define HT_WINDOW_UNIT 0x1p28
/* sums += vector * scale, in fixed point. */
void ht_window_add(const ht_window *w, double *restrict sums, const float *restrict vector, double scale);
/* The length, rounded up a little, of a vector whose square is given as D sums it (index/exact.h says how much). */
float ht_window_norm(double norm2);
/* 1 / length, 0 for the zero vector. */
double ht_window_scale(const ht_window *w, const float *vector);

int64_t ht_window_clock_ms(void);
/* A record's time: its own or the clock's, never before the one before it. INVALID: some have times, some not. */
HT_NODISCARD hither_status ht_window_take_time(ht_window *w, const int64_t *given_ms, int64_t *time_ms,
                                               hither_error *err);
/* Lets go of records that are too old. The mutex is held. */
void ht_window_expire(ht_window *w);
/* A text as it is kept, in *clean where it had to be mended, and its masked form. */
HT_NODISCARD hither_status ht_window_clean(ht_text *text, ht_buf *clean, hither_error *err);
HT_NODISCARD hither_status ht_window_mask(const ht_window *w, ht_text *text, ht_buf *clean, ht_buf *masked,
                                          hither_error *err);
/* The vector of a form; zeros where that fails, for what is left behind is added to sums, zero times. */
HT_NODISCARD hither_status ht_window_embed_form(const ht_window *w, const char *form, size_t bytes, float *vector,
                                                hither_error *err);
void ht_window_init_bufs(const ht_window *w, ht_buf *clean, ht_buf *masked);

/* window_open.c: a push into an open window; rows as ht_window_push has them; matcher may be NULL. */
HT_NODISCARD hither_status ht_window_push_open(ht_window *w, const ht_window_rows *rows, hither_score *scores,
                                               ht_matcher *matcher, hither_error *err);
void ht_window_open_clear(ht_window *w);

/* window_view.c. The records of this moment, too old ones left out. */
HT_NODISCARD hither_status ht_window_view(ht_window *w, ht_moment *view, hither_error *err);
/* Adds a record of the view to the result, with its document and whatever else that includes. */
void ht_window_put(const ht_moment *view, uint64_t number, hither_result *result);
/* The sum of the unit vectors of all records in fixed point, padded, and their weight. */
HT_NODISCARD hither_status ht_window_sum(ht_window *w, double *sums, double *weight, hither_error *err);
/* The text of a query as a vector. */
HT_NODISCARD hither_status ht_window_embed(const ht_window *w, ht_text text, float *vector, hither_error *err);

/* For window_file.c and snapshots: takes the next record in, unscored; and when all are in. */
HT_NODISCARD hither_status ht_window_restore_one(ht_window *w, uint32_t form, const ht_ring_record *record,
                                                 hither_error *err);
void ht_window_restored(ht_window *w);

#endif
