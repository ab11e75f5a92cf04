/* What every other header stands on: visibility, branch hints, version, allocator.
 *
 * Names: `rcp_` is public, `rcp__` is internal (a few are visible because inline functions call them),
 * a bare name is static. The library has no mutable globals; all state lives in handles that the caller owns.
 */
#ifndef RCP_BASE_H
#define RCP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RCP_VERSION_MAJOR 0
#define RCP_VERSION_MINOR 1
#define RCP_VERSION_PATCH 0

/* Linked into an extension module the functions stay hidden, so two modules may each carry a copy.
 * Only a build as a shared library of its own (RCP_BUILD_SHARED) exports them. */
#if defined(_WIN32)
#  if defined(RCP_BUILD_SHARED)
#    define RCP_API __declspec(dllexport)
#  else
#    define RCP_API
#  endif
#elif defined(RCP_BUILD_SHARED)
#  define RCP_API __attribute__((visibility("default")))
#else
#  define RCP_API __attribute__((visibility("hidden")))
#endif

#if defined(__GNUC__)
#  define rcp_likely(x) __builtin_expect(!!(x), 1)
#  define rcp_unlikely(x) __builtin_expect(!!(x), 0)
#else
#  define rcp_likely(x) (x)
#  define rcp_unlikely(x) (x)
#endif

/* What a caller must see to and the hot path does not check. Built with RCP_DEBUG=1 a violation ends the process, at
 * the price of a compare and a branch each time; otherwise it compiles to nothing. */
#if defined(RCP_DEBUG) && RCP_DEBUG
#  include <assert.h>
#  define RCP_ASSERT(condition) assert(condition)
#else
#  define RCP_ASSERT(condition) ((void)0)
#endif

/* Where memory comes from. A handle copies the struct at its init; `ctx` must outlive the handle.
 * `take` returns uninitialised memory aligned for any type, or NULL; `give` accepts NULL.
 * A NULL pointer to rcp_alloc_t means malloc and free. Both functions must be safe to call from every
 * thread that uses the handle. */
typedef struct rcp_alloc {
    void *(*take)(void *ctx, size_t size);
    void (*give)(void *ctx, void *memory);
    void *ctx;
} rcp_alloc_t;

/* The version as "major.minor.patch"; a static string. */
RCP_API const char *rcp_version(void);

#endif
