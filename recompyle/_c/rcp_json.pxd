"""Mirror of rcp_json.h."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

from recompyle._c.rcp_sink cimport rcp_sink_t


cdef extern from "rcp_json.h" nogil:
    const unsigned RCP_JSON_DEPTH

    ctypedef struct rcp_json_t:
        int error
        unsigned depth

    void rcp_json_init(rcp_json_t *json, rcp_sink_t *sink)
    int rcp_json_end(rcp_json_t *json)
    int rcp_json_begin_object(rcp_json_t *json)
    int rcp_json_end_object(rcp_json_t *json)
    int rcp_json_begin_array(rcp_json_t *json)
    int rcp_json_end_array(rcp_json_t *json)
    int rcp_json_key(rcp_json_t *json, const char *text, size_t size)
    int rcp_json_string(rcp_json_t *json, const char *text, size_t size)
    int rcp_json_int(rcp_json_t *json, int64_t value)
    int rcp_json_uint(rcp_json_t *json, uint64_t value)
    int rcp_json_double(rcp_json_t *json, double value)
    int rcp_json_bool(rcp_json_t *json, bint value)
    int rcp_json_null(rcp_json_t *json)
