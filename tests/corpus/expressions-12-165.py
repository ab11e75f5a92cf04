from fuzz.objects import O, attempt, begin, finish, start

start(165)


@observe
def f0(a, b):
    try:
        raise ValueError(b)
    except ValueError as error:
        try:
            (b.y if a else b.z)
        except Exception:
            pass
    return a


def main():
    begin()
    attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'expressions', CPython 3.13.0: what lets go of a handler's exception has no position of its own.
