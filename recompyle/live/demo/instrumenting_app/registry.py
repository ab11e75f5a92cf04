"""What the program calls: pairs of path and callable, taken once, before anybody could have touched them."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

from .calls import CALLS
from .dummy_modules import mod_a, mod_b, mod_c, mod_d

__all__ = ["REGISTRY", "reader"]


def _functions(module: Any) -> list[tuple[str, Callable[[], Any]]]:
    return [(f"{module.__name__}:{name}", getattr(module, name)) for name in vars(module) if name.startswith("func_")]


def _methods(module: Any) -> list[tuple[str, Callable[[], Any]]]:
    """Bound methods, class methods and static methods, under the names of the classes that define them."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    own = [(cls, cls, name) for cls in classes for name in vars(cls)]
    inherited = [
        (cls, base, name) for cls in classes for base in cls.__bases__ for name in sorted(vars(base).keys() - vars(cls))
    ]
    return [
        (f"{module.__name__}:{owner.__name__}.{name}", getattr(cls(), name))
        for cls, owner, name in [*own, *inherited]
        if not name.startswith("__") and owner is not object
    ]


def _step(awaitable: Any) -> None:
    """Runs what awaits nothing until it suspends or ends."""
    with contextlib.suppress(StopIteration, StopAsyncIteration):
        awaitable.__await__().__next__()


def _others() -> list[tuple[str, Callable[[], Any]]]:
    numbers, letters, fetch, upload, ticks = mod_d.numbers, mod_d.letters, mod_d.fetch, mod_d.upload, mod_d.ticks
    rate, greeter, describe = mod_d.exchange_rate, mod_d.greeter, mod_d.describe
    account, days = mod_d.Account(), itertools.count()
    calls: dict[str, Callable[[], Any]] = {
        "numbers": lambda: list(numbers()),
        "letters": lambda: list(letters()),
        "fetch": lambda: _step(fetch()),
        "upload": lambda: _step(upload()),
        "ticks": lambda: _step(ticks().__anext__()),
        "Account.balance": lambda: account.balance,
        "Account.balance.setter": lambda: setattr(account, "balance", 1),
        "Account.balance.deleter": lambda: delattr(account, "balance"),
        "Account.limit": lambda: account.limit,
        "Account.__call__": account,
        "exchange_rate": lambda: rate(next(days)),
        "transfer": mod_d.transfer,
        "refund": mod_d.refund,
        "greeter.<locals>.greet": lambda: greeter()(),
        "describe[object]": lambda: describe(None),
        "describe[int]": lambda: describe(1),
        "describe[str]": lambda: describe(""),
    }
    return [(f"{mod_d.__name__}:{name}", call) for name, call in calls.items()]


REGISTRY = [*_functions(mod_a), *_functions(mod_b), *_methods(mod_c), *_others()]


def reader(path: str) -> Callable[[], int]:
    """What tells how often a callable of the registry was called.

    Parameters:
        path: its path.
    """
    module, _, name = path.partition(":")
    return lambda: CALLS[module, name]
