/*
 * ort_library.h: ONNX Runtime's library, found and opened at run time; inside src/embed/ only. It is never closed
 * again: its threads and tables do not allow it. Any thread.
 */
#ifndef HT_EMBED_ORT_LIBRARY_H
#define HT_EMBED_ORT_LIBRARY_H

#include "base/io.h"
#include "embed/ort_table.h"

/* path: of the library, or of a folder it is in; NULL: beside the program, in the Python packages of the environment
 * the program is in, and where the system looks. MODEL: there is none, or it is too old, and what to do about that.
 * NOMEM. */
HT_NODISCARD hither_status ht_ort_library(const ht_io *io, const char *path, ht_ort_table *out, hither_error *err);

#endif
