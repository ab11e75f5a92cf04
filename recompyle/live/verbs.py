"""What a client can ask for. There are verbs only: paths and numbers cross the socket, never code or files."""

import contextlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recompyle.errors import NotRewritable, RecompyleError, TargetNotFound
from recompyle.live import cost, importing, proto, source
from recompyle.live._guard import Hits, counts_text, page
from recompyle.live.connection import Connection, failed
from recompyle.live.listing import Listed
from recompyle.live.proto import BadMessage, Message, field, optional
from recompyle.live.record import Record, Row, failure_of, text_of
from recompyle.live.resolve import Absent, resolve, split
from recompyle.live.state import registry, worker

if TYPE_CHECKING:
    from recompyle.live.agent import Agent

__all__ = ["View", "handle"]

WAITING = 100  # requests of one client that the worker has not got to yet
LONGEST = 365 * 86400.0  # seconds that something may be asked for
REPORT_LENGTH = 32 * 1024


class View:
    """What a client has been told, so that it is told only what is new.

    Attributes:
        every: seconds between two looks; 0: it does not want any.
        due: when the next look is.
        frame: what the last look has found and the client has not been told yet.
        reads_page: whether it reads the counters by itself.
        refusals: of what it has wanted restored with all the rest, which goes on first.
    """

    def __init__(self) -> None:
        self.every = 0.0
        self.due = 0.0
        self.frame: Iterator[Message] = iter(())
        self.reads_page = False
        self.refusals: list[RecompyleError] = []
        self._found: dict[str, list[Any]] = {}
        self._known: dict[str, tuple[Any, ...]] = {}
        self._hits: dict[str, int] = {}
        self._calls: dict[str, int | None] = {}

    def part(
        self,
        name: str,
        offset: int,
        look: Callable[[], list[Any]],
        make: Callable[[Sequence[Any]], list[Any]] = list,
        limit: int = proto.PAGE,
        write: Callable[[list[Any]], str] = proto.items_json,
        step: int = proto.BATCH,
    ) -> tuple[list[Any], int]:
        """One part of what may be too much for one answer: at first of what is there then, later of the same.

        Parameters:
            name: of what is asked for; of each name the last is kept.
            offset: how many the client has got.
            look: finds it all.
            make: makes items of the answer of some of it.
            limit: how many are wanted.
            write: writes items as JSON, without brackets around them.
            step: how many are made and written at once.

        Returns:
            The items, and how many there are in all.
        """
        if offset == 0 or name not in self._found:
            self._found[name] = look()
        found = self._found[name]
        items = proto.Part(found[offset:], make, limit, write, step)
        if offset + len(items) >= len(found):
            del self._found[name]
        return items, len(found)

    def news(self) -> Iterator[Message]:
        """What has changed since the last time, in messages of bounded size. What is not taken has not been told."""
        records = {record.path: record for record in registry.records()}
        gone = [path for path in self._known if path not in records]
        changed = [item for item in records.items() if self._known.get(item[0]) != _key(item[1])]
        while changed or gone:
            keys = {path: _key(record) for path, record in changed[: proto.PAGE]}  # before the rows: none is missed
            rows = proto.Part([record for _, record in changed], _rows)
            paths: proto.Part[str] = proto.Part(gone)
            for path in paths:
                del self._known[path]
            for path, _ in changed[: len(rows)]:
                before, self._known[path] = self._known.get(path), keys[path]
                if keys[path][3] == "hook_disabled" != (before or (None,) * 4)[3]:
                    yield {"event": "hook_disabled", "path": path}
            yield {"event": "state", "rows": rows, "gone": paths}
            changed, gone = changed[len(rows) :], gone[len(paths) :]
        counted = [(path, each.hits.count) for path, each in records.items() if each.hits is not None]
        new_hits = _differing(self._hits, {} if self.reads_page else dict(counted))
        new_calls = _differing(self._calls, registry.counted())
        while new_hits or new_calls:
            hits: proto.Part[tuple[str, Any]] = proto.Part(new_hits)
            calls: proto.Part[tuple[str, Any]] = proto.Part(new_calls)
            self._hits.update(hits)
            self._calls.update(calls)
            yield {"event": "stats", "hits": hits, "calls": calls}
            new_hits, new_calls = new_hits[len(hits) :], new_calls[len(calls) :]


def _differing(known: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any]]:
    """The numbers that are others than those known; what is counted no more is known no more."""
    for path in known.keys() - now.keys():
        del known[path]
    return [each for each in now.items() if each[0] not in known or known[each[0]] != each[1]]


def _key(record: Record) -> tuple[Any, ...]:
    error = record.shown_error
    slug = None if error is None else error["slug"]
    return record.shown_state, record.mode, record.frames.count(), slug, len(record.aliases), len(record.notes)


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
    except BadMessage:
        raise
    except Exception as error:
        connection.send(failed(number, *_said(error)))
        return
    if callable(answer):
        _have_done(agent, connection, number, answer)
    elif answer is not None:
        connection.send({"id": number, "ok": True, **answer})


def _have_done(
    agent: "Agent", connection: Connection, number: int, work: Callable[[], "Message | Future[Message]"]
) -> None:
    if connection.waiting >= WAITING:
        connection.send(failed(number, "limit", f"at most {WAITING} requests can wait"))
        return
    connection.waiting += 1

    def answer(future: "Future[Any]") -> None:  # in the worker's thread, or that of an import
        if future.exception() is None and isinstance(future.result(), Future):
            future.result().add_done_callback(answer)  # it takes its time
        else:
            agent.post(lambda: agent.serve(connection, lambda: deliver(future)))

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
            return error.slug, text_of(error)
        case Absent():
            return "not_imported", str(error)
        case ValueError() | TypeError():
            return "malformed", text_of(error)
        case _:
            return "failed", failure_of(error)["text"]


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


# -- verbs: each answers with a message, with what the worker has to do for one, or not at all; what the worker does may
# in turn begin what takes longer


def _path(message: Message) -> str:
    path = field(message, "path", str)
    if len(path) > proto.PATH_LENGTH:
        raise BadMessage(f"a path has at most {proto.PATH_LENGTH} characters")
    return path


def _list(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    pattern = optional(message, "pattern", str, "*")[: proto.PATH_LENGTH]
    offset, limit = _offset(message), optional(message, "limit", int, proto.PAGE)
    local = agent.everything if optional(message, "everything", bool, False) else agent.local
    only_known = optional(message, "instrumented", bool, False)
    if limit < 1:
        raise BadMessage("limit counts rows")
    view = connection.view

    def made(found: Sequence[Listed | Record]) -> list[Row]:
        return list(map(local.row, found))

    def work() -> Message:
        generation = page()[1]
        if only_known:
            rows, total = view.part("instrumented", offset, registry.records, _rows, limit)
        else:
            rows, total = view.part("list", offset, lambda: local.found(pattern), made, limit)
        return {"rows": rows, "total": total, "generation": generation}

    return work


def _rows(records: Sequence[Record]) -> list[Row]:
    return [registry.row(record) for record in records]


def _offset(message: Message) -> int:
    offset = optional(message, "offset", int, 0)
    if offset < 0:
        raise BadMessage("offset counts what came before")
    return offset


def _resolve(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path = _path(message)
    return lambda: {"row": source.row_of(path)}


def _instrument(
    agent: "Agent", connection: Connection, message: Message
) -> Callable[[], "Message | Future[Message]"]:
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

    def instrument() -> Record:
        how = {"mode": mode, "created": created, "live": live, "engine": engine}
        record = agent.leases.instrument(lease, path, keep, seconds, **how)
        agent.post(agent.watch_cost)
        return record

    def work() -> Message | Future[Message]:
        if agent.allow_import and _is_lazy(path):
            return importing.aside(path, lambda: _import(path), imported)
        record = instrument()
        if record.state != "pending" or not agent.allow_import:
            return {"row": source.settled_row(record)}

        def arrived(error: BaseException | None) -> Message:
            if error is not None:
                agent.leases.withdraw(lease, record, keep)
            return imported(error)

        try:
            return importing.aside(record.path, lambda: _import(record.path), arrived)
        except NotRewritable:
            agent.leases.withdraw(lease, record, keep)
            raise

    def imported(error: BaseException | None) -> Message:
        if error is not None:
            raise error
        return {"row": source.settled_row(instrument())}  # if it is refused, that says why

    return work


def _is_lazy(path: str) -> bool:
    try:
        resolve(path)
    except TargetNotFound as refusal:
        return refusal.slug == "lazy"
    except (RecompyleError, LookupError, ValueError):  # what else there is to say is said by who instruments
        return False
    return False


def _import(path: str) -> None:
    """Imports the module of a path, and has a lazy import in it happen that the path leads through."""
    import_module(split(path)[0])
    with contextlib.suppress(RecompyleError):  # as above
        resolve(path, allow_import=True)


def _restore(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    lease, view = connection.lease, connection.view
    assert lease is not None
    if optional(message, "all", bool, False):
        own, offset = optional(message, "own", bool, False), _offset(message)

        def chosen() -> list[Record]:
            view.refusals = []
            active = (each for each in registry.records() if each.state != "off")
            return [each for each in active if not own or lease.id in each.holders]

        def restored(records: Sequence[Record]) -> list[Row]:
            for record in records:
                try:
                    if own:
                        registry.restore(record, lease.id)
                    else:
                        agent.leases.restore(lease, record)
                except RecompyleError as refusal:
                    view.refusals.append(refusal)
            return _rows(records)

        def work_all() -> Message:
            rows, total = view.part("restored", offset, chosen, restored)
            if view.refusals and offset + len(rows) >= total:  # after all others
                raise view.refusals[0]
            return {"rows": rows, "total": total}

        return work_all
    path = _path(message)

    def work() -> Message:
        record = registry.find(path)
        if record is None:
            raise NotRewritable(f"{path} is not instrumented", "not_found")
        agent.leases.restore(lease, record)
        return {"rows": [source.settled_row(record)]}

    return work


def _all_counted() -> list[Record]:
    return [record for record in registry.records() if record.hits is not None]


def _stats(agent: "Agent", connection: Connection, message: Message) -> Message:
    if message.get("paths") is None:
        offset = _offset(message)
        counted, total = connection.view.part("stats", offset, _all_counted, write=counts_text, step=proto.PAGE)
        return {"stats": counted, "total": total}
    found = ((path, registry.known(path)) for path in proto.strings(message, "paths"))
    return {"stats": [(path, each.hits.count) for path, each in found if each is not None and each.hits is not None]}


def _details(agent: "Agent", connection: Connection, message: Message) -> Callable[[], Message]:
    path = _path(message)

    def work() -> Message:
        found = source.details_of(path)
        after = found["after"]
        return {
            "row": found["row"],
            "before": proto.shortened(found["before"]),
            "after": None if after is None else proto.shortened(after),
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
    connection.view.due, connection.view.frame = 0.0, iter(())
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
