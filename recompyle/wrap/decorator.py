"""`rewrite_wrap_calls`: let the calls of a function go through a wrapper, and hand the very same object back."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from recompyle import patch
from recompyle.rewrite.preview import details
from recompyle.wrap.passes import WrapCalls

__all__ = ["rewrite_wrap_calls"]

Target = TypeVar("Target")


def rewrite_wrap_calls(
    *,
    wrapper: Callable[..., Any],
    ignore_builtins: bool = False,
    blacklist: Collection[str] | None = None,
    whitelist: Collection[str] | None = None,
    rewrite_details: dict[str, Any] | None = None,
    hide_wrapper: bool = False,
) -> Callable[[Target], Target]:
    """Let every call written in a function go through a wrapper.

    Where the source says ``callee(*args, **kwargs)``, the function calls ``wrapper(callee, extras, *args, **kwargs)``
    and goes on with what that returns. The function's code is rewritten and swapped in place: the object given is
    the object returned. Nested functions, lambdas and comprehensions are part of the function. Decorating again adds
    a layer: the wrapper of the layer above gets, as its callee, what leads through the one below.

    Calls by these names look at the frame that calls them and are left as they are: ``globals``, ``locals``,
    ``vars``, ``dir``, ``eval``, ``exec``, ``super``, ``breakpoint``, ``sys._getframe``, ``inspect.currentframe``,
    ``inspect.stack``. So are calls in decorators, default values and annotations of nested functions.

    Parameters:
        wrapper: any callable. ``callee`` is what was to be called, of a method the bound method; ``extras`` is
            a `CallExtras`, one constant object for each place in the source.
        ignore_builtins: leave out calls of builtins, as far as the name tells.
        blacklist: dotted names as written, of calls to leave out: ``a[b]`` matches ``a["b"]()`` and ``a[b]()``,
            ``a[*]`` any subscript. An empty list is as good as none.
        whitelist: the same, of the only calls to wrap. A callee without a dotted name is in no list.
        rewrite_details: a dict that gets ``original_func``, ``original_source`` and ``new_source``.
        hide_wrapper: take the wrapper's frames out of the traceback of each exception that passes through.

    Returns:
        A decorator for functions, methods, and what else `recompyle.apply` takes, that returns what it is given.

    Raises:
        TypeError: the wrapper is not callable; the object decorated is no Python function, nor a wrapper of one.
        ValueError: a blacklist and a whitelist are given, or ``rewrite_details`` is no dict.
        RecompyleError: the function cannot be rewritten.
    """
    if not isinstance(rewrite_details, dict | None):
        raise ValueError(f"rewrite_details must be a dict to fill, or None; not {type(rewrite_details).__name__}")
    wrap = WrapCalls(
        wrapper,
        ignore_builtins=ignore_builtins,
        blacklist=blacklist,
        whitelist=whitelist,
        hide_wrapper=hide_wrapper,
    )

    def decorate(target: Target) -> Target:
        applied = patch.apply(target, wrap)
        if rewrite_details is not None:
            for function in applied.functions:
                rewrite_details.update(details(function, applied.passes))
        return target

    return decorate
