/*
 * protobuf.h: one field after the other of a protobuf message in memory; inside src/embed/ only. A cursor never leaves
 * the bytes it was made with. Any thread.
 */
#ifndef HT_EMBED_PROTOBUF_H
#define HT_EMBED_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ht_pb {
    const uint8_t *at, *end;
    bool broken; /* what followed was no field */
} ht_pb;

enum { HT_PB_VARINT = 0, HT_PB_WORD8 = 1, HT_PB_BYTES = 2, HT_PB_WORD4 = 5 };

typedef struct ht_pb_field {
    uint32_t number, kind;
    uint64_t value;      /* of a varint */
    const uint8_t *data; /* of all others, `bytes` long */
    size_t bytes;
} ht_pb_field;

static inline ht_pb ht_pb_over(const void *data, size_t bytes) {
    const uint8_t *begin = data;
    return (ht_pb){begin, begin ? begin + bytes : begin, false};
}

static inline bool ht_pb_varint(ht_pb *p, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && p->at < p->end; shift += 7) {
        uint8_t byte = *p->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = value;
            return true;
        }
    }
    p->broken = true;
    return false;
}

/* The next field; false at the end, or with `broken` set where there is no end yet. */
static inline bool ht_pb_next(ht_pb *p, ht_pb_field *out) {
    uint64_t key, bytes = 0;
    if (p->at == p->end || p->broken || !ht_pb_varint(p, &key))
        return false;
    *out = (ht_pb_field){.number = (uint32_t)(key >> 3), .kind = (uint32_t)key & 7};
    switch (out->kind) {
    case HT_PB_VARINT:
        return ht_pb_varint(p, &out->value);
    case HT_PB_WORD8:
        bytes = 8;
        break;
    case HT_PB_WORD4:
        bytes = 4;
        break;
    case HT_PB_BYTES:
        if (!ht_pb_varint(p, &bytes))
            return false;
        break;
    default: /* groups, which nobody writes any more */
        p->broken = true;
        return false;
    }
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff || bytes > (size_t)(p->end - p->at)) {
        p->broken = true;
        return false;
    }
    out->data = p->at;
    out->bytes = (size_t)bytes;
    p->at += bytes;
    return true;
}

#endif
