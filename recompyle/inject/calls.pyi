from typing import NamedTuple

from recompyle.inject.decode import Body

FINAL: set[int]
WITH_ARG: frozenset[int]

class Call(NamedTuple):
    start: int
    unit: int
    end: int
    implicit: bool
    callee: int

def find(body: Body) -> list[Call]: ...
