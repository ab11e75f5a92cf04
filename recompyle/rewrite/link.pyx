"""Puts the probes into compiled code, in place of the placeholders.

Nothing else knows how a probe is loaded. Should CPython one day refuse constants of other types, probes will
be passed in closure cells from here.
"""

from recompyle._c.probe cimport Probe

_CodeType = type(compile("", "", "exec"))


def link(code, placeholders, tables, finish):
    """Make the final code object.

    Parameters:
        code: code compiled with placeholders.
        placeholders: constant to the probe that takes its place.
        tables: ``id(code object)`` to its location table, for ``code`` and every nested code object.
        finish: called with each new code object and whether it is nested; returns the one to use.

    Returns:
        The new code object.
    """
    return _link(code, placeholders, tables, finish, False)


cdef _link(code, dict placeholders, dict tables, finish, bint nested):
    consts = []
    for const in code.co_consts:
        if type(const) is _CodeType and id(const) in tables:
            const = _link(const, placeholders, tables, finish, True)
        elif type(const) is complex and const in placeholders:
            const = placeholders[const]
        consts.append(const)
    linked = code.replace(co_consts=tuple(consts), co_linetable=tables[id(code)])
    return finish(linked, nested)


def relink(code, renew):
    """Give finished code other probes.

    Parameters:
        code: code with probes in it; it is not changed.
        renew: called with each probe; returns the one that takes its place.

    Returns:
        A new code object; ``code`` itself if there is no probe in it.
    """
    return exchange(code, lambda each: renew(each) if isinstance(each, Probe) else each)


def exchange(code, change):
    """Give code other constants.

    Parameters:
        code: a code object; it is not changed.
        change: called with each constant, also of code inside, but with no code; returns what takes its place.

    Returns:
        A new code object; ``code`` itself if nothing in it has changed.
    """
    cdef bint changed = False
    consts = []
    for const in code.co_consts:
        new = exchange(const, change) if type(const) is _CodeType else change(const)
        changed = changed or new is not const
        consts.append(new)
    return code.replace(co_consts=tuple(consts)) if changed else code
