from typing import TypeVar

T = TypeVar("T")

class Stamp:
    def __getitem__(self, value: T) -> T: ...
    @property
    def ticks(self) -> int: ...

class Passage:
    def __getitem__(self, value: T) -> T: ...
