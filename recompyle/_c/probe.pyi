from typing import TypeVar

T = TypeVar("T")

class Probe:
    label: str | None
    def __getitem__(self, value: T) -> T: ...
    def __invert__(self) -> object: ...
