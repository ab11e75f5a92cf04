from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(0)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


def make_f0(u, v):
    x = y = u
    @observe
    def inner(a, b, c=O('d')):
        nonlocal u, v
        assert a, a
        return a
    return inner
f0 = make_f0(O('u'), O('v'))

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'always', CPython 3.13.0; seed 12, number 89.
