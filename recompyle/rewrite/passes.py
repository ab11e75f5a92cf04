"""What a pass is, and what it may ask for.

A pass sees the unchanged tree of a function, one node at a time, and asks for probes through a `Cursor`. The
requests of all passes are collected first and applied together afterwards, so no pass sees what another one
added, and every position stays the source's.
"""

import ast
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from recompyle._env import FSTRING_POSITIONS, INLINED_CALLS, INLINED_COMPREHENSIONS
from recompyle.errors import PassError, RecompyleError
from recompyle.rewrite.excerpt import excerpt
from recompyle.rewrite.probes import Clock, Coat, Counter
from recompyle.rewrite.walk import Walk

__all__ = [
    "LEVELS", "Cursor", "Keepable", "Pass", "Plan", "Renewable", "Site", "Skipped", "guard", "is_foreign",
    "parts_of_site", "plan", "why_not", "why_not_callee",
]

LEVELS = ("probe", "value", "free")  # see `Pass.level`

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_TRIES = (ast.Try, ast.TryStar)
_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
_OPERATORS = (ast.boolop, ast.operator, ast.unaryop, ast.cmpop)  # one object for all places of a kind
_FORMATTED = (ast.JoinedStr, *((ast.TemplateStr,) if hasattr(ast, "TemplateStr") else ()))


@dataclass(frozen=True, slots=True)
class Site:
    """One place in the source that a probe reports about.

    Attributes:
        id: number of the site within its function, from 0.
        kind: what it is, such as ``call``, ``await``, ``yield``, ``iterate``, ``with``.
        function: qualified name of the function.
        file: file name as the code object carries it.
        line, end_line: first and last line, from 1.
        column, end_column: first column and the one after the last, in UTF-8 bytes from 0.
        source: the exact text, white space collapsed.
        name: the callee as written, if it is a dotted name; else None.
    """

    id: int
    kind: str
    function: str
    file: str
    line: int
    end_line: int
    column: int
    end_column: int
    source: str
    name: str | None


parts_of_site = attrgetter(*Site.__slots__)  # what another one is made of


@dataclass(frozen=True, slots=True)
class Skipped:
    """One place that a pass would have observed, but that was left as it is, and why."""

    line: int
    column: int
    source: str
    reason: str


class Pass:
    """Base class of everything that decides where probes go.

    Define ``visit_<Node>(self, node, at)`` for the kinds of ast node you care about; ``at`` is the `Cursor`.
    The tree is shared and must not be changed.

    Attributes:
        name: shown in errors and in `Patch`.
        level: a promise. ``"probe"``: values pass through unchanged and places are marked. ``"value"``: what a probe
            gives back is used instead of the value. Of both it is proved on each rewrite that nothing else moved.
            ``"free"``: parts of the tree are replaced too; what they mean is up to the author.
        nested_functions: whether the bodies of functions and classes defined inside are visited too.
        single: of several passes of this class on one function only the last one is in force.
        before, after: passes that this one goes before or behind if they are on the same function: their names or
            classes. Else passes go in the order in which they were given.
        counters: the counters made by `counter`, by site.
    """

    name = "pass"
    level = "probe"
    nested_functions = True
    single = False
    before: "tuple[str | type, ...]" = ()
    after: "tuple[str | type, ...]" = ()

    def begin(self, at: "Cursor") -> None:
        """Called once before the first node is visited."""

    def edits(self, code, at: "Cursor", nested: bool):
        """Probes for places that no expression stands for: entry, return, unwinding, handlers, yields.

        Parameters:
            code: the compiled code object that will take them, probes of this rewrite already in it.
            at: the same cursor that the visitors got.
            nested: whether ``code`` is a lambda, comprehension or function inside the rewritten function.

        Returns:
            A sequence of `recompyle.inject.Edit`.
        """
        return ()

    def end(self, at: "Cursor") -> None:
        """Called once when the code is finished, before it is put in place."""

    def needs_source(self) -> bool:
        """Whether the pass visits nodes at all; if no pass does, functions without source can be rewritten."""
        return True

    def key(self):
        """A hashable that is equal for passes whose result may be shared by functions of one code; else None."""
        return None

    @cached_property
    def counters(self) -> "dict[Site, Counter]":
        return {}

    def counter(self, site: "Site") -> Counter:
        """The `Counter` of a site: the same one however often the function is rewritten.

        Parameters:
            site: what `Cursor.site` gave.
        """
        return self.counters.setdefault(site, Counter(site))

    @cached_property
    def clock(self) -> Clock:
        """A `Clock` of this pass, for all calls that are not to be told apart."""
        return Clock()


class Renewable(Pass):
    """A pass that is put on the same functions over and over, for a short time each, and asks for the same each time.

    What was built for it is kept for the life of the function's code, and the next one of its type, alone on that
    code, only puts its own probes into that: nothing is compiled or proved again. So what it asks for must follow from
    the type of the pass and the code object alone.
    """

    def blank(self) -> "Renewable":
        """A pass of this type that records nothing, for the probes of the code that is kept."""
        raise NotImplementedError

    def renew(self, probe):
        """The probe of this pass that stands where ``probe``, one of another pass of this type, stands."""
        raise NotImplementedError


class Keepable(Pass):
    """A pass of this package whose finished code is kept on disk; see `recompyle.rewrite.kept`.

    What it asks for must follow from the function's code, its source and what `decides` tells.
    """

    def decides(self, module_globals):
        """What else decides what the pass asks for in a function of a module; something that can be marshalled."""
        raise NotImplementedError

    def note(self, thing, at):
        """What `recall` makes an object in the code from: something that can be marshalled.

        None if the object is not one that this pass has put there.
        """
        raise NotImplementedError

    def recall(self, notes, at):
        """Make the objects of some notes again, in place of all visits.

        Parameters:
            notes: what `note` gave.
            at: a cursor that has the sites of that rewrite, and no tree.

        Returns:
            The objects, in the order of the notes.
        """
        raise NotImplementedError


@dataclass(slots=True)
class Wrap:
    """One probe at one node.

    Attributes:
        role: as of `recompyle.rewrite.transform.Placeholder`, or ``bare``: no probe, only hidden from the compiler.
        probe: what shall stand there.
        label: shown in `preview`.
        instead: the wraps of the function and the object of `Cursor.callee`.
        number: counts within the plan.
    """

    role: str
    probe: object
    label: str
    instead: "tuple[Wrap, Wrap] | None" = None
    number: int = -1


@dataclass(slots=True)
class Replacement:
    """A new subtree (or list of statements) in place of a node, and the pass that wants it."""

    node: ast.AST
    new: "ast.AST | list[ast.stmt]"
    by: Pass


class Plan:
    """The requests of all passes for one function.

    Attributes:
        inner: ``id(node)`` to wraps that belong to the node itself.
        outer: ``id(node)`` to wraps that an enclosing call put on it; they go round the inner ones.
        callees: ``id(call)`` to wraps round what it calls; they go round all others.
        marks: ``id(statement)`` to marks before it.
        endings: ``id(statement)`` and a field of it to marks at the end of the block in that field.
        held: ``id(node)`` to the wrap that stands in place of it.
        nodes: ``id(node)`` to node, for every node with a request.
        unrolled: callees that the compiler would look at, were they to stand bare; see `Cursor.callee`.
        parents: ``id(node)`` to the node's parent.
        skipped: what was left out, and why.
        asked: all requests but replacements, in order: verb, node, further arguments. `recompyle.rewrite.free`
            repeats them on the tree that free passes have made.
        replaced: ``id(node)`` to its replacements, in order.
        wraps: all wraps, by number.
    """

    def __init__(self):
        self.inner = {}
        self.outer = {}
        self.callees = {}
        self.marks = {}
        self.endings = {}
        self.held = {}
        self.nodes = {}
        self.unrolled = []
        self.parents = {}
        self.skipped = []
        self.asked = []
        self.replaced = {}
        self.wraps = []

    def request(self, table, node, wrap):
        self.nodes[id(node)] = node
        table.setdefault(id(node), []).append(self.numbered(wrap))

    def numbered(self, wrap):
        wrap.number = len(self.wraps)
        self.wraps.append(wrap)
        return wrap

    def ask(self, verb, node, *arguments):
        """Note a request and do it: ``verb`` is ``through``, ``callee``, ``mark``, ``mark_end`` or ``around``."""
        self.asked.append((verb, node, arguments))
        getattr(self, verb)(node, *arguments)

    def through(self, node, probe, label):
        self.request(self.inner, node, Wrap("through", probe, label))

    def callee(self, node, probe, label, instead):
        if is_unrolled(node):
            self.unrolled.append(node.func)
        wrap = Wrap("callee", probe, label)
        if instead is not None:
            function, given = instead
            called = self.numbered(Wrap("call", function, label))
            wrap.instead = called, self.numbered(Wrap("argument", given, "extras"))
        self.request(self.callees, node, wrap)

    def mark(self, statement, probe, label):
        self.request(self.marks, statement, Wrap("mark", probe, label))

    def mark_end(self, statement, block, probe, label):
        self.nodes[id(statement)] = statement
        wrap = self.numbered(Wrap("ending", probe, label))
        self.endings.setdefault((id(statement), block), []).append(wrap)

    def around(self, node, start, end, label):
        last = _evaluated_last(node)
        if last is None:
            self.request(self.inner, node, Wrap("first", start, f"start{label}"))
        else:
            self.request(self.outer, last, Wrap("through", start, f"start{label}"))
            self.request(self.inner, node, Wrap("through", end, f"end{label}"))

    def shape(self):
        """What decides how the code with placeholders looks: which nodes, by place in the walk, get which wraps.

        None if that does not tell it all.
        """
        if self.held or self.replaced or not self.nodes.keys() <= self.parents.keys():
            return None
        place = {each: i for i, each in enumerate(self.parents)}
        tables = (self.inner, self.outer, self.marks, self.callees)
        at_nodes = tuple(
            (i, place[node], wrap.role, wrap.number, wrap.instead is not None)
            for i, table in enumerate(tables)
            for node, wraps in table.items()
            for wrap in wraps
        )
        return at_nodes + tuple(
            (block, place[node], wrap.role, wrap.number)
            for (node, block), wraps in self.endings.items()
            for wrap in wraps
        )

    def __bool__(self):
        return bool(self.nodes)


class Cursor:
    """Where a pass stands, and the verbs it may use.

    Attributes:
        function: qualified name of the function being rewritten.
        code: its running code object, untouched.
        file: its file name.
        line: line of its ``def`` or ``lambda``; without source, its first line.
        node: its tree: FunctionDef, AsyncFunctionDef or Lambda, part of the shared tree; None without source.
        globals: the function's globals.
        imports: names that the module's own level imports.
        sites: the sites made by this pass so far.
        data: free for the pass to keep what belongs to this one rewrite.
    """

    def __init__(self, plan, context, function, code, walk, by):
        self._plan = plan
        self._context = context
        self._by = by
        self._walk = walk
        self.data = None
        self.globals = function.__globals__
        self.code = code
        self.function = code.co_qualname
        self.file = code.co_filename
        self.line = context.definition.node.lineno if context is not None else code.co_firstlineno
        self.node = context.definition.node if context is not None else None
        self.imports = context.source.imports if context is not None else frozenset()
        self.sites = []

    # -- asking ------------------------------------------------------------------------------------------

    def parent(self, node):
        """The node's parent, or None for the function itself.

        An operator, such as ``ast.Add``, is one object wherever it stands; its parent is the last of these places.
        """
        return self._plan.parents.get(id(node))

    def is_nested(self, node) -> bool:
        """Whether the node runs in another frame than the function's own (lambda, generator expression...)."""
        return id(node) in self._walk.nested

    def source(self, node) -> str:
        """The node's exact text, white space collapsed."""
        return " ".join(self.text(node).split())

    def text(self, node) -> str:
        """The node's exact text; in formatted strings before 3.12, where its place is not known, formatted anew."""
        if not FSTRING_POSITIONS and any(isinstance(each, _FORMATTED) for each in self._ancestors(node)):
            return ast.unparse(node)
        return self.between((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))

    def between(self, start: "tuple[int, int]", end: "tuple[int, int]") -> str:
        """The source text between two places, as written.

        Parameters:
            start, end: line, from 1, and column, in UTF-8 bytes from 0, as nodes have them.
        """
        lines = self._context.source.lines[start[0] - 1 : end[0]]
        if len(lines) == 1:
            return lines[0].encode()[start[1] : end[1]].decode(errors="replace")
        first = lines[0].encode()[start[1] :].decode(errors="replace")
        last = lines[-1].encode()[: end[1]].decode(errors="replace")
        return "".join([first, *lines[1:-1], last])

    def _ancestors(self, node):
        node = self.parent(node)
        while node is not None:
            yield node
            node = self.parent(node)

    def can_observe(self, node) -> bool:
        """Whether a value probe may stand round the node without changing what the program does."""
        return self.why_not(node) is None

    def why_not(self, node) -> str | None:
        """The reason why no value probe may stand round the node; None if one may."""
        return why_not(node, self.parent(node), self)

    def excerpt(self, node) -> str:
        """The node in its line of source, with carets under it, for messages; empty where there is none."""
        if not FSTRING_POSITIONS and node is not None:
            node = next((each for each in reversed([*self._ancestors(node)]) if isinstance(each, _FORMATTED)), node)
        return excerpt(self._context.source, node) if self._context is not None and node is not None else ""

    def _refuse(self, node, reason):
        raise PassError(f"pass {self._by.name!r} in {self.function}: {reason}{self.excerpt(node)}")

    def _own(self, node):
        """Check that a node is one that the pass was shown: what is asked for at any other would get lost."""
        if id(node) not in self._plan.parents:
            raise _Stray(f"pass {self._by.name!r} in {self.function}: {node!r} is no part of the function's body")

    def _checked(self, node, probe, *methods):
        for method in methods:
            if not hasattr(type(probe), method):
                self._refuse(node, f"{type(probe).__name__} is no probe for this place: it has no {method}")
        return in_coat(probe)

    def why_not_callee(self, node) -> str | None:
        """The reason why what a call calls cannot pass through a probe; None if it can.

        Parameters:
            node: a Call. Any may stand, but calls of ``super`` and of constants.
        """
        return why_not_callee(node, self)

    # -- requesting --------------------------------------------------------------------------------------

    def site(self, node, kind: str, name: str | None = None, source: str | None = None) -> Site:
        """Register a place in the source.

        Parameters:
            node: the node, for its position.
            kind: what the site is, in one word.
            name: dotted name of what is called, if there is one.
            source: the text to show, if it is not the node's own.

        Returns:
            A new `Site`, numbered in order of registration.
        """
        site = Site(
            id=len(self.sites),
            kind=kind,
            function=self.function,
            file=self.file,
            line=node.lineno,
            end_line=node.end_lineno,
            column=node.col_offset,
            end_column=node.end_col_offset,
            source=self.source(node) if source is None else source,
            name=name,
        )
        self.sites.append(site)
        return site

    def site_of(self, code, kind: str) -> Site:
        """Register a function as a whole, for probes that no expression stands for; see `Pass.edits`.

        Parameters:
            code: its code object.
            kind: what the site is, in one word.

        Returns:
            A new `Site` on the first line, named by the qualified name.
        """
        name, line = code.co_qualname, code.co_firstlineno
        site = Site(len(self.sites), kind, name, self.file, line, line, 0, 0, name, name)
        self.sites.append(site)
        return site

    def skip(self, node, reason: str) -> None:
        """Note that a place is left as it is, for `preview(...).skipped`."""
        self._plan.skipped.append(Skipped(node.lineno, node.col_offset, self.source(node), reason))

    def through(self, node, probe, label: str = "probe") -> None:
        """Let the node's value pass through ``probe[value]``.

        Raises:
            PassError: the place cannot be observed, see `why_not`; or the probe has no ``__getitem__``.
        """
        self._own(node)
        reason = self.why_not(node)
        if reason is not None:
            self._refuse(node, f"line {node.lineno}: {self.source(node)!r} cannot be observed: {reason}")
        self._plan.ask("through", node, self._checked(node, probe, "__getitem__"), label)

    def callee(self, node, probe, label: str = "callee", instead=None) -> None:
        """Let what is called pass through ``probe[callee]``, and call what that returns.

        A method is fetched from its object first: ``probe[x.m](a)``. Arguments are evaluated afterwards, as ever.

        Parameters:
            node: Call.
            probe: probe with ``__getitem__``.
            label: shown in `preview`.
            instead: a pair of a function and an object: where the compiler needs no other form for it, the code may
                say ``function(callee, object, ...)`` in place of ``probe[callee](...)``, which is faster. The two
                must do the same.

        Raises:
            PassError: the pass is not of level ``"value"``, or see `why_not_callee`.
        """
        self._own(node)
        reason = self.why_not_callee(node)
        if self._by.level != "value":
            reason = f"a pass of level {self._by.level!r} leaves values as they are"
        if reason is not None:
            self._refuse(node, f"line {node.lineno}: {self.source(node)!r} cannot be called through a probe: {reason}")
        self._plan.ask("callee", node, self._checked(node, probe, "__getitem__"), label, instead)

    def mark(self, statement, probe, label: str = "mark") -> None:
        """Run ``~probe`` before a statement.

        Raises:
            PassError: the node is not a statement of the function, or is its docstring; or the probe has no
                ``__invert__``.
        """
        self._own(statement)
        if not isinstance(statement, ast.stmt):
            source = self.source(statement)
            self._refuse(statement, f"line {statement.lineno}: only a statement can be marked, not {source!r}")
        if is_docstring(statement, self.parent(statement)):
            self._refuse(statement, "a docstring cannot be marked: behind anything else it would be none")
        self._plan.ask("mark", statement, self._checked(statement, probe, "__invert__"), label)

    def mark_end(self, statement, block: str, probe, label: str = "end") -> None:
        """Run ``~probe`` where a block of a loop, or a ``finally``, has run to its end.

        That is where control falls out of the block: not after ``break``, ``continue``, ``return`` or an exception in
        it. A ``finally`` also ends so if it was entered by one of these.

        Parameters:
            statement: a ``for``, ``async for`` or ``while``, or a ``try`` with ``finally``.
            block: the field that holds the block: ``"body"`` or ``"orelse"`` of a loop, where the latter may be empty;
                ``"finalbody"`` of a ``try``.
            probe: probe with ``__invert__``.
            label: shown in `preview`.

        Raises:
            PassError: the node has no such block, or the probe has no ``__invert__``.
        """
        self._own(statement)
        if isinstance(statement, _LOOPS):
            can_end = block in ("body", "orelse")
        else:
            can_end = isinstance(statement, _TRIES) and block == "finalbody" and bool(statement.finalbody)
        if not can_end:
            kind = type(statement).__name__
            self._refuse(statement, f"the block {block!r} of a {kind} has no end that could be marked")
        self._plan.ask("mark_end", statement, block, self._checked(statement, probe, "__invert__"), label)

    def around(self, node, start, end, label: str = "") -> None:
        """Put a start and an end round a call, an ``await`` or a ``yield from``.

        The start stands behind everything that is evaluated before the call itself, so that at most one such
        pair of a frame is open at a time. The value passes through ``end[value]``; the start is either
        ``start[last argument]`` or ``(~start)[call]``, where ``~start`` must give back the end probe.

        Parameters:
            node: Call, Await or YieldFrom.
            start: probe with ``__getitem__`` and ``__invert__``; the latter returns ``end``.
            end: probe with ``__getitem__``.
            label: shown in `preview`.

        Raises:
            PassError: another kind of node, or ``super()``; or a probe lacks a method.
        """
        self._own(node)
        if not isinstance(node, (ast.Call, ast.Await, ast.YieldFrom)) or is_super(node):
            self._refuse(node, "only a call, an await or a yield from can have something around it, and no super()")
        start = self._checked(node, start, "__getitem__", "__invert__")
        self._plan.ask("around", node, start, self._checked(node, end, "__getitem__"), label)

    def replace(self, node, new) -> None:
        """Put a new subtree in place of a node; for passes of level ``"free"``.

        Nodes of the function may be used in it, the replaced one too; the tree itself must not be changed. New nodes
        without a position in the function take that of the node. What other passes ask for stays with the nodes
        they asked for, and is skipped if these are gone. If several passes replace one node, the later ones must
        use it in theirs, and get what the earlier ones made.

        Parameters:
            node: a node with a position: an expression, statement, handler, keyword...
            new: a node of the same sort; for a statement also a list of statements, which may be empty.

        Raises:
            PassError: the pass is of another level, or one of these rules is broken.
        """
        if self._by.level != "free":
            self._refuse(node, f"only a pass of level 'free' replaces nodes, and this one has level {self._by.level!r}")
        self._own(node)
        if not hasattr(node, "lineno"):
            self._refuse(node, f"a {type(node).__name__} that stands here cannot be replaced")
        sort = next(each for each in reversed(type(node).__mro__) if issubclass(each, ast.AST) and each is not ast.AST)
        several = sort is ast.stmt and isinstance(new, list)
        for each in new if several else [new]:
            if not isinstance(each, sort):
                what = f"{each!r}" if not isinstance(each, ast.AST) else f"a {type(each).__name__}"
                self._refuse(node, f"a {type(node).__name__} is replaced by {what}, which is no ast.{sort.__name__}")
        earlier = self._plan.replaced.setdefault(id(node), [])
        used = any(part is node for each in (new if several else [new]) for part in ast.walk(each))
        if earlier and not used:
            self._refuse(node, f"it would undo what pass {earlier[-1].by.name!r} put here")
        earlier.append(Replacement(node, new, self._by))

    def constant(self, value, label: str = "constant") -> ast.expr:
        """An expression for `replace` that gives the very object, without any name.

        ``ast.Constant(value)`` is a shorter way for objects that no literal makes.

        Parameters:
            value: any object; the code keeps it alive.
            label: shown in `preview`.
        """
        made = Given(value)
        made.label = label
        return made


class Given(ast.Constant):
    """An object as an expression, whatever it is; compiled as a probe that gives it."""

    label = "constant"


def in_coat(probe):
    """A probe, fit to be a constant: equal to itself only."""
    return probe if type(probe).__hash__ is object.__hash__ else Coat(probe)


def is_docstring(statement, parent) -> bool:
    """Whether a statement is the docstring of the function or class that it stands in."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
        and isinstance(parent, (*_FUNCTIONS, ast.ClassDef))
        and parent.body[0] is statement
    )


def _evaluated_last(node):
    """The expression evaluated last before a call, await or yield from happens; None: nothing to wait for.

    None means that the start may stand in front of the whole expression, since evaluating it makes no other
    call: what is looked up on the way (a slow property) then counts as part of it.
    """
    if not isinstance(node, ast.Call):
        inner = node.value
        if isinstance(inner, ast.Call) and not is_super(inner):
            return _evaluated_last(inner)
        return inner if _holds_call(inner) else None
    if node.keywords:
        return node.keywords[-1].value
    if node.args:
        last = node.args[-1]
        if is_unrolled(node):  # only its iterable can be wrapped
            iterable = last.generators[0].iter
            return iterable if _holds_call(iterable) else None
        return last.value if isinstance(last, ast.Starred) else last
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return receiver if _holds_call(receiver) else None


def is_unrolled(node) -> bool:
    """Whether the compiler makes a call a loop of its own, as long as callee and generator expression stand bare."""
    return (
        isinstance(node.func, ast.Name)
        and node.func.id in INLINED_CALLS
        and len(node.args) == 1
        and not node.keywords
        and isinstance(node.args[0], ast.GeneratorExp)
    )


def _holds_call(node):
    """Whether evaluating the node itself (not a lambda in it) calls, awaits or yields anything but super()."""
    work = [node]
    while work:
        each = work.pop()
        if isinstance(each, (ast.Await, ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(each, ast.Call) and not is_super(each):
            return True
        if not isinstance(each, ast.Lambda):
            work.extend(ast.iter_child_nodes(each))
    return False


def is_super(node) -> bool:
    """Whether a node is a call of ``super``, which the compiler treats as syntax."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


# -- where a value probe would change the program ----------------------------------------------------------


def why_not(node, parent, at) -> "str | None":
    """The reason why no value probe may stand round a node; None if one may.

    Parameters:
        node, parent: the node and the one around it.
        at: knows the tree: its ``parent(node)``, and the module's ``imports``.
    """
    if not isinstance(node, ast.expr):
        return "it is not an expression"
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return "it is assigned to or deleted"
    if parent is None:
        return "it is no part of the function's body"
    for rule in _RULES:
        reason = rule(node, parent, at)
        if reason is not None:
            return reason
    return None


def why_not_callee(node, at):
    """The reason why what a call calls cannot pass through a probe; None if it can."""
    rules = (rule for rule in _RULES if rule is not _callee)
    return next((reason for rule in rules if (reason := rule(node.func, node, at)) is not None), None)


def _not_a_value(node, parent, at):
    if isinstance(node, (ast.Slice, ast.Starred, *_FORMATTED)) and not (
        isinstance(node, _FORMATTED) and not isinstance(parent, (ast.FormattedValue, *_FORMATTED))
    ):
        return "it is not a value of its own"
    if type(node).__name__ in ("FormattedValue", "Interpolation"):
        return "it is part of a formatted string"
    if isinstance(node, ast.Tuple) and isinstance(parent, ast.Subscript) and node is parent.slice:
        return "it is an index"
    return None


def _constant(node, parent, at):
    if isinstance(node, ast.Constant) and isinstance(parent, _COMPREHENSIONS):
        # An element: nothing to fold it into, but for the truth that an unrolled call asks of it.
        call = at.parent(parent)
        if not (isinstance(call, ast.Call) and is_unrolled(call)):
            return None
    if _is_constant(node):
        return "it is a constant"
    if isinstance(node, ast.Name) and node.id == "__debug__":
        return "it is a constant"
    return None


_FOLDED = (ast.Tuple, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.JoinedStr, ast.operator, ast.unaryop, ast.Load)


def _is_constant(node):
    work = [node]
    while work:
        each = work.pop()
        if isinstance(each, ast.Constant):
            continue
        if not isinstance(each, _FOLDED):
            return False
        work.extend(ast.iter_child_nodes(each))
    return True


def _super(node, parent, at):
    if is_super(node):
        return "super() is syntax to the compiler"
    if isinstance(node, ast.Name) and node.id == "super":
        return "super is syntax to the compiler"
    return None


def _callee(node, parent, at):
    if isinstance(node, ast.Attribute) and isinstance(parent, ast.Call) and node is parent.func:
        return "method calls keep their fast path only if the method stands bare"
    if isinstance(parent, ast.Call) and is_unrolled(parent):
        return "the compiler unrolls a bare call with a bare generator expression"
    return None


def _is_chain(node):
    return isinstance(node, ast.Compare) and len(node.ops) > 1


def _is_boolean(node):
    return (
        isinstance(node, (ast.BoolOp, ast.IfExp))
        or _is_chain(node)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))
    )


def _is_tested(node, parent):
    if isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        return node is parent.test
    if isinstance(parent, ast.comprehension):
        return node in parent.ifs
    if isinstance(parent, ast.match_case):
        return node is parent.guard
    return isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)


def _truth(node, parent, at):
    if _is_boolean(node) and _decides(node, parent, at):
        return "its truth would be asked for twice"
    if isinstance(node, (ast.BoolOp, ast.IfExp)):
        if node.lineno != node.end_lineno:
            return "it ends on different lines"
        _, user = _whole(node, parent, at)
        if isinstance(user, ast.Lambda) and _yields(user):
            return "a lambda that yields returns from each of its ends"
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[-1], (ast.Is, ast.IsNot))
        and isinstance(node.comparators[-1], ast.Constant)
        and _decides(node, parent, at)
    ):
        return "a test for None has a jump of its own"
    return None


def _decides(node, parent, at):
    """Whether an expression is tested, or an operand; so are both ends of a conditional expression that is."""
    node, parent = _whole(node, parent, at)
    return _is_tested(node, parent) or isinstance(parent, ast.BoolOp)


def _whole(node, parent, at):
    """The conditional expression of which a node is one end, and the node round that; else the two as they are."""
    while isinstance(parent, ast.IfExp) and node is not parent.test:
        node, parent = parent, at.parent(parent)
    return node, parent


def _formatting(node, parent, at):
    if (
        isinstance(node, ast.Tuple)
        and isinstance(parent, ast.BinOp)
        and isinstance(parent.op, ast.Mod)
        and node is parent.right
    ):
        return "the compiler formats a bare tuple piece by piece"
    return None


def _growing_string(node, parent, at):
    if isinstance(node, ast.BinOp):
        sum_, statement = node, parent
    elif isinstance(node, ast.Name) and isinstance(parent, ast.BinOp) and node is parent.left:
        sum_, statement = parent, at.parent(parent)
    else:
        return None
    if (
        isinstance(sum_.op, ast.Add)
        and isinstance(sum_.left, ast.Name)
        and isinstance(statement, ast.Assign)
        and any(isinstance(each, ast.Name) and each.id == sum_.left.id for each in statement.targets)
    ):
        return "the string would no longer grow in place"
    return None


def _stored_receiver(node, parent, at):
    if (
        isinstance(node, ast.Name)
        and isinstance(parent, ast.Attribute)
        and not isinstance(parent.ctx, ast.Load)
        and node is parent.value
    ):
        return "the compiler notes which attributes are stored on a bare name"
    return None


def _display(node, parent, at):
    if not isinstance(node, _DISPLAYS):
        return None
    if isinstance(parent, ast.Compare) and isinstance(_operator_before(node, parent), (ast.In, ast.NotIn)):
        return "the compiler makes a bare display a constant"
    if isinstance(parent, (ast.For, ast.AsyncFor, ast.comprehension)) and node is parent.iter:
        return "the compiler makes a bare display a constant"
    unpacked = isinstance(parent, (ast.Starred, ast.YieldFrom)) or (isinstance(parent, ast.keyword) and not parent.arg)
    if unpacked or (isinstance(parent, ast.Assign) and node is parent.value):
        return "an unpacked display is never built"
    return None


def _operator_before(node, comparison):
    """The operator on the left of one of a comparison's operands; None for the first operand."""
    operands = zip(comparison.ops, comparison.comparators, strict=True)
    return next((operator for operator, operand in operands if operand is node), None)


def _yields(node):
    """Whether a lambda is a generator."""
    work = [node.body]
    while work:
        each = work.pop()
        if isinstance(each, (ast.Yield, ast.YieldFrom)):
            return True
        # The defaults of a lambda in it are evaluated here, the body is not.
        work.extend(ast.iter_child_nodes(each.args if isinstance(each, ast.Lambda) else each))
    return False


def _folded_not(node, parent, at):
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[-1], (ast.In, ast.NotIn, ast.Is, ast.IsNot))
        and isinstance(parent, ast.UnaryOp)
        and isinstance(parent.op, ast.Not)
    ):
        return "the compiler makes `not x in y` one operation"
    return None


def _imported_receiver(node, parent, at):
    if isinstance(node, ast.Name) and node.id in at.imports and isinstance(parent, ast.Attribute):
        grand = at.parent(parent)
        if isinstance(grand, ast.Call) and parent is grand.func:
            return "the compiler asks whether the bare name was imported"
    return None


def _stored_comprehension(node, parent, at):
    if not INLINED_COMPREHENSIONS or not isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
        return None
    if isinstance(parent, ast.Tuple) and node is parent.elts[-1] and len(parent.elts) <= 3:
        node, parent = parent, at.parent(parent)  # so short a tuple is never built where it is unpacked
        stored = isinstance(parent, ast.Assign) and node is parent.value
    else:
        stored = isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.Expr))
    return "the compiler stores or drops it before it restores what the comprehension hid" if stored else None


def _stored_twice(node, parent, at):
    if isinstance(node, ast.NamedExpr) and isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        if any(isinstance(each, ast.Name) and each.id == node.target.id for each in targets):
            return "the compiler stores only once what goes to one name twice"
    return None


_RULES = (
    _not_a_value,
    _constant,
    _super,
    _callee,
    _imported_receiver,
    _truth,
    _folded_not,
    _formatting,
    _growing_string,
    _stored_receiver,
    _stored_comprehension,
    _stored_twice,
    _display,
)


# -- showing ------------------------------------------------------------------------------------------------


class _Frozen:
    """The shared tree as it was. A pass that changes it is told so, and the tree is mended."""

    def __init__(self, nodes):
        self.parts = [(node, _parts_of(node)) for node in nodes]

    def mend(self):
        """Undo what was changed; returns the first node that had been, or None."""
        changed = [(node, parts) for node, parts in self.parts if _parts_of(node) != parts]
        for node, parts in changed:
            vars(node).clear()
            vars(node).update(parts)
        return changed[0][0] if changed else None


def _parts_of(node):
    return {name: list(part) if type(part) is list else part for name, part in vars(node).items()}


def is_foreign(each):
    """Whether a pass is somebody else's: those of the package are known to leave the tree alone."""
    return not type(each).__module__.startswith("recompyle.")


def plan(context, function, code, passes):
    """Show a function's tree to each pass and collect what it asks for.

    Parameters:
        context: `recompyle.rewrite.skeleton.Context` of the function; None if there is no source and no pass
            needs any.
        function: the function.
        code: the running code object.
        passes: the passes, in order: on one node earlier ones are inner.

    Returns:
        The `Plan`, and one `Cursor` for each pass.

    Raises:
        PassError: a pass raised, or asked for something that is not allowed.
    """
    result = Plan()
    walk = Walk(None if context is None else context.definition.node)
    order, result.parents = walk.order, walk.parents
    watched = [context.definition.node, *(node for node, _ in order)] if any(map(is_foreign, passes)) and order else []
    frozen = _Frozen(watched)
    cursors = []
    for each in passes:
        at = Cursor(result, context, function, code, walk, each)
        cursors.append(at)
        try:
            _show(each, at, order)
        finally:
            changed = frozen.mend() if is_foreign(each) else None
        if changed is not None:
            raise PassError(
                f"pass {each.name!r} in {at.function}: it changed the shared tree; at.replace and ast.NodeTransformer "
                f"are there for that{at.excerpt(changed)}"
            )
    return result, cursors


def _show(each, at, order):
    """Let one pass look at each node."""
    guard(each, None, at, each.begin, at)
    visitors = {kind: getattr(each, f"visit_{kind.__name__}", None) for kind in {type(node) for node, _ in order}}
    for node, depth in order:
        visit = visitors[type(node)]
        if visit is not None and (each.nested_functions or not depth):
            guard(each, node, at, visit, node, at)


class _Stray(PassError):
    """Something was asked for at a node that is no part of the function; `guard` adds where the pass was."""


def guard(pass_, node, at, function, *arguments):
    """Call what a pass defines; what it raises becomes a `PassError` that says where, if it is no refusal already."""
    try:
        return function(*arguments)
    except _Stray as error:
        raise PassError(f"{error}{_where(node, at)}") from None
    except RecompyleError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise PassError(f"pass {pass_.name!r} failed in {at.function}: {what}{_where(node, at)}") from error


def _where(node, at):
    """The excerpt of a node, or if that has no place, such as a match_case, of what it stands in."""
    while node is not None and not hasattr(node, "lineno"):
        node = at.parent(node) if not isinstance(node, _OPERATORS) else None
    return at.excerpt(node)
