/*
 * hnsw_codes.c: rows as 4 or 8 bits an element, and distances from integer sums. Each row has a scale of its own, made
 * in f64 in a fixed order, so that codes are the same bytes on every machine.
 *
 * 8 bits: element = scale * (code - 128), code 1 ... 255. 4 bits: element = scale / 2 * (2 * code - 15), the scale
 * fitted by least squares, which clips the largest elements. A probe, query or node, is signed bytes in the same form;
 * twice the exact sum less its offset is then twice the sum of products.
 */
#include <math.h>
#include <string.h>

#include "index/hnsw_inside.h"

enum { LINE = 64, ROUNDS = 4 };

size_t hnsw_code_bytes(uint32_t dim, uint32_t bits) {
    size_t line = bits == 4 ? 2 * LINE : LINE;
    return (dim + line - 1) / line * LINE;
}

static double largest(const float *row, size_t dim) {
    double most = 0;
    for (size_t j = 0; j < dim; j++)
        most = fabs((double)row[j]) > most ? fabs((double)row[j]) : most;
    return most;
}

static double length2(const float *row, size_t dim) {
    double sum = 0;
    for (size_t j = 0; j < dim; j++)
        sum += (double)row[j] * (double)row[j];
    return sum;
}

static int clamp_int(double x, int low, int high) { return x < low ? low : x > high ? high : (int)x; }

/* Where element j of a row lies in its 4-bit code, and in which half of the byte. */
static size_t nibble_at(size_t j) { return j / (2 * LINE) * LINE + j % LINE; }
static unsigned nibble_shift(size_t j) { return j % (2 * LINE) < LINE ? 0 : 4; }

/* The level of an element: -15, -13 ... 15. */
static int level_of(double x, double half) { return 2 * clamp_int(floor(x / (2 * half)), -8, 7) + 1; }

/* Half the step between levels, fitted: levels for a step, then the step for those levels, a few times. */
static double fit_half_step(const float *row, size_t dim, double most, double norm2) {
    double half = 2.5 * sqrt(norm2 / (double)dim) / 15;
    half = most / 15 < half ? most / 15 : half;
    for (int round = 0; round < ROUNDS; round++) {
        double products = 0, squares = 0;
        for (size_t j = 0; j < dim; j++) {
            int level = level_of((double)row[j], half);
            products += (double)row[j] * level;
            squares += (double)(level * level);
        }
        half = products / squares;
    }
    return half;
}

void hnsw_encode(ht_hnsw *g, uint32_t node, const float *row) {
    size_t dim = g->spec.dim;
    uint8_t *code = g->codes + node * g->code_bytes;
    double most = largest(row, dim), square = length2(row, dim), unit = 0;
    int32_t total = 0;
    if (g->spec.bits == 8) {
        unit = most / 127;
        memset(code, 128, g->code_bytes);
        for (size_t j = 0; j < dim && most > 0; j++) {
            int c = clamp_int(rint((double)row[j] / unit), -127, 127);
            code[j] = (uint8_t)(128 + c);
            total += c;
        }
    } else {
        unit = most > 0 ? fit_half_step(row, dim, most, square) : 0;
        memset(code, 0, g->code_bytes);
        for (size_t j = 0; j < dim && most > 0; j++) {
            int level = level_of((double)row[j], unit);
            code[nibble_at(j)] |= (uint8_t)((level + 15) / 2 << nibble_shift(j));
            total += level;
        }
    }
    if (g->spec.metric == HITHER_COSINE)
        unit = square > 0 ? unit / sqrt(square) : 0;
    g->scales[node] = (float)unit;
    g->totals[node] = total;
    if (g->norms2)
        g->norms2[node] = (float)square;
}

static int32_t offset_of(const ht_hnsw *g, int32_t total) { return g->spec.bits == 4 ? 15 * total : 128 * total; }

void hnsw_probe_query(const ht_hnsw *g, const float *query, hnsw_probe *probe) {
    size_t dim = g->spec.dim;
    double most = largest(query, dim), square = length2(query, dim), unit = most / 127;
    int32_t total = 0;
    memset(probe->bytes, 0, hnsw_probe_bytes(g));
    for (size_t j = 0; j < dim && most > 0; j++) {
        probe->bytes[j] = (int8_t)clamp_int(rint((double)query[j] / unit), -127, 127);
        total += probe->bytes[j];
    }
    probe->scale = (float)(g->spec.metric == HITHER_COSINE && square > 0 ? unit / sqrt(square) : unit);
    probe->norm2 = (float)square;
    probe->offset = offset_of(g, total);
}

/* Eight bytes at a time. */
static void decode_8(const uint8_t *code, size_t bytes, int8_t *out) {
    for (size_t j = 0; j < bytes; j += 8) {
        uint64_t v;
        memcpy(&v, code + j, sizeof v);
        v ^= 0x8080808080808080u;
        memcpy(out + j, &v, sizeof v);
    }
}

/* 2 * nibble - 15 in each byte: the top bit, set before and cleared after, keeps bytes from borrowing. */
static uint64_t levels_of(uint64_t nibbles) {
    return ((nibbles << 1 | 0x8080808080808080u) - 0x0f0f0f0f0f0f0f0fu) ^ 0x8080808080808080u;
}

static void decode_4(const uint8_t *code, size_t bytes, int8_t *out) {
    const uint64_t low = 0x0f0f0f0f0f0f0f0fu;
    for (size_t line = 0; line < bytes; line += LINE) {
        for (size_t j = 0; j < LINE; j += 8) {
            uint64_t v, half[2];
            memcpy(&v, code + line + j, sizeof v);
            half[0] = levels_of(v & low);
            half[1] = levels_of(v >> 4 & low);
            memcpy(out + 2 * line + j, &half[0], sizeof v);
            memcpy(out + 2 * line + LINE + j, &half[1], sizeof v);
        }
    }
}

void hnsw_probe_node(const ht_hnsw *g, uint32_t node, hnsw_probe *probe) {
    const uint8_t *code = g->codes + node * g->code_bytes;
    if (g->spec.bits == 8) {
        decode_8(code, g->code_bytes, probe->bytes);
    } else {
        decode_4(code, g->code_bytes, probe->bytes);
        if (g->spec.dim < hnsw_probe_bytes(g))
            memset(probe->bytes + g->spec.dim, 0, hnsw_probe_bytes(g) - g->spec.dim);
    }
    probe->scale = g->scales[node];
    probe->norm2 = g->norms2 ? g->norms2[node] : 0;
    probe->offset = offset_of(g, g->totals[node]);
}

void hnsw_keys(const ht_hnsw *g, const ht_kernels *kernels, const hnsw_probe *probe, const uint32_t *nodes,
               size_t count, int32_t *sums, float *keys) {
    if (g->spec.bits == 4) {
        kernels->dots_u4(probe->bytes, g->codes, g->code_bytes, nodes, count, sums);
        for (size_t i = 0; i < count; i++)
            keys[i] = -g->scales[nodes[i]] * (float)(2 * sums[i] - probe->offset);
    } else {
        kernels->dots_u8(probe->bytes, g->codes, g->code_bytes, nodes, count, sums);
        for (size_t i = 0; i < count; i++)
            keys[i] = -g->scales[nodes[i]] * (float)(sums[i] - probe->offset);
    }
    if (g->norms2) {
        for (size_t i = 0; i < count; i++)
            keys[i] = g->norms2[nodes[i]] + 2 * probe->scale * keys[i];
    }
}

float hnsw_distance(const ht_hnsw *g, const hnsw_probe *probe, float key) {
    float distance = g->norms2 ? probe->norm2 + key : probe->scale * key;
    if (g->spec.metric == HITHER_COSINE)
        distance += 1;
    return g->spec.metric == HITHER_DOT || distance > 0 ? distance : 0;
}
