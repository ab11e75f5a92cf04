"""Sessions of other processes: leases, time, cost, forks, ends of either side."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from programs import LIMIT, ROOT, until

from recompyle import RecompyleError, Unreachable
from recompyle.live import cost, place
from recompyle.live.client import connect, place_of
from recompyle.live.leases import Lease, Leases
from recompyle.live.state import registry

APP = """
import os, threading
from recompyle.live import proto, state
proto.LEASE_SECONDS = float(os.environ.get("LEASE", "0.05"))

def total(x=1):
    return x + 1

def other(x=1):
    return total(x)

def children(act):
    '''What a forked child says of something.'''
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(write, repr(act()).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as said:
        text = said.read()
    os.waitpid(pid, 0)
    return text

def sockets():
    found = 0
    for each in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
        except FileNotFoundError:
            pass  # that of the listing itself
    return found
"""
TOTAL, OTHER = "__main__:total", "__main__:other"
LONG = "3600"
linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory that can be sealed is Linux's")


def state(program, path=TOTAL):
    return program.told(f"live.list({path!r})[0]['state']")


def is_off(program, path=TOTAL):
    until(lambda: state(program, path) == "off", f"{path} to be restored")


# -- what is instrumented is counted


def test_hits_are_exact_and_the_code_is_put_back(start):
    program = start(APP)
    program.told("original = total.__code__")
    with program.connect() as client:
        row = client.instrument(TOTAL)
        assert (row["state"], row["mode"], row["hits"]) == ("on", "counter", 0)
        program.told("[total() for _ in range(1000)]")
        assert client.stats() == client.stats([TOTAL, "__main__:nothing"]) == {TOTAL: 1000}
        assert client.restore(TOTAL)["state"] == "off"
        assert program.told("total.__code__ is original")
        assert program.told("total()") == 2
        assert client.stats([TOTAL]) == {TOTAL: 1000}


def test_hook_mode_uses_the_programs_own_hook(start):
    program = start(APP)
    program.told("names = []")
    program.told("live.set_hook(names.append)")
    with program.connect() as client:
        assert client.instrument(TOTAL, "hook")["mode"] == "hook"
        program.told("total()")
        assert program.told("names") == [TOTAL]
        assert client.stats() == {TOTAL: 1}


def test_details_and_resolve(start):
    program = start(APP)
    with program.connect() as client:
        assert client.resolve(TOTAL)["state"] == "off"
        assert client.details(TOTAL)["after"] is None
        client.instrument(TOTAL)
        found = client.details(TOTAL)
        assert "UNARY_INVERT" in found["after"] and "UNARY_INVERT" not in found["before"]
        with pytest.raises(ValueError, match="expected module:name"):
            client.resolve("no path")
        with pytest.raises(RecompyleError):
            client.resolve("__main__:nothing")


@linux
def test_the_page_of_counters(start):
    program = start(APP)
    with program.connect() as client:
        page = client.page()
        before = page.generation
        row = client.instrument(TOTAL)
        assert page.generation != before
        program.told("[total() for _ in range(7)]")
        assert page.hits(row["slot"]) == 7
        assert page.hits(-1) == page.hits(10**9) == 0
        assert page.HEADER.unpack_from(page._memory)[5:7] == (program.pid, place.start_of(program.pid))


def test_slow_runs_are_told_as_they_come(start):
    program = start(APP)
    with program.connect() as client:
        told = []
        end = client.profile(OTHER, 0, told.append)
        program.told("[other() for _ in range(3)]")
        until(lambda: len(told) == 3)
        assert all("slow call: other took" in text and "total" in text for text in told)
        end()
        assert program.told("other()") == 2
        assert client.call("stats")["ok"] and len(told) == 3
        with pytest.raises(RecompyleError):
            client.profile("__main__:nothing", 0, told.append)


def test_runs_of_the_agent_itself_are_not_told(start):
    program = start(APP)
    with program.connect() as client:
        told = []
        end = client.profile("json:dumps", 0, told.append)  # which writes its messages, too
        assert program.told("__import__('json').dumps(1)") == "1"
        until(lambda: told)
        assert all(client.call("stats")["ok"] for _ in range(3))
        assert len(told) == 1 and "thread MainThread" in told[0]
        end()


def test_a_report_that_fails_does_not_end_the_session(start, monkeypatch):
    program = start(APP)
    failed = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: failed.append(error[0]))
    with program.connect() as client:
        client.profile(OTHER, 0, lambda text: 1 // 0)
        program.told("other()")
        until(lambda: failed == [ZeroDivisionError])
        assert client.resolve(TOTAL)["path"] == TOTAL


def test_a_profile_ends_with_its_session(start):
    program = start(APP)
    program.told("original = other.__code__")
    client = program.connect()
    client.profile(OTHER, 1000, print)
    assert not program.told("other.__code__ is original")
    client.disconnect()
    until(lambda: program.told("other.__code__ is original"))


# -- leases


def test_restored_when_the_session_is_closed(start):
    program = start(APP, LEASE=LONG)
    client = program.connect()
    client.instrument(TOTAL)
    client.close()
    assert state(program) == "off"


def test_restored_some_time_after_the_connection_has_ended(start):
    program = start(APP)
    client = program.connect()
    client.instrument(TOTAL)
    client.disconnect()
    is_off(program)


def test_restored_after_the_controlling_process_was_killed(start):
    program = start(APP)
    text = (
        f"from recompyle import live; live.connect({program.pid}).instrument({TOTAL!r}); print(1, flush=True); input()"
    )
    command = [sys.executable, "-P", "-c", text]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as client:
        assert client.stdout.readline()
        assert state(program) == "on"
        client.send_signal(signal.SIGKILL)
    is_off(program)
    assert program.told("total()") == 2


def test_a_session_comes_back(start):
    program = start(APP, LEASE=LONG)
    first = program.connect()
    first.instrument(TOTAL)
    first.disconnect()
    second = program.connect(session=first.session)
    assert second.session == first.session
    assert state(program) == "on"
    second.close()
    assert state(program) == "off"


def test_a_session_that_is_over_does_not(start):
    program = start(APP)
    first = program.connect()
    first.close()
    with program.connect(session=first.session) as second:
        assert second.session != first.session


def test_two_sessions_on_one_function(start):
    program = start(APP)
    first, second = program.connect(), program.connect()
    first.instrument(TOTAL), second.instrument(TOTAL)
    assert first.restore(TOTAL)["state"] == "on", "the second one still holds it"
    first.close()
    assert state(program) == "on"
    second.close()
    assert state(program) == "off"


def test_what_the_program_asked_for_itself_stays(start):
    program = start(APP)
    program.told("handle = live.instrument('__main__:total')")
    with program.connect() as client:
        client.instrument(TOTAL)
    assert state(program) == "on"
    program.told("handle.restore()")
    assert state(program) == "off"


def test_kept(start):
    program = start(APP)
    with program.connect() as client:
        client.instrument(TOTAL, keep=True)
    other = program.connect()
    other.instrument(OTHER)
    other.close(keep=True)
    assert state(program) == state(program, OTHER) == "on"
    with program.connect() as client:
        client.restore(TOTAL)
        assert state(program) == "off"
        assert [row["path"] for row in client.restore_all(own=True)] == []
        assert [row["path"] for row in client.restore_all()] == [OTHER]
    assert state(program, OTHER) == "off"


@pytest.mark.parametrize("keep", [False, True])
def test_for_some_time(start, keep):
    program = start(APP)
    with program.connect() as client:
        client.instrument(TOTAL, seconds=0.05, keep=keep)
        client.instrument(OTHER, seconds=3600)
        is_off(program)
        assert state(program, OTHER) == "on"


@pytest.fixture
def leases(make):
    """Sessions without an agent, and a path."""
    return Leases(registry), f"{make('def f(): pass').__name__}:f"


def test_what_was_said_last_counts(leases):
    leases, path = leases
    lease = leases.begin(None, None)
    now = time.monotonic()
    for seconds in (10, 1000, 100):
        record = leases.instrument(lease, path, False, seconds)
    assert leases.due(now + 50) == []
    acts = leases.due(now + 200)
    assert len(acts) == 1
    acts[0]()
    assert record.state == "off"
    leases.instrument(lease, path, False, 100)
    leases.instrument(lease, path, False)
    assert leases.next_deadline() is None
    leases.instrument(lease, path, False, 100)
    leases.end(lease)
    assert leases.next_deadline() is None


def test_what_is_kept_is_not_kept_for_longer(leases):
    leases, path = leases
    lease = leases.begin(None, None)
    record = leases.instrument(lease, path, False, 100)
    leases.end(lease, keep=True)
    assert record.state == "on"
    for act in leases.due(time.monotonic() + 200):
        act()
    assert record.state == "off"


def test_a_session_ends_while_the_agent_looks(leases):
    """The worker ends it between two steps of the agent's thread."""
    leases, _ = leases
    one, other = leases.begin(None, None), leases.begin(None, None)

    class Ending(Lease):
        expires = property(lambda self: leases.end(other))

    one.__class__ = Ending
    assert leases.next_deadline() is None
    assert leases.due(0.0) == []
    assert leases.sessions() == [one]


def test_pending_is_cancelled_with_the_session(start):
    program = start(APP)
    with program.connect() as client:
        assert client.instrument("colorsys:rgb_to_hsv")["state"] == "pending"
    assert program.told("[row['path'] for row in live.list() if row['state'] == 'pending']") == []
    assert program.told("__import__('colorsys') and live.list('colorsys*', everything=True)[0]['state']") == "off"


def test_closing_the_agent_restores(start):
    program = start(APP, listen="live.listen()")
    client = program.connect()
    client.instrument(TOTAL)
    events = []
    client.on_event(events.append)
    program.told("live.listen().close()")
    assert state(program) == "off"
    until(lambda: client.gone)
    assert {"event": "bye"} in events
    with pytest.raises(Unreachable):
        program.connect()


# -- cost


def test_the_dearest_probe_is_restored_and_everybody_told(start):
    program = start(APP, listen="live.listen(cap=1e-12)")
    with program.connect() as client, program.connect() as witness:
        events = []
        witness.on_event(events.append)
        client.instrument(TOTAL), client.instrument(OTHER)
        program.told("stop = threading.Event()")
        program.told("threading.Thread(target=lambda: [other() for _ in iter(stop.is_set, True)], daemon=True).start()")
        event = until(lambda: next((each for each in events if each["event"] == "restored_for_cost"), None))
        program.told("stop.set()")
        assert event["path"] in (TOTAL, OTHER) and event["cost"] >= 0
        is_off(program, event["path"])


class Probe:
    """As much of a record as its cost is computed from."""

    def __init__(self, hits_a_second, mode="counter"):
        self.each, self.state, self.mode = hits_a_second, "on", mode
        self.hits = SimpleNamespace(count=0)


@pytest.fixture
def watched(monkeypatch):
    """What a watch says after each of some seconds: the path to be restored, the cost, or nothing."""
    monkeypatch.setattr(cost, "ns_per_hit", {"counter": 10.0, "hook": 100.0}.__getitem__)

    def watched(cap, probes, seconds=range(8)):
        watch, said = cost.Watch(cap), []
        for second in seconds:
            found = watch.dearest(probes, float(second))
            said.append(found and (found[0], round(found[1], 4)))
            for each in probes:
                each.hits.count += each.each(second) if callable(each.each) else each.each
        return said

    return watched


def test_more_than_5_percent_for_3_seconds_is_too_much(watched):
    cheap, dear = Probe(1_000_000), Probe(4_200_000)  # 1 and 4.2 %
    assert watched(cost.CAP, [cheap, dear]) == [None] * 3 + [(dear, 0.052)] + [None] * 2 + [(dear, 0.052)] + [None]
    assert watched(cost.CAP, [Probe(1_000_000), Probe(3_800_000)]) == [None] * 8


def test_a_hit_of_a_hook_costs_more(watched):
    hooked, counted = Probe(1_000_000, "hook"), Probe(5_000_000)
    assert watched(cost.CAP, [hooked, counted])[3] == (hooked, 0.15)


def test_3_seconds_in_a_row(watched):
    assert watched(cost.CAP, [Probe(lambda second: 0 if second % 3 == 2 else 9_000_000)], range(20)) == [None] * 20


def test_without_a_cap_nothing_is_restored(watched):
    assert watched(None, [Probe(90_000_000)]) == [None] * 8


# -- forks


def test_a_child_neither_listens_nor_is_instrumented(start):
    program = start(APP, LEASE=LONG)
    program.told("original = other.__code__")
    with program.connect() as client:
        client.instrument(TOTAL), client.instrument(OTHER, keep=True)
        program.told("live.instrument('__main__:children') and None")
        client.profile(OTHER, 1000, print)
        states = "lambda: [each.state for each in state.registry.records()]"
        assert program.told(f"children({states})") == "['off', 'off', 'on']"
        assert program.told("children(lambda: other.__code__ is original)") == "True"
        assert client.stats() is not None and state(program) == "on", "the parent is as it was"
        if sys.platform == "linux":
            assert program.told("children(sockets)") == "0"
    assert os.path.exists(program.path)


def test_a_child_with_a_socket_of_its_own(start):
    program = start(APP, listen="live.listen(in_children=True)", LEASE=LONG)
    with program.connect() as client:
        client.instrument(TOTAL)
        program.told("[total() for _ in range(5)]")
        program.told("""
            ready_out, ready_in = os.pipe()
            done_out, done_in = os.pipe()
            pid = os.fork()
            if not pid:
                total()
                os.write(ready_in, b"x")
                os.read(done_out, 1)
                os._exit(0)
            os.read(ready_out, 1)
            """)
        child = program.told("pid")
        assert child != program.pid
        with connect(child, timeout=LIMIT) as inner:
            assert place.read_token(place_of(child)) != place.read_token(place_of(program.pid))
            assert inner.pid == child
            assert inner.stats() == {TOTAL: 1}, "counted from 0"
            assert inner.resolve(TOTAL)["state"] == "on"
            inner.restore(TOTAL)
            assert inner.resolve(TOTAL)["state"] == "off"
        assert client.stats() == {TOTAL: 5} and state(program) == "on"
        program.told("os.write(done_in, b'x'), os.waitpid(pid, 0)")


# -- ends


def test_the_program_is_killed_while_a_request_is_open(start):
    program = start(APP)
    client = program.connect()
    program.told("state.worker.submit(threading.Event().wait) and None")  # nothing is answered any more
    request = client.request("resolve", path=TOTAL)
    program.process.kill()
    with pytest.raises(Unreachable) as gone:
        request.result(LIMIT)
    assert gone.value.slug == "gone"
    with pytest.raises(ConnectionError):
        client.stats()
    assert client.gone


def test_the_program_ends_by_itself(start):
    program = start(APP)
    client = program.connect()
    client.instrument(TOTAL)
    program.process.stdin.close()
    assert program.process.wait(LIMIT) == 0
    until(lambda: client.gone)


def test_an_idle_agent_wakes_for_nobody(start):
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    program = start(APP)
    agent = program.told("[each.native_id for each in threading.enumerate() if each.name == 'recompyle live agent'][0]")

    def switches():
        with open(f"/proc/{program.pid}/task/{agent}/status") as file:
            return [line for line in file if "ctxt_switches" in line]

    def sleeps_on():
        before = switches()
        for _ in range(20):
            program.told("total()")
        return switches() == before

    program.connect().close()
    until(sleeps_on)  # when it has done what the end of a session takes


def test_many_threads_use_one_client(start):
    program = start(APP)
    with program.connect() as client:
        wrong = []

        def work(path):
            for _ in range(50):
                if client.resolve(path)["path"] != path:
                    wrong.append(path)

        threads = [threading.Thread(target=work, args=(path,)) for path in (TOTAL, OTHER) * 3]
        [each.start() for each in threads]
        [each.join(LIMIT) for each in threads]
        assert wrong == [] and not any(each.is_alive() for each in threads)
