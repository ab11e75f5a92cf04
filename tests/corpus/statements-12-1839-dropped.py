from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(766)
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
def f0(a, /, b, *c):
    x, y = a, (g * g)
    z: int = f"{(b[::g])}"
    for a.t in [a, b]:
        del a.t
        x = x = a
        try:
            g[(y / b)].t = x = c.p
        except Exception:
            pass
    ((a not in (a, b) <= None) if (y
        + a) else a)
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'statements', CPython 3.13.0; seed 12, number 1839.
