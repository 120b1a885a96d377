/*
 * fuzz.h: what the fuzz targets share. A target gives LLVMFuzzerTestOneInput; it takes any bytes, returns 0, and dies
 * by FUZZ_HOLDS when a promise is broken. One thread.
 */
#ifndef HT_TESTS_FUZZ_H
#define HT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_HOLDS(x)                                                                                                  \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
