"""What a pass is, and what it may ask for.

A pass sees the unchanged tree of a function, one node at a time, and asks for probes through a `Cursor`. The
requests of all passes are collected first and applied together afterwards, so no pass sees what another one
added, and every position stays the source's.
"""

import ast
import functools
from dataclasses import dataclass

from recompyle._env import FSTRING_POSITIONS, INLINED_CALLS, INLINED_COMPREHENSIONS
from recompyle.errors import PassError, RecompyleError

__all__ = ["Cursor", "Pass", "Plan", "Site", "Skipped", "guard", "plan"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
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
        level: ``"probe"``: values pass through unchanged and places are marked; nothing else is moved, which
            is proved on each rewrite.
        nested_functions: whether the bodies of functions and classes defined inside are visited too.
        single: of several passes of this class on one function only the last one is in force.
    """

    name = "pass"
    level = "probe"
    nested_functions = True
    single = False

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


@dataclass(slots=True)
class Wrap:
    """One request about one node: ``role`` is ``through``, ``first`` or ``mark``; ``number`` counts within the plan."""

    role: str
    probe: object
    label: str
    number: int = -1


class Plan:
    """The requests of all passes for one function.

    Attributes:
        inner: ``id(node)`` to wraps that belong to the node itself.
        outer: ``id(node)`` to wraps that an enclosing call put on it; they go round the inner ones.
        marks: ``id(statement)`` to marks before it.
        nodes: ``id(node)`` to node, for every node with a request.
        parents: ``id(node)`` to the node's parent.
        skipped: what was left out, and why.
        wraps: all requests, in the order they were made.
    """

    def __init__(self):
        self.inner = {}
        self.outer = {}
        self.marks = {}
        self.nodes = {}
        self.parents = {}
        self.skipped = []
        self.wraps = []

    def request(self, table, node, wrap):
        wrap.number = len(self.wraps)
        self.wraps.append(wrap)
        self.nodes[id(node)] = node
        table.setdefault(id(node), []).append(wrap)

    def shape(self):
        """What decides how the code with placeholders looks: which nodes, by place in the walk, get which wraps.

        None if that does not tell it all.
        """
        if not self.nodes.keys() <= self.parents.keys():
            return None
        place = {each: i for i, each in enumerate(self.parents)}
        tables = (self.inner, self.outer, self.marks)
        return tuple(
            (i, place[node], wrap.role, wrap.number)
            for i, table in enumerate(tables)
            for node, wraps in table.items()
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
        globals: the function's globals.
        imports: names that the module's own level imports.
        sites: the sites made by this pass so far.
        data: free for the pass to keep what belongs to this one rewrite.
    """

    def __init__(self, plan, context, function, code, walk):
        self._plan = plan
        self._context = context
        self._walk = walk
        self.data = None
        self.globals = function.__globals__
        self.code = code
        self.function = code.co_qualname
        self.file = code.co_filename
        self.line = context.definition.node.lineno if context is not None else code.co_firstlineno
        self.imports = context.source.imports if context is not None else frozenset()
        self.sites = []

    # -- asking ------------------------------------------------------------------------------------------

    def parent(self, node):
        """The node's parent, or None for the function itself."""
        return self._plan.parents.get(id(node))

    def is_nested(self, node) -> bool:
        """Whether the node runs in another frame than the function's own (lambda, generator expression...)."""
        return id(node) in self._walk.nested

    def source(self, node) -> str:
        """The node's exact text, white space collapsed."""
        if not FSTRING_POSITIONS and any(isinstance(each, _FORMATTED) for each in self._ancestors(node)):
            return ast.unparse(node)
        return " ".join(self._segment(node).split())

    def _segment(self, node):
        lines = self._context.source.lines[node.lineno - 1 : node.end_lineno]
        if len(lines) == 1:
            return lines[0].encode()[node.col_offset : node.end_col_offset].decode(errors="replace")
        first = lines[0].encode()[node.col_offset :].decode(errors="replace")
        last = lines[-1].encode()[: node.end_col_offset].decode(errors="replace")
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
        return _why_not(node, self.parent(node), self)

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

    def skip(self, node, reason: str) -> None:
        """Note that a place is left as it is, for `preview(...).skipped`."""
        self._plan.skipped.append(Skipped(node.lineno, node.col_offset, self.source(node), reason))

    def through(self, node, probe, label: str = "probe") -> None:
        """Let the node's value pass through ``probe[value]``.

        Raises:
            PassError: the place cannot be observed; see `why_not`.
        """
        reason = self.why_not(node)
        if reason is not None:
            raise PassError(f"line {node.lineno}: {self.source(node)!r} cannot be observed: {reason}")
        self._plan.request(self._plan.inner, node, Wrap("through", probe, label))

    def mark(self, statement, probe, label: str = "mark") -> None:
        """Run ``~probe`` before a statement.

        Raises:
            PassError: the node is not a statement of the function.
        """
        if not isinstance(statement, ast.stmt):
            raise PassError(f"line {statement.lineno}: only a statement can be marked, not {self.source(statement)!r}")
        self._plan.request(self._plan.marks, statement, Wrap("mark", probe, label))

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
        """
        last = _evaluated_last(node)
        if last is None:
            self._plan.request(self._plan.inner, node, Wrap("first", start, f"start{label}"))
        else:
            self._plan.request(self._plan.outer, last, Wrap("through", start, f"start{label}"))
            self._plan.request(self._plan.inner, node, Wrap("through", end, f"end{label}"))


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
        if isinstance(last, ast.GeneratorExp) and _is_inlined_call(node):
            # Bare, such a call is compiled into a loop of its own: only its iterable can be wrapped.
            iterable = last.generators[0].iter
            return iterable if _holds_call(iterable) else None
        return last.value if isinstance(last, ast.Starred) else last
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return receiver if _holds_call(receiver) else None


def _is_inlined_call(node):
    return (
        isinstance(node.func, ast.Name) and node.func.id in INLINED_CALLS and len(node.args) == 1 and not node.keywords
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


def _why_not(node, parent, at):
    if not isinstance(node, ast.expr):
        return "it is not an expression"
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return "it is assigned to or deleted"
    if parent is None:
        return "it is the function itself"
    for rule in _RULES:
        reason = rule(node, parent, at)
        if reason is not None:
            return reason
    return None


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
    if _is_constant(node):
        return "it is a constant"
    if isinstance(node, ast.Name) and node.id == "__debug__":
        return "it is a constant"
    return None


_FOLDED = (ast.Tuple, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.operator, ast.unaryop, ast.Load)


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
    if isinstance(parent, ast.Call) and _is_inlined_call(parent) and isinstance(parent.args[0], ast.GeneratorExp):
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
    if _is_boolean(node) and (_is_tested(node, parent) or isinstance(parent, ast.BoolOp)):
        return "its truth would be asked for twice"
    if isinstance(node, (ast.BoolOp, ast.IfExp)) and node.lineno != node.end_lineno:
        return "it ends on different lines"
    if (
        isinstance(node, ast.Compare)
        and (_is_tested(node, parent) or isinstance(parent, ast.BoolOp))
        and isinstance(node.ops[-1], (ast.Is, ast.IsNot))
        and isinstance(node.comparators[-1], ast.Constant)
    ):
        return "a test for None has a jump of its own"
    if isinstance(parent, ast.IfExp) and _is_boolean(node) and node is not parent.test:
        grand = at.parent(parent)
        if grand is not None and (_is_tested(parent, grand) or isinstance(grand, ast.BoolOp)):
            return "its truth would be asked for twice"
    return None


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
    if (
        INLINED_COMPREHENSIONS
        and isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp))
        and isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.Expr))
    ):
        return "the compiler stores or drops it before it restores what the comprehension hid"
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
    _display,
)


# -- the walk ------------------------------------------------------------------------------------------------


class _Walk:
    """One walk over a function's body, in source order, by an explicit list of work.

    State: ``plan.parents`` (node to parent) and ``nested`` (ids of nodes that run in another frame).
    """

    def __init__(self, plan):
        self.plan = plan
        self.nested = set()
        self.order = []

    def run(self, root):
        """List the nodes of a function in source order, with the functions around each."""
        work = [(child, root, False, 0) for child in reversed(_body_of(root))]
        while work:
            node, parent, nested, depth = work.pop()
            self.plan.parents[id(node)] = parent
            if nested:
                self.nested.add(id(node))
            self.order.append((node, depth))
            if isinstance(node, _COMPREHENSIONS):
                work.extend(reversed(self._comprehension(node, nested, depth)))
            elif isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                work += [(child, node, True, depth + 1) for child in reversed(node.body)]
                if isinstance(node, ast.ClassDef) and not getattr(node, "type_params", ()):
                    outside = [*node.bases, *(each.value for each in node.keywords)]
                    work.extend((child, node, nested, depth) for child in reversed(outside))
            elif isinstance(node, ast.Lambda):
                work.append((node.body, node, True, depth))
            else:
                work += [(child, node, nested, depth) for child in reversed(_visible(node))]
        return self.order

    def _comprehension(self, node, nested, depth):
        """The first iterable is evaluated outside; the rest in a frame of its own, unless it is inlined."""
        inlined = INLINED_COMPREHENSIONS and not isinstance(node, ast.GeneratorExp)
        inner = nested or not inlined
        parts = [(each, node, inner, depth) for each in _elements(node)]
        for i, generator in enumerate(node.generators):
            self.plan.parents[id(generator)] = node
            parts += [
                (generator.target, generator, inner, depth),
                (generator.iter, generator, nested if i == 0 else inner, depth),
                *((test, generator, inner, depth) for test in generator.ifs),
            ]
        return parts


def _elements(node):
    if isinstance(node, ast.DictComp):
        return [each for each in (node.key, node.value) if each is not None]
    return [node.elt]


def _body_of(node):
    return [node.body] if isinstance(node, ast.Lambda) else node.body


def _visible(node):
    """The children that may hold probes: no patterns, annotations, aliases, nor what has no position."""
    children = []
    for field in _visible_fields(type(node)):
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            children.append(value)
        elif type(value) is list:
            children += [child for child in value if isinstance(child, ast.AST)]
    return children


@functools.cache
def _visible_fields(kind):
    if kind.__name__ == "TypeAlias":
        return ()
    hidden = ("annotation", "type_params", "type_comment", "pattern", "ctx")
    return tuple(field for field in kind._fields if field not in hidden)


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
    walk = _Walk(result)
    order = walk.run(context.definition.node) if context is not None else []
    cursors = []
    for each in passes:
        at = Cursor(result, context, function, code, walk)
        cursors.append(at)
        guard(each, None, at, each.begin, at)
        visitors = {kind: getattr(each, f"visit_{kind.__name__}", None) for kind in {type(node) for node, _ in order}}
        for node, depth in order:
            visit = visitors[type(node)]
            if visit is not None and (each.nested_functions or not depth):
                guard(each, node, at, visit, node, at)
    return result, cursors


def guard(pass_, node, at, function, *arguments):
    """Call what a pass defines; what it raises becomes a `PassError` that says where, if it is no refusal already."""
    try:
        return function(*arguments)
    except RecompyleError:
        raise
    except Exception as error:
        where = f" at line {node.lineno}: {at.source(node)}" if node is not None and hasattr(node, "lineno") else ""
        what = f"{type(error).__name__}: {error}"
        raise PassError(f"pass {pass_.name!r} failed in {at.function}{where}: {what}") from error
