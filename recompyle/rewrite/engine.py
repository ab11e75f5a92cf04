"""From a function and its passes to the code object that carries their probes.

    source -> context -> plan -> tree with placeholders -> compiled -> proved and placed -> linked -> edited

Each step stands in its own file. Everything is built and checked before anything is swapped.
"""

import ast
import dis
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import CodeType, FunctionType
from typing import Any

from recompyle import _env, inject
from recompyle.errors import NotRewritable, PassError, SourceNotFound
from recompyle.inject.refusals import refuse_function
from recompyle.rewrite import cache, free, kept, origin
from recompyle.rewrite.excerpt import excerpt
from recompyle.rewrite.link import link
from recompyle.rewrite.locate import match, relocate
from recompyle.rewrite.order import in_order
from recompyle.rewrite.passes import Cursor, Pass, Plan, Site, Skipped, Wrap, guard, in_coat, plan
from recompyle.rewrite.skeleton import Context, difference, locate
from recompyle.rewrite.transform import constant_of, transform

__all__ = ["Built", "Prepared", "build", "check_function", "prepare"]

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


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


@dataclass(frozen=True, slots=True)
class Prepared:
    """What passes want of a function, not yet compiled.

    Attributes:
        passes, cursors: the passes in force, in order, and the cursor of each.
        context: the function's source context; None if no pass looks at source.
        node: the function's tree that is to be compiled; without free passes the original one. None without context.
        plan: the requests about that tree.
    """

    passes: list[Pass]
    cursors: list[Cursor]
    context: Context | None
    node: Function | None
    plan: Plan

    @property
    def is_free(self) -> bool:
        """Whether the tree is another one than the function's own."""
        return self.context is not None and self.node is not self.context.definition.node


def prepare(function: FunctionType, code: CodeType, passes) -> Prepared:
    """Let passes look at a function and collect what they ask for; parameters and errors as for `build`."""
    check_function(function)
    passes = in_order(passes)
    context = context_of(function, code, passes)
    requests, cursors = plan(context, function, code, passes)
    node = None if context is None else context.definition.node
    if context is not None and free.is_free(requests, passes):
        node, requests = free.rebuild(context, requests, passes, cursors)
    return Prepared(passes, cursors, context, node, requests)


def build(
    function: FunctionType, code: CodeType, passes: "Sequence[Pass | ast.NodeTransformer | inject.Edit]"
) -> Built:
    """Rewrite a function's code.

    Parameters:
        function: the function, for its globals; not touched.
        code: its original code object: what the rewrite starts from.
        passes: passes, ast.NodeTransformers and edits, as registered; see `recompyle.rewrite.order.in_order`.
            Edits apply to the code that all passes have made, and need no source.

    Returns:
        A `Built`.

    Raises:
        SourceNotFound: there is no source, and a pass needs it.
        SourceMismatch: the source is not that of ``code``.
        NotRewritable: not a function, or the result could not be proved to be the old code plus probes.
        PassError: a pass failed, or asked for what is not allowed.
        TypeError: something that is no pass.
    """
    edits = [each for each in passes if type(each) is inject.Edit]
    if edits:
        check_function(function)
        if (refusal := refuse_function(function, all(each.force for each in edits))) is not None:
            raise NotRewritable(refusal.text, refusal.slug)
    if edits and len(edits) == len(passes):
        written = inject.write(code, edits)
        origin.remember(written, code)
        return Built(written, (), ())
    check_function(function)
    ordered = in_order(passes)
    place = kept.place_of(function, code, ordered)
    made = None if place is None else kept.take(place, function, code)
    if made is None:
        wanted = prepare(function, code, ordered)
        if place is not None and wanted.context is not None and wanted.context.record is not place.record:
            place = None  # the source had been changed, and was read again
        made = _make(wanted, code, kept_whole=place is not None)
        if place is not None:
            kept.put(place, function, made)
    for each, at in zip(made.passes, made.cursors, strict=True):
        guard(each, None, at, each.end, at)
    linked = inject.write(made.code, edits) if edits else made.code
    if linked is not code:
        origin.remember(linked, code)
    return Built(linked, tuple(tuple(at.sites) for at in made.cursors), made.skipped)


def _make(wanted: Prepared, code: CodeType, kept_whole: bool) -> kept.Made:
    if wanted.is_free or (wanted.plan and wanted.context is not None):
        linked = _compile(wanted, code, kept_whole)
    else:
        linked = _edit_all(code, wanted, nested=False)
    if not wanted.is_free:
        _check_same_shape(code, linked)
    return kept.Made(linked, wanted.passes, wanted.cursors, tuple(wanted.plan.skipped))


def _compile(wanted: Prepared, code: CodeType, kept_whole: bool) -> CodeType:
    assert wanted.context is not None
    record = None if wanted.is_free or kept_whole else wanted.context.record
    shape = None if record is None else wanted.plan.shape()
    key = None if shape is None else cache.key_of(code, shape)
    known = None if record is None or key is None else record.get(key)
    if known is None:
        compiled, tables = _prove(wanted, code)
        if record is not None and key is not None:
            record.put(key, (compiled, [tables.get(id(each)) for each in _all_of(compiled)]))
    else:
        compiled = known[0]
        tables = {id(each): table for each, table in zip(_all_of(compiled), known[1], strict=True) if table is not None}
    probes = {constant_of(wrap.number): wrap.probe for wrap in wanted.plan.wraps}
    return link(compiled, probes, tables, lambda new, nested: _edit(new, wanted, nested))


def _prove(wanted: Prepared, code: CodeType) -> tuple[CodeType, dict[int, bytes]]:
    """The code with placeholders, shown to be the old code otherwise, and the location tables of all code in it."""
    context = wanted.context
    assert context is not None
    assert wanted.node is not None
    node, placeholders = transform(wanted.node, wanted.plan)
    try:
        compiled = context.compile(node)
        if wanted.is_free:
            compiled = _with_free_variables(context, node, compiled)
    except (SyntaxError, ValueError, TypeError, RecursionError) as error:
        raise _invalid(wanted, code, error) from error
    by_constant = {each.constant: each for each in placeholders}
    if wanted.is_free:
        _check_surroundings(context)
        _check_free_shape(wanted, context, compiled)
        placed = relocate(compiled, by_constant)
    else:
        placed = match(_reference(context, wanted.plan), compiled, by_constant)
    return compiled, {id(each): table for each, table in placed}


def _all_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _all_of(const)


def _reference(context: Context, requests: Plan) -> CodeType:
    """What the code must equal but for its probes.

    That is the running code, unless the compiler unrolls a call in there (`any(... for ...)`) that it cannot unroll
    with its callee in a probe. Then that callee is hidden from the compiler in the reference, too.
    """
    if not requests.unrolled:
        return context.reference
    hidden = Plan()
    hidden.parents = requests.parents
    for node in requests.unrolled:
        hidden.request(hidden.inner, node, Wrap("bare", None, ""))
    node, _ = transform(context.definition.node, hidden)
    return context.compile(node)


def _edit(code: CodeType, wanted: Prepared, nested: bool) -> CodeType:
    edits = []
    for each, at in zip(wanted.passes, wanted.cursors, strict=True):
        made = guard(each, None, at, lambda each=each, at=at: list(each.edits(code, at, nested)))
        edits += [edit if edit.probe is (probe := in_coat(edit.probe)) else replace(edit, probe=probe) for edit in made]
    return inject.write(code, edits) if edits else code


def _edit_all(code: CodeType, wanted: Prepared, nested: bool) -> CodeType:
    """Edit code that needs no compiling, and the code nested in it if a pass looks there."""
    if any(each.nested_functions for each in wanted.passes):
        consts = tuple(_edit_all(c, wanted, True) if type(c) is CodeType else c for c in code.co_consts)
        if any(new is not old for new, old in zip(consts, code.co_consts, strict=True)):
            code = code.replace(co_consts=consts)
    return _edit(code, wanted, nested)


# -- what a free pass made ---------------------------------------------------------------------------------


def _with_free_variables(context: Context, node: Function, compiled: CodeType) -> CodeType:
    """Keep the cells of the running function, also those that the new tree no longer mentions."""
    used = {*compiled.co_freevars, *compiled.co_varnames, *compiled.co_cellvars}
    unused = sorted(set(context.code.co_freevars) - used)
    if not unused:
        return compiled
    changed: Function
    if isinstance(node, ast.Lambda):
        names: list[ast.expr] = [ast.Name(name, ast.Load()) for name in unused]
        changed = ast.Lambda(node.args, ast.IfExp(ast.Constant(True), node.body, ast.Tuple(names, ast.Load())))
    else:
        at = 1 if ast.get_docstring(node, clean=False) is not None else 0
        body = [*node.body[:at], ast.Nonlocal(unused), *node.body[at:]]
        changed = type(node)(**{**dict(ast.iter_fields(node)), "body": body})
    return context.compile(ast.fix_missing_locations(ast.copy_location(changed, node)))


def _check_surroundings(context: Context) -> None:
    """What a free pass made is compared with nothing, so where it is compiled must be known to be right."""
    found = difference(context.code, context.plain)
    if found is not None:
        raise NotRewritable(f"{context.code.co_qualname} compiles to other code by itself ({found})", "unproved")


_HAS_DOCSTRING = 0x4000000  # 3.13: read only when a function is made, and ours has been made


def _check_free_shape(wanted: Prepared, context: Context, new: CodeType) -> None:
    """A free pass may change what a function does, not what it is."""
    old = context.code
    arguments = old.co_argcount + old.co_kwonlyargcount + bool(old.co_flags & 0x4) + bool(old.co_flags & 0x8)
    for what, same in {
        "name": (old.co_name, old.co_qualname) == (new.co_name, new.co_qualname),
        "kind (generator, coroutine) or flags": (old.co_flags ^ new.co_flags) & ~_HAS_DOCSTRING == 0,
        "arguments": old.co_varnames[:arguments] == new.co_varnames[:arguments]
        and all(getattr(old, name) == getattr(new, name) for name in _SHAPE if name.endswith("argcount")),
        "free variables": old.co_freevars == new.co_freevars,
    }.items():
        if not same:
            raise PassError(f"{_free_names(wanted)} in {old.co_qualname}: it would change the function's {what}")
    lost = _enclosing_names(context) & (_global_names(new) - _global_names(old))
    if lost:
        raise PassError(
            f"{_free_names(wanted)} in {old.co_qualname}: {', '.join(sorted(lost))} of an enclosing function cannot be "
            "reached: this function has no cell for it"
        )


def _enclosing_names(context: Context) -> set[str]:
    """What the functions around bind, and perhaps a little more."""
    found = set()
    for scope in context.definition.scopes:
        if not isinstance(scope, ast.ClassDef):
            for node in ast.walk(scope):
                if isinstance(node, ast.arg):
                    found.add(node.arg)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
                elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    found.add(node.name)
    return found


def _global_names(code: CodeType) -> set[str]:
    """The names that a code object and those in it look up outside of functions."""
    found = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return found.union(*(_global_names(const) for const in code.co_consts if type(const) is CodeType))


def _free_names(wanted: Prepared) -> str:
    names = [repr(each.name) for each in wanted.passes if each.level == "free"]
    return f"pass {names[0]}" if len(names) == 1 else f"passes {', '.join(names)}"


def _invalid(wanted: Prepared, code: CodeType, error: Exception) -> PassError:
    """The error for a tree that does not compile, with the smallest part of it that does not."""
    context, where = wanted.context, ""
    assert context is not None
    if wanted.is_free and not isinstance(error, RecursionError):
        is_placed = isinstance(error, SyntaxError) and error.lineno is not None
        place = _Told(error) if is_placed else _culprit(context, wanted.node, error)
        where = excerpt(context.source, place)
    by = _free_names(wanted) + " in " if any(each.level == "free" for each in wanted.passes) else ""
    return PassError(f"{by}{code.co_qualname}: the rewritten tree does not compile: {error}{where}")


_NO_PARTS: dict[str, Any] = {
    "name": "f",
    "args": ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]),
    "decorator_list": [],
    "type_params": [],
}


class _Told:
    """Where the compiler says that a SyntaxError is."""

    def __init__(self, error):
        self.lineno, self.end_lineno = error.lineno, error.end_lineno
        self.col_offset, self.end_col_offset = (error.offset or 1) - 1, (error.end_offset or 1) - 1


def _culprit(context: Context, root, error: Exception):
    """The last and smallest node without which the error would be gone, as far as that can be told."""
    for node in reversed(list(ast.walk(root))):
        if not isinstance(node, (ast.expr, ast.stmt)) or node is root:
            continue
        part = ast.Expr(node) if isinstance(node, ast.expr) else node
        loop = ast.While(ast.Constant(True), [part], [])
        wrapped = ast.Module([ast.AsyncFunctionDef(**_NO_PARTS, body=[loop])], [])
        try:
            compile(ast.fix_missing_locations(wrapped), "", "exec")
        except (SyntaxError, ValueError, TypeError) as found:
            if found.args[:1] == error.args[:1]:
                return node
    return root


_SHAPE = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_freevars", "co_varnames")


def _check_same_shape(old: CodeType, new: CodeType) -> None:
    for name in _SHAPE:
        if getattr(old, name) != getattr(new, name):
            raise NotRewritable(f"{old.co_qualname}: with probes, {name} would differ", "unproved")
