"""What a wrapper is told of the call that it gets."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from recompyle.rewrite.passes import Site, parts_of_site

__all__ = ["CallExtras"]


class CallExtras(Site, Mapping[str, Any]):
    """What a wrapper gets to know of the call: one constant object for each place in the source.

    It has the attributes of a `Site`, and it is a mapping with the two keys that the first recompyle gave:
    ``"ln_range"``, the first and the last line, or just the line if it is one; and ``"source"``, the call formatted
    anew, as `ast.unparse` does it.
    """

    __slots__ = ("_formatted", "_text", "_wrapper")

    _formatted: str | None
    _text: str
    _wrapper: object

    @classmethod
    def of(cls, site: Site, text: str, wrapper: object) -> "CallExtras":
        """What a wrapper is told of a site.

        Parameters:
            site: the site.
            text: the exact text of the call.
            wrapper: the wrapper, for those who look for its frames.
        """
        made = cls(*parts_of_site(site))
        object.__setattr__(made, "_formatted", None)
        object.__setattr__(made, "_text", text)
        object.__setattr__(made, "_wrapper", wrapper)
        return made

    def __getitem__(self, key: str) -> Any:
        if key == "ln_range":
            return (self.line,) if self.line == self.end_line else (self.line, self.end_line)
        if key == "source":
            if self._formatted is None:  # made when asked for: it takes longer than all else that a site needs
                tree = ast.parse(f"({self._text}\n)", mode="eval")
                object.__setattr__(self, "_formatted", ast.unparse(tree))
            return self._formatted
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(("ln_range", "source"))

    def __len__(self) -> int:
        return 2

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the wrapper, which cannot always be sent.
        return _arrived, (Site(*parts_of_site(self)), self._text)


def _arrived(site: Site, text: str) -> CallExtras:
    return CallExtras.of(site, text, None)
