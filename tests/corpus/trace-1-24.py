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
    x, y = g[...], tuple(b for i in h if i)
    class Inner1(Base, metaclass=type):
        __z = ('%s' % (g * g))
        
        def helper(self, a, b, c=O('d')):
            global n
            n = x = y = n + 1
            for x, y in (1, g, 's'):
                a.t = x = a
                (b
                    | (x << g))[g, ::h] = (w := (c if x
                    else c))
                try:
                    pass
                except Exception:
                    pass
            x = a
            return a
        
        def m(self, a, b=None, *c):
            x = y = self.__z = a
            x = a
            return super().m(a, b)
    y = Inner1(a).m(a, b)
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    finish(True)


# Differed under 'trace', CPython 3.11.7; seed 1, number 24.
