"""A session on a program in another process: the same as on one's own."""

import os
import signal
import sys
from concurrent.futures import Future

import pytest
from programs import LIMIT, until

from recompyle.errors import RecompyleError
from recompyle.live.remote import Remote, watch

APP = """
from recompyle.live import state
def total(x=1):
    return x + 1

def other(x=1):
    return total(x)

class C:
    def method(self):
        return 1

CALLS = [0]
live.counter("__main__:other", lambda: CALLS[0])
"""
TOTAL, OTHER = "__main__:total", "__main__:other"


@pytest.fixture(params=["page", "events"])
def remote(request, start, monkeypatch):
    """A program, and a session on it that reads the page of counters, or is told."""
    if request.param == "page" and sys.platform != "linux":
        pytest.skip("shared memory that can be sealed is Linux's")
    if request.param == "events":
        from recompyle.live import client

        def no_page(self):
            raise client.BadMessage("not wanted")

        monkeypatch.setattr(client.Client, "page", no_page)
    program = start(APP)
    session = watch(program.connect(), hz=20)
    yield program, session
    session.close()


def line(session, path):
    session.refresh()
    return next((each for each in session.lines if each.path == path), None)


def said(session, text):
    def look():
        session.refresh()
        return any(text in each for _, each in session.messages)

    until(look, repr(text))


def test_the_rows_of_the_program(remote):
    program, session = remote
    session.refresh()
    assert {TOTAL, OTHER, "__main__:C.method"} <= {each.path for each in session.lines}
    assert session.source.pid == program.pid
    assert session.source.python == ".".join(map(str, sys.version_info[:3]))
    snapshot = session.snapshot()
    assert snapshot["pid"] == program.pid and snapshot["totals"]["on"] == 0
    assert [row["path"] for row in session.source.rows("*:tot*")] == [TOTAL]


def test_instrument_count_restore(remote):
    program, session = remote
    session.instrument(TOTAL)
    said(session, f"patched {TOTAL} (counter); 0 frames still on old code")
    program.told("[total() for _ in range(500)]")
    until(lambda: line(session, TOTAL).hits == 500)
    session.restore(TOTAL)
    said(session, f"restored {TOTAL}")
    assert line(session, TOTAL).state == "off"
    program.told("total()")
    assert line(session, TOTAL).hits == 500


def test_rows_that_were_given_stay_as_they_are(remote):
    program, session = remote
    session.instrument(TOTAL)
    said(session, "patched")
    given = session.source.poll()
    before = [dict(row) for row in given]
    program.told("[total() for _ in range(500)]")
    program.told("CALLS.__setitem__(0, 42)")
    until(lambda: line(session, TOTAL).hits == 500 and line(session, OTHER).calls == 42)
    assert given == before


def test_numbers_never_go_back_when_slots_change(remote):
    """Every new counter gives all slots a new meaning, as far as the reader knows."""
    program, session = remote
    session.instrument(TOTAL)
    said(session, "patched")
    seen = []
    for number in range(20):
        program.told("[total() for _ in range(10)]")
        program.told(f"exec('def f{number}(): pass', globals()); live.instrument('__main__:f{number}') and None")
        seen.append(line(session, TOTAL).hits)
    until(lambda: line(session, TOTAL).hits == 200)
    assert seen == sorted(seen)
    until(lambda: line(session, "__main__:f19"), "the row of a function that was instrumented meanwhile")


def test_the_programs_own_counters(remote):
    program, session = remote
    assert line(session, OTHER).calls == 0
    program.told("CALLS.__setitem__(0, 42)")
    until(lambda: line(session, OTHER).calls == 42)
    assert line(session, TOTAL).calls is None


def test_what_others_do_is_seen(remote):
    program, session = remote
    program.told("handle = live.instrument('__main__:total')")
    until(lambda: line(session, TOTAL).state == "on")
    program.told("live.instrument('__main__:total', lambda path: 1/0) and None")
    until(lambda: line(session, TOTAL).row["mode"] == "hook")
    program.told("handle.restore()")
    until(lambda: line(session, TOTAL).state == "off")


def test_refusals_and_pending(remote):
    _, session = remote
    session.refresh()  # the paths that there are
    session.instrument("__main__:totl")
    said(session, "did you mean")
    session.instrument("no path")
    said(session, "expected module:name")
    session.instrument("colorsys:rgb_to_hsv")
    said(session, "pending colorsys:rgb_to_hsv")
    until(lambda: line(session, "colorsys:rgb_to_hsv"))
    session.restore("colorsys:rgb_to_hsv")
    until(lambda: line(session, "colorsys:rgb_to_hsv") is None)


def test_new_functions_appear(remote, monkeypatch):
    program, session = remote
    monkeypatch.setattr("recompyle.live.remote.RESCAN", 0.0)
    session.source._scan_at = 0.0
    program.told("exec('def later(): pass', globals())")
    until(lambda: (setattr(session.source, "_scan_at", 0.0), line(session, "__main__:later"))[1])


def test_a_look_that_is_refused_is_made_again(remote, monkeypatch):
    program, session = remote
    monkeypatch.setattr("recompyle.live.remote.RESCAN", 0.0)
    client, refused = session.source.client, []
    request = client.request

    def refuse(op, **fields):
        if op != "list" or len(refused) >= 4:
            return request(op, **fields)
        refused.append(fields)
        answer = Future()
        answer.set_exception(RecompyleError("at most 100 requests can wait", "limit"))
        return answer

    monkeypatch.setattr(client, "request", refuse)
    program.told("exec('def later(): pass', globals()); live.instrument('__main__:total') and None")
    until(lambda: (setattr(session.source, "_scan_at", 0.0), line(session, "__main__:later"))[1])
    program.told("total()")
    until(lambda: line(session, TOTAL).hits == 1)
    assert len(refused) == 4


def test_numbers_that_are_none(remote):
    _, session = remote
    session.source._event({"event": "stats", "hits": [[TOTAL, None]], "calls": [[TOTAL, None]]})
    assert line(session, TOTAL).hits == 0


def test_frames_on_old_code_are_counted_down(remote):
    program, session = remote
    program.told("""
        import threading
        go, inside = threading.Event(), threading.Event()
        def waits():
            inside.set()
            go.wait()
        threading.Thread(target=waits).start()
        inside.wait() and None
        """)
    session.instrument("__main__:waits")
    said(session, "1 frame still on old code")
    program.told("go.set()")
    said(session, "__main__:waits: 0 frames still on old code")


def test_details_and_profile(remote):
    program, session = remote
    shown, told = [], []
    session.details(TOTAL, shown.append)
    until(lambda: session.answers() and shown)
    assert shown[0]["row"]["path"] == TOTAL and shown[0]["after"] is None
    end = session.profile(OTHER, 0.0, told.append).result(LIMIT)
    program.told("other()")
    until(lambda: session.answers() and told)
    assert "slow call: other took" in told[0]
    end()


def test_a_hook_that_fails_is_told(remote):
    program, session = remote
    program.told("import sys; sys.unraisablehook = lambda error: None")
    program.told("live.set_hook(lambda path: 1/0)")
    session.instrument(TOTAL, "hook")
    said(session, "patched")
    program.told("[total() for _ in range(20)]")
    said(session, "hook failed too often")
    until(lambda: line(session, TOTAL).hits == 20)


def test_the_end_of_the_program_is_told_and_the_last_table_kept(remote):
    program, session = remote
    session.refresh()
    before = [each.path for each in session.lines]
    program.process.send_signal(signal.SIGKILL)
    until(lambda: (session.refresh(), session.gone)[1])
    assert f"process {program.pid} is gone" in session.gone
    assert [each.path for each in session.lines] == before
    assert ("error", session.gone) in session.messages
    assert not session.refresh()


def test_detaching_keeps(remote):
    program, session = remote
    session.instrument(TOTAL).result(LIMIT)
    session.close(keep=True)
    assert program.told("total() and live.list('__main__:total')[0]['state']") == "on"


def test_only_chosen_rows(start):
    program = start(APP)
    with program.connect() as client:
        client.instrument(TOTAL)
        assert [row["path"] for row in Remote(client, paths=[TOTAL]).poll()] == [TOTAL]
        assert {row["path"] for row in Remote(client, pattern="*:C.*").poll()} == {"__main__:C.method"}


def test_a_copied_socket_does_not_keep_a_dead_program_alive(start):
    """A child that was forked behind Python's back holds the connection; the kernel tells of the end."""
    if sys.platform != "linux":
        pytest.skip("Linux's process descriptors")
    program = start(APP)
    client = program.connect()
    if client._process is None:
        pytest.skip("this kernel has no descriptor of a socket's peer")
    # Its descriptors are copied into a process that knows nothing of them.
    program.told("""
        import ctypes, os
        libc = ctypes.PyDLL(None)
        child = libc.fork()
        if not child:
            while True:
                __import__("time").sleep(1000)
        """)
    child = program.told("child")
    try:
        program.process.kill()
        until(lambda: client.gone)
    finally:
        os.kill(child, signal.SIGKILL)
