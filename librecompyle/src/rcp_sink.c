#if defined(__linux__) && !defined(_GNU_SOURCE)
#  define _GNU_SOURCE   /* O_CLOEXEC */
#endif

#include "rcp_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "rcp__internal.h"

#if defined(_WIN32)
#  include <io.h>
#  define open _open
#  define close _close
#  define write(fd, data, size) _write(fd, data, (unsigned)(size))
#  define OPEN_FLAGS (_O_WRONLY | _O_CREAT | _O_APPEND | _O_BINARY | _O_NOINHERIT)
#  define OPEN_MODE (_S_IREAD | _S_IWRITE)
#else
#  include <unistd.h>
#  define OPEN_FLAGS (O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC)
#  define OPEN_MODE 0666
#endif

static int fail(rcp_sink_t *sink, int error, int os_error)
{
    if (sink->error == 0) {
        sink->error = error;
        sink->os_error = os_error;
    }
    return error;
}

static int init(rcp_sink_t *sink, int kind, const rcp_alloc_t *alloc)
{
    memset(sink, 0, sizeof *sink);
    sink->kind = kind;
    sink->fd = -1;
    sink->alloc = rcp__alloc_or_libc(alloc);
    return 0;
}

int rcp_sink_init_null(rcp_sink_t *sink)
{
    return init(sink, RCP_SINK_NULL, NULL);
}

int rcp_sink_init_memory(rcp_sink_t *sink, const rcp_alloc_t *alloc)
{
    return init(sink, RCP_SINK_MEMORY, alloc);
}

int rcp_sink_init_fd(rcp_sink_t *sink, int fd, const rcp_alloc_t *alloc)
{
    if (fd < 0)
        return RCP_EINVAL;
    init(sink, RCP_SINK_FD, alloc);
    sink->fd = fd;
    return 0;
}

int rcp_sink_open_append(rcp_sink_t *sink, const char *path, const rcp_alloc_t *alloc)
{
    size_t size = strlen(path) + 1;
    init(sink, RCP_SINK_FILE, alloc);
    sink->path = rcp__take(&sink->alloc, size);
    if (sink->path == NULL)
        return RCP_ENOMEM;
    memcpy(sink->path, path, size);
    sink->fd = open(path, OPEN_FLAGS, OPEN_MODE);
    if (sink->fd < 0) {
        int os_error = errno;
        rcp_sink_free(sink);
        errno = os_error;
        return RCP_EIO;
    }
    return 0;
}

void rcp_sink_free(rcp_sink_t *sink)
{
    if (sink->kind == RCP_SINK_FILE && sink->fd >= 0)
        close(sink->fd);
    rcp__give(&sink->alloc, sink->path);
    rcp__give(&sink->alloc, sink->data);
    rcp_sink_init_null(sink);
}

int rcp_sink_write(rcp_sink_t *sink, const void *data, size_t size)
{
    if (sink->kind == RCP_SINK_NULL || size == 0)
        return 0;
    if (size > sink->capacity - sink->size) {
        size_t wanted = sink->capacity != 0 ? sink->capacity : 256;
        char *grown = NULL;
        while (wanted - sink->size < size && wanted <= SIZE_MAX / 2)
            wanted *= 2;
        if (wanted - sink->size >= size)
            grown = rcp__take(&sink->alloc, wanted);
        if (grown == NULL) {
            sink->spoiled = true;
            return fail(sink, RCP_ENOMEM, 0);
        }
        if (sink->size != 0)
            memcpy(grown, sink->data, sink->size);
        rcp__give(&sink->alloc, sink->data);
        sink->data = grown;
        sink->capacity = wanted;
    }
    memcpy(sink->data + sink->size, data, size);
    sink->size += size;
    return 0;
}

#if !defined(_WIN32)

/* After a log rotation the path names another file than the one that is open. A file that cannot be opened anew is no
 * reason to lose records while the old one still takes them. */
static void follow_rotation(rcp_sink_t *sink)
{
    struct stat named, opened;
    int fd;
    if (stat(sink->path, &named) == 0 && fstat(sink->fd, &opened) == 0 && named.st_ino == opened.st_ino
        && named.st_dev == opened.st_dev)
        return;
    fd = open(sink->path, OPEN_FLAGS, OPEN_MODE);
    if (fd < 0) {
        fail(sink, RCP_EIO, errno);
        return;
    }
    close(sink->fd);
    sink->fd = fd;
}

#endif

static int send_record(rcp_sink_t *sink)
{
    const char *data = sink->data;
    size_t left = sink->size;
    while (left != 0) {
        size_t piece = left < INT_MAX ? left : INT_MAX;
        long long sent = write(sink->fd, data, piece);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return fail(sink, RCP_EIO, sent < 0 ? errno : 0);
        data += sent;
        left -= (size_t)sent;
    }
    return 0;
}

int rcp_sink_end(rcp_sink_t *sink)
{
    int error = 0;
    if (sink->spoiled) {
        error = RCP_ENOMEM;
    } else if (sink->kind == RCP_SINK_FD || sink->kind == RCP_SINK_FILE) {
#if !defined(_WIN32)
        if (sink->kind == RCP_SINK_FILE && sink->size != 0)
            follow_rotation(sink);
#endif
        error = send_record(sink);
    }
    sink->spoiled = false;
    if (sink->kind != RCP_SINK_MEMORY)
        sink->size = 0;
    return error;
}

const char *rcp_sink_data(const rcp_sink_t *sink, size_t *size)
{
    *size = sink->kind == RCP_SINK_MEMORY ? sink->size : 0;
    return *size != 0 ? sink->data : NULL;
}

void rcp_sink_clear(rcp_sink_t *sink)
{
    sink->size = 0;
    sink->spoiled = false;
}

void rcp_sink_clear_error(rcp_sink_t *sink)
{
    sink->error = sink->os_error = 0;
}
