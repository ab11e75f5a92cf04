from fuzz.objects import O, attempt, begin, finish, start

start(380)


@observe
def f0(a, b):
    try:
        raise ExceptionGroup("some", [KeyError(1), ValueError(b)])
    except* ValueError as error:
        (b.y if a else b.z)
    return a


def main():
    begin()
    attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'expressions', CPython 3.13.0: what lets go of a handler's exception has no position of its own.
