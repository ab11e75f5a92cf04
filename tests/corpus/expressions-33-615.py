from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(1)
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
async def f0(*args, a=g, b=h, c=g):
    global n
    n = x = y = n + 1
    try:
        x, *y = (a(a) < a)
    except Exception:
        pass
    x = a
    yield a
    return

@observe
def f1(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    g[O(str(1))].t = ((((a and a) if a else a) < a) < a)
    return a

@observe
def f2(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    x = a
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 33, number 615.
