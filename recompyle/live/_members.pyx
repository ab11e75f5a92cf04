"""What a module or class holds, as a search for functions wants it.

Most of it is plain functions, and to ask each of them for its ``__dict__`` would make it one.
"""

cdef extern from "Python.h":
    ctypedef struct PyFunctionObject:
        void *func_dict
    bint PyFunction_Check(object)


cdef bint is_plain(object value):
    """Whether it is a function with no attributes, so that it wraps no other."""
    if not PyFunction_Check(value):
        return False
    cdef void *held = (<PyFunctionObject *>value).func_dict
    return held == NULL or not <dict>held


def members(namespace, only=None):
    """The named members of a namespace.

    Parameters:
        namespace: the dictionary of a module, or a view of that of a class.
        only: a function that is searched for: others that wrap none are left out. None: nothing is.

    Returns:
        Triples: name, value, and whether it is a function that wraps none.
    """
    found = []
    for name, value in list(namespace.items()):
        plain = is_plain(value)
        if isinstance(name, str) and (only is None or not plain or value is only):
            found.append((name, value, plain))
    return found
