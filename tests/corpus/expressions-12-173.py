from fuzz.objects import O, attempt, begin, finish, start

start(173)


@observe
def f0(a, b):
    try:
        with a:
            if b.c:
                (b.y if a.x else (b.z or a or b))
            else:
                a.t = b
    except Exception:
        a = b
    return a


def main():
    begin()
    for _ in range(4):
        attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'expressions', CPython 3.13.0: a jump where two ways meet has no line.
