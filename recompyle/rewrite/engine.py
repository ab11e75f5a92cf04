"""From a function and its passes to the code object that carries their probes.

    source -> context -> plan -> tree with placeholders -> compiled -> proved and placed -> linked -> edited

Each step stands in its own file. Everything is built and checked before anything is swapped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType

from recompyle import _env, inject
from recompyle.errors import NotRewritable, PassError, SourceNotFound
from recompyle.rewrite import cache, origin
from recompyle.rewrite.link import link
from recompyle.rewrite.locate import match
from recompyle.rewrite.passes import Cursor, Pass, Plan, Site, Skipped, guard, plan
from recompyle.rewrite.skeleton import Context, locate
from recompyle.rewrite.transform import constant_of, transform

__all__ = ["Built", "build", "check_function", "context_of"]


@dataclass(frozen=True, slots=True)
class Built:
    """The result of a rewrite.

    Attributes:
        code: the new code object, probes in its constants.
        sites: for each pass, the sites it registered.
        skipped: places left as they are, with the reason.
    """

    code: CodeType
    sites: tuple[tuple[Site, ...], ...]
    skipped: tuple[Skipped, ...]


def check_function(function) -> None:
    """Raise `NotRewritable` unless the object is a Python function on an interpreter that can carry probes."""
    if not isinstance(function, FunctionType):
        raise NotRewritable(f"{function!r} is not a Python function but a {type(function).__name__}", "not_python")
    if not _env.SUPPORTED:
        raise NotRewritable("probes need CPython 3.11 to 3.15", "unknown_python")
    if _env.CONSTANTS_CRASH:
        raise NotRewritable("free-threaded CPython before 3.13.3 crashes on probes in constants", "unknown_python")


def context_of(function, code: CodeType, passes) -> Context | None:
    """The proved source context of a function; None if no pass looks at source.

    Raises:
        SourceNotFound, SourceMismatch: there is no source, or it is not that of the running code.
    """
    if not any(each.needs_source() for each in passes):
        return None
    if code.co_name in ("<module>", "<genexpr>", "__annotate__"):
        raise SourceNotFound(f"{code.co_qualname} was made by the compiler, not written as a function")
    return locate(code, function.__globals__)


def build(function: FunctionType, code: CodeType, passes: "list[Pass] | tuple[Pass, ...]") -> Built:
    """Rewrite a function's code.

    Parameters:
        function: the function, for its globals; not touched.
        code: its original code object: what the rewrite starts from.
        passes: the passes, in order: on one node earlier ones are inner.

    Returns:
        A `Built`.

    Raises:
        SourceNotFound: there is no source, and a pass needs it.
        SourceMismatch: the source is not that of ``code``.
        NotRewritable: not a function, or the result could not be proved to be the old code plus probes.
        PassError: a pass failed, or asked for what is not allowed.
    """
    check_function(function)
    passes = _in_force(passes)
    context = context_of(function, code, passes)
    requests, cursors = plan(context, function, code, passes)
    if requests and context is not None:
        linked = _compile(context, code, requests, passes, cursors)
    else:
        linked = _edit(code, passes, cursors, nested=False)
    _check_same_shape(code, linked)
    for each, at in zip(passes, cursors, strict=True):
        guard(each, None, at, each.end, at)
    if linked is not code:
        origin.remember(linked, code)
    return Built(linked, tuple(tuple(at.sites) for at in cursors), tuple(requests.skipped))


def _in_force(passes):
    """The passes without those that a later one of the same class replaces."""
    kept = []
    for i, each in enumerate(passes):
        if not (each.single and any(type(later) is type(each) for later in passes[i + 1 :])):
            kept.append(each)
    return kept


def _compile(context: Context, code: CodeType, requests: Plan, passes, cursors: list[Cursor]) -> CodeType:
    record = context.record
    shape = None if record is None else requests.shape()
    key = None if shape is None else cache.key_of(code, shape)
    known = None if record is None or key is None else record.get(key)
    if known is None:
        compiled, tables = _prove(context, code, requests)
        if record is not None and key is not None:
            record.put(key, (compiled, [tables.get(id(each)) for each in _all_of(compiled)]))
    else:
        compiled = known[0]
        tables = {id(each): table for each, table in zip(_all_of(compiled), known[1], strict=True) if table is not None}
    probes = {constant_of(wrap.number): wrap.probe for wrap in requests.wraps}
    return link(compiled, probes, tables, lambda new, nested: _edit(new, passes, cursors, nested))


def _prove(context: Context, code: CodeType, requests: Plan) -> tuple[CodeType, dict[int, bytes]]:
    """The code with placeholders, shown to be the old code otherwise, and the location tables of all code in it."""
    node, placeholders = transform(context.definition.node, requests)
    try:
        compiled = context.compile(node)
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise PassError(f"{code.co_qualname}: the rewritten tree does not compile: {error}") from error
    by_constant = {each.constant: each for each in placeholders}
    return compiled, {id(each): table for each, table in match(context.plain, compiled, by_constant)}


def _all_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _all_of(const)


def _edit(code: CodeType, passes, cursors, nested: bool) -> CodeType:
    edits = []
    for each, at in zip(passes, cursors, strict=True):
        edits += guard(each, None, at, lambda each=each, at=at: list(each.edits(code, at, nested)))
    return inject.write(code, edits) if edits else code


_SHAPE = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_freevars", "co_varnames")


def _check_same_shape(old: CodeType, new: CodeType) -> None:
    for name in _SHAPE:
        if getattr(old, name) != getattr(new, name):
            raise NotRewritable(f"{old.co_qualname}: with probes, {name} would differ", "unproved")
