/*
 * dispatch.c: which level's table is in use. Chosen at first need by the highest level the processor runs, capped by
 * HITHER_SIMD, and published through one atomic pointer; threads that race choose the same table.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/levels.h"

static const struct level {
    const ht_kernels *table;
    unsigned needs;       /* features of cpu.h */
    bool (*agrees)(void); /* tried at its first use; NULL: as the features say */
} levels[] = {
    {&ht_kernels_scalar, 0, NULL},
#if defined(__x86_64__) && !defined(HT_SCALAR_ONLY)
    {&ht_kernels_avx2, HT_CPU_AVX2, NULL},
    {&ht_kernels_avx512, HT_CPU_AVX512, NULL},
    {&ht_kernels_avx512_vnni, HT_CPU_AVX512_VNNI, NULL},
    {&ht_kernels_avx512_amx, HT_CPU_AVX512_AMX, ht_amx_agrees},
#endif
#if defined(__aarch64__) && !defined(HT_SCALAR_ONLY)
    {&ht_kernels_neon, HT_CPU_NEON, NULL},
    {&ht_kernels_neon_dot, HT_CPU_NEON_DOT, NULL},
#endif
};

enum { LEVELS = sizeof levels / sizeof levels[0] };

static _Atomic(const ht_kernels *) in_use; /* the one global here: NULL until first need, then constant */

static bool runs(const struct level *level, unsigned features) {
    return (level->needs & ~features) == 0 && (!level->agrees || level->agrees());
}

static const ht_kernels *choose(void) {
    unsigned features = ht_cpu_features();
    const char *cap = getenv("HITHER_SIMD");
    const ht_kernels *best = levels[0].table;
    for (size_t i = 0; i < LEVELS; i++) {
        if (runs(&levels[i], features))
            best = levels[i].table;
        if (cap && strcmp(cap, levels[i].table->name) == 0)
            break;
    }
    return best;
}

const ht_kernels *ht_kernels_get(void) {
    const ht_kernels *table = atomic_load_explicit(&in_use, memory_order_acquire);
    if (table)
        return table;
    const ht_kernels *chosen = choose();
    if (atomic_compare_exchange_strong(&in_use, &table, chosen))
        return chosen;
    return table;
}

const ht_kernels *ht_kernels_level(size_t i, int *supported) {
    if (i >= LEVELS)
        return NULL;
    *supported = runs(&levels[i], ht_cpu_features());
    return levels[i].table;
}

bool ht_kernels_force(const char *name) {
    if (!name) {
        atomic_store(&in_use, choose());
        return true;
    }
    unsigned features = ht_cpu_features();
    for (size_t i = 0; i < LEVELS; i++) {
        if (strcmp(name, levels[i].table->name) == 0 && runs(&levels[i], features)) {
            atomic_store(&in_use, levels[i].table);
            return true;
        }
    }
    return false;
}
