"""What the service has to bear: clients that ask without pause, and a job that locks the database."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

ORDER = {
    "customer": "Ada Lovelace",
    "lines": [{"article": f"part {number}", "count": number, "each": 1.25 * number} for number in range(1, 13)],
}


class Clients:
    """Threads that send requests in turn, three of them reading for each one that writes."""

    def __init__(self, url: str, count: int) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._url = url
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        # An opener without proxies: the requests stay on this machine whatever the environment says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        body = json.dumps(ORDER).encode()
        turn = number
        while not self._stop.is_set():
            turn += 1
            request = urllib.request.Request(self._url, body if turn % 4 == 0 else None)
            try:
                with opener.open(request, timeout=10) as answer:
                    json.loads(answer.read())
            except OSError as error:
                self.failed.append(str(error))
                self._stop.wait(0.1)
                continue
            with self._lock:
                self.answered += 1


class Locker(threading.Thread):
    """Locks the database for a moment, again and again, as a badly written backup would."""

    def __init__(self, file: Path, hold: float, pause: float) -> None:
        super().__init__(name="backup")
        self._file, self._hold, self._pause = file, hold, pause
        self._halt = threading.Event()

    def __enter__(self) -> Locker:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._halt.set()
        self.join()

    def run(self) -> None:
        while not self._halt.wait(self._pause):
            with closing(sqlite3.connect(self._file, timeout=5, isolation_level=None)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(self._hold)
                connection.execute("ROLLBACK")
