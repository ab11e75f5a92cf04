from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(370)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")

    def __hash__(self):
        return 7


@observe
def f0(a, b, c=O('d')):
    x, y = (a + a), c
    ((((1 and a and a)
        != sorted(locals()) < a < (a + h))).q).m(l=('%r %s' % (sorted(locals()),
        (yield))), **a[...])
    x = a
    x = a
    yield a
    return a

@observe
def f1(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    x = a
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    attempt(f1, *map(O, 'ab'), )
    finish(True)


# Differed under 'never', CPython 3.13.0; seed 21, number 1164.
