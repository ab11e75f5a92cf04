"""The error door: the one place where a code of the C core becomes an exception."""

from recompyle._c.rcp_errno cimport RCP_EINVAL, RCP_EIO, RCP_ENOMEM, rcp_strerror


cdef int check(int code) except -1:
    """Pass 0 and positive codes on; raise for an error.

    Raises:
        MemoryError, ValueError, OSError, RuntimeError: by kind, with the core's own text.
    """
    if code >= 0:
        return code
    if code == RCP_ENOMEM:
        raise MemoryError()
    text = rcp_strerror(code).decode()
    if code == RCP_EINVAL:
        raise ValueError(text)
    if code == RCP_EIO:
        raise OSError(text)
    raise RuntimeError(text)
