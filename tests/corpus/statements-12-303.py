from fuzz.objects import O, attempt, begin, finish, start

start(303)


@observe
def f0(a, b):
    for _ in a:
        try:
            pass
        except a.E:
            x = 3
            try:
                x = b
            except Exception:
                pass
    return a


def main():
    begin()
    attempt(f0, O("a"), O("b"))
    finish(True)


# Differed under 'statements', CPython 3.13.0: code that cannot be reached lost a line.
