/*
 * cpu.c: cpuid and xgetbv on x86, the auxiliary vector on Arm. A feature counts only where the operating system saves
 * its registers: a processor that has AVX-512 under a system that does not would fault, or worse.
 */
#include "kernels/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Tiles are asked for: their registers are large, so the system keeps them only for processes that do. */
static bool tiles_granted(unsigned feature_bits, uint64_t saved) {
    const unsigned amx = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    const uint64_t registers = 0x60000;
    if ((feature_bits & amx) != amx || (saved & registers) != registers)
        return false;
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
#else
    return false;
#endif
}

unsigned ht_cpu_features(void) {
    unsigned a, b, c, d, features = 0;
    const unsigned osxsave = 1u << 27, fma = 1u << 12;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave) || !(c & fma))
        return 0;
    const uint64_t ymm = 0x6, zmm = 0xe6;
    uint64_t saved = saved_registers();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    const unsigned avx2 = 1u << 5;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    const unsigned vnni = 1u << 11;
    if ((saved & ymm) == ymm && (b & avx2))
        features |= HT_CPU_AVX2;
    if ((features & HT_CPU_AVX2) && (saved & zmm) == zmm && (b & avx512) == avx512)
        features |= HT_CPU_AVX512 | ((c & vnni) ? HT_CPU_AVX512_VNNI : 0u);
    if ((features & HT_CPU_AVX512_VNNI) && tiles_granted(d, saved))
        features |= HT_CPU_AVX512_AMX;
    return features;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

unsigned ht_cpu_features(void) {
    const unsigned long asimddp = 1ul << 20;
    return HT_CPU_NEON | ((getauxval(AT_HWCAP) & asimddp) ? (unsigned)HT_CPU_NEON_DOT : 0u);
}

#elif defined(__aarch64__)

unsigned ht_cpu_features(void) {
#if defined(__ARM_FEATURE_DOTPROD)
    return HT_CPU_NEON | HT_CPU_NEON_DOT;
#else
    return HT_CPU_NEON;
#endif
}

#else

unsigned ht_cpu_features(void) { return 0; }

#endif
