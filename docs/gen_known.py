"""Writes the table of known differences of CPython's own tests into docs/explanation/limits.md.

python docs/gen_known.py            fill the place between the comments
python docs/gen_known.py --check    only tell whether it is out of date; exit code 1 if it is
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "explanation" / "limits.md"
PLACE = re.compile(r"(<!-- known differences -->\n).*?(<!-- end -->)", re.S)

sys.path.insert(0, str(ROOT / "tests" / "prove"))

import known  # noqa: E402


def main(arguments: list[str]) -> int:
    """Fill the page, or with --check compare it."""
    text = PAGE.read_text(encoding="utf-8")
    table = known.table(known.load())
    new = PLACE.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    if new == text:
        return 0
    print(PAGE.relative_to(ROOT))
    if arguments == ["--check"]:
        return 1
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
