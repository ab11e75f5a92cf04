from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(981)
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
    async def inner(a, b, c=O('d')):
        x, y = (a + g), (b **
            g)
        z: int = v
        async for y in b:
            try:
                try:
                    try:
                        (u <= ((await (a + a)))(a) < a)
                    except Exception:
                        pass
                finally:
                    x = a
            except Exception:
                pass
            z = ((not c((b
                + b),
                k=(h << g),
                l=(w := a))) if v[((1j if a else g)
                == (await c)
                != sorted(locals())
                < y.q), a] else (1j or (any(a async for i in a) < a)))
        x = a
        b[a] = O(str(1))
        return ((b.q - a) < a)
    return inner
f0 = make_f0(O('u'), O('v'))

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


# Differed under 'trace', CPython 3.11.7; seed 1, number 171.
