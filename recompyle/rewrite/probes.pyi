from typing import Any, TypeVar

from recompyle._c.probe import Probe

T = TypeVar("T")

class Counter(Probe):
    site: Any
    count: int
    def __init__(self, site: Any = None) -> None: ...

class Clock:
    site: Any
    start: Probe
    end: Probe
    count: int
    total_ns: int
    max_ns: int
    def __init__(self, site: Any = None) -> None: ...

class Held(Probe):
    value: Any
    def __init__(self, value: Any) -> None: ...

class Coat(Probe):
    probe: Any
    def __init__(self, probe: Any) -> None: ...
