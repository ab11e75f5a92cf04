"""Attacks on the agent, one for each of its rules, and what it does for those who keep them."""

import contextlib
import json
import os
import pickle
import select
import socket
import subprocess
import sys
import threading
import types

import pytest
from programs import LIMIT, ROOT, until

from recompyle import RecompyleError, Unreachable
from recompyle.live import peer, place, proto
from recompyle.live.client import Client, greeting, place_of
from recompyle.live.connection import Connection
from recompyle.live.leases import Lease
from recompyle.live.place import Place

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

APP = """
def total(x=1):
    return x + 1

def other(x):
    return total(x)
"""


class Raw:
    """A client that sends what it likes."""

    def __init__(self, program, hello=True):
        self.where = place_of(program.pid)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self.where.socket)
        self.rest = b""
        if hello:
            assert self.line()["hello"] == "recompyle.live"
            self.send({"id": 0, "op": "hello", "v": 1, "token": place.read_token(self.where)})
            assert self.line()["ok"]

    def send(self, message):
        self.raw(json.dumps(message).encode() + b"\n")

    def raw(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # closed meanwhile
            self.sock.sendall(data)

    def line(self):
        """The next message; None at the end."""
        while b"\n" not in self.rest:
            try:
                got = self.sock.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def lines(self):
        return list(iter(self.line, None))

    def ask(self, op, **fields):
        self.send({"id": 7, "op": op, **fields})
        return self.line()

    def error(self, op, **fields):
        answer = self.ask(op, **fields)
        assert answer["ok"] is False
        return answer["error"]["slug"]

    def close(self):
        self.sock.close()


def assert_well(program):
    """The program goes on, and others are served."""
    with program.connect() as client:
        assert client.resolve("__main__:total")["state"] == "off"
    assert program.told("total(1)") == 2


# -- who may connect


@as_root
def test_another_user_gets_no_byte(start, runtime):
    program = start(APP)
    where = place_of(program.pid)
    runtime.chmod(0o755)
    os.chmod(where.folder, 0o755)
    os.chmod(where.socket, 0o666)  # so that only the check of the user is left
    done = subprocess.run(
        [sys.executable, "-c", f"""if 1:
        import os, socket
        os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout({LIMIT})
        sock.connect({where.socket!r})
        try:
            sock.sendall(b'{{"id": 1, "op": "hello"}}\\n')
            print(sock.recv(100))
        except ConnectionError:
            print(b"")
        """],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "b''\n"
    assert_well(program)


@as_root
def test_another_user_cannot_reach_the_socket(start, runtime):
    program = start(APP)
    runtime.chmod(0o755)
    pid = os.fork()
    if not pid:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            socket.socket(socket.AF_UNIX).connect(program.path)
        except PermissionError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


# The interpreter's own folder may be closed to that user, so everything is imported before.
USER = f"""
import os, encodings.ascii, recompyle.inject, recompyle.live.agent
os.setgid({NOBODY}); os.setuid({NOBODY})
"""


@as_root
@pytest.mark.parametrize("allowed", [False, True])
def test_root_is_no_exception_unless_the_program_says_so(start, runtime, allowed):
    os.chown(runtime, NOBODY, NOBODY)
    program = start(USER + APP, listen=f"live.listen(allow_root={allowed})")
    assert program.path.startswith(str(runtime))
    with pytest.raises(Unreachable) as refusal:
        program.connect()
    assert refusal.value.slug == "not_permitted"
    assert "run this as that user" in str(refusal.value)
    if allowed:
        with program.connect(allow_root=True) as client:
            assert client.resolve("__main__:total")["path"] == "__main__:total"
    else:
        with pytest.raises(Unreachable) as refusal:
            program.connect(allow_root=True)
        assert refusal.value.slug == "not_permitted"


@linux
def test_the_kernel_says_who_the_peer_is():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer.pid_and_user(ours) == (os.getpid(), os.geteuid())
        process = peer.process_of(ours)
        if process is not None:
            assert not os.get_inheritable(process)
            os.close(process)


@pytest.mark.parametrize("token", ["", "0" * 64, "é" * 64, "\ud800"])
def test_a_wrong_token(start, token):
    program = start(APP)
    client = Raw(program, hello=False)
    client.line()
    assert client.error("hello", v=1, token=token) == "bad_token"
    assert client.lines() == []
    assert_well(program)


def test_tokens_are_compared_in_constant_time(start):
    code = "import hmac\ncompared, compare = [], hmac.compare_digest\n"
    code += "hmac.compare_digest = lambda one, other: (compared.append(1), compare(one, other))[1]\n"
    program = start(code + APP)
    with program.connect():
        assert program.told("compared") == [1]


def test_a_client_with_a_wrong_token_is_told_so(start, monkeypatch):
    program = start(APP)
    monkeypatch.setattr(place, "read_token", lambda where: "0" * 64)
    with pytest.raises(Unreachable) as refusal:
        program.connect()
    assert refusal.value.slug == "not_permitted"


@pytest.mark.parametrize("op", ["list", "instrument", "quit", "nothing"])
def test_anything_before_hello_closes(start, op):
    program = start(APP)
    client = Raw(program, hello=False)
    client.line()
    client.send({"id": 1, "op": op, "path": "__main__:total"})
    assert client.lines() == []
    assert program.told("live.list('__main__:total')")[0]["state"] == "off"


def test_who_says_nothing_is_closed(start):
    program = start(APP, hello=0.1)
    client = Raw(program, hello=False)
    client.line()
    assert client.lines() == []


def test_the_limits(start):
    """As they are told, and as documented."""
    program = start(APP)
    client = Raw(program, hello=False)
    client.line()
    answer = client.ask("hello", v=1, token=place.read_token(client.where))
    assert answer["limits"] == {
        "message": 64 * 1024, "depth": 8, "clients": 8, "probes": 200, "page": 500, "requests_a_second": 1000,
        "lease_s": 5.0,
    }  # fmt: skip
    assert (proto.HELLO_SECONDS, proto.QUEUE_BYTES, proto.BAD_MESSAGES) == (2.0, 1024 * 1024, 3)
    assert client.ask("subscribe", hz=20)["ok"]
    client.send({"id": 8, "op": "subscribe", "hz": 20.5})
    while "error" not in (answer := client.line()):
        pass
    assert answer["error"]["slug"] == "bad_message"


def test_other_versions_are_told_both_numbers(start):
    program = start(APP)
    client = Raw(program, hello=False)
    client.line()
    answer = client.ask("hello", v=2, token=place.read_token(client.where))
    assert answer["error"]["slug"] == "version"
    assert "2" in answer["error"]["text"] and "1" in answer["error"]["text"]
    assert client.lines() == []


# -- what may be sent


def test_a_line_of_a_megabyte(start):
    program = start(APP)
    client = Raw(program)
    client.raw(b"x" * 1_000_000 + b"\n")
    answer = client.line()
    assert answer["ok"] is False and answer["error"]["slug"] == "bad_message"
    assert client.ask("resolve", path="__main__:total")["ok"], "the line after it is read again"
    assert_well(program)


def test_a_line_without_end_closes(start):
    program = start(APP)
    client = Raw(program)
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 100_000_000:
            sent += client.sock.send(b"x" * 65536)
    assert sent < 100_000_000
    assert_well(program)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"{",
        b"\xff\xfe",
        b"1",
        pickle.dumps({"id": 1}, 0).replace(b"\n", b""),
        b'{"id": 1}',
        b'{"id": "x", "op": "list"}',
        b'{"id": 1, "op": ["list"]}',
        b'{"id": 1, "op": "list", "offset": -1}',
        b'{"id": 1, "op": "list", "pattern": 3}',
        b'{"id": 1, "op": "instrument", "path": 3}',
        b'{"id": 1, "op": "instrument", "path": "a:b", "mode": "eval"}',
        b'{"id": 1, "op": "instrument", "path": "a:b", "seconds": 1e999}',
        b'{"id": 1, "op": "instrument", "path": "' + b"x" * 2000 + b'"}',
        b'{"id": 1, "op": "subscribe", "hz": 1000}',
        b'{"id": 1, "op": "profile", "path": "a:b"}',
        b'{"id": 1, "op": "profile", "path": "a:b", "limit_ms": NaN}',
    ],
    ids=lambda line: line[:60].decode("latin-1"),
)
def test_bad_messages_and_the_third_closes(start, line):
    program = start(APP)
    client = Raw(program)
    for _ in range(3):
        client.raw(line + b"\n")
    answers = client.lines()
    assert [(each["ok"], each["error"]["slug"]) for each in answers] == [(False, "bad_message")] * 3
    assert_well(program)


def test_half_messages(start):
    program = start(APP)
    client = Raw(program)
    for byte in json.dumps({"id": 5, "op": "resolve", "path": "__main__:total"}).encode() + b"\n":
        client.raw(bytes([byte]))
    assert client.line()["row"]["path"] == "__main__:total"
    client.raw(b'{"id": 6, "op": "instru')
    client.close()
    assert_well(program)


def test_unknown_ops_and_fields(start):
    client = Raw(start(APP))
    assert client.error("eval", code="1") == "unknown_op"
    assert client.ask("resolve", path="__main__:total", code="1", callable="os:system")["ok"]


@pytest.mark.parametrize(
    "path",
    [
        "__import__('os').abort()",
        "os:abort()",
        "__main__:total.__code__",
        "__main__:total;abort",
        "../x:f",
        "x y",
        "",
        "\ud800:f",
    ],
)
def test_no_path_is_an_expression(start, path):
    program = start(APP)
    client = Raw(program)
    for op in ("resolve", "details", "instrument", "resolve"):
        assert client.ask(op, path=path)["ok"] is False
    assert_well(program)


def test_nothing_is_imported_unless_the_program_allows_it(start):
    program = start(APP)
    client = Raw(program)
    assert client.ask("instrument", path="colorsys:rgb_to_hsv", allow_import=True)["row"]["state"] == "pending"
    assert client.error("resolve", path="colorsys:rgb_to_hsv") == "not_imported"
    assert program.told("'colorsys' in __import__('sys').modules") is False
    allowing = start(APP, listen="live.listen(allow_import=True)")
    with allowing.connect() as second:
        assert second.instrument("colorsys:rgb_to_hsv")["state"] == "on"


# Modules that come to an end when the program says so.
GATES = """
import sys, threading, types
from importlib.machinery import ModuleSpec

GATE = threading.Event()

class Loader:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.startswith("gated") else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec("def f(): return 1", vars(module))
        GATE.wait()
        if module.__name__ == "gated_failure":
            raise OSError("no such luck")

sys.meta_path.append(Loader())
"""


def test_an_import_without_end_keeps_nobody_waiting(start):
    program = start(GATES + APP, listen="live.listen(allow_import=True)")
    client, other = Raw(program), Raw(program)
    client.send({"id": 1, "op": "instrument", "path": "gated:f"})
    client.send({"id": 2, "op": "instrument", "path": "gated_failure:f"})
    client.send({"id": 3, "op": "instrument", "path": "gated:nothing"})
    client.send({"id": 4, "op": "instrument", "path": "__main__:total"})
    answer = client.line()
    assert (answer["id"], answer["row"]["state"]) == (4, "on")
    rows = other.ask("list", instrumented=True)["rows"]
    assert {row["path"]: row["state"] for row in rows} == {
        "gated:f": "pending", "gated_failure:f": "pending", "gated:nothing": "pending", "__main__:total": "on"
    }  # fmt: skip
    program.told("GATE.set()")
    answers = {answer["id"]: answer for answer in (client.line() for _ in range(3))}
    assert (answers[1]["row"]["path"], answers[1]["row"]["state"]) == ("gated:f", "on")
    assert answers[2]["error"] == {"slug": "failed", "text": "OSError: no such luck"}
    assert answers[3]["error"]["slug"] == "not_found"
    assert program.told("sys.modules['gated'].f()") == 1
    assert dict(other.ask("stats")["stats"])["gated:f"] == 1
    rows = other.ask("list", instrumented=True)["rows"]
    assert "gated_failure:f" not in {row["path"] for row in rows}


def test_what_waits_for_an_import_can_be_taken_back(start):
    program = start(GATES + APP, listen="live.listen(allow_import=True)")
    client = Raw(program)
    client.send({"id": 1, "op": "instrument", "path": "gated:f"})
    assert client.ask("restore", path="gated:f")["rows"][0]["state"] == "off"
    assert client.ask("list", instrumented=True)["total"] == 0


def test_at_most_eight_imports_at_once(start):
    program = start(GATES + APP, listen="live.listen(allow_import=True)")
    client = Raw(program)
    for number in range(9):
        client.send({"id": number, "op": "instrument", "path": f"gated_{number}:f"})
    answer = client.line()
    assert (answer["id"], answer["error"]["slug"]) == (8, "limit")
    assert client.ask("list", instrumented=True)["total"] == 8
    program.told("GATE.set()")
    assert {client.line()["row"]["state"] for _ in range(8)} == {"on"}


# -- how much


def test_a_process_that_ended_cannot_be_spoken_for_ever():
    """A child of it holds the socket, and sends a line without end."""

    class Endless(socket.socket):
        calls = 0

        def recv(self, size):
            self.calls += 1
            assert self.calls < 10_000
            return b"x" * size

    one, other = socket.socketpair()
    with one, other, Endless(fileno=os.dup(one.fileno())) as sock:
        connection = Connection(sock, lambda connection, message: None)
        connection.lease = Lease(connection)
        connection.drain()
        assert connection.closed
        if connection.process is not None:
            os.close(connection.process)


def test_a_flood_closes_who_sends_it(start):
    program = start(APP)
    client = Raw(program)
    answers = []
    reader = threading.Thread(target=lambda: answers.extend(client.lines()))
    reader.start()
    client.raw(b'{"id": 1, "op": "stats"}\n' * 200_000)
    reader.join(LIMIT)
    assert not reader.is_alive()
    assert len(answers) < 200_000, "it was closed; the reason arrives if there is room for it"
    refused = [each for each in answers if not each["ok"]]
    assert [each["error"]["slug"] for each in refused] in ([], ["limit"])
    assert_well(program)


MANY = "\n".join(f"def function_with_a_rather_long_name_{number}(): pass" for number in range(1000))


@linux
def test_a_reader_that_does_not_read_is_closed(start):
    program = start(APP + MANY)
    client = Raw(program)
    for number in range(20):
        client.send({"id": number, "op": "list"})
    with program.connect() as other:  # is served meanwhile
        assert len(other.list()) >= 1000
    poller = select.poll()
    poller.register(client.sock, select.POLLHUP)
    assert poller.poll(LIMIT * 1000), "it is still connected"
    assert_well(program)


def test_frames_are_left_out_for_a_reader_that_does_not_read(start):
    program = start(APP + MANY)
    client = Raw(program)
    for number in range(100):
        client.ask("instrument", path=f"__main__:function_with_a_rather_long_name_{number}")
    client.ask("subscribe", hz=20)
    for _ in range(50):  # many more frames than it could leave unread
        program.told(
            "[globals()[f'function_with_a_rather_long_name_{each}']() for each in [*range(100)] * 500] and None"
        )
    last = {}
    while not all(last.get(f"__main__:function_with_a_rather_long_name_{each}") for each in range(100)):
        message = client.line()
        assert message is not None, "it was closed"
        last.update(message.get("hits", []))
    client.send({"id": 99, "op": "stats"})
    while (message := client.line()).get("id") != 99:
        pass
    assert message["ok"], "it still is served"


def test_the_ninth_client_is_told(start):
    program = start(APP)
    clients = [Raw(program) for _ in range(8)]
    with pytest.raises(Unreachable) as refusal:
        program.connect()
    assert refusal.value.slug == "limit" and "8" in str(refusal.value)
    clients[0].close()
    until(lambda: _can_connect(program), "a place for one more")


def _can_connect(program):
    try:
        program.connect().close()
    except Unreachable:
        return False
    return True


COUNTS = "(len(__import__('os').listdir('/proc/self/fd')), __import__('threading').active_count())"


@linux
def test_a_thousand_connections_leave_nothing(start):
    program = start(APP)
    with program.connect() as client:
        client.instrument("__main__:total")
    until(lambda: program.told(COUNTS)[1] == 3)  # main, agent, worker
    before = program.told(COUNTS)
    where = place_of(program.pid)
    for number in range(1000):
        while True:  # as many as the agent takes at a time
            with contextlib.suppress(BlockingIOError):
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(LIMIT)
                sock.connect(where.socket)
                break
        if number % 2:
            sock.recv(10)
        sock.close()
    until(
        lambda: all(now <= then for now, then in zip(program.told(COUNTS), before, strict=True)), "the state of before"
    )
    assert_well(program)


@linux
def test_sessions_leave_nothing(start):
    program = start(APP)
    program.told("originals = total.__code__, other.__code__")

    def one():
        with program.connect() as client:
            client.instrument("__main__:total")
            client.page()
            client.profile("__main__:other", 1000, print)

    one()
    until(lambda: program.told(COUNTS)[1] == 3)
    before, ours = program.told(COUNTS), len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        one()
    until(
        lambda: all(now <= then for now, then in zip(program.told(COUNTS), before, strict=True)), "the state of before"
    )
    assert len(os.listdir("/proc/self/fd")) <= ours
    assert program.told("(total.__code__ is originals[0], other.__code__ is originals[1])") == (True, True)


def test_at_most_200_probes(start):
    program = start("\n".join(f"def f{number}(): pass" for number in range(201)))
    with program.connect() as client:
        for number in range(200):
            client.instrument(f"__main__:f{number}")
        with pytest.raises(RecompyleError) as refusal:
            client.instrument("__main__:f200")
        assert refusal.value.slug == "limit" and "200" in str(refusal.value)
        assert client.instrument("__main__:f0", "hook")["mode"] == "hook", "one of the 200 may be changed"
        client.restore("__main__:f1")
        assert client.instrument("__main__:f200")["state"] == "on"


def test_refusals_are_forgotten(start):
    program = start(APP)
    with program.connect() as client:
        for number in range(300):
            with pytest.raises(RecompyleError):
                client.instrument(f"__main__:nothing_{number}")
        assert len(client.list(instrumented=True)) <= 100


def test_pages_of_a_long_list(start):
    program = start(APP + MANY)
    with program.connect() as client:
        rows = client.list()
        assert len(rows) == len({row["path"] for row in rows}) >= 1002
        answer = client.call("list", limit=10_000)
        assert len(answer["rows"]) <= 500 < answer["total"] == len(rows)
        assert [row["path"] for row in client.list("*:tot*")] == ["__main__:total"]


# -- switched off


def test_other_lists_do_not_change_the_pages_of_one(start):
    raw = Raw(start(APP))
    first = raw.ask("list", limit=1)
    assert raw.ask("list", instrumented=True)["total"] == 0
    second = raw.ask("list", limit=1, offset=1)
    assert first["total"] == second["total"] == 2
    assert [each["rows"][0]["path"] for each in (first, second)] == ["__main__:total", "__main__:other"]


@linux
def test_without_descriptors_it_waits(start):
    program = start(APP)
    program.told("""
        import os, resource
        from recompyle.live import agent as module
        module.PAUSE = 3600
        agent, calls, held = live.listen(), [], []
        accept = agent._accept
        agent._accept = lambda poller: (calls.append(1), accept(poller))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        while len(held) < 64:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        """)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LIMIT)
        sock.connect(place_of(program.pid).socket)
        until(lambda: program.told("len(calls)"))
        assert [program.told("len(calls)") for _ in range(20)] == [1] * 20  # it does not try again and again
        program.told("[os.close(each) for each in held] and None")
        program.told("setattr(agent, '_accepts_at', 0.0) or agent._rouse()")
        assert b"recompyle.live" in sock.recv(65536)


def test_forbidden_by_the_environment(start):
    program = start(listen=None, RECOMPYLE_LIVE="0")
    assert (
        program.told("__import__('recompyle.live').live.listen()")
        == "Unreachable: RECOMPYLE_LIVE=0 is set, so nobody may look in"
    )


def test_audit_hooks_see_and_may_forbid_it(start, runtime):
    program = start(
        """
        import sys
        seen = []
        forbidden = []
        def hook(event, args):
            if event.startswith("recompyle.live."):
                seen.append((event, args))
                if event in forbidden:
                    raise PermissionError("not here")
        sys.addaudithook(hook)
        """
        + "\n"
        + "        def total(): pass\n",
    )
    assert program.told("seen") == [("recompyle.live.listen", (program.path,))]
    with program.connect() as client:
        client.instrument("__main__:total")
        assert program.told("seen[-1]") == ("recompyle.live.instrument", ("__main__:total",))
        program.told("forbidden.append('recompyle.live.instrument')")
        with pytest.raises(RecompyleError, match="not here"):
            client.instrument("__main__:hook")
    program.told("__import__('recompyle.live.agent').live.agent.current().close()")
    program.told("forbidden.append('recompyle.live.listen')")
    assert "not here" in program.told("live.listen()")
    assert os.listdir(runtime / "recompyle") == []


def test_listening_again_gives_the_same_agent(start):
    program = start(APP)
    assert program.told("live.listen() is live.listen()")
    assert program.told("live.listen(allow_root=True)").startswith("ValueError: the program listens already")
    assert program.told("live.listen().close(), live.listen(cap=None).path")[1] == program.path
    assert program.told("live.listen(cap=-1)").startswith("ValueError: ")
    assert_well(program)


def test_after_a_failure_inside_it_can_begin_again(start):
    program = start(APP)
    program.told("import threading; threading.excepthook = lambda error: None")
    program.told("agent = live.listen()")
    program.told("agent.post(lambda: 1 / 0) or agent._thread.join()")
    assert program.told("live.listen() is not agent")
    assert_well(program)


# -- what goes wrong for one client


def test_what_a_verb_fails_with_is_its_answer(start):
    program = start(APP)
    client, other = Raw(program), Raw(program)
    program.told("from recompyle.live import verbs")
    program.told("verbs._VERBS['stats'] = verbs._VERBS['list'] = lambda agent, connection, message: 1 / 0")
    for op in ("stats", "list"):
        answer = client.ask(op)
        assert answer["id"] == 7
        assert answer["error"] == {"slug": "failed", "text": "ZeroDivisionError: division by zero"}
    assert client.ask("resolve", path="__main__:total")["ok"] and other.ask("resolve", path="__main__:total")["ok"]


def test_what_cannot_be_sent_ends_that_client_only(start):
    program = start(APP)
    client, other = Raw(program), Raw(program)
    program.told("from recompyle.live import verbs")
    program.told("verbs._VERBS['list'] = lambda agent, connection, message: lambda: {'rows': {live}}")
    answer = client.ask("list")
    assert answer["id"] is None and answer["error"]["slug"] == "failed"
    assert client.lines() == []
    assert other.ask("resolve", path="__main__:total")["ok"]
    assert_well(program)


def test_a_counter_that_exits_ends_who_asks_for_it_only(start):
    program = start(APP)
    client, other = Raw(program), Raw(program)
    program.told("live.counter('__main__:total', __import__('sys').exit)")
    client.ask("subscribe", hz=20)
    assert client.line()["error"]["slug"] == "failed"
    assert client.lines() == []
    assert other.ask("resolve", path="__main__:other")["ok"]
    program.told("live.counter('__main__:total', None)")
    assert_well(program)


def test_a_counter_may_say_any_number(start):
    program = start(APP)
    program.told("live.counter('__main__:total', lambda: 10 ** 5000)")
    assert_well(program)
    program.told("live.counter('__main__:total', lambda: 2 ** 64 - 1)")
    with program.connect() as client:
        assert client.resolve("__main__:total")["calls"] == 2**64 - 1


@pytest.mark.skipif(not hasattr(types, "LazyImportType"), reason="lazy imports came with 3.15")
def test_a_lazy_import_happens_only_where_the_program_allows_it(start, tmp_path):
    (tmp_path / "later.py").write_text("def f(): pass\n")
    (tmp_path / "broken.py").write_text("raise LookupError('not today')\n")
    (tmp_path / "user.py").write_text("lazy from later import f\nlazy from broken import g\nlazy from later import h\n")
    (tmp_path / "another.py").write_text("lazy from later_still import f\n")
    (tmp_path / "later_still.py").write_text("def f(): pass\n")
    paths = f"{ROOT}{os.pathsep}{tmp_path}"
    for allowed in (False, True):
        text = f"{APP}\nimport user\n"
        program = start(text, listen=f"live.listen(allow_import={allowed})", PYTHONPATH=paths)
        with program.connect() as client:
            if allowed:
                assert client.instrument("user:f")["state"] == "on"
                assert client.instrument("another:f")["path"] == "later_still:f", "neither is imported"
                with pytest.raises((RecompyleError, ValueError), match="not today"):
                    client.instrument("user:g")
                assert "user:g" not in [row["path"] for row in client.list()], "nothing refused it"
            else:
                with pytest.raises(RecompyleError, match="lazy import"):
                    client.instrument("user:f")
        assert program.told("'later' in __import__('sys').modules") is allowed


def test_an_error_that_cannot_say_what_was_wrong(start, tmp_path):
    (tmp_path / "broken.py").write_text("""
class Broken(ValueError):
    def __str__(self):
        raise self
raise Broken
""")
    program = start(APP, listen="live.listen(allow_import=True)", PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")
    with program.connect() as client:
        with pytest.raises(ValueError, match="cannot say what was wrong"):
            client.instrument("broken:f")
        assert client.resolve("__main__:total")["state"] == "off"


# -- the controlling side against a hostile program


class Fake:
    """Something that says it is this process's agent."""

    def __init__(self, *data, descriptor=None, greets=True):
        where = place.new()
        self.where = Place(where.folder, os.getpid(), where.start)
        with open(os.open(self.where.token, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("0" * 64)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.where.socket)
        self.listener.listen()
        self.data, self.descriptor, self.greets = data, descriptor, greets
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        sock, _ = self.listener.accept()
        with sock:
            if self.greets:
                hello = {
                    "hello": "recompyle.live",
                    "v": 1,
                    "pid": self.where.pid,
                    "start": self.where.start,
                    "python": "3",
                }
                sock.sendall(json.dumps(hello).encode() + b"\n")
                sock.recv(65536)
                sock.sendall(b'{"id": 1, "ok": true, "session": "s", "ns_per_hit": 2}\n')
            with contextlib.suppress(ConnectionError):
                for each in self.data:
                    if self.greets:
                        sock.recv(65536)
                    if self.descriptor is not None:
                        socket.send_fds(sock, [each], [self.descriptor])
                    else:
                        sock.sendall(each)
                sock.recv(65536)

    def connect(self):
        from recompyle.live.client import connect

        return connect(path=self.where.socket, timeout=LIMIT)

    def close(self):
        self.listener.close()
        self.where.remove()


@pytest.fixture
def fake(runtime):
    made = []

    def make_fake(*data, **options):
        made.append(Fake(*data, **options))
        return made[-1]

    yield make_fake
    for each in made:
        each.close()


@pytest.mark.parametrize(
    "line",
    [b"\n", b"hello\n", b"{}\n", b'{"hello": "another"}\n', b"[" * 70000, b'{"hello": "recompyle.live", "v": "1"}\n'],
)
def test_what_is_no_agent(fake, line):
    with pytest.raises(Unreachable) as refusal:
        fake(line, greets=False).connect()
    assert refusal.value.slug in ("no_agent", "not_permitted")


@linux
def test_a_socket_that_another_process_serves(runtime):
    """Its name tells one process; it is another one that listens."""
    here = place.new()
    where = here._replace(pid=os.getppid())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(where.socket)
        listener.listen()
        with pytest.raises(Unreachable, match=f"is served by process {os.getpid()}, not {os.getppid()}") as refusal:
            greeting(where, LIMIT)
    assert refusal.value.slug == "no_agent"
    where.remove()
    here.remove()


def test_an_agent_of_another_version(fake):
    line = json.dumps({"hello": "recompyle.live", "v": 99, "pid": 1, "start": 1, "python": "3"}).encode() + b"\n"
    with pytest.raises(Unreachable, match=r"99.*1") as refusal:
        fake(line, greets=False).connect()
    assert refusal.value.slug == "version"


def test_a_program_that_does_not_answer(fake):
    made = fake(greets=False)
    with pytest.raises(Unreachable) as refusal:
        greeting(made.where, timeout=0.1)
    assert refusal.value.slug == "timeout"


@pytest.mark.parametrize(
    "answer",
    [
        b"x" * 3_000_000 + b"\n",
        b"[[[[[[[[[[[[\n",
        b"nonsense\n",
        b'{"id": 2, "ok": false}\n',
        b'{"id": 2, "ok": true, "row": {}}\n',
        b'{"id": 2, "ok": true}\n',
        b'{"id": "2"}\n',
        b'{"event": "state", "rows": 3}\n{"id": 2, "ok": 1}\n',
    ],
    ids=lambda line: line[:40].decode(),
)
def test_bad_answers_end_in_errors(fake, answer):
    client = fake(answer).connect()
    with pytest.raises((Unreachable, proto.BadMessage)):
        client.resolve("a:b")
    client.disconnect()
    assert isinstance(client, Client)


@linux
def test_a_page_that_could_shrink_is_not_read(fake):
    descriptor = os.memfd_create("page")
    os.write(descriptor, b"RCPLIVE1" + b"\0" * 4000)
    client = fake(b'{"id": 2, "ok": true, "slots": 1, "generation": 1}\n', descriptor=descriptor).connect()
    with pytest.raises(proto.BadMessage, match="not sealed"):
        client.page()
    client.disconnect()
    os.close(descriptor)


@linux
def test_descriptors_that_nobody_asked_for_are_closed(fake):
    descriptor = os.memfd_create("page")
    answers = [b'{"id": %d, "ok": true}\n' % number for number in range(2, 32)]
    client = fake(*answers, descriptor=descriptor).connect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in answers:
        client.call("nothing")
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    client.disconnect()
    os.close(descriptor)
