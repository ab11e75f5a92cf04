from fuzz.objects import O, attempt, begin, finish, start

start(67)


@observe
def f0(a, b):
    z = [(lambda: i) for i in b] if a else b
    return a


@observe
def f1(a, b):
    assert [i for i in b] if a else (b if b.x else (not a)), b


def main():
    begin()
    for _ in range(4):
        attempt(f0, O("a"), O("b"))
        attempt(f1, O("a"), O("b"))
    finish(True)


# Differed under 'expressions', CPython 3.13.0: what a comprehension gives is stored at once only where the way out is
# short; and an end of a conditional expression that is an end of another one decides for that.
