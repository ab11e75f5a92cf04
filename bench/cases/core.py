"""What the C core costs by itself: each program of `bench/c`, compiled with the library's sources."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from environment import BENCH, TREE
from tools import Tool

TITLE = "The C core alone"
UNIT = "ns"
TOOLS = ("librecompyle",)
PROGRAMS = {
    "read, chosen clock": "bench_rcp_clock",
    "read, system clock": "bench_rcp_clock",
    "row": "bench_rcp_stack",
    "run without rows": "bench_rcp_stack",
    "run of 20 sites, less its rows": "bench_rcp_stack",
    "histogram record": "bench_rcp_hist",
}
QUESTIONS = tuple(PROGRAMS)
LAUNCHES, ROUNDS = 3, 2


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    core = TREE / "librecompyle"
    folder = tempfile.TemporaryDirectory()
    program = Path(folder.name, "bench")
    sources = [BENCH / "c" / f"{PROGRAMS[question]}.c", *sorted((core / "src").glob("*.c"))]
    flags = ["-std=gnu11", "-O3", f"-I{core / 'include'}", f"-I{core / 'src'}", "-pthread"]
    command = [os.environ.get("CC", "cc"), *flags, *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)

    def play_round(folder=folder):  # the folder lives as long as its program is needed
        return {"value": float(subprocess.check_output([program, question]))}

    return play_round
