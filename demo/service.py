"""A small order service on http.server, json and sqlite3. It knows nothing of profiling."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL, lines TEXT);
"""


class Orders:
    """The orders in the database; a connection for each request, as its threads come and go."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with closing(self.connect()) as connection:
            connection.executescript(SCHEMA)

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, timeout=5)

    def place(self, order: dict) -> dict:
        """Stores an order and answers with its number and total."""
        total = sum(price(line) for line in order["lines"])
        row = (order["customer"], total, json.dumps(order["lines"]))
        with closing(self.connect()) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            cursor = connection.execute("INSERT INTO orders (customer, total, lines) VALUES (?, ?, ?)", row)
            connection.commit()
        return {"id": cursor.lastrowid, "total": total}

    def latest(self, count: int) -> list[dict]:
        """The newest orders, newest first."""
        query = "SELECT id, customer, total, lines FROM orders ORDER BY id DESC LIMIT ?"
        with closing(self.connect()) as connection:
            rows = connection.execute(query, (count,)).fetchall()
        return [order_from(row) for row in rows]


def price(line: dict) -> float:
    """What one line of an order comes to."""
    return round(line["count"] * line["each"] * (0.9 if line["count"] >= 10 else 1.0), 2)


def order_from(row: tuple) -> dict:
    """A row of the table as it is shown outside."""
    number, customer, total, lines = row
    return {"id": number, "customer": customer, "total": total, "lines": json.loads(lines)}


class Handler(BaseHTTPRequestHandler):
    """GET /orders lists the newest orders, POST /orders places one."""

    def do_GET(self) -> None:
        self.answer(200, self.server.orders.latest(20))

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        order = json.loads(self.rfile.read(length))
        self.answer(201, self.server.orders.place(order))

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Nothing: the demo's screen belongs to the slow calls."""


class Service(ThreadingHTTPServer):
    """The service on a free port of the loopback interface."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, file: Path) -> None:
        self.orders = Orders(file)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/orders"
