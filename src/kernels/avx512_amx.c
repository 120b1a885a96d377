/*
 * avx512_amx.c: avx512_vnni.c, but rows of bytes are multiplied by the matrix unit. Compiled with that one's flags and
 * -mamx-tile -mamx-int8; runs only where cpu.c found the unit and the system lets us have it.
 */
#define LEVEL_NAME  "avx512-amx"
#define LEVEL_TABLE ht_kernels_avx512_amx
#define PRODUCT_TILES

#include "kernels/avx512_vnni.inc"

/* The unit's first use is a comparison: a machine that multiplies otherwise than its manual says stays without it. */
bool ht_amx_agrees(void) {
    enum { ROWS_TRIED = 19, DEPTH_TRIED = 80, COLUMNS_TRIED = 48 };
    float scales[COLUMNS_TRIED];
    int32_t zeros[COLUMNS_TRIED];
    uint8_t bytes[ROWS_TRIED * DEPTH_TRIED];
    int8_t weights[DEPTH_TRIED * COLUMNS_TRIED];
    float out[ROWS_TRIED * COLUMNS_TRIED], wanted[ROWS_TRIED * COLUMNS_TRIED];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (int8_t)(i * 2246822519u >> 24);
    for (int i = 0; i < COLUMNS_TRIED; i++) {
        scales[i] = (float)(i + 1);
        zeros[i] = i;
    }
    const ht_byte_rows rows = {bytes, scales, zeros};
    const ht_byte_columns columns = {DEPTH_TRIED, COLUMNS_TRIED, weights, scales, scales, zeros};
    linear_u8(&rows, ROWS_TRIED, &columns, false, out);
    ht_kernels_avx512_vnni.linear_u8(&rows, ROWS_TRIED, &columns, false, wanted);
    for (size_t i = 0; i < ROWS_TRIED * COLUMNS_TRIED; i++)
        if (out[i] != wanted[i])
            return false;
    return true;
}
