"""The probe that counts in shared memory."""

import array
import copy
import gc
import marshal
import mmap
import operator
import pickle
import types
import weakref

import pytest

import recompyle
from recompyle import inject
from recompyle._c.probe import Probe


def test_counts_where_it_was_told_to():
    numbers = array.array("Q", [0, 40, 0])
    probe = inject.SlotCounter(numbers, 1, label="total")
    operator.invert(probe)
    value = object()
    assert probe[value] is value
    assert list(numbers) == [0, 42, 0]
    assert probe.count == 42 and probe.index == 1
    probe.count = 7
    assert numbers[1] == 7
    assert repr(probe) == "<SlotCounter total: 7>"


def test_in_written_code():
    numbers = array.array("Q", bytes(16))

    def function(n):
        return function(n - 1) if n else 0

    edits = [inject.Edit("entry", inject.SlotCounter(numbers)), inject.Edit("return", inject.SlotCounter(numbers, 1))]
    function.__code__ = inject.write(function.__code__, edits)
    function(9)
    assert list(numbers) == [10, 10]


def test_the_memory_is_held():
    memory = mmap.mmap(-1, 4096)
    probe = inject.SlotCounter(memory, 511)
    with pytest.raises(BufferError):
        memory.close()
    del probe
    memory.close()
    held = array.array("Q", [0])
    gone = weakref.ref(held)
    probe = inject.SlotCounter(held)
    del held
    gc.collect()
    operator.invert(probe)
    assert gone() is not None and probe.count == 1
    del probe
    assert gone() is None


@pytest.mark.parametrize(
    "memory, index, error",
    [
        (bytes(8), 0, BufferError),
        (bytearray(8), 1, IndexError),
        (bytearray(8), -1, IndexError),
        (bytearray(7), 0, IndexError),
        (memoryview(bytearray(24))[1:17], 0, ValueError),
        ("text", 0, TypeError),
    ],
)
def test_bad_memory(memory, index, error):
    with pytest.raises(error):
        inject.SlotCounter(memory, index)


def test_it_is_made_once_and_copies_are_itself():
    probe = inject.SlotCounter(bytearray(8))
    with pytest.raises(TypeError):
        probe.__init__(bytearray(8))
    assert copy.copy(probe) is probe and copy.deepcopy(probe) is probe
    assert type(pickle.loads(pickle.dumps(probe))) is Probe
    unmade = inject.SlotCounter.__new__(inject.SlotCounter)
    operator.invert(unmade)
    assert unmade.count == 1


class Value:
    pass


class Failed(Exception):
    pass


def made(fail):
    value = Value()
    if fail:
        raise Failed(value)
    return value


@pytest.mark.parametrize("make", [recompyle.Counter, lambda: inject.SlotCounter(bytearray(8))], ids=["own", "memory"])
def test_nothing_that_passes_is_kept(make):
    kinds = ("entry", "call", "called", "return", "unwind")
    edits = [inject.Edit(k, make(), "statement" if k in ("entry", "call") else "value") for k in kinds]
    written = types.FunctionType(inject.write(made.__code__, edits), globals())
    refs = [weakref.ref(written(False))]
    try:
        written(True)
    except Failed as error:
        refs += weakref.ref(error.args[0]), weakref.ref(error)
    assert [ref() for ref in refs] == [None] * 3
    assert [edit.probe.count for edit in edits] == [2, 3, 3, 1, 1]


def test_code_with_probes_hashes_and_compares_and_is_not_saved():
    def probed():
        return inject.write(made.__code__, [inject.Edit("return", inject.SlotCounter(bytearray(8)), "value")])

    one, other = probed(), probed()
    assert hash(one) == hash(one) and one == one
    assert one != other and one != made.__code__
    with pytest.raises(ValueError, match="unmarshallable"):
        marshal.dumps(one)
