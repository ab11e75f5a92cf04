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
async def f1(*args, a=g, b=h, c=g):
    x, y = b, (await c)
    try:
        raise ExceptionGroup('some', [KeyError(1), ValueError(a)])
    except* KeyError as e:
        ('s' if a else a)
    except* (ValueError, Boom) as e:
        x = a
    x = a
    return a

@observe
def f2(a, b, c=O('d')):
    try:
        a.t = g[b](b / c)
    except Exception as e:
        ((b or 1) if a else c)
    return a

def main():
    begin()
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 33, number 3276.
