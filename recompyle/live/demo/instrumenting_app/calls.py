"""How often each callable was called, as the program itself counts."""

from collections import Counter

CALLS: "Counter[tuple[str, str]]" = Counter()  # by module and name
