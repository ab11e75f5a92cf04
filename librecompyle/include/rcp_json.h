/* A streaming JSON writer over a sink: no tree, no memory of its own, output that is always well formed.
 *
 * The first error sticks: later calls do nothing and return it, so a caller may check once, at rcp_json_end.
 */
#ifndef RCP_JSON_H
#define RCP_JSON_H

#include "rcp_base.h"
#include "rcp_sink.h"

#define RCP_JSON_DEPTH 64   /* objects and arrays inside one another */

typedef struct rcp_json {
    rcp_sink_t *sink;
    int error;              /* read-only: 0 or the first error */
    unsigned depth;         /* read-only */
    uint64_t objects;       /* private: one bit a level, innermost lowest: it is an object, not an array */
    bool filled;            /* private: the open container has an element, or the document is complete */
    bool keyed;             /* private: a key waits for its value */
} rcp_json_t;

/* Begin a document. The sink stays the caller's and must outlive the writer. */
RCP_API void rcp_json_init(rcp_json_t *json, rcp_sink_t *sink);

/* End the document: RCP_ESTATE if it is empty or something is still open, else the first error or 0. Does not end
 * the sink's record. */
RCP_API int rcp_json_end(rcp_json_t *json);

/* All of these return 0; RCP_ESTATE where the call does not fit (a value without key in an object, a key outside one,
 * a second document); RCP_EDEPTH beyond RCP_JSON_DEPTH levels; or the sink's error. */
RCP_API int rcp_json_begin_object(rcp_json_t *json);
RCP_API int rcp_json_end_object(rcp_json_t *json);
RCP_API int rcp_json_begin_array(rcp_json_t *json);
RCP_API int rcp_json_end_array(rcp_json_t *json);

/* `text` is UTF-8 of `size` bytes and may hold any character, NUL too. Bytes that are not UTF-8 are replaced by U+FFFD,
 * one for each maximal broken piece. A size of SIZE_MAX means up to the NUL. */
RCP_API int rcp_json_key(rcp_json_t *json, const char *text, size_t size);
RCP_API int rcp_json_string(rcp_json_t *json, const char *text, size_t size);

RCP_API int rcp_json_int(rcp_json_t *json, int64_t value);
RCP_API int rcp_json_uint(rcp_json_t *json, uint64_t value);

/* As many digits as it takes to read the same number back; NaN and infinities become null. */
RCP_API int rcp_json_double(rcp_json_t *json, double value);

RCP_API int rcp_json_bool(rcp_json_t *json, bool value);
RCP_API int rcp_json_null(rcp_json_t *json);

#endif
