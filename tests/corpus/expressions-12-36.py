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


@observe
def f0(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    x = a
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 12, number 36.
