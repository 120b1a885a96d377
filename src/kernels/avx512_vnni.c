/*
 * avx512_vnni.c: AVX-512 with vpdpbusd. Compiled with the flags of avx512.c and -mavx512vnni. A tile of 12 rows times
 * 32 columns fills the registers.
 */
#define LEVEL_NAME   "avx512-vnni"
#define LEVEL_TABLE  ht_kernels_avx512_vnni
#define PRODUCT_WIDE 2
#define PRODUCT_HIGH 12

#include "kernels/avx512_vnni.inc"
