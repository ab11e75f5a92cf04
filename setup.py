"""Builds the extensions. Everything that is not a compiled part stands in pyproject.toml.

Each extension compiles in the C core's sources that it needs: the core has no mutable globals, so two copies
have nothing to disagree about. Switches, read from the environment:

RECOMPYLE_SANITIZE  a list for -fsanitize=, such as ``address,undefined``
RECOMPYLE_COVERAGE  1: line tracing in the Cython parts, for coverage (slow)
RECOMPYLE_DEBUG     1: no optimisation, assertions and the core's debug counters on
"""

import os
import sys
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = "librecompyle"
SANITIZE = os.environ.get("RECOMPYLE_SANITIZE", "")
COVERAGE = os.environ.get("RECOMPYLE_COVERAGE") == "1"
DEBUG = os.environ.get("RECOMPYLE_DEBUG") == "1"

# Types and globals belong to the interpreter that imports them, so that there may be several. Costs no time in a probe.
PER_INTERPRETER = [("CYTHON_USE_MODULE_STATE", "1"), ("CYTHON_USE_TYPE_SPECS", "1")]

# module -> the core's sources it calls out of line
MODULES = {
    "recompyle._c.check": ["errno"],
    "recompyle._c.probe": [],
    "recompyle._c.linemap": ["base", "errno", "linemap"],
    "recompyle._c.state": ["base", "errno", "clock", "stack"],
    "recompyle.rewrite.source": [],
    "recompyle.rewrite.skeleton": [],
    "recompyle.rewrite.transform": [],
    "recompyle.rewrite.walk": [],
    "recompyle.rewrite.link": [],
    "recompyle.rewrite.origin": [],
    "recompyle.rewrite.probes": ["base", "errno", "clock"],
    "recompyle.rewrite.locate": [],
    "recompyle.live._guard": [],
    "recompyle.live._members": [],
    "recompyle.inject._fast": [],
    "recompyle.inject.calls": [],
    "recompyle.inject.probes": [],
    "recompyle.patch.swap": [],
    "recompyle.patch.quiet": [],
    "recompyle.patch.turns": [],
    "recompyle.wrap.probes": [],
    "recompyle.wrap.tracebacks": [],
    "recompyle.trace.probes": [],
    "recompyle.profile.probes": ["base", "errno", "clock", "stack", "gate", "hist"],
}


def compiler_flags():
    """Flags for the compiler and the linker, as two lists."""
    if sys.platform == "win32":
        return ["/std:c11", "/O2"], []
    flags = ["-std=gnu11", "-fvisibility=hidden", "-Wno-unused-function"]
    link = []
    # Thread-local data in an extension is otherwise reached by a call; see docs/explanation/overhead.md.
    flags += ["-ftls-model=initial-exec"] if sys.platform.startswith("linux") else []
    flags += ["-O0", "-g", "-DRCP_DEBUG=1"] if DEBUG else ["-O3"]
    if SANITIZE:
        flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g", "-O1"]
        link += [f"-fsanitize={SANITIZE}"]
    if COVERAGE:
        flags += ["-DCYTHON_TRACE=1", "-DCYTHON_USE_SYS_MONITORING=0"]
    return flags, link


def extension(name, parts):
    """One extension: its .pyx, the core's sources, and every header as a dependency."""
    flags, link = compiler_flags()
    return Extension(
        name,
        [name.replace(".", "/") + ".pyx", *(f"{CORE}/src/rcp_{part}.c" for part in parts)],
        include_dirs=[f"{CORE}/include", f"{CORE}/src", "recompyle/_c"],
        depends=["setup.py", *glob(f"{CORE}/include/*.h"), *glob(f"{CORE}/src/*.h"), *glob("recompyle/*/*.h")],
        define_macros=PER_INTERPRETER,
        extra_compile_args=flags,
        extra_link_args=link,
    )


os.chdir(Path(__file__).parent)
setup(
    ext_modules=cythonize(
        [extension(*item) for item in MODULES.items()],
        compiler_directives={
            "language_level": "3",
            "embedsignature": True,
            "freethreading_compatible": True,
            "subinterpreters_compatible": "own_gil",
            "linetrace": COVERAGE,
        },
        nthreads=0,
        quiet=True,
    )
)
