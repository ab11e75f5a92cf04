"""A program for sessions to show, with the rows that a test gives it, and a clock that stands still."""

from concurrent.futures import Future
from functools import partial

from recompyle.errors import NotRewritable


def row(path, **changes):
    """A row as of the format, of a function that is off."""
    base = {
        "path": path, "aliases": [], "kind": "function", "flavor": "plain", "owner": path.split(":")[0],
        "file": "/app/x.py", "line": 1, "state": "off", "mode": None, "calls": None, "hits": 0, "rate": None,
        "last_hit_ms": None, "in_flight": 0, "slot": None, "engine": "code", "notes": [], "error": None,
    }  # fmt: skip
    return {**base, **changes}


def answer(function, *arguments):
    """A future that is done."""
    future = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


class Scripted:
    """A source of which a test says what it holds; orders are carried out at once.

    Parameters:
        rows: what it holds.
        hits: by name; see `set`.

    Attributes:
        held: rows by path.
        orders: what was ordered, as tuples.
        polls: how often it was asked.
        gone: from now on polls fail.
        ns: what one hit costs; None: not known. Sessions ask at their beginning.
    """

    pid, python, started, session = 4711, "3.13.0", 1.0, "of the agent"

    def __init__(self, rows=(), **hits):
        self.held = {each["path"]: each for each in rows}
        self.orders, self.polls, self.gone, self.kept = [], 0, False, None
        self.report = self.ns = None
        for name, count in hits.items():
            self.set(name, count)

    def set(self, name, hits, calls=None, state="on", in_flight=0):
        """Say what it holds of a function of ``app.orders`` in counter mode."""
        path = f"app.orders:{name}"
        self.held[path] = row(path, hits=hits, calls=calls, state=state, in_flight=in_flight, mode="counter")

    def poll(self):
        self.polls += 1
        if self.gone:
            raise ConnectionError("process 4711 is gone")
        return [dict(each) for each in self.held.values()]

    def rows(self, pattern="*"):
        return self.poll()

    def instrument(self, path, mode="counter"):
        self.orders.append(("instrument", path, mode))
        return answer(self._turn, path, "on", mode)

    def restore(self, path):
        self.orders.append(("restore", path))
        return answer(self._turn, path, "off", None)

    def _turn(self, path, state, mode):
        if path not in self.held:
            raise NotRewritable(f"{path} is not there", "not_found")
        self.held[path].update(state=state, mode=mode)
        return dict(self.held[path])

    def restore_all(self):
        self.orders.append(("restore_all",))
        on = [path for path, each in self.held.items() if each["state"] == "on"]
        return answer(lambda: [self._turn(path, "off", None) for path in on])

    def details(self, path):
        self.orders.append(("details", path))
        return answer(lambda: {"row": dict(self.held[path]), "before": "  1  RESUME", "after": "  1  RESUME\n     NOP"})

    def profile(self, path, limit_ms, report):
        self.orders.append(("profile", path, limit_ms))
        self.report = report
        return answer(lambda: partial(self.orders.append, ("end", path)))

    def ns_per_hit(self, mode):
        return self.ns

    def close(self, keep=False):
        self.kept = keep


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now
