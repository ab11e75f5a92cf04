from collections.abc import Callable
from typing import Any

from recompyle._c.probe import Probe

class CallProbe(Probe):
    wrapper: Callable[..., Any]
    extras: object
    tidy: Callable[[BaseException], object] | None
    def __init__(
        self,
        wrapper: Callable[..., Any],
        extras: object,
        tidy: Callable[[BaseException], object] | None,
        label: str,
    ) -> None: ...

class WrappedCall:
    __wrapped__: Any
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...
