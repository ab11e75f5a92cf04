from fuzz.objects import O, attempt, begin, finish, start

start(536)


@observe
def f0(a, b):
    try:
        a.x
    finally:
        (a or (b is None is not a))


def main():
    begin()
    for _ in range(4):
        attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'everywhere', CPython 3.13.0: what raises an exception again has no position of its own.
