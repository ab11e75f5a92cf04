"""Work in slices, and the turns of other threads in between."""

import os
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from recompyle.patch import slices, turns


@pytest.fixture(autouse=True)
def interval():
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("microseconds", [1, 3, 7, 699, 700, 701, 5000, 49_999, 1_234_567])
def test_the_switch_interval_is_what_it_was(microseconds):
    sys.setswitchinterval(microseconds * 1e-6 + turns.ROUNDING)
    before = sys.getswitchinterval()
    for _ in range(3):
        turns.give_way()
    assert sys.getswitchinterval() == before == pytest.approx(microseconds * 1e-6)


class Givers:
    """Threads that give way over and over."""

    def __init__(self, count=1):
        self.ended = False
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]

    def run(self):
        while not self.ended:
            turns.give_way()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.ended = True
        for thread in self.threads:
            thread.join()


def until_short():
    end = time.monotonic() + 60
    while sys.getswitchinterval() > turns.TURN * 1.01:
        assert time.monotonic() < end, "nobody shortens it"


def test_it_is_short_while_somebody_gives_way():
    sys.setswitchinterval(0.005)
    with Givers():
        until_short()
    assert sys.getswitchinterval() == 0.005


def test_several_threads_that_give_way_at_once():
    sys.setswitchinterval(0.005)
    with Givers(4):
        for _ in range(20):
            until_short()
    assert sys.getswitchinterval() == 0.005


def test_an_interval_that_the_program_sets_meanwhile_stays():
    sys.setswitchinterval(0.005)
    with Givers() as givers:
        until_short()
        sys.setswitchinterval(0.003)
        givers.ended = True
    assert sys.getswitchinterval() == 0.003


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_process_that_is_forked_meanwhile_has_the_long_one():
    sys.setswitchinterval(0.005)
    with Givers():
        until_short()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                turns.give_way()
                code = 0 if sys.getswitchinterval() == 0.005 else 2
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_slice_ends_by_the_clock(monkeypatch):
    now, given = [100.0], []
    monkeypatch.setattr(slices, "_over", 0.0)
    monkeypatch.setattr(slices, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(slices, "give_way", lambda: given.append(now[0]))
    for step in (0, slices.SLICE / 2, slices.SLICE / 4, slices.SLICE / 2, slices.SLICE / 2):
        now[0] += step
        slices.between()
    assert len(given) == 2, "at the beginning, and in the first step behind the end of a slice"
    now[0] -= 50
    slices.between()
    slices.between()
    assert len(given) == 3, "another clock"


def test_all_items_go():
    items = list(range(1234))
    slices.empty(items)
    assert items == []
