from fuzz.objects import O, attempt, begin, finish, start

start(1295)


@observe
def f0(a, b):
    for _ in b:
        try:
            pass
        except a.E:
            def inner(c):
                return c.x(a.y() for c in b)
    return a


def main():
    begin()
    attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'calls', CPython 3.13.0: a function made in code that cannot be reached kept its markers.
