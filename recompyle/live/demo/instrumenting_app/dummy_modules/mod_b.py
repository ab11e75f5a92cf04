"""Twenty functions. The text of mod_a and mod_b is equal, so only identity tells their functions apart."""

from ..calls import CALLS


def func_0():
    CALLS[__name__, "func_0"] += 1


def func_1():
    CALLS[__name__, "func_1"] += 1


def func_2():
    CALLS[__name__, "func_2"] += 1


def func_3():
    CALLS[__name__, "func_3"] += 1


def func_4():
    CALLS[__name__, "func_4"] += 1


def func_5():
    CALLS[__name__, "func_5"] += 1


def func_6():
    CALLS[__name__, "func_6"] += 1


def func_7():
    CALLS[__name__, "func_7"] += 1


def func_8():
    CALLS[__name__, "func_8"] += 1


def func_9():
    CALLS[__name__, "func_9"] += 1


def func_10():
    CALLS[__name__, "func_10"] += 1


def func_11():
    CALLS[__name__, "func_11"] += 1


def func_12():
    CALLS[__name__, "func_12"] += 1


def func_13():
    CALLS[__name__, "func_13"] += 1


def func_14():
    CALLS[__name__, "func_14"] += 1


def func_15():
    CALLS[__name__, "func_15"] += 1


def func_16():
    CALLS[__name__, "func_16"] += 1


def func_17():
    CALLS[__name__, "func_17"] += 1


def func_18():
    CALLS[__name__, "func_18"] += 1


def func_19():
    CALLS[__name__, "func_19"] += 1
