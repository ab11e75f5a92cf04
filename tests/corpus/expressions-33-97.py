from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(925)
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
def f0(a, /, b, *c):
    try:
        if (x := ((a + a)).p):
            x = ((y(**b[x]) ** g) << g)
        elif g:
            try:
                (((f"{(c)!a}")[*y.m(c, k=b, l=g), ('%r %s' % (a,
        x))] or (y
                    % (a ^ h)) or (x := g.p)) << g)
                if a:
                    return a
            except Exception:
                pass
            x = a
    except Exception:
        pass
    x = a
    return a

@observe
def f1(a, b, c=O('d')):
    x, y = h.__r, b
    x, *y = ((y if y else b) if (not a) else (a, a))
    del y
    del y
    y %= (c.__r
        % (c ** g))
    return print(k=(y >> (y / y)))

@observe
def f2(a, /, b, *c):
    x, y = g, b
    try:
        (h
            / (((a is b != a < a) or a or a) if a else a))
    except Exception:
        pass
    return a

def main():
    begin()
    attempt(f0, *map(O, 'ab'), )
    attempt(f1, *map(O, 'ab'), O(chr(99)))
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 33, number 97.
