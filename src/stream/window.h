/*
 * window.h: the newest records of a stream of texts, in RAM, scored as they come. The functions mirror hither.h's
 * hither_window_*, where their contracts stand. It knows no model: the caller brings the function that embeds a masked
 * form, so that stream/ and embed/ do not see each other (api/ joins them).
 *
 * Threads: today a mutex guards the whole window; pushes and reads from any thread are safe and whole.
 */
#ifndef HT_STREAM_WINDOW_H
#define HT_STREAM_WINDOW_H

#include "base/result.h"

typedef struct ht_window ht_window;

/* Of a longer text only this many bytes are kept, masked and compared (cut at a character), which bounds the memory. */
#define HT_WINDOW_TEXT_BYTES 4096u

typedef hither_status ht_embed_fn(void *ctx, const char *text, size_t bytes, float *vector, hither_error *err);

HT_NODISCARD hither_status ht_window_new(uint32_t capacity, uint32_t dim, ht_embed_fn *embed, void *embed_ctx,
                                         ht_window **out, hither_error *err);
void ht_window_free(ht_window *w);
/* texts: pointers and offsets checked; any bytes. On failure the texts before the failing one are in. */
HT_NODISCARD hither_status ht_window_push(ht_window *w, const hither_strings *texts, hither_score *scores,
                                          hither_error *err);
HT_NODISCARD hither_status ht_window_get(ht_window *w, const uint64_t *records, size_t count, hither_result **out,
                                         hither_error *err);

#endif
