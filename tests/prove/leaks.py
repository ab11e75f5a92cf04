"""Looks for what repeated use would lose: Python's blocks, libc's heap, references to users' objects.

Each use is repeated in batches. What grows in every one of eight leaks: caches fill and then stay as they
are. Ends with 0 if nothing does. A debug build of CPython also counts all references.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import recompyle
from recompyle import profile

sys.path.insert(0, str(Path(__file__).parents[1]))
from memory import heap_bytes

WARM_UP, BATCH = 30, 100
NEVER = -1


class Mark:
    """An object of the user's, whose references are counted."""


MARK = Mark()


def helper(*values):
    if values and values[-1] == "raise":
        raise ValueError(values[0])
    return values


def plain(mark):
    helper(mark, *[mark])
    with contextlib.suppress(ValueError):
        helper(mark, "raise")
    return [helper(each) for each in (mark, mark)], (lambda each: helper(each))(mark)


def failing(mark):
    return helper(helper(mark, "raise"))


def numbers(mark):
    try:
        got = yield helper(mark)
        helper(got)
        yield from (helper(mark) for _ in range(2))
    finally:
        helper(mark)


async def waiting(mark):
    async def steps():
        for _ in range(2):
            await asyncio.sleep(0)
            yield helper(mark)

    async with contextlib.AsyncExitStack():
        return [helper(each) async for each in steps()], await asyncio.gather(asyncio.sleep(0, mark))


def make(mark):
    def inner(value):
        return helper(mark, value)

    return inner


@contextlib.contextmanager
def profiled(function, limit: float = NEVER) -> Iterator[None]:
    with recompyle.apply(function, recompyle.ProfileCalls(limit)):
        yield


def use_generator() -> None:
    list(numbers(MARK))
    for end in (lambda made: made.close(), lambda made: made.send(MARK), lambda made: None):
        made = numbers(MARK)
        next(made)
        end(made)
    made = numbers(MARK)
    next(made)
    with contextlib.suppress(KeyError):
        made.throw(KeyError(MARK))


def use_failing() -> None:
    with contextlib.suppress(ValueError):
        failing(MARK)


def use_thread() -> None:
    thread = threading.Thread(target=plain, args=(MARK,))
    thread.start()
    thread.join()


def use_reports() -> None:
    plain(MARK)
    use_failing()
    use_generator()
    profile.clear()


def use_apply() -> None:
    for function in (plain, numbers, waiting):
        with profiled(function):
            pass
    plain(MARK)


def use_stacked() -> None:
    first, second = (recompyle.apply(plain, recompyle.ProfileCalls(limit)) for limit in (NEVER, NEVER))
    plain(MARK)
    first.restore()
    second.restore()


def use_rewrite() -> None:
    recompyle.rewrite(plain, recompyle.ProfileCalls(NEVER))(MARK)
    str(recompyle.preview(plain, recompyle.ProfileCalls(NEVER)))


def use_closures() -> None:
    for function in (make(MARK), make(MARK)):
        recompyle.apply(function, recompyle.ProfileCalls(NEVER))
        function(MARK)


def use_refused() -> None:
    namespace: dict = {}
    exec("def f(): return len('')", namespace)
    with contextlib.suppress(recompyle.RecompyleError):
        recompyle.apply(namespace["f"], recompyle.ProfileCalls(NEVER, on_error="raise"))
    with contextlib.suppress(recompyle.RecompyleError):
        recompyle.apply("json:no_such_function", recompyle.ProfileCalls(NEVER))


# what is used -> the function profiled meanwhile, and its limit
USES: dict[Callable[[], None], tuple[list, float]] = {
    lambda: plain(MARK): ([plain], NEVER),
    use_failing: ([failing, helper], NEVER),
    use_generator: ([numbers], NEVER),
    lambda: asyncio.run(waiting(MARK)): ([waiting], NEVER),
    use_thread: ([plain], NEVER),
    use_reports: ([plain, failing, numbers, helper], 0),
    use_apply: ([], NEVER),
    use_stacked: ([], NEVER),
    use_rewrite: ([], NEVER),
    use_closures: ([], NEVER),
    use_refused: ([], NEVER),
}


def measures() -> dict[str, int]:
    """What must not grow."""
    gc.collect()
    found = {
        "blocks": sys.getallocatedblocks(),
        "heap bytes": heap_bytes(),
        "references": sys.getrefcount(MARK),
    }
    if hasattr(sys, "gettotalrefcount"):
        found["all references"] = sys.gettotalrefcount()
    return found


# Growth for one use that is still none: a freed thread's arena or a set that grew may show up in a batch.
FREE = {"blocks": 0.2, "heap bytes": 64, "references": 0, "all references": 0.5}


def growth(use: Callable[[], None]) -> dict[str, float]:
    """Growth for one use, in the first batch of up to eight that shows none, or in the last."""
    for _ in range(WARM_UP):
        use()
    for _ in range(8):
        before = measures()
        for _ in range(BATCH):
            use()
        after = measures()
        grown = {name: (after[name] - before[name]) / BATCH for name in after}
        if not is_leak(grown):
            break
    return grown


def is_leak(grown: dict[str, float]) -> bool:
    return any(grown[name] > FREE[name] for name in grown)


def main() -> int:
    profile.configure(sinks=[])
    leaks = 0
    for use, (functions, limit) in USES.items():
        with contextlib.ExitStack() as stack:
            for function in functions:
                stack.enter_context(profiled(function, limit))
            grown = growth(use)
        leaks += is_leak(grown)
        name = use.__name__ if use.__name__ != "<lambda>" else f"runs of {functions[0].__name__}"
        told = ", ".join(f"{each:+.2f} {name}" for name, each in grown.items())
        print(
            f"{'LEAK' if is_leak(grown) else 'ok':5} {name.replace('_', ' '):18} each time: {told}",
            flush=True,
        )
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
