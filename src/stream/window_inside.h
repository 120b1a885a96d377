/*
 * window_inside.h: what window.c and window_search.c share. What must stay true: records of a form are a chain from its
 * oldest to its newest; the sum of the forms' counts is the number of records; sums is exactly the sum of the
 * fixed-point unit vectors of the records, so it never drifts. The mutex is held for all of it.
 */
#ifndef HT_STREAM_WINDOW_INSIDE_H
#define HT_STREAM_WINDOW_INSIDE_H

#include <pthread.h>

#include "stream/alarm.h"
#include "stream/forms.h"
#include "stream/window.h"

typedef struct ht_record {
    char *text;
    uint32_t bytes, room, form;
    bool missing;    /* it came as a vector alone */
    uint64_t next;   /* number of the next record of its form, if there is one */
    int64_t time_ms; /* never before that of the record before it */
} ht_record;

struct ht_window {
    pthread_mutex_t mutex;
    ht_window_spec spec;
    uint32_t count;
    uint64_t next; /* number of the next record; it goes to slot next % capacity */
    int64_t now_ms;
    bool own_times; /* times came with the records */
    ht_record *records;
    ht_forms forms;
    ht_alarm alarm;
    double *sums;  /* whole numbers below 2^53; with a half life their decaying sum */
    double keeps;  /* what a record keeps of its weight from one to the next; 1 without a half life */
    double weight; /* of all records, with a half life */
    float *mean;   /* the sums, rounded */
    double mean2;  /* |mean|^2 */
    double share;  /* of an alarm, that the record now coming may bring */
    float *vector; /* of the text being pushed or sought */
    ht_buf clean;  /* its text, where that had to be mended */
    ht_buf masked; /* its form */
};

static inline ht_record *ht_window_record(const ht_window *w, uint64_t number) {
    return &w->records[number % w->spec.capacity];
}

static inline bool ht_window_alarms(const ht_window *w) { return w->spec.alarm_rate > 0 || w->spec.alarms_per_day > 0; }

/* A component of a unit vector is this often 1; 2^24 of them are below 2^53. */
#define HT_WINDOW_UNIT 0x1p28
/* sums += weight * the form's unit vector, in fixed point. */
void ht_window_add(const ht_window *w, double *sums, uint32_t form, double weight);
/* Lets go of records that are too old. */
void ht_window_expire(ht_window *w);
/* The masked form of a text, in w->masked. */
HT_NODISCARD hither_status ht_window_mask(ht_window *w, ht_text *text, hither_error *err);

/* The text of a record, "" if that is empty; data NULL: it has none, or is not in the window. */
ht_text ht_window_text(const ht_window *w, uint64_t number);

/* For window_file.c: takes the next record in, unscored, at the time w->now_ms; and when all are in. */
HT_NODISCARD hither_status ht_window_restore_one(ht_window *w, uint32_t form, ht_text text, bool missing,
                                                 hither_error *err);
void ht_window_restored(ht_window *w);

#endif
