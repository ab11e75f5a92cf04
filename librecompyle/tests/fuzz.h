/* A fuzz target gives libFuzzer its entry, and fuzz_smoke.c a way to make valid input to spoil. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition)                                                             \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Write one valid input to `out` and return its size. */
size_t fuzz_seed(uint8_t *out, size_t capacity, uint32_t (*random)(void));

#endif
