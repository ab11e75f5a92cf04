"""Writes the tables of figures into README.md and docs/, from the stored benchmark results.

    python docs/gen_figures.py            fill the places between `figures` and `end` comments
    python docs/gen_figures.py --check    only tell which pages are out of date; exit code 1 if any is

A place is `<!-- figures: CASE -->` ... `<!-- end -->`, CASE one of `bench/cases`; with
`figures: CASE, QUESTION` only that question is shown. The results are those of the machine
that was measured last, of each interpreter the newest of that case.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import records  # noqa: E402

PLACE = re.compile(r"(<!-- figures: (\w+)(?:, ([^>]+?))? -->\n).*?(<!-- end -->)", re.S)
NONE = "No results are stored yet: `make bench` takes them.\n"


def stored() -> list[dict]:
    """All runs on the machine that was measured last, oldest first; empty if nothing is stored."""
    files = [records.load(path) for path in sorted((ROOT / "bench" / "results").glob("*.jsonl"))]
    return max((runs for runs in files if runs), key=lambda runs: runs[-1]["date"], default=[])


def newest(runs: list[dict], case: str) -> dict[str, dict]:
    """The newest run of each interpreter that holds a case, by version such as `3.13`, in order."""
    holding = [run for run in runs if any(measured.case == case for measured in run["measurements"])]
    found = {".".join(run["python"].split()[0].split(".")[:2]): run for run in holding}
    return dict(sorted(found.items(), key=lambda item: tuple(map(int, item[0].split(".")))))


def table(stored_runs: list[dict], case: str, question: str | None) -> str:
    """One case as Markdown: a line for each tool and question, a column for each interpreter."""
    runs = newest(stored_runs, case)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    units = {}
    for version, run in runs.items():
        for measured in run["measurements"]:
            if measured.case == case and question in (None, measured.question):
                units[measured.question] = measured.unit
                cells.setdefault((measured.question, measured.tool), {})[version] = cell(measured)
    if not cells:
        return NONE
    versions = list(runs)
    one_tool = len({tool for _, tool in cells}) == 1
    one_question = len({name for name, _ in cells}) == 1
    one_unit = len(set(units.values())) == 1
    lines = [
        f"| {next(iter(units.values())) if one_unit else ''} | {' | '.join(versions)} |",
        "| --- |" + " ---: |" * len(versions),
    ]
    for (name, tool), row in cells.items():
        head = tool if one_question else name if one_tool else f"{name}: {tool}"
        if not one_unit:
            head += f", {units[name]}"
        lines.append(f"| {head} | {' | '.join(row.get(version, '') for version in versions)} |")
    return "\n".join([*lines, "", caption([runs[version] for version in versions])]) + "\n"


def cell(measured: records.Measurement) -> str:
    """One figure with its spread; of single calls as multiples of the floor; what a tool refuses, a dash."""
    if not measured.readings:
        return "-"
    summary = records.summary(measured)
    if measured.case == "timed_call":
        return f"{number(summary.value)} ({summary.value / summary.floor:.2f}x)"
    low, value, high = map(number, (summary.low, summary.value, summary.high))
    return value if low == high else f"{value} ({low} .. {high})"


def number(value: float) -> str:
    """Three digits, and all of what stands before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def caption(runs: list[dict]) -> str:
    """Machine, interpreters, date and commit."""
    machine = runs[-1]["machine"]
    pythons = ", ".join(run["python"].split()[0] for run in runs)
    commits = ", ".join(dict.fromkeys(str(run["commit"]) for run in runs))
    where = f"{machine['cpu']}, {machine['system']}"
    return f"{where}; CPython {pythons}; {runs[-1]['date'][:10]}, commit {commits}."


def filled(text: str, runs: list[dict]) -> str:
    """A page with all its places filled."""
    return PLACE.sub(lambda found: found[1] + table(runs, found[2], found[3]) + found[4], text)


def main(arguments: list[str]) -> int:
    """Fill the pages, or with --check compare them."""
    runs = stored()
    stale = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        new = filled(text, runs)
        if new != text:
            stale += 1
            print(path.relative_to(ROOT))
            if arguments != ["--check"]:
                path.write_text(new, encoding="utf-8")
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
