/* Where bytes go: memory, a file descriptor, nowhere.
 *
 * Bytes gather in the sink and leave it a record at a time: rcp_sink_end hands a whole record to one write(), so that
 * processes which append to the same file do not mix their records. A sink belongs to one thread at a time.
 */
#ifndef RCP_SINK_H
#define RCP_SINK_H

#include "rcp_base.h"

enum rcp_sink_kind {
    RCP_SINK_NULL = 0,
    RCP_SINK_MEMORY = 1,
    RCP_SINK_FD = 2,
    RCP_SINK_FILE = 3   /* a file descriptor of its own, opened by path */
};

typedef struct rcp_sink {
    int kind;           /* read-only: enum rcp_sink_kind */
    int error;          /* read-only: the first error since init or rcp_sink_clear_error, 0 if none */
    int os_error;       /* read-only: errno of that error, 0 if it was not the system's */
    int fd;             /* private, as is what follows */
    char *path;
    char *data;
    size_t size, capacity;
    bool spoiled;       /* a piece of the present record is missing */
    rcp_alloc_t alloc;
} rcp_sink_t;

/* Swallows everything. */
RCP_API int rcp_sink_init_null(rcp_sink_t *sink);

/* Keeps all records, see rcp_sink_data. alloc NULL: libc. Takes no memory yet. */
RCP_API int rcp_sink_init_memory(rcp_sink_t *sink, const rcp_alloc_t *alloc);

/* Writes to a descriptor that stays the caller's. alloc NULL: libc. RCP_EINVAL if fd is negative. */
RCP_API int rcp_sink_init_fd(rcp_sink_t *sink, int fd, const rcp_alloc_t *alloc);

/* Appends to a file, which is made if need be (mode 0666 less the umask) and is not inherited by child programs. Before
 * each record the path is looked at: if it names another file by now, or none, that one is opened (made) instead, so a
 * rotated log is followed. Returns 0, RCP_ENOMEM, RCP_EIO (errno tells why), and then there is nothing to free. */
RCP_API int rcp_sink_open_append(rcp_sink_t *sink, const char *path, const rcp_alloc_t *alloc);

/* Frees memory and closes what was opened; an unfinished record is dropped. Safe twice. */
RCP_API void rcp_sink_free(rcp_sink_t *sink);

/* Add bytes to the present record. Returns 0 or RCP_ENOMEM; the record is then lost as a whole. */
RCP_API int rcp_sink_write(rcp_sink_t *sink, const void *data, size_t size);

/* End the record and send it. Returns 0; RCP_ENOMEM if a piece of it was lost, or RCP_EIO: then nothing or only its
 * beginning was written, and the record is dropped. Later records are tried again. A write that the system cuts
 * short goes on with the rest, which another process' record may then precede. */
RCP_API int rcp_sink_end(rcp_sink_t *sink);

/* What a memory sink holds: the ended records and the bytes of the present one. Not terminated by a NUL; valid until the
 * next call with this sink. NULL and 0 for an empty one. */
RCP_API const char *rcp_sink_data(const rcp_sink_t *sink, size_t *size);

/* Forget what a memory sink holds but keep its room; drops the present record of any sink. */
RCP_API void rcp_sink_clear(rcp_sink_t *sink);

RCP_API void rcp_sink_clear_error(rcp_sink_t *sink);

#endif
