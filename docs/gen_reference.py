"""Writes the reference of the Python interface from the docstrings in the source; nothing is imported.

python docs/gen_reference.py            write docs/reference/python.md
python docs/gen_reference.py --check    only tell whether it is out of date; exit code 1 if it is
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "python.md"

# Packages whose `__all__` is shown, each with what to say of it.
PACKAGES = {
    "recompyle": "What most programs need: `import recompyle`.",
    "recompyle.profile": "The profiler while the program runs: `from recompyle import profile`.",
    "recompyle.inject": "",
    "recompyle.live": "Instrumentation of a running program: `from recompyle import live`.",
}
PLUGIN = "recompyle.pytest_plugin"
# What a public class hands to users' code without being in an `__all__` of those packages.
HANDED_OUT = {
    "Assignments": ("recompyle.rewrite.ready", "Chosen"),
    "Pass": ("recompyle.rewrite.passes", "Cursor"),
    "Preview": ("recompyle._c.linemap", "LineMap"),
}
# Bases that only this package derives from, and what they are to a program.
INNER_BASES = {"Keepable": "Pass"}
# Methods that other parts of the package call, and no program.
INNER = {
    "SlowCall.build",
    "ProfileCalls.from_options",
    "ExceptHook.__init__",
    "CallExtras.of",
    "Patch.__init__",
    "Installation.__init__",
    "Preview.__init__",
    "Cursor.__init__",
    "Handle.__init__",
    "Agent.__init__",
    "Agent.after_fork",
    "Agent.begin",
    "Agent.next_number",
    "Agent.note_start",
    "Agent.post",
    "Agent.report",
    "Agent.watch_cost",
    "Client.__init__",
    "Client.greet",
    "Client.begin_profile",
}
SECTION = re.compile(r"(Parameters|Attributes|Returns|Raises|Args):\s*(.*)")
TITLES = {"Args": "Parameters"}

HEAD = """# Python interface

Written by `docs/gen_reference.py` from the docstrings.
What options mean in more words: [options](options.md).
Durations are in nanoseconds where a name ends in `_ns`.
"""


def module_file(name: str) -> Path:
    """The source file of a module."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree_of(name: str) -> ast.Module:
    path = module_file(name)
    if path.exists():
        return ast.parse(path.read_text(encoding="utf-8"))
    return with_docstrings(path.with_suffix(".pyi"), path.with_suffix(".pyx"))


def with_docstrings(stub: Path, source: Path) -> ast.Module:
    """The tree of a compiled module's stub, with the docstrings that stand in its Cython source."""
    tree, text = ast.parse(stub.read_text(encoding="utf-8")), source.read_text(encoding="utf-8")
    for cls in (each for each in tree.body if isinstance(each, ast.ClassDef)):
        _, _, inside = text.partition(f"class {cls.name}")
        inside = re.split(r"\n(?=\S)", inside, maxsplit=1)[0]
        for node in (cls, *(each for each in cls.body if isinstance(each, ast.FunctionDef))):
            head = r"[^\n]*" if node is cls else rf".*?def {node.name}\([^\n]*"
            found = re.match(head + r'\n\s+"""(.*?)"""', inside, re.S)
            if found:
                node.body.insert(0, ast.Expr(ast.Constant(found[1])))
        ast.fix_missing_locations(cls)
    return tree


def public_names(tree: ast.Module) -> list[str]:
    """What `__all__` says."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError("no __all__")


def find(module: str, name: str) -> tuple[str, ast.AST]:
    """Where a name is really defined: the module and the node. Imports and plain aliases are followed, those
    imports that only type checkers see as well.

    Raises:
        LookupError: nothing in the module's source makes that name.
    """
    body = [each for node in tree_of(module).body for each in (node.body if isinstance(node, ast.If) else [node])]
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = node.module if not node.level else f"{module}.{node.module}"
                    return find(source, alias.name)
    for node in body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return module, node
    raise LookupError(f"{module} does not define {name}")


def signature(node: ast.FunctionDef) -> str:
    """A function's parameters, without `self`."""
    arguments = node.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args.pop(0)
    returns = f" -> {plain_annotation(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(arguments)}){returns}"


def plain_annotation(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def prose(docstring: str) -> str:
    """A docstring as Markdown: sections of entries become lists, tables and examples become code."""
    docstring = docstring.replace("``", "`")
    out: list[str] = []
    lines = docstring.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        section = SECTION.fullmatch(line)
        if section:
            at += 1
            entries = []
            while at < len(lines) and (not lines[at].strip() or lines[at].startswith("    ")):
                entries.append(lines[at][4:])
                at += 1
            out += ["", f"*{TITLES.get(section[1], section[1])}*", "", *items([section[2], *entries]), ""]
        elif line.startswith("===") or line.startswith("    "):
            ends = re.compile("===" if line.startswith("===") else r"\S")
            block = [line]
            at += 1
            while at < len(lines) and not (ends.match(lines[at]) and lines[at].strip()):
                block.append(lines[at])
                at += 1
            if line.startswith("===") and at < len(lines):
                block.append(lines[at])
                at += 1
                kind = "text"
            else:
                block = [each[4:] for each in block]
                kind = "python"
            while not block[-1].strip():
                block.pop()
            out += [f"```{kind}", *block, "```", ""]
        else:
            out.append(line[:-1] if line.endswith("::") else line)
            at += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def items(lines: list[str]) -> list[str]:
    """The entries of a section as a list; a section without entries as a paragraph."""
    found: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        entry = re.match(r"((?:\*{0,2}\w+)(?:, \*{0,2}\w+)*): (.*)", line)
        if entry:
            names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
            found.append(f"- {names}: {entry[2]}")
        elif found and found[0].startswith("- "):
            found.append("  " + line.strip())
        else:
            found.append(line.strip())
    return found


def entry(module: str, name: str) -> list[str]:
    """One public name."""
    where, node = find(module, name)
    if isinstance(node, ast.Assign):
        if isinstance(node.value, ast.Name):
            return [f"### {name}", f"Another name of `{node.value.id}`."]
        if isinstance(node.value, ast.Constant):
            return [f"### {name}", "The version, as text."]
        held, method = ast.unparse(node.value).split(".")
        cls = next(
            each
            for each in tree_of(where).body
            if isinstance(each, ast.ClassDef) and belongs(where, held, each)
        )
        node = next(each for each in cls.body if isinstance(each, ast.FunctionDef) and each.name == method)
        return function(name, node)
    return function(name, node) if isinstance(node, ast.FunctionDef) else class_(name, node)


def fields(node: ast.ClassDef) -> str:
    """The annotated fields of a record whose docstring does not list them."""
    named = [
        each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    described = SECTION.search(ast.get_docstring(node) or "")
    return (
        ""
        if described
        else "\n".join(f"- `{each.target.id}`: {ast.unparse(each.annotation)}" for each in named)
    )


def belongs(module: str, variable: str, cls: ast.ClassDef) -> bool:
    """Whether a module-level variable is made by calling a class."""
    return any(
        isinstance(node, ast.Assign)
        and getattr(node.targets[0], "id", "") == variable
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == cls.name
        for node in tree_of(module).body
    )


def function(name: str, node: ast.FunctionDef, mark: str = "###") -> list[str]:
    decorators = {ast.unparse(each) for each in node.decorator_list}
    text = prose(ast.get_docstring(node) or "")
    if decorators & {"property", "cached_property"}:
        return [f"{mark} {name}", f"*Property.* {text}"]
    if "contextmanager" in decorators:
        text = f"*Context manager.* {text}"
    return [f"{mark} {name}", f"```python\n{name}{signature(node)}\n```", text]


def class_(name: str, node: ast.ClassDef) -> list[str]:
    bases = ", ".join(INNER_BASES.get(base, base) for base in map(ast.unparse, node.bases))
    made = next(
        (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None
    )
    shown = f"class {name}({bases})" if bases else f"class {name}"
    out = [f"### {name}", f"```python\n{shown}\n```", prose(ast.get_docstring(node) or ""), fields(node)]
    slug = next(
        (
            each.value.value
            for each in node.body
            if isinstance(each, ast.Assign) and each.targets[0].id == "slug"
        ),
        None,
    )
    if slug:
        out.append(f"Slug: [`{slug}`](messages.md#{slug}).")
    if made is not None and not slug and f"{name}.__init__" not in INNER:
        out.append(f"```python\n{name}{signature(made)}\n```")
    for each in node.body:
        public = (
            isinstance(each, ast.FunctionDef) and not each.name.startswith("_") and ast.get_docstring(each)
        )
        if public and f"{name}.{each.name}" not in INNER:
            out += function(f"{name}.{each.name}", each, "####")
    if name in HANDED_OUT:
        out += entry(*HANDED_OUT[name])
    return out


def anchor(name: str) -> str:
    """The fragment by which a heading is linked to."""
    return name.lower()


def page() -> str:
    """The whole page."""
    out = [HEAD.strip()]
    shown = set()
    for package, words in PACKAGES.items():
        tree = tree_of(package)
        out += [f"## {package}", words or prose(ast.get_docstring(tree) or "")]
        names = public_names(tree)
        known = {name: find(package, name)[0] for name in names}
        again = [name for name in names if (known[name], name) in shown]
        if again:
            out.append("Also here: " + ", ".join(f"[`{name}`](#{anchor(name)})" for name in again) + ".")
        for name in names:
            if name not in again:
                out += entry(package, name)
                shown.add((known[name], name))
    fixtures = [node for node in tree_of(PLUGIN).body if isinstance(node, ast.FunctionDef)]
    out += ["## pytest", "The package brings a plugin that pytest loads by itself. Its fixtures:"]
    for node in fixtures:
        out += [f"### {node.name}", prose(ast.get_docstring(node) or "")]
    return "\n\n".join(part for part in out if part) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(PAGE.relative_to(ROOT))
    if arguments == ["--check"]:
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
