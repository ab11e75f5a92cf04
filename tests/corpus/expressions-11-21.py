from fuzz.objects import O, attempt, begin, finish, keep, start, tick

start(493)
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")


@observe
class F0(Base):
    x = str(i
        for i in O(str(1)) if True.q)
    
    async def helper(self, *args, a=g, b=h, c=g):
        x, y = g, (1 % c)
        async for y in {(g
            >> c): (x := 1j), (not g): h}:
            if (lambda p=1, *q: Base(p, g))(a):
                raise KeyError from None
            assert (x := (f"{(x)!s:{h}}").m(**(await 1))), b
        try:
            match (await Base(**a)):
                case {'k': x} if ((await h))[{c: a, x: g}:[10,
                    a]:(x or h)]:
                    x = (sorted(locals())).m()
                    if (a[g] // (g is not b
                        == g not in (a, b))):
                        raise a from g
                case {'k': x} if ((-y) - (b if -0.0 else c)):
                    (lambda p=(1, 2), *q: all(b))()[g] = sorted(locals())
                    *x, = (not set(1j for i in range(3)))
                case _:
                    ((None
                        - '%s') * g)[1:2] = sorted(locals())
            (f"{((not (x := h)))!s:{h}}").q
            x = ((lambda p=1j, *q: sorted(locals()))()
                if (await {(lambda: i) async for i in b if f"{(None)!a} & {(b):{g}}"}) else c)
        except ValueError:
            x = ('%s' % (f"{(h.m(k=(1, 2)))=}").p)
            (z): g = ((... if c else None)).m(*f"{(g):>}", (not 's'))
            raise
        except a.E as e1:
            x = 's'
            x = x + format(list(i for i in (True not in y < x not in [1, g]) if y))
            assert [*'s', f"{(None.__r):{g}} & {((g for i in 10 if x))!a}"], ((not c)).__r
        return (not (w := (g / a)))
    
    def m(self, a, b=None, *c):
        x = self.__z = a
        f"{(g)!r} & {(a):{g}}"
        for x in ({h: g, 10: self.o} & list(c for i in a for j in (-c) if -0.0)):
            with f"{(self)!s:{h}}" as (y, *z), ('%s-%s' % (a, h)) as x:
                match f"{(sorted(locals())):{g}} & {((+1)):{g}}":
                    case None:
                        x = [(lambda: i) for i in c.q if (lambda p=self, *q: (lambda p=b, *q: b.__r)())(1j) for j in (self
                            != a >= g
                            <= self.o)]
                        if (g | (lambda p=g, *q: p)()):
                            raise ValueError(a) from None
                        if (-0.0).__r:
                            break
                    case None if (not (-True)):
                        x &= (a.__r if (1j >> x) else super().m())
                    case [x, *y] if (+(None
                        or 10
                        or '%s')):
                        x = ('%s' % True)
                        del y
                        if (g
                            | '%s'):
                            continue
                    case _:
                        y = c.__r
            [((all((1, 2) for i in [g, h]) <<
                g) <<
                g) for i in 1
                if (((not -0.0) if (lambda p=None, *q: b)(g)
                else (1, 2)) if True
                else O(str(1)))
                for j in (1j or -0.0 or None)]
            -0.0
        x = x = (lambda p=1j, *q: (((self if '%s' else self)
            in (w := b)
            > (-a) <= (a is a
            >= 1j != a)) & (c[...]).m(*sorted(locals()), (w := p))))()
        y -= ((b & a)
            != ('%s' % (c,)))
        return self.helper(a, b)

def make_f1(u, v):
    x = y = u
    @observe
    def inner(a, b, *, c=O('d'), **k):
        nonlocal u, v
        (+set((+sorted(locals())) for i in str(None)))
        for y in (1, g, 's'):
            x = (x := (lambda p=a, *q: (True.m())[print(a), ::(x := a)])())
        x = a
        x = a
        return a
    return inner
f1 = make_f1(O('u'), O('v'))

@observe
def f2(a, b, c=O('d')):
    x = a
    return a

def main():
    begin()
    attempt(lambda: F0(O('p')).m(O('q'), O('r')))
    attempt(f1, *map(O, 'ab'), )
    attempt(f2, *map(O, 'ab'), )
    finish(True)


# Differed under 'expressions', CPython 3.13.0; seed 11, number 21.
