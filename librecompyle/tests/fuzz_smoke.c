/* Runs a fuzz target without libFuzzer: valid inputs, spoiled ones, and noise. The argument is the number of rounds. */
#include <string.h>

#include "fuzz.h"

static uint32_t next_random(void)
{
    static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* Each input gets a block of its own size, so that a sanitizer sees a read past its end. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size != 0 ? size : 1);
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    long round, rounds = argc > 1 ? atol(argv[1]) : 100000;
    for (round = 0; round < rounds; round++) {
        uint8_t bytes[512];
        size_t i, size = fuzz_seed(bytes, sizeof bytes, next_random);
        uint32_t spoils = 1 + next_random() % 4;
        FUZZ_CHECK(size != 0);
        run(bytes, size);
        while (spoils-- > 0) {
            size_t at = next_random() % size;
            switch (next_random() % 4) {
            case 0: bytes[at] ^= (uint8_t)(1u << next_random() % 8); break;
            case 1: bytes[at] = (uint8_t)next_random(); break;
            case 2: size = at != 0 ? at : size; break;
            default:
                if (size < sizeof bytes) {
                    memmove(bytes + at + 1, bytes + at, size - at);
                    bytes[at] = (uint8_t)next_random();
                    size++;
                }
            }
            run(bytes, size);
        }
        size = next_random() % 64;
        for (i = 1; i < size; i++)
            bytes[i] = (uint8_t)next_random();
        run(bytes, size);
    }
    printf("%ld rounds\n", rounds);
    return 0;
}
