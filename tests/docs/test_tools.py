"""The worked tools of docs/tools, each on code of the standard library."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import statistics
import textwrap
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import recompyle

TOOLS = Path(__file__).resolve().parents[2] / "docs" / "tools"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(TOOLS.glob("*.py")), ids=lambda path: path.stem)
def test_tool_is_short_and_uses_the_public_interface(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert "from recompyle" not in text
    assert set(re.findall(r"\brecompyle\.(\w+)", text)) <= set(recompyle.__all__)


def test_branch_coverage() -> None:
    module = tool("branch_coverage")
    with module.covered("textwrap:dedent", "textwrap:TextWrapper.*") as branches:
        textwrap.fill("some text that is longer than a line", 20)
        some = module.missed(branches)
        textwrap.dedent("    a\n      b\n  c\n\td")
        textwrap.wrap("averyveryverylongword and more", 8, max_lines=2)
        more = module.missed(branches)
    assert set(more) < set(some)
    assert all(line.partition(":")[0].endswith("textwrap.py") for line in some)
    assert any("of TextWrapper._handle_long_word" in line for line in some)
    assert any(": else of " in line or ": then of " in line for line in more)
    assert branches.counters


def test_log_arguments() -> None:
    lines: list[str] = []
    with tool("log_arguments").logged("fractions:Fraction.limit_denominator", lines.append):
        assert Fraction("3.1415926").limit_denominator(100) == Fraction(311, 99)
        with pytest.raises(ValueError, match="max_denominator"):
            Fraction(1, 2).limit_denominator(0)
    Fraction(1, 2).limit_denominator(5)
    name = "Fraction.limit_denominator"
    assert lines == [
        f"{name}(self=Fraction(15707963, 5000000), max_denominator=100)",
        f"{name} gave Fraction(311, 99)",
        f"{name}(self=Fraction(1, 2), max_denominator=0)",
        f"{name} raised ValueError('max_denominator should be at least 1')",
    ]


def test_mutate() -> None:
    survivors = tool("mutate").survivors
    before = statistics.median_low.__code__

    def weak() -> None:
        assert statistics.median_low([1]) == 1

    def strong() -> None:
        assert statistics.median_low([3, 1, 2]) == 2
        assert statistics.median_low([4, 3, 2, 1]) == 2
        with pytest.raises(statistics.StatisticsError):
            statistics.median_low([])

    left = survivors("statistics:median_low", weak)
    assert any("Sub to Add" in line or "Eq to NotEq" in line for line in left)
    assert survivors("statistics:median_low", strong) == []
    assert statistics.median_low.__code__ is before


def test_slow_awaits() -> None:
    module = tool("slow_awaits")

    async def main() -> list[Any]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def fill() -> None:
            for i in range(3):
                await asyncio.sleep(0.01)
                await queue.put(i)

        task = asyncio.create_task(fill())
        got = [await queue.get() for _ in range(3)]
        await task
        return got

    with module.awaits("asyncio.queues:Queue.get", "asyncio.queues:Queue.put") as clocks:
        assert asyncio.run(main()) == [0, 1, 2]
    first = module.table(clocks).splitlines()[0]
    assert "Queue.get:" in first
    assert first.endswith("await getter")
    waited = max(clocks.values(), key=lambda clock: clock.total_ns)
    assert waited.count == 3
    assert waited.total_ns > 10_000_000


def test_guard_numbers() -> None:
    module = tool("guard_numbers")
    data = [1, 5, 2, 8, 7]
    expected = statistics.linear_regression(data, [2, 4, 6, 9, 1]), statistics.quantiles(data)
    with module.guarded("statistics:*"):
        assert (statistics.linear_regression(data, [2, 4, 6, 9, 1]), statistics.quantiles(data)) == expected
    huge = [1 << 61, 1 << 62, 1 << 63]
    assert statistics.median(huge[:2]) == 3 << 60
    with (
        module.guarded("statistics:median"),
        pytest.raises(module.OutOfRange, match=r"^data\[i - 1\] \+ data\[i\] gave 13835058055282163712$"),
    ):
        statistics.median([1 << 62, 1 << 63])
