"""Random programs by number, and how to make one smaller.

The program of a seed and a number is the same on every machine and version of CPython.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fuzz.grammar import Writer

Numbers = tuple[int, ...]


class Choices:
    """Gives numbers, and remembers them: first the given ones, then random ones, or zeros."""

    def __init__(self, given: Sequence[int] = (), rest: random.Random | None = None) -> None:
        self.given = given
        self.rest = rest
        self.made: list[int] = []

    def below(self, size: int) -> int:
        at = len(self.made)
        if at < len(self.given):
            number = min(self.given[at], size - 1)
        else:
            number = self.rest.randrange(size) if self.rest is not None else 0
        self.made.append(number)
        return number


@dataclass(frozen=True, slots=True)
class Random:
    """A program, and the choices that made it."""

    text: str
    numbers: Numbers


def generate(seed: int, number: int) -> Random:
    """The program of a seed and a number."""
    source = random.Random(f"{seed} {number}")
    while True:  # now and then what is written is against the rules of the language
        choices = Choices(rest=source)
        text = Writer(choices.below).program()
        if compiles(text):
            return Random(text, tuple(choices.made))


def compiles(text: str) -> bool:
    """Whether a text is a program of the running version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<random>", "exec", dont_inherit=True)
        except SyntaxError:
            return False
    return True


def again(numbers: Sequence[int]) -> Random | None:
    """The program of given choices, which are cut to what is used; None if it does not compile."""
    choices = Choices(numbers)
    text = Writer(choices.below).program()
    return Random(text, tuple(choices.made)) if compiles(text) else None


def shrink(program: Random, fails: Callable[[str], bool], tries: int = 2000) -> Random:
    """The smallest program found that still fails.

    Choices are left out, then made smaller, as long as that helps.

    Parameters:
        program: a program that fails.
        fails: whether a text fails.
        tries: how often ``fails`` may be asked.
    """
    known = {program.text}
    best = program
    found = True
    while found:
        found = False
        for numbers in _smaller(best):
            other = again(numbers)
            if other is None or other.text in known or _size(other) >= _size(best):
                continue
            known.add(other.text)
            tries -= 1
            if tries < 0:
                return best
            if fails(other.text):
                best, found = other, True
                break
    return best


def _size(program: Random) -> tuple[int, int, Numbers]:
    return len(program.text), len(program.numbers), program.numbers


def _smaller(program: Random) -> Iterator[Numbers]:
    numbers = program.numbers
    width = len(numbers) // 2
    while width:
        for at in range(0, len(numbers) - width + 1, max(1, width // 2)):
            yield numbers[:at] + numbers[at + width :]
            yield numbers[:at] + (0,) * width + numbers[at + width :]
        width //= 2
    for at, number in enumerate(numbers):
        for less in {0, number // 2, number - 1} - {number, -1}:
            yield (*numbers[:at], less, *numbers[at + 1 :])
