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
            and (y is not b is not g)
            and (a // g)))
    
    def m(self, a, b=None, *c):
        x = y = self.__z = a
        a.t = (self or any([i[::x] for i in [g, h]] for i in b if [('%s' % ((1, 2),)), (lambda p=b, *q: -0.0)()]))
        z = (b == ((x
            % {self, self.o}) == b >= b < a) < a < a)
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


# Differed under 'never', CPython 3.13.0; seed 12, number 103.
