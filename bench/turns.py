"""Rounds in turns: every tool measures one after the other, on one processor, again and again.

A virtual machine changes speed from one second to the next. Whoever measures one tool to the end and then the
other compares the two speeds. Here each reading of each tool has the floor's reading of the same round beside
it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from types import ModuleType

from environment import BENCH, Environment
from tools import TOOLS

Reading = dict[str, float]


@dataclass
class Measurement:
    """All readings of one tool on one question; without readings, `unsupported` says why."""

    case: str
    question: str
    tool: str
    unit: str
    readings: list[Reading] = field(default_factory=list)
    unsupported: str | None = None
    version: str | None = None


class Worker:
    """A process that measures one question with one tool. See `worker.py` for what is said to it and back."""

    def __init__(self, environment: Environment, case: str, tool: str, question: str, cpu: int):
        command = [environment.python, BENCH / "worker.py", case, tool, question, str(cpu)]
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(environment.root), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._name = f"{case}, {question}, {tool}"
        hello = self._answer()
        self.unsupported: str | None = hello.get("unsupported")
        self.version: str | None = hello.get("ready")

    def round(self) -> Reading:
        """Let it measure once. Raises RuntimeError if the process has died."""
        assert self._process.stdin
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.communicate()

    def _answer(self) -> dict:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"worker died ({self._process.wait()}): {self._name}")
        return json.loads(line)


def measure(
    case: ModuleType, environments: dict[str, Environment], cpu: int, launches: int, rounds: int
) -> Iterator[Measurement]:
    """Measure every question of a case with every tool of it.

    Args:
        case: a module of `cases`.
        environments: `"ours"` and `"rivals"`.
        cpu: the number of the processor to run on.
        launches: how often each worker is started anew: the luck of one memory layout must not decide.
        rounds: readings in each launch.

    Yields:
        one measurement for each question and tool.

    Raises:
        RuntimeError: a worker died.
    """
    name = case.__name__.rpartition(".")[2]
    for question in case.QUESTIONS:
        unit = case.UNIT if isinstance(case.UNIT, str) else case.UNIT[question]
        results = {tool: Measurement(name, question, tool, unit) for tool in case.TOOLS}
        for launch in range(launches):
            for reading in _launch(name, question, case.TOOLS, environments, cpu, rounds, results):
                reading["launch"] = launch
            print(".", end="", file=sys.stderr, flush=True)
        yield from results.values()


def _launch(
    name: str,
    question: str,
    tool_names: tuple[str, ...],
    environments: dict[str, Environment],
    cpu: int,
    rounds: int,
    results: dict[str, Measurement],
) -> Iterator[Reading]:
    """Start one worker for each tool, play the rounds, add to `results`, and yield each reading made."""
    workers: dict[str, Worker] = {}
    reference = None
    try:
        for tool in tool_names:
            if results[tool].unsupported:
                continue
            worker = Worker(environments[TOOLS[tool].HOME], name, tool, question, cpu)
            results[tool].unsupported, results[tool].version = worker.unsupported, worker.version
            if worker.unsupported:
                worker.close()
            else:
                workers[tool] = worker
        if "floor" not in workers:
            reference = Worker(environments["ours"], "timed_call", "floor", "function", cpu)
        for _ in range(rounds):
            readings = {tool: worker.round() for tool, worker in workers.items()}
            floor = reference.round() if reference else readings["floor"]
            for tool, reading in readings.items():
                reading["floor_bare"], reading["floor_with"] = floor["bare"], floor["with"]
                results[tool].readings.append(reading)
                yield reading
    finally:
        for worker in chain(workers.values(), [reference] if reference else []):
            worker.close()
