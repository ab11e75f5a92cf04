"""The newest slow calls, from many threads, across forks, and re-entered."""

from __future__ import annotations

import dataclasses
import os
import threading
import traceback

import pytest

from recompyle.profile import ring as module
from recompyle.profile.model import SlowCall
from recompyle.profile.ring import Ring


@pytest.fixture
def ring() -> Ring:
    return Ring()


def numbered(report: SlowCall, number: int, function: str = "m:f") -> SlowCall:
    return dataclasses.replace(report, id=number, function=function)


def test_newest_of_each_function(ring: Ring, checkout: SlowCall) -> None:
    ring.add(numbered(checkout, 1, "m:rare"), 3)
    for number in range(2, 102):
        ring.add(numbered(checkout, number, "m:busy"), 3)
    assert [report.id for report in ring.recent(10)] == [101, 100, 99, 1]
    assert [report.id for report in ring.recent(2)] == [101, 100]
    assert ring.recent(0) == []


def test_size_may_change(ring: Ring, checkout: SlowCall) -> None:
    for number in range(1, 6):
        ring.add(numbered(checkout, number), 5)
    ring.add(numbered(checkout, 6), 2)
    assert [report.id for report in ring.recent()] == [6, 5]
    ring.add(numbered(checkout, 7), 0)
    assert ring.recent() == []


def test_clear_keeps_counting(ring: Ring, checkout: SlowCall) -> None:
    ring.add(numbered(checkout, ring.next_id()), 5)
    ring.clear()
    assert ring.recent() == []
    assert ring.next_id() == 2


def test_collect(ring: Ring, checkout: SlowCall) -> None:
    ring.hand_out(checkout)
    with ring.collect() as outer:
        ring.hand_out(numbered(checkout, 1))
        with ring.collect() as inner:
            ring.hand_out(numbered(checkout, 2))
        ring.hand_out(numbered(checkout, 3))
    ring.hand_out(numbered(checkout, 4))
    assert [report.id for report in outer] == [1, 2, 3]
    assert [report.id for report in inner] == [2]


def test_equal_lists_are_not_confused(ring: Ring, checkout: SlowCall) -> None:
    with ring.collect() as outer:
        with ring.collect() as inner:
            assert outer == inner == []
        ring.hand_out(checkout)
    assert (outer, inner) == ([checkout], [])


def test_collect_ends_with_an_exception(ring: Ring, checkout: SlowCall) -> None:
    with pytest.raises(ValueError, match="stop"), ring.collect() as got:
        raise ValueError("stop")
    ring.hand_out(checkout)
    assert got == []


def test_threads(ring: Ring, checkout: SlowCall) -> None:
    """Numbers are unique and without gaps, and each function keeps its own newest."""

    def work(function: str) -> None:
        for _ in range(500):
            number = ring.next_id()
            numbers.append(number)
            report = numbered(checkout, number, function)
            ring.add(report, 7)
            ring.hand_out(report)

    numbers: list[int] = []
    with ring.collect() as got:
        threads = [threading.Thread(target=work, args=(f"m:f{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers) == list(range(1, 4001))
    assert sorted(report.id for report in got) == list(range(1, 4001))
    kept = ring.recent(1000)
    assert len(kept) == 8 * 7
    assert [report.id for report in kept] == sorted((report.id for report in kept), reverse=True)
    for n in range(8):
        mine = [report.id for report in got if report.function == f"m:f{n}"]
        assert sorted(mine)[-7:] == sorted(report.id for report in kept if report.function == f"m:f{n}")


def test_a_destructor_may_use_the_ring_while_it_is_locked(ring: Ring, checkout: SlowCall) -> None:
    with ring._lock:
        ring.add(numbered(checkout, ring.next_id()), 5)
    assert len(ring.recent()) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_child_of_a_fork_begins_anew(checkout: SlowCall) -> None:
    """Although another thread holds the lock at the moment of the fork."""
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with module._ring._lock:
            locked.set()
            release.wait()

    number = module.next_id()
    module.add(numbered(checkout, number), 5)
    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    try:
        child = os.fork()
        if not child:
            try:
                assert module.recent() == []
                assert module.next_id() == 1
                with module.collect() as got:
                    module.hand_out(checkout)
                assert got == [checkout]
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
    finally:
        release.set()
        holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert module.recent(1)[0].id == number
    module.clear()
