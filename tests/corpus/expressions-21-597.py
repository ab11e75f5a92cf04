from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(506)
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


def make_f0(u, v):
    x = y = u
    @observe
    async def inner(a, b=O('d'), *args, c=None):
        global n
        n = x = y = n + 1
        match (lambda p=a, *q: a)():
            case [x, *y]:
                try:
                    x = b[a] = tuple((((lambda p=a, *q: a)() == {u: 1j, **a}) if (~y) else ([a async for i in (a + a)] and a)))
                except Exception:
                    pass
            case _:
                x = a
        x = a
        x = a
        return a
    return inner
f0 = make_f0(O('u'), O('v'))

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 21, number 597.
