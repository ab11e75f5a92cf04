"""Mirror of rcp_base.h."""

from libc.stddef cimport size_t


cdef extern from "rcp_base.h" nogil:
    ctypedef struct rcp_alloc_t:
        void *(*take)(void *ctx, size_t size) noexcept
        void (*give)(void *ctx, void *memory) noexcept
        void *ctx

    const char *rcp_version()
