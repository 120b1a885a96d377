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
    double *sums;  /* whole numbers below 2^53 */
    float *mean;   /* the sums, rounded */
    double mean2;  /* |mean|^2 */
    float *vector; /* of the text being pushed or sought */
    ht_buf clean;  /* its text, where that had to be mended */
    ht_buf masked; /* its form */
};

static inline ht_record *ht_window_record(const ht_window *w, uint64_t number) {
    return &w->records[number % w->spec.capacity];
}

/* A component of a unit vector is this often 1; 2^24 of them are below 2^53. */
#define HT_WINDOW_UNIT 0x1p28
/* sums += weight * the form's unit vector, in fixed point. */
void ht_window_add(const ht_window *w, double *sums, uint32_t form, double weight);
/* Lets go of records that are too old. */
void ht_window_expire(ht_window *w);
/* The masked form of a text, in w->masked. */
HT_NODISCARD hither_status ht_window_mask(ht_window *w, ht_text *text, hither_error *err);

#endif
