"""Mirror of rcp_errno.h."""


cdef extern from "rcp_errno.h" nogil:
    enum:
        RCP_OK
        RCP_ENOMEM
        RCP_EINVAL
        RCP_ERANGE
        RCP_ESPACE
        RCP_ETRUNCATED
        RCP_EFORMAT
        RCP_EVERSION
        RCP_EDEPTH
        RCP_ESTATE
        RCP_EIO

    const char *rcp_strerror(int error)
    const char *rcp_err_name(int error)
