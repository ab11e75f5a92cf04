"""What a client can ask for. There are verbs only: paths and numbers cross the socket, never code or files."""

import hmac
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from recompyle.errors import NotRewritable, RecompyleError
from recompyle.live import cost, proto, source
from recompyle.live._guard import Hits, page
from recompyle.live.connection import Connection, failed
from recompyle.live.proto import BadMessage, Message, field, optional
from recompyle.live.registry import Record, Row
from recompyle.live.resolve import Absent
from recompyle.live.state import registry, worker

if TYPE_CHECKING:
    from recompyle.live.agent import Agent

__all__ = ["View", "handle"]

WAITING = 100  # requests of one client that the worker has not got to yet
LONGEST = 365 * 86400.0  # seconds that something may be asked for
REPORT_LENGTH = 32 * 1024
PAGE_BYTES = 512 * 1024


class View:
    """What a client has been told, so that it is told only what is new.

    Attributes:
        every: seconds between two looks; 0: it does not want any.
        due: when the next look is.
        reads_page: whether it reads the counters by itself.
        listed: what it has asked for last, of which it gets one part after another.
    """

    def __init__(self) -> None:
        self.every = 0.0
        self.due = 0.0
        self.reads_page = False
        self.listed: list[Row] = []
        self._known: dict[str, tuple[Any, ...]] = {}
        self._hits: dict[str, int] = {}
        self._calls: dict[str, int | None] = {}

    def news(self) -> Iterable[Message]:
        """What has changed since the last time."""
        records = registry.records()
        changed: list[Row] = []
        keys = {record.path: _key(record) for record in records}
        for record in records:
            before = self._known.get(record.path)
            if before != keys[record.path] and len(changed) < proto.PAGE:
                changed.append(registry.row(record))
                self._known[record.path] = keys[record.path]
                if keys[record.path][3] == "hook_disabled" != (before or (None,) * 4)[3]:
                    yield {"event": "hook_disabled", "path": record.path}
        gone = [path for path in self._known if path not in keys]
        for path in gone:
            del self._known[path]
        if changed or gone:
            yield {"event": "state", "rows": changed, "gone": gone}
        hits = {} if self.reads_page else {each.path: each.hits.count for each in records if each.hits is not None}
        calls = registry.counted()
        new_hits = [each for each in hits.items() if self._hits.get(each[0]) != each[1]]
        new_calls = [each for each in calls.items() if self._calls.get(each[0]) != each[1]]
        self._hits, self._calls = hits, calls
        if new_hits or new_calls:
            yield {"event": "stats", "hits": new_hits, "calls": new_calls}


def _key(record: Record) -> tuple[Any, ...]:
    error = record.error["slug"] if record.error is not None else None
    if error is None and record.guard is not None and record.guard.off:
        error = "hook_disabled"
    return record.shown_state, record.mode, record.frames.count(), error, len(record.aliases), len(record.notes)


def handle(agent: "Agent", connection: Connection, message: Message) -> None:
    """Carry out a request, or have the worker do so.

    Raises:
        BadMessage: it is not according to the protocol.
    """
    number = field(message, "id", int)
    name = field(message, "op", str)
    if connection.lease is None:
        if name != "hello":
            raise BadMessage("hello comes first")
        _hello(agent, connection, number, message)
        return
    verb = _VERBS.get(name)
    if verb is None:
        connection.send(failed(number, "unknown_op", f"there is no op {name!r}"))
        return
    try:
        answer = verb(agent, connection, message)
    except RecompyleError as refusal:
        connection.send(failed(number, refusal.slug, str(refusal)))
        return
    if callable(answer):
        _have_done(agent, connection, number, answer)
    elif answer is not None:
        connection.send({"id": number, "ok": True, **answer})


def _have_done(agent: "Agent", connection: Connection, number: int, work: Callable[[], Message]) -> None:
    if connection.waiting >= WAITING:
        connection.send(failed(number, "limit", f"at most {WAITING} requests can wait"))
        return
    connection.waiting += 1

    def answer(future: "Future[Message]") -> None:  # in the worker's thread
        agent.post(lambda: deliver(future))

    def deliver(future: "Future[Message]") -> None:
        connection.waiting -= 1
        error = future.exception()
        if error is None:
            connection.send({"id": number, "ok": True, **future.result()})
        else:
            connection.send(failed(number, *_said(error)))

    worker.submit(work).add_done_callback(answer)


def _said(error: BaseException) -> tuple[str, str]:
    match error:
        case RecompyleError():
            return error.slug, str(error)
        case Absent():
            return "not_imported", str(error)
        case ValueError() | TypeError():
            return "malformed", str(error)
        case _:
            return "failed", f"{type(error).__name__}: {error}"


# -- hello


def _hello(agent: "Agent", connection: Connection, number: int, message: Message) -> None:
    version = field(message, "v", int)
    if version != proto.VERSION:
        text = f"the client speaks version {version} of the protocol, the program version {proto.VERSION}"
        connection.send(failed(number, "version", text))
        connection.closed = True
    elif not hmac.compare_digest(field(message, "token", str).encode("utf-8", "replace"), agent.token.encode("ascii")):
        connection.send(failed(number, "bad_token", "wrong token"))
        connection.closed = True
    else:
        agent.begin(connection, optional(message, "session", str, "") or None)
        connection.view = View()
        _have_done(agent, connection, number, lambda: _welcome(connection))


def _welcome(connection: Connection) -> Message:
    assert connection.lease is not None
    limits = {
        "message": proto.REQUEST_BYTES,
        "depth": proto.DEPTH,
        "clients": proto.CLIENTS,
        "probes": proto.PROBES,
        "page": proto.PAGE,
        "requests_a_second": proto.REQUESTS_A_SECOND,
        "lease_s": proto.LEASE_SECONDS,
    }
    return {
        "session": connection.lease.id,
        "limits": limits,
        "ns_per_hit": round(cost.ns_per_hit("counter"), 1),
        "ns_per_hook_hit": round(cost.ns_per_hit("hook"), 1),
    }


# -- verbs: each answers with a message, with what the worker has to do for one, or not at all


def _path(message: Message) -> str:
    path = field(message, "path", str)
    if len(path) > proto.PATH_LENGTH:
        raise BadMessage(f"a path has at most {proto.PATH_LENGTH} characters")
    return path


def _list(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    pattern = optional(message, "pattern", str, "*")[: proto.PATH_LENGTH]
    offset, limit = optional(message, "offset", int, 0), optional(message, "limit", int, proto.PAGE)
    local = agent.everything if optional(message, "everything", bool, False) else agent.local
    only_known = optional(message, "instrumented", bool, False)
    if offset < 0 or limit < 1:
        raise BadMessage("offset and limit count rows")
    view = connection.view

    def work() -> Message:
        generation = page()[1]
        if only_known:
            found = [registry.row(record) for record in registry.records()]
        else:
            if offset == 0:
                view.listed = local.rows(pattern)
            found = view.listed
        rows: list[Row] = []
        size = 0
        for row in found[offset : offset + min(limit, proto.PAGE)]:
            size += len(proto.encode(dict(row)))
            if size > PAGE_BYTES and rows:
                break
            rows.append(row)
        return {"rows": rows, "total": len(found), "generation": generation}

    return work


def _resolve(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path = _path(message)
    return lambda: {"row": source.details_of(path)["row"]}


def _instrument(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path, lease = _path(message), connection.lease
    mode = optional(message, "mode", str, "counter")
    if mode not in ("counter", "hook"):
        raise BadMessage("mode is counter or hook")
    engine = optional(message, "engine", str, "code")
    if engine not in ("code", "monitoring"):
        raise BadMessage("engine is code or monitoring")
    created = optional(message, "created", bool, False)
    live, keep = optional(message, "live", bool, False), optional(message, "keep", bool, False)
    seconds = None if message.get("seconds") is None else field(message, "seconds", float)
    if seconds is not None and not 0 < seconds <= LONGEST:
        raise BadMessage("seconds must be positive, and at most a year")
    assert lease is not None

    def work() -> Message:
        how = {"mode": mode, "created": created, "live": live, "engine": engine, "allow_import": agent.allow_import}
        record = agent.leases.instrument(lease, path, keep, seconds, **how)
        agent.post(agent.watch_cost)
        return {"row": source.settled_row(record)}

    return work


def _restore(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    lease = connection.lease
    assert lease is not None
    if optional(message, "all", bool, False):
        own = optional(message, "own", bool, False)

        def work_all() -> Message:
            if own:
                return {"rows": [registry.row(each) for each in registry.restore_all(lease.id)]}
            records = [each for each in registry.records() if each.state != "off"]
            refusals = []
            for record in records:
                try:
                    agent.leases.restore(lease, record)
                except RecompyleError as refusal:
                    refusals.append(refusal)
            if refusals:
                raise refusals[0]
            return {"rows": [registry.row(record) for record in records]}

        return work_all
    path = _path(message)

    def work() -> Message:
        record = registry.find(path)
        if record is None:
            raise NotRewritable(f"{path} is not instrumented", "not_found")
        agent.leases.restore(lease, record)
        return {"rows": [source.settled_row(record)]}

    return work


def _stats(agent: "Agent", connection: Connection, message: Message) -> Message:
    if message.get("paths") is None:
        return {"stats": [(each.path, each.hits.count) for each in registry.records() if each.hits is not None]}
    found = ((path, registry.known(path)) for path in proto.strings(message, "paths"))
    return {"stats": [(path, each.hits.count) for path, each in found if each is not None and each.hits is not None]}


def _details(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path = _path(message)

    def work() -> Message:
        found = source.details_of(path)
        after = found["after"]
        return {
            "row": found["row"],
            "before": found["before"][: proto.TEXT_LENGTH],
            "after": None if after is None else after[: proto.TEXT_LENGTH],
            "in_flight": found["row"]["in_flight"],
        }

    return work


def _counters(agent: "Agent", connection: Connection, message: Message) -> None:
    if page()[2] == 0:
        Hits("none")  # the first one makes the page
    descriptor, generation, slots = page()
    if descriptor < 0:
        raise NotRewritable("this system has no memory that can be shared for reading only; ask for stats", "no_page")
    agent.note_start()
    connection.view.reads_page = True
    answer = {"id": message["id"], "ok": True, "slots": slots, "generation": generation}
    connection.send(answer, descriptor)


def _subscribe(agent: "Agent", connection: Connection, message: Message) -> Message:
    hz = field(message, "hz", float)
    if not 0 <= hz <= proto.HZ:
        raise BadMessage(f"hz is from 0 to {proto.HZ}")
    connection.view.every = 0.0 if hz < 0.01 else 1 / hz
    connection.view.due = 0.0
    return {}


def _profile(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path, lease = _path(message), connection.lease
    limit_ms = field(message, "limit_ms", float)
    if not 0 <= limit_ms <= LONGEST * 1000:
        raise BadMessage("limit_ms is not negative, and at most a year")
    assert lease is not None

    def work() -> Message:
        number = agent.next_number()
        if len(lease.profiles) >= proto.PROBES or lease.over:
            raise NotRewritable(f"at most {proto.PROBES} functions can be profiled over the socket", "limit")

        def report(text: str) -> None:  # in whichever thread the slow run was
            agent.report(lease, {"event": "slow_call", "profile": number, "path": path, "text": text[:REPORT_LENGTH]})

        lease.profiles[number] = source.profile(path, limit_ms, report)
        if lease.over:  # meanwhile
            lease.profiles.pop(number, lambda: None)()
        return {"profile": number}

    return work


def _profile_end(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    number, lease = field(message, "profile", int), connection.lease
    assert lease is not None

    def work() -> Message:
        end = lease.profiles.pop(number, None)
        if end is not None:
            end()
        return {}

    return work


def _quit(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    keep = optional(message, "keep", bool, False)
    lease = connection.lease
    assert lease is not None

    def work() -> Message:
        agent.leases.end(lease, keep)
        return {}

    return work


_VERBS: dict[str, Callable[["Agent", Connection, Message], Any]] = {
    "list": _list,
    "resolve": _resolve,
    "instrument": _instrument,
    "restore": _restore,
    "stats": _stats,
    "details": _details,
    "counters": _counters,
    "subscribe": _subscribe,
    "profile": _profile,
    "profile_end": _profile_end,
    "quit": _quit,
}
