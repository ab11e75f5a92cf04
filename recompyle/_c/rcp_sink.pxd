"""Mirror of rcp_sink.h."""

from libc.stddef cimport size_t

from recompyle._c.rcp_base cimport rcp_alloc_t


cdef extern from "rcp_sink.h" nogil:
    enum:
        RCP_SINK_NULL
        RCP_SINK_MEMORY
        RCP_SINK_FD
        RCP_SINK_FILE

    ctypedef struct rcp_sink_t:
        int kind
        int error
        int os_error

    int rcp_sink_init_null(rcp_sink_t *sink)
    int rcp_sink_init_memory(rcp_sink_t *sink, const rcp_alloc_t *alloc)
    int rcp_sink_init_fd(rcp_sink_t *sink, int fd, const rcp_alloc_t *alloc)
    int rcp_sink_open_append(rcp_sink_t *sink, const char *path, const rcp_alloc_t *alloc)
    void rcp_sink_free(rcp_sink_t *sink)
    int rcp_sink_write(rcp_sink_t *sink, const void *data, size_t size)
    int rcp_sink_end(rcp_sink_t *sink)
    const char *rcp_sink_data(const rcp_sink_t *sink, size_t *size)
    void rcp_sink_clear(rcp_sink_t *sink)
    void rcp_sink_clear_error(rcp_sink_t *sink)
