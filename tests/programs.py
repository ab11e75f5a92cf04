"""Programs in processes of their own, which tests tell what to do."""

import os
import select
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from recompyle.live.client import connect

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60  # seconds; ends a hang only

_LOOP = """
if __name__ == "__main__":
    import sys as _sys, ast as _ast
    for _line in _sys.stdin:
        try:
            _text = _ast.literal_eval(_line)
            try:
                _code = compile(_text, "<told>", "eval")
            except SyntaxError:
                _code = compile(_text, "<told>", "exec")
            _said = eval(_code, globals())
        except Exception as _error:
            _said = f"{type(_error).__name__}: {_error}"
        print(repr(_said), flush=True)
"""


def until(condition, what="what was waited for"):
    """Wait until something is so, and return it."""
    end = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)
    return found


class Program:
    """A Python program that does what it is told, one thing after another.

    Parameters:
        folder: for its file.
        text: its source; what it is told runs in the same namespace.
        listen: how it begins to listen; None: it does not.
        hello: seconds in which clients must say hello; long, because the machine may be busy.
        before: command line before the file's name, after the interpreter's.
    """

    def __init__(self, folder, text="", listen="live.listen()", hello=3600, before=(), **environment):
        self.file = Path(folder) / "app.py"
        head = f"from recompyle import live\nfrom recompyle.live import proto\nproto.HELLO_SECONDS = {hello}\n"
        head = head if listen else ""
        self.file.write_text(f"{head}{textwrap.dedent(text)}\n{_LOOP}", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-P", *before, str(self.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        self.pid = self.process.pid
        if listen:
            self.path = self.told(f"{listen}.path")

    def tell(self, text):
        """Say what to do, without waiting."""
        self.process.stdin.write(repr(textwrap.dedent(text)) + "\n")
        self.process.stdin.flush()

    def hear(self):
        """What the oldest thing told came to."""
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        assert ready, "the program says nothing"
        line = self.process.stdout.readline()
        assert line, f"the program has ended with {self.process.wait()}"
        return eval(line)

    def told(self, text):
        """Tell it something, and wait."""
        self.tell(text)
        return self.hear()

    def connect(self, **options):
        return connect(self.pid, timeout=LIMIT, **options)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
