"""Facts about the machine and the tree, to stand beside every number."""

import os
import platform
import subprocess
from pathlib import Path


def first_line(command: list[str]) -> str | None:
    """Return the first line that `command` prints, None where it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0].strip()


def read(path: str) -> str | None:
    """Return the stripped text of a file, None where it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    for line in (read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    brand = first_line(["sysctl", "-n", "machdep.cpu.brand_string"])
    return brand or platform.processor() or platform.machine()


def describe() -> dict[str, object]:
    """Return processor, cores, system, governor, clock source, compiler; None for what cannot be learned."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "hypervisor": "hypervisor" in (read("/proc/cpuinfo") or ""),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "compiler": first_line([os.environ.get("CC", "cc"), "--version"]),
    }


def commit(tree: Path) -> str | None:
    """Return the short commit of `tree`, with `+` where package or core differ from it; None outside git."""
    git = ["git", "-C", str(tree)]
    name = first_line([*git, "rev-parse", "--short=12", "HEAD"])
    changed = first_line([*git, "status", "--porcelain", "recompyle", "librecompyle", "setup.py"])
    return name and name + ("+" if changed else "")


def slug(facts: dict[str, object]) -> str:
    """Return a file name for the results of this machine, such as `amd-epyc-2-cores`."""
    words = "".join(c if c.isalnum() else " " for c in str(facts["cpu"]).lower()).split()
    return "-".join([*words, str(facts["cores"]), "cores"])
