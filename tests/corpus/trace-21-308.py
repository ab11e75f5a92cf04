from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(117)
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
class F0(Base, metaclass=type):
    
    def helper(self, a, /, b, *c):
        global n
        n = x = y = n + 1
        ((set(i.__r for i in [g, h]
            for j in i if ('s' or x)) and (c[::a])[Base(y), ::(c if x
            else h)] and ('%s-%s' % ([c
            for i in (1, a)], [a for i in a]))) if a else a)
        x = a
        a.t = y = ((((w := b) if (b < h == b != a) else O(str(1))) if y else a) ** g)
        assert c, list(x.q)
        return any(O(str(1)) for i in y
            for j in g)
    
    def m(self, a, b=None, *c):
        x = y = self.__z = a
        del y
        z = (str((lambda p=b, *q: sorted(locals()))()) < (~b)
            > O(chr(111)) is not b)
        while True:
            if tick():
                break
            try:
                try:
                    a.t ^= (not (w := g))
                    if tuple((x if i else c) for i in (1, a)):
                        return (lambda p=c, *q: (self.o < self))('s')
                except Exception:
                    pass
                x, y = y, x
                if ('%s'
                    if self.o else b):
                    continue
                y >>= (1, 2)
            finally:
                try:
                    assert (+x), (b
                        % a)
                except Exception:
                    pass
            x = a
        return super().m(a, b)

def main():
    begin()
    attempt(lambda: F0(O('p')).m(O('q'), O('r')))
    finish(True)


# Differed under 'trace', CPython 3.13.0; seed 21, number 308.
