from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start(208)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
async def f0(a, /, b, *c):
    x, y = (-b), (-h)
    if (a is not None):
        try:
            (f"{(c):{g}}" if (~c)
                else f"{(b):>}")[1:2] = a.m(set(i async for i in ('%s-%s' % (b, 's'))),
                k=g.q,
                l=g[y, b])
        except Exception:
            x = y = g
    else:
        b[g] >>= (w := (not a))
    return ({(-c), (w := x)} <= [f"{((1, 2))!r}"
        for i in b] >= (('%s' % b) == (b'b'
        if a else ...) not in ('%s' % (x,))) in [1, g])

@observe
async def f1(a, b=O('d'), *args, c=None):
    x, y = h, c
    x = ('%r %s' % ((-h.m((lambda p=h, *q: h)(), k=(x <= c >= b is not g), l=(c * g))),
        (((~h) ^ {i for i in a if i for j in c}) + (y.m(y, c) or (True if b else c) or (not a)))))
    del b[g]
    if y.m((lambda p=y, *q: {h, a})(), sorted(locals())):
        async for x in g:
            z = (((x << g) if c((c if c else y)) else c[::(await a)]) if set(b
                for i in a if (str(-0.0 async for i in i
                if 1) or a or (x >> g))) else ({(not c) for i in (-h) if f"{(i)=}" async for j in (await h) if (*i, *b)} or a or a))
            x = a
            g[y.q].t = ((a.__r - h) <<
                g)
    return f"{(y.m(b, *a, k=(+b), **y)):{g}} & {((lambda p=b, *q: (g or h or a))(c)):{g}}"

@observe
class F2(Base):
    
    def helper(self, a, /, b, *c):
        x, y = a, c
        try:
            while a.w:
                with b.q:
                    try:
                        x = a
                    except Exception:
                        pass
                    x = a
                    x = a
                x = a
                x = y
            [x, (y, z)] = g.__r
            y[g, ::h] = sorted(locals())
        except (KeyError, Boom) as e0:
            try:
                x = x = ((((None or b or h)
                    or (x, y)
                    or a)
                    if (a
                    % 1j) else (a
                    | (c or c or b)))
                    < ([list((lambda: i) for i in x for j in h if a), (None << g)] or (not sorted(locals())) or ((10 or ...) <<
                    g)) >= y() <= (~a))
            except Exception:
                x = y = g
            g[sorted(locals())].t = (f"{(sorted(locals()))!a}" if sorted(locals()) else y)
            raise
        finally:
            try:
                x, y = (not sorted(locals()))
            except Exception:
                x = y = g
            try:
                all((b % 1) for i in y[y, y] if (i <<
                    g)
                    for j in a if sorted(locals()))[g, ::h] = (y ^ (not y))
            except Exception:
                pass
        x = g[(not 's')].t = list(((h.m(c, *g, k=g, **x)).m(y.__r, *g, k=(not x), **g.__r))[tuple(sorted(locals()) for i in range(3))])
        b[(not y)] = (1 >= y
            < g >= x)
        return b
    
    def m(self, a, b=None, *c):
        x = y = self.__z = a
        (~g(**c))
        if any((a if self.o else x)):
            return -0.0
        return super(__class__, self).m(*c)

def main():
    begin()
    attempt(f0, *map(O, 'ab'), O(chr(99)))
    attempt(f1, *map(O, 'ab'), )
    attempt(lambda: F2(O('p')).m(O('q'), O('r')))
    finish(True)


# Differed under 'wrap', CPython 3.13.0; seed 12, number 27.
