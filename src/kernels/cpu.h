/*
 * cpu.h: what the processor and the operating system let us use, asked once. Any thread.
 */
#ifndef HT_KERNELS_CPU_H
#define HT_KERNELS_CPU_H

enum {
    HT_CPU_AVX2 = 1,        /* AVX2 and FMA, and the system saves the 256-bit registers */
    HT_CPU_AVX512 = 2,      /* AVX-512 F, DQ, BW, VL, and the system saves the 512-bit registers */
    HT_CPU_AVX512_VNNI = 4, /* the above, and vpdpbusd on 512 bits */
    HT_CPU_NEON = 8,
    HT_CPU_NEON_DOT = 16,  /* the above, and sdot/udot */
    HT_CPU_AVX512_AMX = 32 /* AVX-512 VNNI, and tiles of bytes that the system lets this process use */
};

unsigned ht_cpu_features(void);

#endif
