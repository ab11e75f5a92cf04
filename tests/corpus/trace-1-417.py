from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(562)
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
    __z = ('%r %s' % (g,
        (g or g or h)))
    
    def helper(self, a, b, *, c=O('d'), **k):
        del y
        yield a
        return c.q
    
    def m(self, a, b=None, *c):
        x = y = self.__z = a
        for x, *y in self.o:
            try:
                a.t: g = (w := str(10 for i in a.p))
                if (c != None):
                    break
                try:
                    b[g] = c
                except Exception:
                    pass
                try:
                    try:
                        pass
                    except Exception:
                        x = y = g
                except ValueError as e0:
                    try:
                        x = a
                    except Exception:
                        pass
                    x = a
                except Exception:
                    x = a
            finally:
                x = a
            x = a
            x = a
        x = a
        x = a
        x = a
        return super().m(a, b)

@observe
def f1(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    x = a
    return a

@observe
def f2(a, b, c=O('d')):
    x, y = (a + a), (a + a)
    x = a
    return a

def main():
    begin()
    attempt(lambda: F0(O('p')).m(O('q'), O('r')))
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'trace', CPython 3.13.0; seed 1, number 417.
