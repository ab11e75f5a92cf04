"""Writes random programs that compile, end, and do the same each time.

A `Writer` makes every decision by asking for a number below some size. Whatever gives the numbers decides what the
program is like: `programs.Choices` remembers them, so that a program can be written again, and smaller. Small numbers
lead to small programs: 0 ends a list, and the first of several forms is the simplest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEAD = """\
from fuzz.objects import Boom, O, attempt, begin, finish, keep, start, tick

start({salt})
g = O("g")
h = O("h")
n = 0


class Base:
    def __init__(self, *args, **kwargs):
        self.o = args

    def m(self, *args, **kwargs):
        return O("m")

"""

TAIL = """

def main():
    begin()
{calls}
    finish({deaths})
"""

PARAMETERS = ("a, b, c=O('d')", "a, /, b, *c", "a, b, *, c=O('d'), **k", "a, b=O('d'), *args, c=None", "*args, a=g, b=h, c=g")
CATCHABLE = ("Exception", "(KeyError, Boom)", "TypeError", "BaseException", "a.E", "ValueError")
ARITHMETIC = ("+", "-", "%", "&", "|", "^", "/", "//", "@", ">>")
GROWING = ("*", "**", "<<")  # of plain numbers they might grow without bound, so one operand is always an object
COMPARISONS = ("<", "==", ">=", "!=", "in", "not in", "is", "is not", ">", "<=")
RESULTS = ("super().m(a, b)", "self.helper(a, b)", "super(__class__, self).m(*c)")
PATTERNS = (
    "_", "None", "1 | 2", "(x, y)", "[x, *y]", "{'k': x}", "{'k': 1, **y}", "O()", "O(name=x)", "g.o", "int(x) | str(x)",
    "[1, (x, y)] as z", "-1.5 | 2j", "Base(o=(x, *_))", "'s'",
)  # fmt: skip


class Writer:
    """Writes one program.

    State: ``names``, what expressions of the current scope may read; ``kind`` of the current function; ``blocked``, the
    syntax that is not allowed at this place; ``loops`` around the current statement, within the same function.
    """

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below
        self.lines: list[str] = []
        self.indent = 0
        self.names: list[str] = ["g", "h"]
        self.kind = "module"
        self.blocked: set[str] = set()
        self.loops = 0
        self.depth = 0  # of functions and classes
        self.serial = 0
        self.room = 0  # how many nodes the current function may still get

    def pick(self, *options: str) -> str:
        return options[self.below(len(options))]

    def chance(self, one_in: int) -> bool:
        return self.below(one_in) == one_in - 1

    def line(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    @contextmanager
    def block(self, text: str) -> Iterator[None]:
        self.line(text)
        self.indent += 1
        yield
        self.indent -= 1

    @contextmanager
    def without(self, *what: str) -> Iterator[None]:
        """Some syntax is not allowed for a while."""
        old, self.blocked = self.blocked, self.blocked | set(what)
        yield
        self.blocked = old

    # -- the whole -----------------------------------------------------------------------------------------

    def program(self, deaths: bool = True) -> str:
        """The text of a program. Whether its output tells of destructors is for the reader to replace."""
        salt = self.below(1000)
        count = 1 + self.below(3)
        calls = []
        for i in range(count):
            self.room = 12
            form = self.below(4)
            name = f"f{i}"
            self.names = ["g", "h", *(f"f{j}" for j in range(i) if self.chance(4))]
            self.line("")
            if form == 0 or form == 1:
                self.line("@observe")
                self.function(name)
            elif form == 2:
                self.made_inside(name)
            else:
                self.line("@observe")
                self.klass(name.upper(), "Base")
                calls.append(f"attempt(lambda: {name.upper()}(O('p')).m(O('q'), O('r')))")
                continue
            calls.append(f"attempt({name}, *map(O, 'ab'), {'O(chr(99))' if self.chance(6) else ''})")
        tail = TAIL.format(calls="\n".join("    " + call for call in calls), deaths=deaths)
        return HEAD.format(salt=salt) + "\n".join(self.lines) + tail

    def made_inside(self, name: str) -> None:
        """A function that is made, and observed, inside of another that is not."""
        with self.block(f"def make_{name}(u, v):"):
            with self.inside("function", ["g", "h", "u", "v"]):
                self.line("x = y = u")
                self.line("@observe")
                self.function("inner")
                if self.chance(2):
                    self.line("v = x")
                self.line("return inner")
        self.line(f"{name} = make_{name}(O('u'), O('v'))")

    @contextmanager
    def inside(self, kind: str, names: list[str]) -> Iterator[None]:
        old = self.kind, self.names, self.blocked, self.loops
        self.kind, self.names, self.blocked, self.loops = kind, names, set(), 0
        self.depth += 1
        yield
        self.depth -= 1
        self.kind, self.names, self.blocked, self.loops = old

    def function(self, name: str, first: str = "") -> None:
        kind = self.pick("function", "function", "generator", "async", "async generator")
        parameters = first + self.pick(*PARAMETERS)
        outer = [each for each in self.names if each in ("x", "y", "u", "v")] if self.depth else []
        bound = ["x", "y"]
        names = ["a", "b", "c", *self.names]
        with self.block(f"{'async ' if 'async' in kind else ''}def {name}({parameters}):"):
            if self.chance(6):
                self.line('"""What it does."""')
            with self.inside(kind, names):
                if outer and self.chance(3):
                    self.line(f"nonlocal {', '.join(outer)}")
                elif self.chance(5):
                    self.line("global n")
                    self.line("n = x = y = n + 1")
                elif not self.chance(9):
                    self.line(f"x, y = {self.thing(1)}, {self.thing(1)}")
                self.names += bound
                self.statements(4)
                if "generator" in kind:
                    self.line("yield a")
                self.line("return" if kind == "async generator" else f"return {self.expression(3)}")

    def klass(self, name: str, base: str) -> None:
        with self.block(f"class {name}({base}{self.pick('', ', metaclass=type')}):"):
            with self.inside("class", ["g", "h"]):
                for _ in range(self.below(3)):
                    self.line(f"{self.pick('x', 'y', '__z')} = {self.expression(2)}")
                self.line("")
                old = self.room
                with self.inside("method", self.names):
                    self.function("helper", "self, ")
                    self.room = old
                    self.line("")
                    with self.block("def m(self, a, b=None, *c):"):
                        with self.inside("method", ["a", "b", "c", "g", "h", "self.o", "self"]):
                            self.line("x = y = self.__z = a")
                            self.names.append("x")
                            self.statements(4)
                            self.line(f"return {self.pick(*RESULTS)}")

    # -- statements ----------------------------------------------------------------------------------------

    def statements(self, most: int) -> None:
        """One statement or more, at the current indentation."""
        for _ in range(1 + self.below(most)):
            self.room -= 1
            if self.chance(6):
                with self.block("try:"):
                    self.statement()
                with self.block("except Exception:"):
                    self.line(self.pick("pass", "x = y = g"))
            else:
                self.statement()

    def statement(self) -> None:
        simple = (
            "assign", "expr", "assign", "unpack", "augment", "store", "delete", "assert", "raise", "grow", "annotate",
            "pass",
        )  # fmt: skip
        compound = ("if", "for", "while", "try", "with", "match", "def", "group", "class")
        form = self.below(30)
        if form < 18 or self.room < 0 or self.indent > 4:
            name = simple[form % len(simple)]
        else:
            name = compound[(form - 18) % len(compound)]
        getattr(self, f"_{name}")()
        if self.loops and "jump" not in self.blocked and self.chance(8):
            with self.block(f"if {self.expression(1)}:"):
                self.line(self.pick("break", "continue"))
        elif self.chance(16) and "jump" not in self.blocked and self.kind in ("function", "method", "async", "generator"):
            with self.block(f"if {self.expression(2)}:"):
                self.line(f"return {self.expression(2)}")

    def target(self) -> str:
        return self.pick("x", "y", "x", "a.t", f"b[{self.expression(1)}]", f"g[{self.expression(1)}].t", "z")

    def _assign(self) -> None:
        targets = " = ".join(self.target() for _ in range(1 + self.below(2)))
        self.line(f"{targets} = {self.expression(4)}")

    def _expr(self) -> None:
        self.line(self.expression(4))

    def _unpack(self) -> None:
        form = self.pick("x, y = {}", "x, *y = {}", "[x, (y, z)] = {}", "x, y = y, x", "x, y, z = {}, {}, {}", "*x, = {}")
        self.line(form.replace("{}", "\0").replace("\0", "{}").format(*(self.expression(2) for _ in range(form.count("{}")))))

    def _augment(self) -> None:
        operator = self.pick(*ARITHMETIC)
        self.line(f"{self.pick('x', 'a.t', 'b[g]', 'b[g:h]', 'y')} {operator}= {self.expression(2)}")

    def _grow(self) -> None:
        self.line("x = 's'")
        self.line(f"x = x + {self.pick('str', 'format')}({self.expression(1)})")

    def _store(self) -> None:
        self.line(f"{self.expression(2)}{self.pick('.t', '[g]', '[1:2]', '[g, ::h]')} = {self.expression(2)}")

    def _annotate(self) -> None:
        self.line(f"{self.pick('z: int', 'a.t: g', '(z): g')} = {self.expression(2)}")

    def _pass(self) -> None:
        self.line("pass")

    def _delete(self) -> None:
        self.line(f"del {self.pick('x', 'a.t', 'b[g]', 'b[g:h], a.t', 'y')}")

    def _assert(self) -> None:
        self.line(f"assert {self.expression(3)}, {self.expression(2)}")

    def _raise(self) -> None:
        with self.block(f"if {self.expression(2)}:"):
            error = self.pick("KeyError", "ValueError(a)", "a", f"TypeError({self.expression(1)})")
            self.line(f"raise {error}{self.pick('', ' from None', ' from KeyError(b)', ' from g')}")

    def _if(self) -> None:
        with self.block(f"if {self.expression(3)}:"):
            self.statements(2)
        if self.chance(3):
            with self.block(f"elif {self.expression(3)}:"):
                self.statements(2)
        if self.chance(2):
            with self.block("else:"):
                self.statements(2)

    @contextmanager
    def loop(self, text: str) -> Iterator[None]:
        old, self.blocked = self.blocked, self.blocked - {"jump"} | {"loop"} if self.loops else self.blocked - {"jump"}
        if "group" in old:
            self.blocked |= {"return"}
        self.loops += 1
        with self.block(text):
            yield
        self.loops -= 1
        self.blocked = old

    def _for(self) -> None:
        if self.loops > 1:
            return self._expr()
        prefix = self.pick("", "async ") if "async" in self.kind else ""
        target = self.pick("x", "y", "x, y", "a.t", "x, *y")
        source = self.thing(2) if prefix else self.pick(self.thing(2), "range(2)", "(1, g, 's')", "[a, b]")
        with self.loop(f"{prefix}for {target} in {source}:"):
            self.statements(3)
        self.maybe_else()
        return None

    def _while(self) -> None:
        if self.loops > 1:
            return self._expr()
        forever = self.chance(4)
        with self.loop("while True:" if forever else f"while {self.pick('a', 'b', 'g')}{self.pick('', ' and tick()', '.w')}:"):
            if forever:
                with self.block("if tick():"):
                    self.line("break")
            self.statements(3)
        self.maybe_else()
        return None

    def maybe_else(self) -> None:
        if self.chance(4):
            with self.block("else:"):
                self.statements(2)

    def _try(self) -> None:
        with self.block("try:"):
            self.statements(3)
        handlers = self.below(3)
        for i in range(handlers):
            kind = CATCHABLE[self.below(len(CATCHABLE))]
            with self.block(f"except {kind}{self.pick('', f' as e{i}')}:"):
                self.statements(2)
                if self.chance(5):
                    self.line("raise")
        if handlers and self.chance(3):
            with self.block("else:"):
                self.statements(2)
        if not handlers or self.chance(3):
            with self.block("finally:"):
                self.statements(2)

    def _group(self) -> None:
        with self.block("try:"):
            self.statements(2)
            if self.chance(2):
                self.line(f"raise ExceptionGroup('some', [KeyError(1), {self.pick('ValueError(a)', 'TypeError()')}])")
        for kind in ("KeyError", "(ValueError, Boom)")[: 1 + self.below(2)]:
            with self.without("jump"), self.block(f"except* {kind} as e:"):
                old, self.loops = self.loops, max(self.loops, 2)  # no loops inside: their jumps are none of the group's
                self.statements(2)
                self.loops = old

    def _with(self) -> None:
        prefix = self.pick("", "async ") if "async" in self.kind else ""
        items = [f"{self.thing(1)}{self.pick('', ' as x', ' as (y, *z)', ' as a.t')}" for _ in range(1 + self.below(2))]
        text = f"({', '.join(items)})" if self.chance(3) else ", ".join(items)
        with self.block(f"{prefix}with {text}:"):
            self.statements(3)

    def _match(self) -> None:
        with self.block(f"match {self.expression(2)}:"):
            for _ in range(1 + self.below(3)):
                pattern = self.pick(*PATTERNS[1:])
                with self.block(f"case {pattern}{self.pick('', f' if {self.expression(2)}')}:"):
                    self.statements(2)
            with self.block("case _:"):
                self.statements(1)

    def _def(self) -> None:
        if self.depth > 2:
            return self._expr()
        self.serial += 1
        name = f"inner{self.serial}"
        self.line(self.pick("@keep", f"@{self.pick('keep', 'observe')}", "@(lambda f: keep(f))"))
        self.function(name)
        call = f"{name}({self.expression(1)}, {self.expression(1)})"
        if "async" in self.kind:
            call = f"{self.pick('await ', 'await ', '')}{call}"
        elif "generator" in self.kind and "yield" not in self.blocked:
            call = f"yield from {call}"
        self.line(f"{self.pick('x', 'y', 'z')} = {call}")
        return None

    def _class(self) -> None:
        if self.depth > 1:
            return self._expr()
        self.serial += 1
        name = f"Inner{self.serial}"
        self.klass(name, "Base")
        self.line(f"y = {name}({self.expression(1)}).m(a, b)")
        return None

    # -- expressions ---------------------------------------------------------------------------------------

    def space(self) -> str:
        """Between two parts inside brackets: a space, or a new line."""
        if "line" in self.blocked or not self.chance(7):
            return " "
        return "\n" + "    " * (self.indent + 1)

    def leaf(self) -> str:
        if self.chance(8):
            constants = ["1", "None", "-0.0", "True", "...", "10", "1j", "(1, 2)"]
            return self.pick(*constants, *(("'s'", "b'b'", "'%s'") if "quote" not in self.blocked else ()))
        return self.pick(*self.names)

    def expression(self, depth: int) -> str:
        if depth <= 0 or self.room < -20:
            return self.leaf()
        self.room -= 0 if depth < 3 else 1
        forms = [
            "leaf", "binary", "call", "boolean", "compare", "not_", "choice", "attribute", "subscript", "display",
            "comprehension", "walrus", "format", "percent", "lambda_", "unary", "suspend", "method", "look",
        ]  # fmt: skip
        return getattr(self, f"_e_{forms[self.below(len(forms))]}")(depth - 1)

    _e_leaf = lambda self, depth: self.leaf()  # noqa: E731

    def _e_binary(self, depth: int) -> str:
        if self.chance(5):
            return f"({self.expression(depth)} {self.pick(*GROWING)}{self.space()}g)"
        return f"({self.thing(depth)}{self.space()}{self.pick(*ARITHMETIC)} {self.expression(depth)})"

    def _e_unary(self, depth: int) -> str:
        return f"({self.pick('-', '~', '+')}{self.thing(depth)})"

    def _e_not_(self, depth: int) -> str:
        return f"(not {self.expression(depth)})"

    def _e_boolean(self, depth: int) -> str:
        operator = self.pick("and", "or")
        parts = [self.expression(depth) for _ in range(2 + self.below(2))]
        return "(" + f"{self.space()}{operator} ".join(parts) + ")"

    def _e_compare(self, depth: int) -> str:
        text = self.expression(depth)
        for _ in range(1 + self.below(3)):
            operator = self.pick(*COMPARISONS)
            right = self.expression(depth)
            if operator in ("in", "not in") and self.chance(2):
                right = self.pick("{1, 2, 3}", "[1, g]", "(a, b)")
            elif operator.startswith("is"):
                right = self.pick("None", "a", "b", "g")
                text = self.pick("a", "b", "g", "h") if text[0].isdigit() or text[0] in "'-.(b" else text
            text += f"{self.space()}{operator} {right}"
        return f"({text})"

    def _e_choice(self, depth: int) -> str:
        first, test, last = (self.expression(depth) for _ in range(3))
        return f"({first}{self.space()}if {test}{self.space()}else {last})"

    def _e_attribute(self, depth: int) -> str:
        return f"{self.operand(depth)}.{self.pick('p', 'q', '__r')}"

    def _e_method(self, depth: int) -> str:
        receiver = self.operand(depth)
        if self.kind == "method" and self.depth == 3 and self.chance(2) and not self.blocked & {"super"}:
            receiver = "super()"
        return f"{receiver}.m({self.arguments(depth)})"

    def _e_look(self, depth: int) -> str:
        return "sorted(locals())" if "class" not in self.kind else self.leaf()

    def thing(self, depth: int) -> str:
        """An expression that gives, mostly, one of our objects: almost anything can be done with it."""
        if depth <= 0 or self.chance(2):
            return self.pick(*self.names)
        form = self.below(7)
        if form == 6:
            return self.expression(depth)
        name = ("binary", "attribute", "method", "subscript", "suspend", "unary")[form]
        return getattr(self, f"_e_{name}")(depth - 1)

    def operand(self, depth: int) -> str:
        text = self.thing(depth)
        return text if text.isidentifier() else f"({text})"

    def arguments(self, depth: int) -> str:
        forms = ("{}", "*{}", "k={}", "**{}", "{}, {}", "*{}, {}", "{}, k={}, l={}", "*{}, *{}", "l={}, **{}", "{}, *{}, k={}, **{}")
        if self.chance(6):
            return ""
        form = self.pick(*forms)
        parts = form.split(", ")
        if len(parts) == 1 and parts[0] == "{}" and "quote" not in self.blocked and self.chance(6):
            return self.bare_generator(depth)
        filled = (part.format(self.thing(depth) if "*" in part else self.expression(depth)) for part in parts)
        return f",{self.space()}".join(filled)

    def bare_generator(self, depth: int) -> str:
        """A generator expression, without parentheses of its own."""
        return self.comprehension("{}", depth)

    def _e_call(self, depth: int) -> str:
        callee = self.pick(self.operand(depth), "O", "Base", "str", "list", "any", "all", "tuple", "print", "O")
        if callee in ("any", "all", "list", "tuple", "str"):
            inner = self.comprehension("{}", depth) if self.chance(2) else self.expression(depth)
            return f"{callee}({inner})"
        if callee == "O":
            return f"O({self.pick('chr(111)', 'str(1)')})"
        return f"{callee}({self.arguments(depth)})"

    def _e_subscript(self, depth: int) -> str:
        index = self.pick("{}", "{}:{}", "::{}", "{}, {}", "...", "{}:{}:{}", "*{}, {}", "{}, ::{}")
        return f"{self.operand(depth)}[{index.format(*(self.expression(depth) for _ in range(index.count('{}'))))}]"

    def _e_display(self, depth: int) -> str:
        forms = ("[{}, {}]", "({}, {})", "{{{}: {}, **{}}}", "{{{}, {}}}", "[*{}, {}]", "(*{}, *{})", "{{{}: {}, {}: {}}}", "[]")
        form = self.pick(*forms)
        count = form.replace("{{", "").replace("}}", "").count("{}")
        return form.replace(", ", f",{self.space()}").format(*(self.expression(depth) for _ in range(count)))

    def _e_comprehension(self, depth: int) -> str:
        form = self.pick("[{}]", "[{}]", "{{{}}}", "{{{}: {}}}", "({})", "list({})", "set({})")
        return self.comprehension(form, depth)

    def comprehension(self, form: str, depth: int) -> str:
        with self.without("yield", "walrus in class"):
            clauses, names = [], ["i", "j"]
            asynchronous = "async" in self.kind and "await" not in self.blocked
            old = self.names
            for i in range(1 + self.chance(4)):
                prefix = self.pick("", "", "async ") if asynchronous else ""
                with self.without("walrus"):
                    source = self.thing(1) if i or prefix or self.chance(2) else self.pick("a", "b", "(1, a)", "[g, h]", "range(3)")
                self.names = [*self.names, *names[i : i + 1] * 3]
                clauses.append(f"{prefix}for {names[i]} in {source}")
                if self.chance(3):
                    clauses.append(f"if {self.expression(depth)}")
            element = self.expression(depth)
            if self.chance(6):
                element = f"(lambda: {names[0]})"
            key = self.expression(1)
            self.names = old
        both = f"{key}: {element}" if ": " in form else element
        shape = form.replace("{}: {}", "{}")
        return shape.format(both + "".join(self.space() + clause for clause in clauses))

    def _e_walrus(self, depth: int) -> str:
        if self.blocked & {"walrus"} or self.kind == "class":
            return self.leaf()
        return f"({self.pick('w', 'x')} := {self.expression(depth)})"

    def _e_format(self, depth: int) -> str:
        if "quote" in self.blocked:
            return self.leaf()
        with self.without("quote", "line"):
            fields = []
            for _ in range(1 + self.below(2)):
                spec = self.pick("", "!r", ":>", ":{g}", "!s:{h}", "=", "!a")
                fields.append(f"{{({self.expression(depth)}){spec}}}")
            return 'f"' + " & ".join(fields) + '"'

    def _e_percent(self, depth: int) -> str:
        if "quote" in self.blocked:
            return self.leaf()
        form = self.pick("('%s' % ({},))", "('%s-%s' % ({}, {}))", "('%r %s' % ({},\n        {}))", "('%s' % {})")
        if "line" in self.blocked:
            form = form.replace("\n", " ")
        return form.format(*(self.expression(depth) for _ in range(form.count("{}"))))

    def _e_lambda_(self, depth: int) -> str:
        with self.without("yield", "await", "super"):
            old, self.names = self.names, [*self.names, "p"]
            body = self.expression(depth)
            self.names = old
        return f"(lambda p={self.leaf()}, *q: {body})({self.pick('', self.leaf())})"

    def _e_suspend(self, depth: int) -> str:
        if "async" in self.kind and "await" not in self.blocked and self.chance(2):
            return f"(await {self.thing(depth)})"
        if "generator" in self.kind and "yield" not in self.blocked:
            if self.kind == "generator" and self.chance(3):
                return f"(yield from {self.thing(depth)})"
            return f"(yield{self.pick('', ' ' + self.expression(depth))})"
        if "async" in self.kind and "await" not in self.blocked:
            return f"(await {self.thing(depth)})"
        return self._e_call(depth)
