"""Puts the probes into compiled code, in place of the placeholders.

Nothing else knows how a probe is loaded. Should CPython one day refuse constants of other types, probes will
be passed in closure cells from here.
"""

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
