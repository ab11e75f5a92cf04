from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(999)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
class F0(Base, metaclass=type):
    
    async def helper(self, *args, a=g, b=h, c=g):
        x, y = a.__r, g
        h
        return (not (y.q
            and (y is not b > h)
            and (h >= -0.0 is a < 1)))
    
    def m(self, a, b=None, *c):
        x = y = self.__z = a
        a.t = (self or tuple([i[::x] for i in [g, h]] for i in b
            for j in x))
        try:
            ('%r %s' % ((not f"{(sorted(locals()))!r}"),
        (lambda p=x, *q: (x := (lambda p=c, *q: p)(self.o)))()))
        except Exception:
            x = y = g
        if (((self.o << g))[(lambda p=self, *q: a)():(x @ a)] >> ('%r %s' % ({self, self.o},
        (x := self)))):
            x = a
            x = a
        return super().m(a, b)

@observe
def f1(a, b, c=O('d')):
    x, y = (a + a), a
    b[(b | y)] = z = b()
    return 1

@observe
async def f2(a, /, b, *c):
    """What it does."""
    global n
    n = x = y = n + 1
    x = a
    yield a
    return

def main():
    begin()
    attempt(lambda: F0(O('p')).m(O('q'), O('r')))
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'clocks', CPython 3.13.0; seed 12, number 103.
