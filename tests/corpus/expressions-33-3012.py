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

    def __hash__(self):
        return 7


@observe
def f0(a, b, c=O('d')):
    x, y = a, a
    x, y, z = (a and a), O(str(1)), [a for i in a for j in (a + a)]
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 33, number 3012.
