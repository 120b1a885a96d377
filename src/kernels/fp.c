/*
 * fp.c: the floating-point mode of a computation. A host may have set another rounding, flush-to-zero (every program
 * linked with -ffast-math does), or trapping; answers must not depend on it. Any thread; the mode is the thread's own.
 */
#include "kernels/kernels.h"

#if defined(__x86_64__)

#include <xmmintrin.h>

/* All exceptions masked, round to nearest, neither flush-to-zero nor denormals-are-zero, no flags raised. */
#define MXCSR_DEFAULT 0x1f80u

ht_fp_state ht_fp_enter(void) {
    ht_fp_state state = {_mm_getcsr()};
    _mm_setcsr(MXCSR_DEFAULT);
    return state;
}

void ht_fp_leave(ht_fp_state state) { _mm_setcsr((unsigned)state.word); }

#elif defined(__aarch64__)

ht_fp_state ht_fp_enter(void) {
    ht_fp_state state;
    uint64_t zero = 0; /* round to nearest, no flush, no traps, NaNs as they come */
    __asm__ volatile("mrs %0, fpcr" : "=r"(state.word));
    __asm__ volatile("msr fpcr, %0" : : "r"(zero) : "memory");
    return state;
}

void ht_fp_leave(ht_fp_state state) { __asm__ volatile("msr fpcr, %0" : : "r"(state.word) : "memory"); }

#else

#include <fenv.h>

ht_fp_state ht_fp_enter(void) {
    ht_fp_state state = {(uint64_t)fegetround()};
    fesetround(FE_TONEAREST);
    return state;
}

void ht_fp_leave(ht_fp_state state) { fesetround((int)state.word); }

#endif
