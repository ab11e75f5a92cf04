#include "rcp__internal.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *rcp_version(void)
{
    return TEXT(RCP_VERSION_MAJOR) "." TEXT(RCP_VERSION_MINOR) "." TEXT(RCP_VERSION_PATCH);
}

static void *libc_take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void libc_give(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

rcp_alloc_t rcp__alloc_or_libc(const rcp_alloc_t *alloc)
{
    rcp_alloc_t libc = {libc_take, libc_give, NULL};
    return alloc != NULL ? *alloc : libc;
}

void *rcp__take_zeroed(const rcp_alloc_t *alloc, size_t count, size_t size)
{
    void *memory;
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    memory = rcp__take(alloc, count * size);
    if (memory != NULL)
        memset(memory, 0, count * size);
    return memory;
}
