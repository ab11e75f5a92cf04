/* The one error language: functions that set something up return 0, or one of these negative numbers.
 * Hot functions return bool or nothing. */
#ifndef RCP_ERRNO_H
#define RCP_ERRNO_H

#include "rcp_base.h"

/* XX(name, number, text). Numbers are a promise: they are never given to another error. */
#define RCP_ERRNO_MAP(XX)                                         \
    XX(ENOMEM, -1, "out of memory")                               \
    XX(EINVAL, -2, "invalid argument")                            \
    XX(ERANGE, -3, "number out of range")                         \
    XX(ESPACE, -4, "buffer too small")                            \
    XX(ETRUNCATED, -5, "data ends too early")                     \
    XX(EFORMAT, -6, "malformed data")                             \
    XX(EVERSION, -7, "data of an unknown kind or version")        \
    XX(EDEPTH, -8, "nested too deeply")                           \
    XX(ESTATE, -9, "call not allowed in this state")              \
    XX(EIO, -10, "input or output failed")

enum rcp_errno {
#define XX(name, number, text) RCP_##name = (number),
    RCP_ERRNO_MAP(XX)
#undef XX
    RCP_OK = 0
};

/* The text of an error, "ok" for 0, "unknown error" for anything else. Static strings, never NULL. */
RCP_API const char *rcp_strerror(int error);

/* The name of an error: "ENOMEM"; "OK" for 0, "UNKNOWN" for anything else. Static strings, never NULL. */
RCP_API const char *rcp_err_name(int error);

#endif
