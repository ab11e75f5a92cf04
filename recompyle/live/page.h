/* The page that holds all counters of live instrumentation: one for each process, so that another process can read it.

   On Linux it lies in a memory file. The file is sealed: nobody can shrink it or map it for writing again, so a reader that
   gets the descriptor can only read. The mapping stays where it is for the life of the process, because probes hold
   addresses in it. A forked child gets a page of its own at the same address, with all counters at 0. */
#ifndef RECOMPYLE_LIVE_PAGE_H
#define RECOMPYLE_LIVE_PAGE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __linux__
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#endif

#define RCP_PAGE_SLOTS 65532u /* together with the header 1 MiB, of which only what is used takes memory */

typedef struct {
    char magic[8];
    uint32_t version, slot_size;
    uint64_t slots;
    uint64_t generation; /* changes whenever a slot gets another meaning */
    uint64_t pid, start;
    uint64_t zeros[2];
} rcp_page_header_t;

typedef struct {
    uint64_t hits, reserved;
} rcp_slot_t;

typedef struct {
    rcp_page_header_t header;
    rcp_slot_t slots[RCP_PAGE_SLOTS];
} rcp_page_t;

_Static_assert(sizeof(rcp_page_header_t) == 64 && sizeof(rcp_slot_t) == 16, "other processes read this");

/* Interpreters of one process share it. The lock is held for a few instructions, in which nothing can fail. */
static struct {
    rcp_page_t *page;
    int descriptor; /* -1: nothing to share */
    int busy;
    uint32_t used;  /* slots that were ever taken */
    uint32_t freed; /* how many of them are free again */
    uint32_t free[RCP_PAGE_SLOTS];
} rcp_pages = {NULL, -1, 0, 0, 0, {0}};

static inline void rcp_page_lock(void)
{
    while (__atomic_exchange_n(&rcp_pages.busy, 1, __ATOMIC_ACQUIRE)) {
    }
}

static inline void rcp_page_unlock(void)
{
    __atomic_store_n(&rcp_pages.busy, 0, __ATOMIC_RELEASE);
}

static void rcp_page_entitle(rcp_page_t *page, uint64_t generation)
{
    memcpy(page->header.magic, "RCPLIVE1", 8);
    page->header.version = 1;
    page->header.slot_size = sizeof(rcp_slot_t);
    page->header.slots = RCP_PAGE_SLOTS;
    page->header.generation = generation;
#ifdef __linux__
    page->header.pid = (uint64_t)getpid();
#endif
}

#ifdef __linux__
/* A mapping of zeros, at an address if one is given; NULL without memory. Runs in forked children too, so it calls the
   system only. */
static rcp_page_t *rcp_page_map(rcp_page_t *at, int *descriptor)
{
    int placed = at != NULL ? MAP_FIXED : 0;
    int fd = (int)syscall(SYS_memfd_create, "recompyle.live", 3u /* MFD_CLOEXEC | MFD_ALLOW_SEALING */);
    if (fd >= 0) {
        void *mapped = MAP_FAILED;
        if (ftruncate(fd, sizeof(rcp_page_t)) == 0) {
            mapped = mmap(at, sizeof(rcp_page_t), PROT_READ | PROT_WRITE, MAP_SHARED | placed, fd, 0);
        }
        if (mapped != MAP_FAILED && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) == 0) {
            *descriptor = fd;
            return (rcp_page_t *)mapped;
        }
        close(fd); /* a file that cannot be sealed is not shared */
        if (mapped != MAP_FAILED) {
            *descriptor = -1;
            return (rcp_page_t *)mapped;
        }
    }
    *descriptor = -1;
    void *mapped = mmap(at, sizeof(rcp_page_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | placed, -1, 0);
    return mapped == MAP_FAILED ? NULL : (rcp_page_t *)mapped;
}

/* What a child does first: counters of its own, not those of its parent. */
static void rcp_page_renew(void)
{
    if (rcp_pages.page != NULL) {
        uint64_t generation = rcp_pages.page->header.generation;
        int inherited = rcp_pages.descriptor;
        rcp_page_map(rcp_pages.page, &rcp_pages.descriptor);
        if (inherited >= 0) {
            close(inherited);
        }
        rcp_page_entitle(rcp_pages.page, generation + 1);
    }
    rcp_page_unlock();
}
#endif

/* Makes the page if there is none yet; false without memory. The lock is held. */
static int rcp_page_made(void)
{
    if (rcp_pages.page == NULL) {
#ifdef __linux__
        rcp_pages.page = rcp_page_map(NULL, &rcp_pages.descriptor);
        if (rcp_pages.page != NULL) {
            pthread_atfork(NULL, NULL, rcp_page_renew);
        }
#else
        rcp_pages.page = calloc(1, sizeof(rcp_page_t));
#endif
        if (rcp_pages.page != NULL) {
            rcp_page_entitle(rcp_pages.page, 0);
        }
    }
    return rcp_pages.page != NULL;
}

/* A free slot that counts from 0; NULL if all are taken, or without memory. */
static inline rcp_slot_t *rcp_page_take(void)
{
    rcp_slot_t *slot = NULL;
    rcp_page_lock();
    if (rcp_page_made()) {
        if (rcp_pages.freed > 0) {
            slot = &rcp_pages.page->slots[rcp_pages.free[--rcp_pages.freed]];
        } else if (rcp_pages.used < RCP_PAGE_SLOTS) {
            slot = &rcp_pages.page->slots[rcp_pages.used++];
        }
        if (slot != NULL) {
            slot->hits = 0;
            __atomic_fetch_add(&rcp_pages.page->header.generation, 1, __ATOMIC_RELEASE);
        }
    }
    rcp_page_unlock();
    return slot;
}

static inline uint32_t rcp_page_index(const rcp_slot_t *slot)
{
    return (uint32_t)(slot - rcp_pages.page->slots);
}

/* Gives a slot back. */
static inline void rcp_page_give(rcp_slot_t *slot)
{
    rcp_page_lock();
    rcp_pages.free[rcp_pages.freed++] = rcp_page_index(slot);
    __atomic_fetch_add(&rcp_pages.page->header.generation, 1, __ATOMIC_RELEASE);
    rcp_page_unlock();
}

/* Whether this thread runs a hook just now. */
static __thread int rcp_hook_runs = 0;

#endif
