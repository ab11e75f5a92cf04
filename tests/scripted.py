"""A program for sessions to show, with the rows that a test gives it, and a clock that stands still."""

from concurrent.futures import Future

from recompyle import TargetNotFound


class Scripted:
    """A source with the rows that a test gives it."""

    pid, python, started = 4711, "3.13.0", 1.0

    def __init__(self, **hits):
        self.rows_by_name = {}
        self.orders = []
        for name, count in hits.items():
            self.set(name, count)

    def set(self, name, hits, calls=None, state="on", in_flight=0):
        self.rows_by_name[name] = {
            "path": f"app.orders:{name}",
            "aliases": [],
            "kind": "function",
            "flavor": "plain",
            "owner": "app.orders",
            "file": "/app/orders.py",
            "line": 1,
            "state": state,
            "mode": "counter",
            "calls": calls,
            "hits": hits,
            "rate": None,
            "last_hit_ms": None,
            "in_flight": in_flight,
            "slot": 0,
            "engine": "code",
            "notes": [],
            "error": None,
        }

    def poll(self):
        return [dict(row) for row in self.rows_by_name.values()]

    def instrument(self, path, mode="counter"):
        self.orders.append((path, mode))
        future = Future()
        row = self.rows_by_name.get(path.partition(":")[2])
        if row is None:
            future.set_exception(TargetNotFound(f"{path}: it has no such name", "not_found"))
        else:
            future.set_result(dict(row, mode=mode))
        return future


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now
