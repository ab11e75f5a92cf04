from fuzz.objects import O, attempt, begin, finish, keep, start, tick

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
def f0(a, /, b, *c):
    x, y = a, a.m(*1)
    x = a
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)
