from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(946)
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
    x, y = a, b
    (True if a else b)
    return x

@observe
def f1(a, b, c=O('d')):
    x, y = a, b
    try:
        (('s' if a else b) if c else (-b.p).m)
    except Exception:
        x = a
    return x

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    attempt(f1, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 33, number 5093.
