from fuzz.objects import O, attempt, begin, finish, keep, start, tick

start(558)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
async def f0(*args, a=g, b=h, c=g):
    del y
    return (None or a or (await O(str(1))))

@observe
class F1(Base, metaclass=type):
    y = O(chr(111))
    
    async def helper(self, a, b=O('d'), *args, c=None):
        """What it does."""
        del b[g]
        a.t >>= (await (~b'b'))
        async with (c as x, (1 and '%s') as (y, *z)):
            x >>= (y or [a for i in {a: a for i in a if a}] or a)
            x = h
            b[g:h] >>= ...
        x = 's'
        x = x + str(sorted(locals()))
        yield a
        return
    
    def m(self, a, b=None, *c):
        x = self.__z = a
        try:
            x, y = (+(self.o
                if 's' else b))
        except* KeyError as e:
            x = a
        x = a
        x = a
        return super().m(a, b)

def main():
    begin()
    attempt(f0, *map(O, 'ab'), O(chr(99)))
    attempt(lambda: F1(O('p')).m(O('q'), O('r')))
    finish(True)
