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
async def f0(a, /, b, *c):
    x, y = b, c
    try:
        with (a + a):
            x = a
    except Exception:
        pass
    (lambda p=a, *q: h[a:a])().t = (x := a)
    try:
        pass
    except* KeyError as e:
        h.__r
    except* (ValueError, Boom) as e:
        try:
            try:
                ((h
                    is not g)).m()
                x = a
            except* KeyError as e:
                x = a
        except Exception:
            pass
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'never', CPython 3.13.0; seed 21, number 246.
