/*
 * levels.h: the tables of the instruction sets, each in a file of its own with flags of its own. Only dispatch.c picks
 * among them.
 */
#ifndef HT_KERNELS_LEVELS_H
#define HT_KERNELS_LEVELS_H

#include "kernels/kernels.h"

extern const ht_kernels ht_kernels_scalar;
#if defined(__x86_64__) && !defined(HT_SCALAR_ONLY)
extern const ht_kernels ht_kernels_avx2;
extern const ht_kernels ht_kernels_avx512;
extern const ht_kernels ht_kernels_avx512_vnni;
extern const ht_kernels ht_kernels_avx512_amx;
bool ht_amx_agrees(void); /* only where cpu.c found the unit */
#endif
#if defined(__aarch64__) && !defined(HT_SCALAR_ONLY)
extern const ht_kernels ht_kernels_neon;
extern const ht_kernels ht_kernels_neon_dot;
#endif

#endif
