from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(114)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
async def f0(a, b, c=O('d')):
    del b[g:h], a.t
    for a.t in a:
        try:
            a.t = a
        except Exception:
            pass
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'trace', CPython 3.12.1; seed 1, number 55.
