"""Callables of other kinds."""

import functools

from ..calls import CALLS


def numbers():
    CALLS[__name__, "numbers"] += 1
    yield


def letters():
    CALLS[__name__, "letters"] += 1
    yield


async def fetch():
    CALLS[__name__, "fetch"] += 1


async def upload():
    CALLS[__name__, "upload"] += 1


async def ticks():
    CALLS[__name__, "ticks"] += 1
    yield


class Account:
    @property
    def balance(self):
        CALLS[__name__, "Account.balance"] += 1

    @balance.setter
    def balance(self, amount):
        CALLS[__name__, "Account.balance.setter"] += 1

    @balance.deleter
    def balance(self):
        CALLS[__name__, "Account.balance.deleter"] += 1

    @property
    def limit(self):
        CALLS[__name__, "Account.limit"] += 1

    def __call__(self):
        CALLS[__name__, "Account.__call__"] += 1


@functools.lru_cache(maxsize=1)
def exchange_rate(day):
    CALLS[__name__, "exchange_rate"] += 1


def logged(function):
    """A decorator as many are: a function of its own stands before the decorated one."""

    @functools.wraps(function)
    def wrapper():
        return function()

    return wrapper


@logged
def transfer():
    CALLS[__name__, "transfer"] += 1


@logged
def refund():
    CALLS[__name__, "refund"] += 1


def greeter():
    """Makes closures."""

    def greet():
        CALLS[__name__, "greeter.<locals>.greet"] += 1

    return greet


@functools.singledispatch
def describe(value):
    CALLS[__name__, "describe[object]"] += 1


@describe.register
def _(value: int):
    CALLS[__name__, "describe[int]"] += 1


@describe.register
def _(value: str):
    CALLS[__name__, "describe[str]"] += 1
