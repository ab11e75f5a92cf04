"""Rows of generator expressions and lambdas: closed when they end, whoever catches their exceptions."""

import time

import pytest
from helpers import least

import recompyle

SLEEP = 0.02  # seconds
SLEEP_NS = int(SLEEP * 0.99e9)  # a sleep is never shorter, by another clock


@pytest.fixture
def profiled():
    """``profiled(function) -> list`` of the reports of its runs to come."""

    def profile(function, **options):
        reports = []
        recompyle.shallow_call_profiler(0, above_callback=reports.append, **options)(function)
        return reports

    yield profile
    recompyle.restore()


def fail_at_two(x):
    if x == 2:
        raise ValueError(x)
    return x


def swallow(values):
    try:
        for _ in values:
            pass
    except ValueError:
        pass


def caught_by_the_function(values):
    results = (fail_at_two(x) for x in values)
    try:
        for _ in results:
            pass
    except ValueError:
        pass
    time.sleep(SLEEP)


def caught_by_a_callee(values):
    swallow(fail_at_two(x) for x in values)
    time.sleep(SLEEP)


@pytest.mark.parametrize("function", [caught_by_the_function, caught_by_a_callee])
def test_a_row_of_a_generator_expression_ends_with_its_exception(profiled, function):
    reports = profiled(function)

    def time_of_the_row():
        reports.clear()
        function(range(4))
        (report,) = reports
        assert report.total_ns >= SLEEP_NS
        row = next(site for site in report.calls if site.source == "fail_at_two(x)")
        assert (row.count, row.errors, row.last_error, row.unfinished) == (3, 1, "ValueError", False)
        return row.total_ns

    assert least(time_of_the_row, SLEEP_NS) < SLEEP_NS


def profiled_generator(n):
    yield from range(n)


def total(n):
    return sum(profiled_generator(n))


def generator(n):
    yield sorted(range(n), key=lambda x: total(x))


async def coroutine(n):
    return sorted(range(n), key=lambda x: total(x))


def drive(awaitable):
    with pytest.raises(StopIteration):
        awaitable.send(None)


@pytest.mark.parametrize(("function", "run"), [(generator, list), (coroutine, drive)])
def test_lambda_of_a_generator_that_uses_other_generators(profiled, function, run):
    recompyle.shallow_call_profiler(-1)(profiled_generator)
    reports = profiled(function)
    run(function(4))
    (report,) = reports
    row = next(site for site in report.calls if site.source == "total(x)")
    assert (row.count, row.errors, row.unfinished) == (4, 0, False)
    assert report.calls[row.inside].source.startswith("sorted(")


def sorted_by(switch):
    return sorted([2, 1], key=lambda x: switch(x))


def test_lambdas_of_two_greenlets_that_take_turns(profiled):
    greenlet = pytest.importorskip("greenlet")
    reports = profiled(sorted_by)
    main = greenlet.getcurrent()
    workers = [greenlet.greenlet(sorted_by) for _ in range(2)]
    for worker in workers:
        worker.switch(main.switch)
    while not all(worker.dead for worker in workers):
        for worker in workers:
            worker.switch(1)
    assert len(reports) == 2
    for report in reports:
        row = next(site for site in report.calls if site.source == "switch(x)")
        assert (row.count, row.errors, row.unfinished) == (2, 0, False)
