"""The page of counters: its layout, its seals, and what a forked child gets."""

import ctypes
import fcntl
import gc
import json
import mmap
import os
import pickle
import struct
import subprocess
import sys
import textwrap

import pytest

from recompyle import NotRewritable, live
from recompyle.live import _guard
from recompyle.live._guard import Hits

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the page is shared on Linux only")
HEADER = "=8sIIQQQQ"


def header(descriptor):
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as page:
        return struct.unpack_from(HEADER, page)


def count_at(descriptor, index):
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as page:
        return struct.unpack_from("=QQ", page, 64 + 16 * index)


def test_counts_and_hands_values_on():
    hits, value = Hits("here"), object()
    assert (~hits, hits[value] is value, hits.count) == (None, True, 1)
    assert (hits.label, hits.address % 8) == ("here", 0)


def test_another_object_for_each_and_free_again():
    one, two = Hits(), Hits()
    assert one.index != two.index
    assert two.address - one.address == 16 * (two.index - one.index)
    _ = ~one
    index = one.index
    del one
    three = Hits()
    assert (three.index, three.count) == (index, 0)


def test_pickled_and_copied_as_other_probes():
    import copy

    hits = Hits()
    assert copy.deepcopy(hits) is hits
    assert pickle.loads(pickle.dumps(hits))[5] == 5


@linux
def test_page_as_another_process_reads_it():
    hits = Hits()
    descriptor, generation, slots = _guard.page()
    assert header(descriptor) == (b"RCPLIVE1", 1, 16, slots, generation, os.getpid(), header(descriptor)[6])
    for _ in range(3):
        _ = ~hits
    assert count_at(descriptor, hits.index) == (3, 0)
    _guard.note_start(123)
    assert header(descriptor)[6] == 123


@linux
def test_generation_tells_that_slots_have_another_meaning():
    _, before, _ = _guard.page()
    hits = Hits()
    _, taken, _ = _guard.page()
    _ = ~hits
    _, counted, _ = _guard.page()
    del hits
    _, given, _ = _guard.page()
    assert before < taken == counted < given


@linux
def test_page_cannot_be_written_or_shrunk_by_who_gets_the_descriptor():
    hits = Hits()
    descriptor, _, _ = _guard.page()
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, 0)
    with pytest.raises(PermissionError):
        os.write(descriptor, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 64)
    assert fcntl.fcntl(descriptor, 1034) & 0x16 == 0x16  # F_GET_SEALS: shrink, grow, future write
    assert not os.get_inheritable(descriptor)
    _ = ~hits
    assert hits.count == 1


class Counted:
    def __init__(self, path, hits):
        self.path, self.hits = path, Hits(path)
        for _ in range(hits):
            self.hits.__invert__()


@pytest.mark.parametrize("length", [0, 1, 2, 40])
def test_text_of_many_is_json(length):
    names = ["m:f", 'm:C["a"].\\f', "m:\x1b[31m\n", "módulo:Größe", "m:\N{SNAKE}", "m:\ud800", "x" * 1000, ""]
    paths = (names * 5)[:length]
    text = _guard.counts_text([Counted(path, hits) for hits, path in enumerate(paths)])
    assert text.isascii() and json.loads(f"[{text}]") == [[path, hits] for hits, path in enumerate(paths)]


def test_text_of_the_largest_count():
    counted = Counted("m:f", 0)
    (ctypes.c_uint64).from_address(counted.hits.address).value = 2**64 - 1
    assert _guard.counts_text([counted]) == '["m:f",18446744073709551615]'


def test_all_slots_taken_is_a_refusal():
    program = """
        from recompyle.live._guard import Hits, page
        first = Hits()
        held = [first] + [Hits() for _ in range(page()[2] - 1)]
        try:
            Hits()
        except Exception as error:
            print(type(error).__name__, error.slug)
        del held[7]
        print(Hits().index)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "NotRewritable limit\n7\n"
    assert issubclass(NotRewritable, Exception)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_for_itself():
    program = """
        import mmap, os, struct, sys
        from recompyle import live
        from recompyle.live import _guard

        def f(): pass

        handle = live.instrument("__main__:f")
        f()
        inherited = _guard.page()[0]
        read, write = os.pipe()
        child = os.fork()
        if not child:
            f(); f()
            live.instrument("__main__:f", lambda name: None)
            f()
            descriptor, generation, slots = _guard.page()
            header = b"" if descriptor < 0 else mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)[:40]
            pid = struct.unpack_from("=Q", header, 32)[0] if header else os.getpid()
            other = __import__("recompyle.live.state").live.state.worker.submit(lambda: 7).result(30)
            os.write(write, f"{handle.hits} {pid == os.getpid()} {other} {handle.state}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        print(os.read(read, 100).decode(), handle.hits)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "3 True 7 on 1\n"


def test_exact_with_recursion_and_generators(make):
    module = make("""
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)

        def walk(n):
            if n:
                yield n
                yield from walk(n - 1)
    """)
    with live.instrument(f"{module.__name__}:fib") as fib, live.instrument(f"{module.__name__}:walk") as walk:
        assert module.fib(15) == 610
        assert list(module.walk(20)) == list(range(20, 0, -1))
    assert (fib.hits, walk.hits) == (1973, 21)
    gc.collect()
