/*
 * info.c: what library this is and how it computes. Any thread.
 */
#include "hither.h"
#include "kernels/kernels.h"

int hither_version_number(void) { return HITHER_VERSION_NUMBER; }

const char *hither_version(void) { return HITHER_VERSION_TEXT; }

const char *hither_simd(void) { return ht_kernels_get()->name; }
