"""Draw the stored results as pictures for the documentation.

    python bench/plot.py [--results FILE] [--out docs/images]

Needs matplotlib (`bench/requirements-plot.txt`). Shows the newest run of each interpreter.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import records
from environment import TREE
from matplotlib.axes import Axes
from turns import Measurement

COLOURS = {"floor": "#9aa5b1", "recompyle": "#1f77b4"}
OTHERS = "#d9a05b"
CALL_TOOLS = (
    "floor",
    "recompyle",
    "by hand",
    "cProfile",
    "wrap_calls (timing)",
    "line_profiler",
    "flat_profile",
)


def newest(runs: list[dict], case: str) -> dict[str, list[Measurement]]:
    """Return the newest measurements of a case for each interpreter, such as `3.13`, in order."""
    found = {}
    for run in runs:
        measured = [m for m in run["measurements"] if m.case == case and m.readings]
        if measured:
            found[".".join(run["python"].split()[0].split(".")[:2])] = measured
    return dict(sorted(found.items(), key=lambda item: tuple(map(int, item[0].split(".")))))


def draw_timed_call(axes: Axes, measured: list[Measurement], title: str) -> None:
    """Draw ns added to one call of a plain function: a bar for each tool, with its spread."""
    by_tool = {m.tool: records.summary(m) for m in measured if m.question == "function"}
    tools = [tool for tool in CALL_TOOLS if tool in by_tool]
    for row, tool in enumerate(tools):
        s = by_tool[tool]
        axes.barh(row, s.value, color=COLOURS.get(tool, OTHERS))
        axes.plot([s.low, s.high], [row, row], color="#333333", linewidth=1.2)
        axes.annotate(
            f"{s.value:.0f} ns",
            (max(s.high, s.value), row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(tools)), tools)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def draw_memory(axes: Axes, measured: list[Measurement]) -> None:
    """Draw the growth of memory in one run against its number of calls."""
    for tool in dict.fromkeys(m.tool for m in measured):
        points = [
            (int(m.question.split()[0].replace(",", "")), records.summary(m).value / 2**20)
            for m in measured
            if m.tool == tool and m.question.endswith(" calls")
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=tool, color=COLOURS.get(tool, OTHERS))
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=-0.1)
    axes.set_xlabel("timed calls in one run")
    axes.set_ylabel("memory grown by, MiB")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="file to read (default: the one that was written last)")
    parser.add_argument("--out", type=Path, default=TREE / "docs" / "images")
    options = parser.parse_args()
    path = options.results or records.latest()
    runs = records.load(path)
    options.out.mkdir(parents=True, exist_ok=True)

    calls = newest(runs, "timed_call")
    if calls:
        columns = min(3, len(calls))
        rows = -(-len(calls) // columns)
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.6 * columns, 2.6 * rows), sharex=True, sharey=True, squeeze=False
        )
        for axes, (python, measured) in zip(grid.flat, calls.items(), strict=False):
            draw_timed_call(axes, measured, f"CPython {python}")
        for axes in grid.flat[len(calls) :]:
            axes.set_visible(False)
        grid[0, 0].margins(x=0.16)
        figure.suptitle(
            "Time added to one call of a plain function; lines: from launch to launch", fontsize=11
        )
        figure.tight_layout()
        figure.savefig(options.out / "timed_call.png", dpi=130)

    memory = newest(runs, "memory")
    if memory:
        python, measured = list(memory.items())[-1]
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
        draw_memory(axes, measured)
        axes.set_title(f"One run with many calls, CPython {python}", fontsize=10, loc="left")
        figure.tight_layout()
        figure.savefig(options.out / "memory.png", dpi=130)
    print(f"drawn from {path.name} into {options.out}")


if __name__ == "__main__":
    main()
