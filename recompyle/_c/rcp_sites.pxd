"""Mirror of rcp_sites.h."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from recompyle._c.rcp_base cimport rcp_alloc_t


cdef extern from "rcp_sites.h" nogil:
    const int RCP_SITES_VERSION

    ctypedef struct rcp_site_t:
        int32_t line
        int32_t end_line
        int32_t column
        int32_t end_column

    ctypedef struct rcp_sites_t:
        uint32_t count
        rcp_site_t *sites

    int rcp_sites_encode(const rcp_site_t *sites, uint32_t count, uint8_t *out, size_t capacity, size_t *size)
    int rcp_sites_init(rcp_sites_t *table, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc)
    void rcp_sites_free(rcp_sites_t *table)
    const rcp_site_t *rcp_sites_at(const rcp_sites_t *table, uint32_t number)
