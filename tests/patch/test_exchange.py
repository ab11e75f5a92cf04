"""Another patch in the place of one."""

import json

import pytest
from marks import Mark, Refuse

from recompyle import NotRewritable, apply, restore
from recompyle.patch import registry


def f(x=1):
    return x


def g():
    return 2


def outer():
    def inner():
        return 3

    return inner


def test_one_swap_and_the_other_layers_stay(monkeypatch):
    original, swaps = f.__code__, []
    first, below, new = Mark("first"), Mark("below"), Mark("new")
    under = apply(f, below)
    patch = apply(f, first)
    above = apply(f, Mark("above", log := []))
    real = registry.swap
    monkeypatch.setattr(registry, "swap", lambda *args: (swaps.append(args), real(*args))[1])
    other = patch.exchange(new)
    assert (len(swaps), patch.state, other.state, other.functions, other.original) == (
        1,
        "restored",
        "active",
        [f],
        original,
    )
    f()
    assert (first.log, below.log, new.log, log) == ([], ["below"], ["new"], ["above"])
    patch.restore()
    assert other.active
    for each in (under, other, above):
        each.restore()
    assert f.__code__ is original


def test_several_functions_or_none():
    codes = f.__code__, g.__code__
    mark = Mark()
    patch = apply(f, mark)
    both = apply(json.decoder.JSONDecoder, Mark())
    other = both.exchange(second := Mark("second"))
    json.loads("[1]")
    assert second.log and set(other.functions) == set(both.functions)
    with pytest.raises(NotRewritable):
        other.exchange(Refuse("raw_decode"))
    assert other.active
    other.restore()
    patch.restore()
    assert (f.__code__, g.__code__) == codes


def test_functions_yet_to_be_made():
    original = outer.__code__
    first, second = Mark("first"), Mark("second")
    patch = apply(outer(), first, scope="future")
    made = outer()
    other = patch.exchange(second)
    later = outer()
    assert (made(), later(), first.log, second.log) == (3, 3, [], ["second"] * 2)
    other.restore()
    assert (made(), outer()(), second.log, outer.__code__ is original) == (3, 3, ["second"] * 2, True)


def test_what_is_restored_is_not_exchanged():
    original = f.__code__
    patch = apply(f, Mark())
    patch.restore()
    other = patch.exchange(mark := Mark())
    f()
    assert (other.state, mark.log, f.__code__ is original) == ("restored", [], True)
    assert other.functions == []


def test_what_was_restored_in_part_is_exchanged_in_part():
    one, two = json.decoder.JSONDecoder.decode, json.decoder.JSONDecoder.raw_decode
    with apply(json.decoder.JSONDecoder, Mark()) as patch:
        restore(one)
        with patch.exchange(Mark()) as other:
            assert two in other.functions and one not in other.functions


def test_what_is_no_pass_is_refused():
    with apply(f, Mark()) as patch:
        with pytest.raises(ValueError, match="at least one pass"):
            patch.exchange()
        assert patch.active
    with pytest.raises(TypeError):
        patch.exchange(object())
