"""Mirror of rcp_linemap.h."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

from recompyle._c.rcp_base cimport rcp_alloc_t


cdef extern from "rcp_linemap.h" nogil:
    const int RCP_LINEMAP_VERSION

    ctypedef struct rcp_linemap_entry_t:
        int32_t line
        int32_t column
        int32_t original_line
        int32_t original_column

    ctypedef struct rcp_linemap_t:
        uint32_t count
        rcp_linemap_entry_t *entries

    int rcp_linemap_encode(const rcp_linemap_entry_t *entries, uint32_t count, uint8_t *out, size_t capacity,
                           size_t *size)
    int rcp_linemap_init(rcp_linemap_t *map, const uint8_t *bytes, size_t size, const rcp_alloc_t *alloc)
    void rcp_linemap_free(rcp_linemap_t *map)
    bint rcp_linemap_to_original(const rcp_linemap_t *map, int32_t line, int32_t column, int32_t *original_line,
                                 int32_t *original_column)
    bint rcp_linemap_to_rewritten(const rcp_linemap_t *map, int32_t original_line, int32_t original_column,
                                  int32_t *line, int32_t *column)
