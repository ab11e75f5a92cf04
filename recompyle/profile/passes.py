"""Where the profiler's probes go: a pair round each call, await and ``yield from``, and marks where runs begin,
end, pause and fail.
"""

import ast
from types import CodeType

from recompyle import inject
from recompyle.profile import control
from recompyle.profile.limits import Options
from recompyle.profile.model import FunctionInfo
from recompyle.profile.probes import (
    AsyncEnd,
    End,
    Enter,
    Exit,
    Handler,
    NestedUnwind,
    Profiled,
    Resume,
    Start,
    Suspend,
    Unwind,
)
from recompyle.rewrite.names import CallFilter, builtins_in, dotted, local_names
from recompyle.rewrite.passes import Keepable, Site, is_super

__all__ = ["ProfileCalls", "kind_of"]

_PROBES = {
    kind.__name__: kind
    for kind in (AsyncEnd, End, Enter, Exit, Handler, NestedUnwind, Resume, Start, Suspend, Unwind)
}

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200


def kind_of(code: CodeType) -> str:
    """``function``, ``generator``, ``coroutine`` or ``async generator``."""
    if code.co_flags & _ASYNC_GENERATOR:
        return "async generator"
    if code.co_flags & _COROUTINE:
        return "coroutine"
    return "generator" if code.co_flags & _GENERATOR else "function"


class ProfileCalls(Keepable):
    """Times each run of a function, and each of the calls written in it.

    For `recompyle.apply`; as a decorator use `recompyle.shallow_call_profiler`.

    Parameters:
        time_limit: seconds, or text such as ``"300ms"``; a run at least that long is slow. 0 reports every run, a
            negative number none. None: the configured limit, else 100 ms.
        options: see `recompyle.shallow_call_profiler`.

    Raises:
        ValueError, TypeError: an option with a value that it does not take.
    """

    name = "profile"
    nested_functions = False
    single = True

    def __init__(self, time_limit=None, **options):
        self.options = Options.of(time_limit=time_limit, **options)
        self.from_code = False

    @classmethod
    def from_options(cls, options: Options, from_code: bool = False) -> "ProfileCalls":
        """The pass for options that are already checked.

        Parameters:
            options: the options.
            from_code: whether calls and awaits are found in the compiled code. No source is needed then; the rows
                have no text but a name, and there is none for what lambdas and generator expressions call.
        """
        made = cls.__new__(cls)
        made.options, made.from_code = options, from_code
        return made

    def __repr__(self):
        return f"<ProfileCalls {self.options.mode}>"

    def key(self):
        try:
            hash(self.options)
        except TypeError:
            return None
        return type(self), self.options, self.from_code

    def decides(self, module_globals):
        options = self.options
        hidden = None if options.builtins else builtins_in(module_globals)
        return options.mode, self.from_code, options.include, options.exclude, hidden

    def note(self, thing, at):
        kind = type(thing)
        if kind not in _PROBES.values():
            return None
        row = thing.end if kind is AsyncEnd else thing
        return kind.__name__, thing.label, getattr(row, "site", None), getattr(row, "nested", None)

    def recall(self, notes, at):
        at.data = _Rewrite(self.options, at, self.from_code)
        return at.data.recall(notes, at)

    def needs_source(self):
        return self.options.mode != "total" and not self.from_code

    def begin(self, at):
        at.data = _Rewrite(self.options, at, self.from_code)

    def visit_Call(self, node, at):
        parent = at.parent(node)
        if is_super(node) or (isinstance(parent, (ast.Await, ast.YieldFrom)) and parent.value is node):
            return
        at.data.time(node, "call", node, at)

    def visit_Await(self, node, at):
        at.data.time(node, "await", node.value, at)

    def visit_YieldFrom(self, node, at):
        at.data.time(node, "yield", node.value, at)

    def visit_AsyncFor(self, node, at):
        at.data.note_wait(node.iter, "iterate", _header(node, at), [node], node, at)

    def visit_AsyncWith(self, node, at):
        managers = [item.context_expr for item in node.items]
        source = "async with " + ", ".join(map(at.source, managers))
        # One row for all managers: up to 3.12 the compiled code does not tell them apart.
        at.data.note_wait(managers[0], "with", source, [node, *managers], node, at)

    def _visit_comprehension(self, node, at):
        for each in node.generators:
            if each.is_async:
                at.data.note_wait(each.iter, "iterate", _header(each, at), [node], each.target, at)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def edits(self, code, at, nested):
        return at.data.edits(code, at, nested)

    def end(self, at):
        at.data.end(at)


def _is_awaited(call, wait):
    """Whether a site is a call that is the operand of the await that is the next site."""
    if (call.kind, wait.kind) != ("call", "await") or call.end_column is None:
        return False
    return (call.end_line, call.end_column) == (wait.end_line, wait.end_column)


def _header(loop, at):
    return f"async for {at.source(loop.target)} in {at.source(loop.iter)}"


class _Rewrite:
    """What belongs to one rewrite of one function: its record, and its sites with their probes."""

    def __init__(self, options, at, from_code):
        self.options = options
        self.from_code = from_code and options.mode == "pairs"
        self.profiled = Profiled(options.clock, kind_of(at.code) != "function")
        self.waits = {}
        self.timed_nested = False
        self.wanted = CallFilter(at, options.include, options.exclude, options.builtins)

    def time(self, node, kind, callee, at):
        name = dotted(callee.func) if isinstance(callee, ast.Call) else None
        reason = self.wanted.refusal(callee, name)
        if reason is not None:
            at.skip(node, reason)
            return
        site = at.site(node, kind, name)
        start = self._probes(site, at.is_nested(node))
        at.around(node, start, start.end, f"_{site.id}")

    def note_wait(self, node, kind, source, places, inner, at):
        """Remember a place where the compiler waits by itself; the compiled code is searched for it.

        Parameters:
            node: where the row is shown.
            kind, source: of the row.
            places: the nodes whose position the waiting instruction may have; several waits of one place (the
                loops of a comprehension) come in the order of the code.
            inner: a node of the code that waits: whether that is nested is what counts.
        """
        reason = self.wanted.refusal(None, None)
        if reason is not None:
            at.skip(node, reason)
            return
        site = at.site(node, kind, source=source)
        start = self._probes(site, at.is_nested(inner))
        for each in places:
            key = each.lineno, each.end_lineno, each.col_offset, each.end_col_offset
            self.waits.setdefault(key, []).append(start)

    def _probes(self, site, nested):
        self.timed_nested = self.timed_nested or nested
        end = End(self.profiled, site.id, nested, f"end_{site.id}")
        return Start(end, f"start_{site.id}")

    def recall(self, notes, at):
        starts = {}
        made = []
        for name, label, number, nested in notes:
            kind = _PROBES[name]
            if number is not None:
                if number not in starts:
                    starts[number] = self._probes(at.sites[number], nested)
                start = starts[number]
                made.append(start if kind is Start else start.end if kind is End else AsyncEnd(start.end, label))
            elif nested is not None:
                made.append(kind(self.profiled, nested, label))
            else:
                made.append(kind(self.profiled, label))
        return made

    def edits(self, code, at, nested):
        if nested and not self.timed_nested:
            return []
        timed = self._calls(code, at) if self.from_code else self._waits(code)
        found = [*timed, inject.Edit("handler", Handler(self.profiled, nested, "handler"))]
        if nested:
            # With an `unwind` tracers would see the early end of generator expressions, from 3.13.
            leaving = any(site.kind == "leaving" for site in inject.sites(code))
            unwind = NestedUnwind(self.profiled, "unwind")
            found.append(inject.Edit("leaving" if leaving else "unwind", unwind, "value"))
            return found
        found += [
            inject.Edit("entry", Enter(self.profiled, False, "enter")),
            inject.Edit("return", Exit(self.profiled, False, "exit")),
            inject.Edit("unwind", Unwind(self.profiled, "unwind"), "value"),
        ]
        if kind_of(code) in ("generator", "async generator"):
            found += [
                inject.Edit("yield", Suspend(self.profiled, False, "suspend")),
                inject.Edit("resume", Resume(self.profiled, False, "resume")),
            ]
        return found

    def _calls(self, code, at):
        """Probes round the calls and awaits of the compiled code; a call that is awaited at once has one row."""
        sites = [site for site in inject.sites(code) if site.kind in ("call", "await")]
        found = []
        for i, site in enumerate(sites):
            after = sites[i + 1] if i + 1 < len(sites) else None
            before = sites[i - 1] if i else None
            if site.kind == "await":
                if before is None or not _is_awaited(before, site):
                    found += self._round(site, site, "await", at)
            elif after is not None and _is_awaited(site, after):
                found += self._round(site, after, "await", at)
            else:
                found += self._round(site, site, "call", at)
        return found

    def _round(self, first, last, kind, at):
        """Probes before one site of the compiled code and behind one."""
        name = first.name
        callee = ast.Call(ast.Name(name, ast.Load()), [], []) if name is not None and name.isidentifier() else None
        if self.wanted.refusal(callee, name) is not None:
            return []
        site = Site(
            id=len(at.sites), kind=kind, function=at.function, file=at.file, line=last.line, end_line=last.end_line,
            column=last.column, end_column=last.end_column, source=None if name is None else f"{name}(...)", name=name,
        )  # fmt: skip
        at.sites.append(site)
        start = self._probes(site, False)
        behind = "called" if last.kind == "call" else "awaited"
        return [
            inject.Edit(first.kind, start, index=first.index),
            inject.Edit(behind, start.end, index=last.index),
        ]

    def _waits(self, code):
        """Probes round the waits that the compiler makes for ``async for`` and ``async with``."""
        if not self.waits:
            return []
        places = inject.sites(code)
        loops = {site.index for site in places if site.kind == "async_end"}
        found = []
        met = {}
        for site in places:
            key = site.line, site.end_line, site.column, site.end_column
            if site.kind != "waiting" or key not in self.waits:
                continue
            starts = self.waits[key]
            start = starts[min(met.setdefault(key, 0), len(starts) - 1)]
            met[key] += 1
            end = start.end
            found += [
                inject.Edit("waiting", start, index=site.index),
                inject.Edit("waited", end, index=site.index),
            ]
            if site.index in loops:
                found.append(inject.Edit("async_end", AsyncEnd(end, end.label), "value", index=site.index))
        return found

    def end(self, at):
        code = at.code
        self.profiled.set_sites(len(at.sites))
        self.profiled.info = FunctionInfo(
            name=f"{at.globals.get('__name__', '?')}:{code.co_qualname}",
            module=at.globals.get("__name__", "?"),
            qualname=code.co_qualname,
            kind=kind_of(code),
            file=code.co_filename,
            line=at.line,
            globals={},
            sites=tuple(at.sites),
            writer="none" if self.options.mode != "pairs" else "code" if self.from_code else "ast",
            options=self.options,
            local_names=local_names(code),
        )
        control.register(self.profiled, self.options)
