/*
 * window.h: the newest records of a stream of texts or vectors, in RAM, scored as they come. The functions mirror
 * hither.h's hither_window_*, where their contracts stand. It knows no model: the caller brings the function that
 * embeds a masked form, so that stream/ and embed/ do not see each other (api/ joins them).
 *
 * Any thread. Searches take no lock. Pushes into a window that scores novelty take turns; into one that does not they
 * run side by side. The caller is between ht_fp_enter and ht_fp_leave.
 */
#ifndef HT_STREAM_WINDOW_H
#define HT_STREAM_WINDOW_H

#include <stdbool.h>

#include "base/io.h"
#include "base/result.h"
#include "stream/rules.h"
#include "stream/standing.h"

typedef struct ht_window ht_window;

/* Of a longer text only this many bytes are kept, masked and compared (cut at a character), which bounds the memory. */
#define HT_WINDOW_TEXT_BYTES 4096u

#define HT_WINDOW_METADATA_BYTES 4096u
#define HT_WINDOW_MOST_RECORDS   (1u << 24)

typedef hither_status ht_embed_fn(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err);

typedef struct ht_window_spec {
    uint32_t capacity, dim;
    uint64_t age_ms;                   /* 0: records leave by count only */
    bool no_centroid;                  /* scores have no centroid; it is summed when asked for */
    bool no_novelty;                   /* records are not compared; no alarms, no half life, no age with a centroid */
    uint32_t slack, wait_ms;           /* of the ring */
    double alarm_rate, alarms_per_day; /* both 0: no alarms */
    double half_life; /* records after which one counts half in the centroid; 0: while in the window, all alike */
    ht_rules *rules;  /* the window's from now on, also when making it fails; NULL: none */
    uint64_t alarm_after;
    uint32_t alarm_below;
    ht_embed_fn *embed; /* NULL: vectors only */
    void *embed_ctx;
} ht_window_spec;

/* What is pushed: texts, or vectors with texts or without. Pointers, offsets and numbers checked; texts are any
 * bytes. */
typedef struct ht_window_rows {
    const hither_strings *texts;    /* NULL: none */
    const hither_matrix *vectors;   /* f32 of the window's dimension; NULL: the texts are embedded */
    const hither_strings *metadata; /* JSON objects; NULL: none */
    const int64_t *times_ms;        /* NULL: now */
} ht_window_rows;

HT_NODISCARD hither_status ht_window_new(const ht_window_spec *spec, ht_window **out, hither_error *err);
void ht_window_free(ht_window *w);
/* On failure the rows before the failing one are in. */
HT_NODISCARD hither_status ht_window_push(ht_window *w, const ht_window_rows *rows, hither_score *scores,
                                          hither_error *err);
/* As ht_window_push, and which standing queries each row matches: a group a row. Where that fails the row may be in. */
HT_NODISCARD hither_status ht_window_push_matched(ht_window *w, const ht_window_rows *rows, hither_score *scores,
                                                  hither_result *matches, hither_error *err);

/* Queries that records are held against from now on, instead of those before: texts or vectors, with a radius each. */
typedef struct ht_window_queries {
    const hither_strings *texts;
    const hither_matrix *vectors;
    const float *radius;
    uint32_t count;
    bool first_only;
} ht_window_queries;
HT_NODISCARD hither_status ht_window_queries_set(ht_window *w, const ht_window_queries *queries, hither_error *err);
HT_NODISCARD hither_status ht_window_get(ht_window *w, const uint64_t *records, size_t count, hither_result **out,
                                         hither_error *err);

HT_NODISCARD hither_status ht_window_explain(ht_window *w, const hither_score *score, hither_result **out,
                                             hither_error *err);

/* window_file.c. embedder: a name kept in the file. */
HT_NODISCARD hither_status ht_window_save(ht_window *w, const ht_io *io, const char *path, const char *embedder,
                                          hither_error *err);
typedef struct ht_window_saved ht_window_saved;
/* Reads and checks what stands in the file beside the records, so that the caller may complete *spec. */
HT_NODISCARD hither_status ht_window_saved_open(const ht_io *io, const char *path, ht_window_saved **out,
                                                ht_window_spec *spec, ht_text *embedder, hither_error *err);
/* The text of its rules. */
ht_text ht_window_saved_rules(const ht_window_saved *saved);
HT_NODISCARD hither_status ht_window_restore(ht_window *w, ht_window_saved *saved, hither_error *err);
void ht_window_saved_close(ht_window_saved *saved);

/* Which records a search looks at, beside the age. */
typedef struct ht_window_filter {
    int64_t since_ms, until_ms; /* INT64_MIN and INT64_MAX: all */
    /* By metadata ("" where there is none) and document; NULL: all. */
    hither_status (*matches)(void *ctx, ht_text metadata, ht_text document, bool *match, hither_error *err);
    void *ctx;
} ht_window_filter;

/* window_search.c. One group a query; one of texts and vectors is not NULL. filter may be NULL. */
HT_NODISCARD hither_status ht_window_search(ht_window *w, const hither_strings *texts, const hither_matrix *vectors,
                                            uint32_t k, const ht_window_filter *filter, hither_result **out,
                                            hither_error *err);
HT_NODISCARD hither_status ht_window_within(ht_window *w, const hither_strings *texts, const hither_matrix *vectors,
                                            float radius, const ht_window_filter *filter, hither_result **out,
                                            hither_error *err);
HT_NODISCARD hither_status ht_window_outliers(ht_window *w, uint32_t n, double below, hither_result **out,
                                              hither_error *err);
HT_NODISCARD hither_status ht_window_centroid(ht_window *w, float *mean, hither_error *err);
HT_NODISCARD hither_status ht_window_info(ht_window *w, hither_result **out, hither_error *err);
/* A window that nobody pushes into, with the records of this moment. */
HT_NODISCARD hither_status ht_window_snapshot(ht_window *w, ht_window **out, hither_error *err);

#endif
