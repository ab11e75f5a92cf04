"""Says so, in one way, where the compiled parts are missing: they belong to one version of CPython."""

import platform
from pathlib import Path

from recompyle.errors import NotCompiled

try:
    import recompyle._c.probe  # noqa: F401 - all of them are built together
except ImportError as error:
    raise NotCompiled(
        f"no compiled parts for {platform.python_implementation()} {platform.python_version()} in "
        f"{Path(__file__).parent}: install Recompyle with this interpreter, which takes a C compiler ({error})"
    ) from error
