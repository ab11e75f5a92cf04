from typing_extensions import Buffer

from recompyle._c.probe import Probe

class SlotCounter(Probe):
    index: int
    count: int
    def __init__(self, memory: Buffer, index: int = 0, label: str | None = None) -> None: ...
