"""Reading, writing and summing up results.

A results file has one line of JSON for each run on one interpreter; lines are only ever added.
"""

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from environment import BENCH
from turns import Measurement, Reading

VERSION = 1
TIMES = {"ns", "us", "ms"}


@dataclass(frozen=True)
class Summary:
    """One tool on one question.

    Where two loops were subtracted, `value` is the lowest time of the one minus the lowest time of the other,
    over all launches: what is left when nothing disturbed either. Otherwise it is the median of the readings.
    `low` and `high` are the same for the single launches. `bare` is what was subtracted, None if nothing was.
    `floor` is the cost of the floor's timed call, taken in the same rounds and in the same way as `value`.
    """

    value: float
    low: float
    high: float
    bare: float | None
    floor: float


def summary(measurement: Measurement) -> Summary:
    """Sum up a measurement that has readings."""
    launches: dict[float, list[Reading]] = {}
    for reading in measurement.readings:
        launches.setdefault(reading["launch"], []).append(reading)
    values = [_value(readings) for readings in launches.values()]
    subtracted = "with" in measurement.readings[0]
    return Summary(
        _value(measurement.readings),
        min(values),
        max(values),
        min(r["bare"] for r in measurement.readings) if subtracted else None,
        _lowest(measurement.readings, "floor_"),
    )


def _value(readings: list[Reading]) -> float:
    if "with" in readings[0]:
        return _lowest(readings, "")
    return statistics.median(r["value"] for r in readings)


def _lowest(readings: list[Reading], prefix: str) -> float:
    """Return the lowest `with` minus the lowest `bare`, or the same of what was measured beside it."""
    return min(r[prefix + "with"] for r in readings) - min(r[prefix + "bare"] for r in readings)


def figures(measurement: Measurement) -> tuple[float, float, float]:
    """Return value, lowest and highest launch: multiples of the floor for times, else as they are."""
    s = summary(measurement)
    unit = s.floor if measurement.unit in TIMES else 1
    return s.value / unit, s.low / unit, s.high / unit


def latest() -> Path:
    """Return the results file that was written last. Raises SystemExit if there is none."""
    files = sorted((BENCH / "results").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise SystemExit("no results are stored yet: python bench/run.py")
    return files[-1]


def append(path: Path, head: dict[str, object], measurements: list[Measurement]) -> None:
    """Add one run to a results file, which is made if it does not exist."""
    record = {"schema": "recompyle.bench", "version": VERSION, **head}
    record["measurements"] = [_short(asdict(m)) for m in measurements]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _short(fields: dict) -> dict:
    """Drop what is empty, and digits that no clock has."""
    readings = [{key: float(f"{value:.6g}") for key, value in r.items()} for r in fields.pop("readings")]
    return {key: value for key, value in {**fields, "readings": readings}.items() if value}


def load(path: Path) -> list[dict]:
    """Return the runs of a results file, oldest first, with their measurements as objects.

    Raises:
        ValueError: a line is not a run of a version known here.
    """
    runs = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        run = json.loads(line)
        if (run.get("schema"), run.get("version")) != ("recompyle.bench", VERSION):
            raise ValueError(f"{path}, line {number}: not a version {VERSION} benchmark run")
        run["measurements"] = [Measurement(**fields) for fields in run["measurements"]]
        runs.append(run)
    return runs
