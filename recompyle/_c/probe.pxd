"""The base class of all probes."""

cdef class Probe:
    cdef readonly str label
