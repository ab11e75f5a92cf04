from fuzz.objects import O, attempt, begin, finish, keep, start, tick

start(225)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
async def f0(a, b, c=O('d')):
    x, y = (not 10), a.p
    async for x in ((y <= c <= x is not b) and [*h, a] and sorted(locals())):
        with (1j as a.t):
            del y
            for a.t in [a, b]:
                del x
                if 1:
                    continue
            else:
                y = x = a
                x = a
            x = a
        x = x = True
        ([True, (not c)] or (10 ** g) or ((-0.0).__r - (('%s' if y else 1) ^ (True + a))))
    yield a
    return

@observe
def f1(a, b, c=O('d')):
    x = a
    return a

@observe
def f2(a, b, c=O('d')):
    x = ((((a
        - y)
        / (a or g or c)) | (lambda p=10, *q: (10 + a))(-0.0)) if None else (((True << g) << g))(**(not (b & None))))
    return (a or a)

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'wrap-hidden', CPython 3.13.0; seed 11, number 96.
