"""Writes one reference page for each C header, from the header's own comments.

python docs/gen_c.py            write docs/reference/c/*.md
python docs/gen_c.py --check    only tell which pages are out of date; exit code 1 if any is
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "librecompyle" / "include"
PAGES = ROOT / "docs" / "reference" / "c"

SECTION = re.compile(r"/\* -- (.+?) -+ \*/")
# What only the compiler needs: include guards, includes, compiler switches.
PLUMBING = re.compile(r"#\s*(?:include|ifndef|if|elif|else|endif|ifdef)\b")


def blocks(text: str) -> list[str]:
    """The header's top-level pieces: comment and declaration together, inline functions whole."""
    found: list[list[str]] = [[]]
    depth = 0
    in_comment = False
    for line in text.splitlines():
        if not line.strip() and depth == 0 and not in_comment:
            found.append([])
            continue
        found[-1].append(line)
        in_comment = (in_comment or "/*" in line) and line.rfind("/*") >= line.rfind("*/")
        if not in_comment:
            depth += line.count("{") - line.count("}")
    return ["\n".join(lines) for lines in found if lines]


def prose(comment: str) -> str:
    """A comment's text as Markdown; what is indented in it becomes a code block."""
    lines = comment.removeprefix("/*").removesuffix("*/").splitlines()
    lines = [re.sub(r"^ \* ?", "", line).rstrip() for line in lines]
    lines[0] = lines[0].strip()
    escaped = [re.sub(r"(?<![\w*])\*(?=\w)", r"\\*", line) for line in lines]
    return "\n".join(
        "    " + line if line.startswith("  ") else plain for line, plain in zip(lines, escaped, strict=True)
    ).strip()


def declaration(code: str) -> str:
    """The code without what a reader need not see: bodies of inline functions, marks of visibility."""
    body = re.match(r"(static inline [^{]*?)\s*\n\{", code)
    if body:
        code = body.group(1).removeprefix("static inline ") + ";"
    code = re.sub(r"^RCP_API ", "", code, flags=re.M)
    # Continuation lines were aligned for the mark that is gone.
    return re.sub(r"\n {9,}(?=[a-z])", lambda m: "\n" + " " * max(len(m.group()) - 9, 4), code)


def internal(code: str) -> bool:
    """Whether a declaration is only there for the library itself."""
    first = re.search(r"\b(rcp_\w+)\s*\(", code)
    if first:
        return first.group(1).startswith("rcp__")
    return bool(re.search(r"\brcp__\w+_t;$", code))


def page(header: Path) -> str:
    """The page of one header, as Markdown."""
    out = [f"# {header.name}"]
    for block in blocks(header.read_text()):
        section = SECTION.fullmatch(block)
        if section:
            out.append(f"## {section.group(1)}")
            continue
        comment = re.match(r"/\*.*?\*/", block, flags=re.S)
        code = block[comment.end() :].strip() if comment else block
        if PLUMBING.search(code):
            code = ""
            if len(out) > 1:
                continue
        if code and internal(code):
            continue
        if comment:
            out.append(prose(comment.group()))
        if code:
            out.append(f"```c\n{declaration(code)}\n```")
    return "\n\n".join(out) + "\n"


def pages() -> dict[Path, str]:
    """All pages by their path, the table of contents included."""
    headers = sorted(INCLUDE.glob("rcp_*.h"))
    found = {PAGES / f"{header.stem}.md": page(header) for header in headers}
    rows = []
    for header in headers:
        title = prose(re.match(r"/\*.*?\*/", header.read_text(), flags=re.S).group()).split("\n\n")[0]
        title = re.split(r"(?<=\.)\s", title.replace("\n", " "))[0]
        rows.append(f"| [{header.name}]({header.stem}.md) | {title} |")
    head = (
        "# librecompyle\n\n"
        'The C11 core. It knows nothing of Python and can be used alone: `#include "recompyle.h"`'
        " and link `librecompyle.a`.\nThese pages are written by `docs/gen_c.py` from the headers.\n\n"
        "| header | what it is for |\n| --- | --- |\n"
    )
    found[PAGES / "index.md"] = head + "\n".join(rows) + "\n"
    return found


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check compare them."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    stale += [path for path in PAGES.glob("*.md") if path not in pages()]
    for path in stale:
        print(path.relative_to(ROOT))
        if arguments == ["--check"]:
            continue
        if path in pages():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path])
        else:
            path.unlink()
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
