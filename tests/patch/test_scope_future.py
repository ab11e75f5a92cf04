"""``scope="future"``: functions that are still to be made."""

import gc
import sys
import threading

import pytest
from marks import Mark

from recompyle import ProfileCalls
from recompyle.errors import NotRewritable
from recompyle.patch import apply, pause, pristine, registry, restore


def factory():
    def made(x=1):
        return x + 1

    return made


def outer():
    def middle():
        class Holder:
            def method(self):
                return [self.inner(n) for n in range(3)]

            def inner(self, n):
                return (lambda: n * 2)()

        return Holder

    return middle


def several(count):
    for _ in range(count):

        def item(x):
            return x

        yield item


@pytest.fixture(autouse=True)
def nothing_is_left_patched():
    yield
    assert registry._entries == {}, "a test left functions patched"


def test_functions_made_later_have_the_probes_and_lose_them():
    own = factory.__code__
    first, mark = factory(), Mark()
    patch = apply(first, mark, scope="future")
    second = factory()
    assert (first(), second(), mark.log) == (2, 2, ["hit", "hit"])
    assert pristine(second) is pristine(first)
    assert patch.functions == [first]
    patch.restore()
    third = factory()
    assert first(1) == second(1) == third(1) == 2
    assert len(mark.log) == 2
    assert factory.__code__ is own
    assert first.__code__ is second.__code__ is third.__code__


def test_a_method_of_a_class_made_in_a_function_made_in_a_function():
    middle, mark = outer(), Mark()
    before = outer.__code__, middle.__code__
    cls = middle()
    with apply(cls.inner, mark, scope="future"):
        later = middle()
        assert later().method() == [0, 2, 4]
        assert outer()()().method() == [0, 2, 4]
        assert mark.log == ["hit"] * 6
    assert later().method() == outer()()().method() == [0, 2, 4]
    assert mark.log == ["hit"] * 6
    assert (outer.__code__, middle.__code__) == before
    assert outer.__code__ is before[0] and middle.__code__ is before[1]


def test_a_call_that_runs_already_makes_functions_as_before():
    running, mark = several(3), Mark()
    first = next(running)
    with apply(first, mark, scope="future"):
        assert next(running)(1) == 1 and mark.log == []
        new = several(2)
        assert next(new)(1) == 1 and mark.log == ["hit"]
    late = next(new)  # this call began while the patch was there
    late(1)
    assert mark.log == ["hit"] * 2
    assert restore(late) == 1
    late(1)
    assert mark.log == ["hit"] * 2


def test_layers_of_maker_and_made_go_in_any_order():
    log = []
    first = factory()
    around = apply(factory, Mark("maker", log))
    inner = apply(first, Mark("made", log), scope="future")
    factory()()
    assert log == ["maker", "made"]
    around.restore()
    factory()()
    assert log == ["maker", "made", "made"]
    more = apply(first, Mark("second", log), scope="future")
    inner.restore()
    del log[:]
    second = factory()
    second()
    first()
    assert log == ["second", "second"]
    more.restore()
    second()
    assert log == ["second", "second"]


def test_a_function_made_with_probes_takes_more_of_them():
    log = []
    patch = apply(factory(), Mark("a", log), scope="future")
    second = factory()
    with apply(second, Mark("b", log)):
        second()
        assert sorted(log) == ["a", "b"]
    second()
    assert sorted(log) == ["a", "a", "b"]
    patch.restore()
    second()
    assert len(log) == 3


def test_pause_reaches_functions_made_meanwhile():
    mark = Mark()
    patch = apply(factory(), mark, scope="future")
    second = factory()
    pause(Mark, True)
    third = factory()
    try:
        second()
        third()
        assert mark.log == []
    finally:
        pause(Mark, False)
    second()
    factory()()
    assert mark.log == ["hit", "hit"]
    patch.restore()


def test_restore_of_everything_reaches_functions_made_meanwhile():
    mark = Mark()
    apply(factory(), mark, scope="future")
    made = [factory() for _ in range(5)]
    thread = threading.Thread(target=restore)
    thread.start()
    thread.join()
    for each in made:
        assert each() == 2
    assert mark.log == []


def test_function_of_a_module_has_no_future():
    with pytest.raises(NotRewritable, match="no living function of its module makes it") as caught:
        apply(factory, Mark(), scope="future")
    assert caught.value.slug == "not_nested"
    assert not registry._entries


def test_the_profiler_on_closures_to_come(caplog):
    patch = apply(factory(), ProfileCalls("100s"), scope="future")
    made = factory()
    assert made(3) == 4
    assert made.__code__ is not pristine(made)
    patch.restore()
    assert made.__code__ is pristine(made)


def test_nothing_keeps_the_functions_made_alive():
    patch = apply(factory(), Mark(), scope="future")
    before = len(gc.get_objects())
    for _ in range(1000):
        factory()()
    gc.collect()
    assert len(gc.get_objects()) < before + 500
    patch.restore()


def test_how_many_frames_still_run_the_code():
    def numbers():
        yield 1
        yield 2

    patch = apply(numbers, Mark())
    suspended = [numbers(), numbers()]
    for each in suspended:
        next(each)
    assert patch.running() == 2
    patch.restore()
    assert patch.running() == 2
    assert next(suspended[0]) == 2
    del suspended, each
    gc.collect()
    assert patch.running() == 0


def test_a_running_frame_counts_too():
    seen = []

    def runs():
        seen.append(patch.running())

    patch = apply(runs, Mark())
    runs()
    patch.restore()
    assert seen == [1]
    assert sys._getframe().f_code.co_name == "test_a_running_frame_counts_too"
