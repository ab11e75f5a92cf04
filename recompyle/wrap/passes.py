"""Where the wrapper goes: round every call."""

from collections.abc import Callable, Collection
from types import FunctionType, MethodType
from typing import Any

from recompyle import inject
from recompyle.rewrite.names import CallFilter, builtins_in, dotted
from recompyle.rewrite.passes import Keepable
from recompyle.wrap.extras import CallExtras
from recompyle.wrap.probes import CallProbe
from recompyle.wrap.tracebacks import SUSPENDED, CleanProbe, Tidy, functions_behind

__all__ = ["WrapCalls"]

# They look at the frame that calls them, which would be the wrapper's.
LOOK_AT_CALLER = frozenset(
    (
        *("globals", "locals", "vars", "dir", "eval", "exec", "super", "breakpoint"),
        *("sys._getframe", "sys._getframemodulename", "_getframe", "_getframemodulename"),
        *("inspect.currentframe", "inspect.stack", "currentframe"),
    )
)

# Wrappers that may stand in the code themselves, with no probe between. Who compares code objects compares and
# hashes their constants, which must run no code of the user's.
DIRECT: tuple[type, ...] = (FunctionType, MethodType)


class WrapCalls(Keepable):
    """Lets every call in a function go through a wrapper.

    For `recompyle.apply`; as a decorator use `recompyle.rewrite_wrap_calls`.

    Parameters:
        wrapper: called as ``wrapper(callee, extras, *args, **kwargs)`` in place of ``callee(*args, **kwargs)``.
        options: see `recompyle.rewrite_wrap_calls`; ``rewrite_details`` is the decorator's alone.

    Raises:
        TypeError: the wrapper is not callable, or a list holds something else than names.
        ValueError: a blacklist and a whitelist are given.
    """

    name = "wrap"
    level = "value"

    def __init__(
        self,
        wrapper: Callable[..., Any],
        *,
        ignore_builtins: bool = False,
        blacklist: Collection[str] | None = None,
        whitelist: Collection[str] | None = None,
        hide_wrapper: bool = False,
    ):
        if not callable(wrapper):
            raise TypeError(f"the wrapper must be callable, not {wrapper!r}")
        self.wrapper = wrapper
        self.ignore_builtins = ignore_builtins
        self.blacklist = _names("blacklist", blacklist)
        self.whitelist = _names("whitelist", whitelist)
        if self.blacklist and self.whitelist:
            raise ValueError("blacklist and whitelist cannot be given together")
        functions = functions_behind(wrapper) if hide_wrapper else ()
        self._tidy = Tidy(functions) if functions else None
        # Frames that begin only when the result is awaited or iterated over, when the call itself is long done.
        self._late = any(each.__code__.co_flags & SUSPENDED for each in functions)
        self._direct = self._tidy is None and type(wrapper) in DIRECT  # without a probe nobody tidies up

    def key(self):
        return id(self.wrapper), self.ignore_builtins, self.blacklist, self.whitelist, self._tidy is not None

    def begin(self, at):
        include, exclude = self.whitelist or None, self.blacklist or None
        at.data = CallFilter(at, include, exclude, not self.ignore_builtins, ("the whitelist", "the blacklist"))

    def visit_Call(self, node, at):
        name = dotted(node.func)
        reason = "it looks at the frame that calls it" if name in LOOK_AT_CALLER else None
        reason = reason or at.data.refusal(node, name) or at.why_not_callee(node)
        if reason is not None:
            at.skip(node, reason)
            return
        site = at.site(node, "call", name)
        extras = CallExtras.of(site, at.text(node), self.wrapper)
        label = f"call_{site.id}"
        instead = (self.wrapper, extras) if self._direct else None
        at.callee(node, CallProbe(self.wrapper, extras, self._tidy, label), label, instead)

    def edits(self, code, at, nested):
        if not self._late:
            return ()
        clean = CleanProbe(self._tidy.functions, "clean")
        leaving = nested and any(site.kind == "leaving" for site in inject.sites(code))
        return (
            inject.Edit("handler", clean, "value"),
            inject.Edit("leaving" if leaving else "unwind", clean, "value"),
        )

    def decides(self, module_globals):
        lists = sorted(self.blacklist), sorted(self.whitelist)
        hidden = builtins_in(module_globals) if self.ignore_builtins else None
        return *lists, hidden, self._direct, self._late

    def note(self, thing, at):
        if thing is self.wrapper:
            return ("wrapper",)
        if type(thing) is CleanProbe and self._late and thing.functions is self._tidy.functions:
            return ("clean",)
        extras = thing.extras if type(thing) is CallProbe else thing
        if type(extras) is CallExtras and extras._wrapper is self.wrapper:
            return "extras" if extras is thing else "probe", extras.id, extras._text
        return None

    def recall(self, notes, at):
        made = []
        extras = {}
        for kind, *place in notes:
            if kind == "wrapper":
                made.append(self.wrapper)
            elif kind == "clean":
                made.append(CleanProbe(self._tidy.functions, "clean"))
            else:
                number, text = place
                if number not in extras:
                    extras[number] = CallExtras.of(at.sites[number], text, self.wrapper)
                of_site = extras[number]
                probe = CallProbe(self.wrapper, of_site, self._tidy, f"call_{number}")
                made.append(of_site if kind == "extras" else probe)
        return made


def _names(option: str, given: Collection[str] | None) -> frozenset[str]:
    """The patterns of an option; none for None. A single name may stand alone."""
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for each in names:
        if not isinstance(each, str):
            raise TypeError(f"the {option} holds dotted names, not {each!r}")
    return frozenset(names)
