/* Asserts that print what they compared, in every build. The first failure ends the process. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rcp_base.h"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

/* Whole numbers of any type; each side is evaluated once. */
#define CHECK_EQ(a, b) check_equal(__FILE__, __LINE__, #a, #b, (int64_t)(a), (int64_t)(b))
#define CHECK_LE(a, b) check_not_greater(__FILE__, __LINE__, #a, #b, (int64_t)(a), (int64_t)(b))

/* Texts; the second form gives the length of the first. */
#define CHECK_STR(a, b) check_texts(__FILE__, __LINE__, #a, (a), SIZE_MAX, (b))
#define CHECK_TEXT(a, size, b) check_texts(__FILE__, __LINE__, #a, (a), (size), (b))

static inline void check_equal(const char *file, int line, const char *a_text, const char *b_text, int64_t a, int64_t b)
{
    if (a == b)
        return;
    fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %s, which is %" PRId64 "\n", file, line, a_text, a, b_text, b);
    exit(1);
}

static inline void check_not_greater(const char *file, int line, const char *a_text, const char *b_text, int64_t a, int64_t b)
{
    if (a <= b)
        return;
    fprintf(stderr, "%s:%d: %s is %" PRId64 ", more than %s, which is %" PRId64 "\n", file, line, a_text, a, b_text, b);
    exit(1);
}

static inline void check_texts(const char *file, int line, const char *a_text, const char *a, size_t size, const char *b)
{
    if (size == SIZE_MAX)
        size = strlen(a);
    if (size == strlen(b) && (size == 0 || memcmp(a, b, size) == 0))
        return;
    fprintf(stderr, "%s:%d: %s is\n  '%.*s', not\n  '%s'\n", file, line, a_text, (int)size, a, b);
    exit(1);
}

/* An allocator that counts what is out, and fails when `left` calls have succeeded (negative: never). */
typedef struct counting {
    long left, out;
} counting_t;

static inline void *counting_take(void *ctx, size_t size)
{
    counting_t *counting = ctx;
    void *memory;
    if (counting->left == 0)
        return NULL;
    memory = malloc(size);
    if (counting->left > 0)
        counting->left--;
    if (memory != NULL)
        counting->out++;
    return memory;
}

static inline void counting_give(void *ctx, void *memory)
{
    counting_t *counting = ctx;
    if (memory != NULL)
        counting->out--;
    free(memory);
}

static inline rcp_alloc_t counting_alloc(counting_t *counting)
{
    rcp_alloc_t alloc = {counting_take, counting_give, counting};
    return alloc;
}

#endif
