/*
 * hash.h: a 64-bit hash of bytes with fixed results on every machine (FNV-1a with a final mix), for hash tables and
 * for the built-in embedder, whose format depends on it: it must never change. ht_mix64 is splitmix64's finaliser.
 */
#ifndef HT_BASE_HASH_H
#define HT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t ht_mix64(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    x ^= x >> 31;
    return x;
}

static inline uint64_t ht_hash64(const void *data, size_t bytes, uint64_t seed) {
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return ht_mix64(h);
}

#endif
