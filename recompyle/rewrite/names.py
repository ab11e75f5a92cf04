"""Which calls a user means by names: callees as written, and patterns for them."""

import ast
import builtins
import re
from functools import cached_property
from types import CodeType

__all__ = ["CallFilter", "builtins_in", "dotted", "local_names", "matcher"]


def dotted(node) -> str | None:
    """A callee as written, if it is made of names, attributes and subscripts: ``a.b``, ``a[k].c``, ``a[i + 1]``.

    Constants stand there without quotes. What begins with anything but a name has no dotted name: None.
    """
    parts = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append("." + node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript):
            index = node.slice
            text = str(index.value) if isinstance(index, ast.Constant) else dotted(index) or _unparsed(index)
            parts.append(f"[{text}]")
            node = node.value
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            return "".join(reversed(parts))
        else:
            return None


def _unparsed(index) -> str:
    """An index as text: of a tuple without the brackets that are not written there."""
    return ast.unparse(ast.Subscript(ast.Name("_"), index))[2:-1]


def local_names(code: CodeType) -> frozenset[str]:
    """All names that are local to a function or to one inside it."""
    names = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    for const in code.co_consts:
        if isinstance(const, CodeType):
            names |= local_names(const)
    return frozenset(names)


class CallFilter:
    """Which calls of one function are meant.

    Parameters:
        at: the cursor of the rewrite.
        include: patterns; only callees that match one are meant. None: all.
        exclude: patterns; callees that match one are not meant.
        with_builtins: whether calls of builtins are, as far as the name tells.
        words: what the two lists are called in reasons.
    """

    def __init__(self, at, include, exclude, with_builtins: bool, words=("include", "exclude")):
        self.include = matcher(include) if include is not None else None
        self.exclude = matcher(exclude) if exclude is not None else None
        self.with_builtins = with_builtins
        self.words = words
        self._globals, self._code = at.globals, at.code

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Names that mean no builtins in this function."""
        return local_names(self._code) | self._globals.keys()

    def refusal(self, callee, name: str | None) -> str | None:
        """Why a call is not meant; None if it is. Names decide, so a callee without one is in no list."""
        if self.include is not None and not (name and self.include(name)):
            return f"not in {self.words[0]}"
        if self.exclude is not None and name and self.exclude(name):
            return f"in {self.words[1]}"
        if not self.with_builtins and isinstance(callee, ast.Call) and self._is_builtin(callee.func):
            return "a builtin"
        return None

    def _is_builtin(self, node):
        return isinstance(node, ast.Name) and hasattr(builtins, node.id) and node.id not in self.hidden


def builtins_in(module_globals) -> tuple[str, ...]:
    """The builtins that a module hides with no name of its own."""
    return tuple(sorted(vars(builtins).keys() - module_globals.keys()))


def matcher(patterns):
    """A test for names: ``a[b]`` means ``a["b"]`` too, ``a[*]`` any subscript, ``a.*`` whatever begins so."""
    written = (re.escape(re.sub(r"""\[(['"])(.*?)\1\]""", r"[\2]", each)) for each in patterns)
    any_of = (each.replace(r"\[\*\]", _SUBSCRIPT).replace(r"\*", ".*") for each in written)
    return re.compile("|".join(any_of), re.DOTALL).fullmatch


_SUBSCRIPT = r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]"  # with subscripts inside, but none of those again
