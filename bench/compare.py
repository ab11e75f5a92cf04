"""Compare two stored runs.

    python bench/compare.py OLD NEW [--results FILE]

OLD and NEW are the beginning of a commit, or a number: -1 is the newest run, -2 the one before. For a commit,
its newest run on each interpreter counts. Times are compared as multiples of the floor measured beside them,
since machines change speed between runs; everything else is compared as it is.

A ratio has two figures behind it: the most and the least favourable pairing of launches. Where both lie on
the same side of 1 the line is marked.
"""

import argparse
from pathlib import Path

import records


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--results", type=Path, help="file to read (default: the one that was written last)")
    return parser.parse_args()


def pick(runs: list[dict], which: str) -> dict[str, dict]:
    """Return the runs meant by a commit or a number, by interpreter.

    Raises:
        SystemExit: there is none.
    """
    if which.lstrip("-").isdigit() and len(which) < 5:
        try:
            found = [runs[int(which)]]
        except IndexError:
            found = []
    else:
        found = [run for run in runs if (run["commit"] or "").startswith(which)]
    if not found:
        raise SystemExit(f"no run {which}; there are: {', '.join(str(run['commit']) for run in runs)}")
    return {run["python"].split()[0]: run for run in found}


def lines(old: dict, new: dict) -> list[str]:
    """Return a line of text for each question and tool that both runs have measured."""
    before = {(m.case, m.question, m.tool): m for m in old["measurements"] if m.readings}
    result = []
    for m in new["measurements"]:
        key = (m.case, m.question, m.tool)
        if not m.readings or key not in before:
            continue
        a, b = (records.figures(one) for one in (before[key], m))
        if min(*a, *b) <= 0:
            change = f"{a[0]:,.4g} -> {b[0]:,.4g}"
        else:
            ratio, least, most = b[0] / a[0], b[1] / a[2], b[2] / a[1]
            mark = " *" if least > 1 or most < 1 else ""
            change = f"{a[0]:>10,.4g} {b[0]:>10,.4g} {ratio:>7.2f}  ({least:.2f} .. {most:.2f}){mark}"
        result.append(f"{m.case + ', ' + m.question:<46} {m.tool:<26} {change}")
    return result


def main() -> None:
    options = arguments()
    runs = records.load(options.results or records.latest())
    old, new = pick(runs, options.old), pick(runs, options.new)
    for python in sorted(old.keys() & new.keys()):
        print(f"\nPython {python}: {old[python]['commit']} -> {new[python]['commit']}")
        print("\n".join(lines(old[python], new[python])))
    if not old.keys() & new.keys():
        raise SystemExit("the two were not measured on the same interpreter")


if __name__ == "__main__":
    main()
