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
def f0(a, b):
    try:
        a.b()
        raise KeyError
    except BaseException as e0:
        x = z = ((b or a is b or b) if set(i for i in [a]
            if f"{a}") else f"{a}")
        raise

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'statements', CPython 3.13.0; seed 12, number 1839.
