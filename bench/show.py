"""Print stored results: for each interpreter the newest of each case.

python bench/show.py [--results FILE]
"""

import argparse
import importlib
from itertools import groupby
from pathlib import Path

import records
from turns import Measurement


def print_table(title: str, measurements: list[Measurement]) -> None:
    """Print one case: a line for each question and tool."""
    units = {m.unit for m in measurements}
    unit = units.pop() if len(units) == 1 else ""
    timed = unit == "ns"
    one_tool = len({m.tool for m in measurements}) == 1
    floor_head = f"{'x floor':>10}" if timed else ""
    labels = [f"  {m.question}" if one_tool else f"    {m.tool}" for m in measurements]
    if not unit:
        labels = [f"{label}, {m.unit}" for label, m in zip(labels, measurements, strict=True)]
    width = max(36, *map(len, labels))
    print(f"\n{title}\n\n{'':<{width}}{unit:>12}{'launches':>26}{floor_head}{'bare':>10}")
    question = None
    for found, label in zip(measurements, labels, strict=True):
        if found.question != question and not one_tool:
            question = found.question
            print(f"  {question}")
        if not found.readings:
            print(f"{label:<{width}}    {found.unsupported}")
            continue
        s = records.summary(found)
        spread = f"{s.low:,.4g} .. {s.high:,.4g}"
        ratio = f"{s.value / s.floor:>10.2f}" if timed else ""
        bare = "" if s.bare is None else f"{s.bare:,.4g}"
        print(f"{label:<{width}}{s.value:>12,.4g}{spread:>26}{ratio}{bare:>10}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="file to read (default: the one that was written last)")
    runs = records.load(parser.parse_args().results or records.latest())
    newest: dict[str, dict[str, tuple[dict, list[Measurement]]]] = {}
    for run in runs:
        for name, group in groupby(run["measurements"], key=lambda m: m.case):
            newest.setdefault(run["python"], {})[name] = (run, list(group))
    for python, cases in newest.items():
        print(f"\nPython {python}")
        for name, (run, measured) in cases.items():
            title = importlib.import_module(f"cases.{name}").TITLE
            print_table(f"{title}  [{run['commit']}, {run['date'][:16]}, {run['machine']['cpu']}]", measured)


if __name__ == "__main__":
    main()
