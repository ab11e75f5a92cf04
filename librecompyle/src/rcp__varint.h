/* Numbers in tables: 7 bits a byte, lowest first, in their one shortest form. */
#ifndef RCP__VARINT_H
#define RCP__VARINT_H

#include "rcp_base.h"
#include "rcp_errno.h"

/* Differences of two 32-bit numbers need 33 bits; nothing needs more. */
#define VARINT_LIMIT (UINT64_C(1) << 33)

/* Bytes being read; the first error sticks, and reading then yields 0. */
typedef struct reader {
    const uint8_t *at, *end;
    int error;
} reader_t;

/* Bytes being written, or only counted if `out` is NULL or full. */
typedef struct writer {
    uint8_t *out;
    size_t capacity, size;
} writer_t;

static inline void put_byte(writer_t *w, uint8_t byte)
{
    if (w->out != NULL && w->size < w->capacity)
        w->out[w->size] = byte;
    w->size++;
}

static inline void put_varint(writer_t *w, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put_byte(w, (uint8_t)(value | 0x80));
    put_byte(w, (uint8_t)value);
}

static inline void put_signed(writer_t *w, int64_t value)
{
    put_varint(w, value >= 0 ? (uint64_t)value * 2 : (uint64_t)-(value + 1) * 2 + 1);
}

static inline uint8_t get_byte(reader_t *r)
{
    if (r->error == 0 && r->at == r->end)
        r->error = RCP_ETRUNCATED;
    return r->error == 0 ? *r->at++ : 0;
}

static inline uint64_t get_varint(reader_t *r)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = get_byte(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) != 0 && shift < 35);
    if (r->error == 0 && ((byte & 0x80) != 0 || value >= VARINT_LIMIT || (byte == 0 && shift > 7)))
        r->error = RCP_EFORMAT;
    return r->error == 0 ? value : 0;
}

static inline int64_t get_signed(reader_t *r)
{
    uint64_t value = get_varint(r);
    return (value & 1) != 0 ? -(int64_t)(value >> 1) - 1 : (int64_t)(value >> 1);
}

/* A number that must lie between `least` and INT32_MAX; the first violation is kept as the reader's error. */
static inline int32_t in_range(reader_t *r, int64_t value, int32_t least)
{
    if (r->error == 0 && (value < least || value > INT32_MAX))
        r->error = RCP_ERANGE;
    return r->error == 0 ? (int32_t)value : 0;
}

/* Read the first byte and the number of items, each of which takes at least `smallest` bytes: a count that cannot
 * be true is found before memory is taken for it. */
static inline uint32_t get_head(reader_t *r, uint8_t head, size_t smallest)
{
    uint64_t count;
    uint8_t found = get_byte(r);
    if (r->error == 0 && found != head)
        r->error = RCP_EVERSION;
    count = get_varint(r);
    if (r->error == 0 && (count > (size_t)(r->end - r->at) / smallest || count >= UINT32_MAX))
        r->error = RCP_ETRUNCATED;
    return r->error == 0 ? (uint32_t)count : 0;
}

/* All has been read: bytes left over are an error too. */
static inline int read_to_end(reader_t *r)
{
    if (r->error == 0 && r->at != r->end)
        r->error = RCP_EFORMAT;
    return r->error;
}

static inline int written(const writer_t *w, size_t *size)
{
    *size = w->size;
    return w->out != NULL && w->size > w->capacity ? RCP_ESPACE : 0;
}

#endif
