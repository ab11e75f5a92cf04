"""What a wrapper is told of the call that it gets."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from recompyle.rewrite.passes import Site

__all__ = ["CallExtras"]


class CallExtras(Site, Mapping[str, Any]):
    """What a wrapper gets to know of the call: one constant object for each place in the source.

    It has the attributes of a `Site`, and it is a mapping with two keys: ``"ln_range"``, the first and the last
    line, and ``"source"``.
    """

    __slots__ = ("_wrapper",)

    @classmethod
    def of(cls, site: Site, wrapper: object) -> "CallExtras":
        """What a wrapper is told of a site."""
        made = cls(*(getattr(site, field.name) for field in fields(site)))
        object.__setattr__(made, "_wrapper", wrapper)
        return made

    def __getitem__(self, key: str) -> Any:
        if key == "ln_range":
            return self.line, self.end_line
        if key == "source":
            return self.source
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("ln_range", "source"))

    def __len__(self) -> int:
        return 2
