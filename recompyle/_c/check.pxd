"""The error door: the one place where a code of the C core becomes an exception."""

cdef int check(int code) except -1
