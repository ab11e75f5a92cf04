"""Runs a script as plain Python would."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType
from typing import Any

from recompyle.cli.errors import INTERRUPTED, CommandError

__all__ = ["run_script"]


def run_script(path: str, arguments: Sequence[str], prepare: Callable[[CodeType, dict[str, Any]], CodeType]) -> int:
    """Run a file as ``__main__``, with its own ``sys.argv`` and its folder first in ``sys.path``.

    Parameters:
        path: the script.
        arguments: what it gets.
        prepare: from the script's code and globals to the code that runs.

    Returns:
        The exit code that Python would have ended with; an exception's traceback has been printed.

    Raises:
        CommandError: the file cannot be read or is no Python.
    """
    try:
        with io.open_code(os.path.abspath(path)) as file:
            text = file.read()
        code = compile(text, path, "exec", dont_inherit=True)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise CommandError(f"{path}: {error}") from None
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__, __cached__=None)
    code = prepare(code, main.__dict__)
    before = sys.modules["__main__"], sys.argv, sys.path[:]
    sys.modules["__main__"], sys.argv = main, [path, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        exec(code, main.__dict__)
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:
        # The first frame is this one.
        traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before
    return 0


def _exit_code(given: object) -> int:
    """What the interpreter makes of the argument of ``sys.exit``."""
    if given is None:
        return 0
    if isinstance(given, int):
        return given & 0xFF
    print(given, file=sys.stderr)
    return 1
