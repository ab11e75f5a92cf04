"""Compiles one function inside the smallest module that keeps its meaning.

What a function compiles to depends on its surroundings: class names mangle private names, enclosing functions
decide what is a free variable, `global` statements and imported names of the module change opcodes. The
skeleton is a module that holds just those surroundings. Whether it is right is not argued but tested: the
unchanged function compiled in it must equal the running code object (`difference`), else nothing is rewritten.
"""

import ast
import __future__

from recompyle._env import INLINED_COMPREHENSIONS
from recompyle.errors import SourceMismatch
from recompyle.rewrite import cache
from recompyle.rewrite.source import find, quietly

_CodeType = type(compile("", "", "exec"))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

_FUTURES = 0
for _name in __future__.all_feature_names:
    _FUTURES |= getattr(__future__, _name).compiler_flag

CO_NESTED = 0x10
CO_ITERABLE_COROUTINE = 0x100  # set on a copy of the code by types.coroutine, never by the compiler
CO_METHOD = 0x8000000  # 3.14: directly in a class, which a generic method is not

_HERE = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}

_COMPREHENSION_NAMES = {
    ast.ListComp: "<listcomp>",
    ast.SetComp: "<setcomp>",
    ast.DictComp: "<dictcomp>",
    ast.GeneratorExp: "<genexpr>",
}


class Context:
    """A running code object, matched with its definition in the source.

    Attributes:
        code: the running code object.
        source: the `Source` of its file.
        definition: the `Definition` that compiles to it.
        bound: names that the functions around it bind.
        record: what is kept of proofs about the file; None if nothing is.
    """

    __slots__ = ("code", "source", "definition", "bound", "record", "_plain")

    def __init__(self, code, source, definition, bound):
        self.code = code
        self.source = source
        self.definition = definition
        self.bound = bound
        self.record = None
        self._plain = None

    @property
    def plain(self):
        """The code that the definition compiles to unchanged, in its skeleton; equal to ``code``."""
        if self._plain is None:
            self._plain = self.compile(self.definition.node)
        return self._plain

    @property
    def reference(self):
        """What rewritten code must equal but for its probes: ``code``, as the compiler gives it here."""
        return self.plain if self._plain is not None or _is_frozen(self.code) else self.code

    def compile(self, node):
        """Compile a changed version of the definition's node in the same surroundings.

        Parameters:
            node: a FunctionDef, AsyncFunctionDef or Lambda, made from ``definition.node``.

        Returns:
            The code object of the function, with the running code's names and flags.

        Raises:
            ValueError, SyntaxError: the tree is invalid.
        """
        return _compile(self, node)


def locate(code, module_globals):
    """Match a running code object with its definition; the proof that a rewrite starts from the truth.

    Parameters:
        code: a function's code object, unchanged by anybody.
        module_globals: the function's globals.

    Returns:
        A `Context`.

    Raises:
        SourceNotFound: see `recompyle.rewrite.source.find`.
        SourceMismatch: no definition in the source, or more than one, compiles to this very code.
    """
    source = find(code, module_globals)
    record = cache.record_of(source.file, source.lines)
    key = None if record is None else cache.key_of(code)
    known = None if key is None else record.get(key)
    candidates = source.definitions.get((code.co_name, code.co_firstlineno), ())
    if known is not None:
        number, bound = known
        context = Context(code, source, candidates[number], bound)
        context.record = record
        return context
    matches = _matches(code, source)
    if len(matches) == 1 and key is not None:
        context = matches[0]
        context.record = record
        record.put(key, (candidates.index(context.definition), context.bound))
        return context
    if not matches:
        fresh = find(code, module_globals, refresh=True)
        if fresh is not source:
            source, matches = fresh, _matches(code, fresh)
    if len(matches) == 1:
        return matches[0]
    raise SourceMismatch(_why(code, source, matches))


cdef bint _is_frozen(code):
    return code.co_filename.startswith("<frozen ")


cdef list _matches(code, source):
    """A context for each definition that compiles to the running code."""
    matches = []
    for definition in source.definitions.get((code.co_name, code.co_firstlineno), ()):
        for bound in _possible_bindings(code):
            context = Context(code, source, definition, bound)
            try:
                plain = context.plain
            except (SyntaxError, ValueError, RecursionError):
                continue
            if difference(code, plain) is None:
                matches.append(context)
                break
    return matches


cdef list _possible_bindings(code):
    """Which names the functions around may bind, likeliest first."""
    # From 3.12 an inlined comprehension may turn a free variable that it hides into a cell of the function itself.
    return [code.co_freevars, code.co_freevars + code.co_cellvars] if code.co_cellvars else [code.co_freevars]


cdef str _why(code, source, matches):
    where = f"{source.file}, line {code.co_firstlineno}"
    if len(matches) > 1:
        return f"{code.co_qualname}: {len(matches)} definitions at {where} compile to the same code"
    candidates = source.definitions.get((code.co_name, code.co_firstlineno), ())
    if not candidates:
        elsewhere = sorted(line for name, line in source.definitions if name == code.co_name)
        found = f"; the name is defined at line {', '.join(map(str, elsewhere[:5]))}" if elsewhere else ""
        return f"{code.co_qualname} is not defined at {where}{found}: the file was changed after it was imported"
    try:
        compiled = Context(code, source, candidates[0], code.co_freevars).compile(candidates[0].node)
        detail = difference(code, compiled) or "nothing"
    except (SyntaxError, ValueError, RecursionError) as error:
        detail = f"it does not compile: {error}"
    return (
        f"{code.co_qualname}: the source at {where} is not that of the running code ({detail}): the file was "
        "changed after it was imported, or another tool rewrote the function"
    )


cdef _compile(context, node):
    code = context.code
    path = []
    module = _module(context, node, path)
    flags = code.co_flags & _FUTURES
    compiled = quietly(module, code.co_filename, flags)
    for name in path:
        compiled = _child(compiled, name)
    return _adjust(compiled, code)


cdef _child(compiled, name):
    for const in compiled.co_consts:
        if type(const) is _CodeType and const.co_name == name:
            return const
    raise ValueError(f"{name} is not in the compiled skeleton")


cdef _module(context, node, list path):
    """The skeleton around a function's node; ``path`` receives the names that lead to its code."""
    scopes = [each for each in context.definition.scopes if _is_scope(each)]
    free = [name for name in context.bound if name != "__class__" or not _has_class(scopes)]
    innermost = next((each for each in reversed(scopes) if not isinstance(each, ast.ClassDef)), None)
    if isinstance(node, ast.Lambda):
        inner = ast.Expr(_bare_lambda(node), **_HERE)
        path.append("<lambda>")
    else:
        inner = _bare_function(node)
        path.append(node.name)
    for scope in reversed(scopes):
        body = [ast.Global(names=names, **_HERE) for names in context.source.globals.get(scope, ())]
        if isinstance(scope, ast.ClassDef):
            inner = _class(scope.name, [*body, inner])
            path.append(scope.name)
        else:
            if scope is innermost and free:
                body.append(_bind(free))
            inner = _function(_scope_name(scope), [*body, inner])
            path.append(inner.name)
    if free and innermost is None:  # type parameters: free variables without a function around
        inner = _function("<type parameters>", [_bind(free), inner])
        path.append(inner.name)
    path.reverse()
    return ast.Module(body=[*_module_names(context.source, context.code), inner], type_ignores=[])


cdef bint _is_scope(scope):
    return not (INLINED_COMPREHENSIONS and isinstance(scope, (ast.ListComp, ast.SetComp, ast.DictComp)))


cdef bint _has_class(list scopes):
    for scope in scopes:
        if isinstance(scope, ast.ClassDef):
            return True
    return False


cdef str _scope_name(scope):
    if isinstance(scope, ast.Lambda):
        return "<lambda>"
    return _COMPREHENSION_NAMES.get(type(scope)) or scope.name


cdef list _module_names(source, code):
    """Statements that give the module's symbol table what the compiler will ask it for."""
    body = []
    used = sorted(source.imports.intersection(_all_names(code)))
    if used:
        body.append(ast.Import(names=[ast.alias(name=name, asname=None, **_HERE) for name in used], **_HERE))
    if source.names_super:
        body.append(ast.Expr(ast.Name("super", ast.Load(), **_HERE), **_HERE))
    return body


cdef set _all_names(code):
    # Locals too: the compiler asks about the name alone, even where a local import hides the module's.
    names = {*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars}
    for const in code.co_consts:
        if type(const) is _CodeType:
            names |= _all_names(const)
    return names


cdef _no_arguments():
    return ast.arguments(posonlyargs=[], args=[], vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[])


cdef _bind(names):
    targets = [ast.Name(name, ast.Store(), **_HERE) for name in names]
    return ast.Assign(targets=targets, value=ast.Constant(None, **_HERE), type_comment=None, **_HERE)


cdef _function(name, body):
    return ast.FunctionDef(
        name=name, args=_no_arguments(), body=body, decorator_list=[], returns=None, type_comment=None,
        type_params=[], **_HERE,
    )


cdef _class(name, body):
    return ast.ClassDef(name=name, bases=[], keywords=[], body=body, decorator_list=[], type_params=[], **_HERE)


cdef _position(node):
    return {
        "lineno": node.lineno,
        "col_offset": node.col_offset,
        "end_lineno": node.end_lineno,
        "end_col_offset": node.end_col_offset,
    }


cdef _bare_arguments(arguments):
    """The parameters without what is evaluated outside of the function: defaults and annotations."""
    def bare(arg):
        return arg and ast.arg(arg=arg.arg, annotation=None, type_comment=None, **_position(arg))

    return ast.arguments(
        posonlyargs=[bare(arg) for arg in arguments.posonlyargs],
        args=[bare(arg) for arg in arguments.args],
        vararg=bare(arguments.vararg),
        kwonlyargs=[bare(arg) for arg in arguments.kwonlyargs],
        kw_defaults=[None] * len(arguments.kwonlyargs),
        kwarg=bare(arguments.kwarg),
        defaults=[],
    )


cdef _bare_lambda(node):
    return ast.Lambda(args=_bare_arguments(node.args), body=node.body, **_position(node))


cdef _bare_function(node):
    # One constant in place of the decorators: the first decorator's line is the function's first line.
    decorators = node.decorator_list[:1]
    return type(node)(
        name=node.name,
        args=_bare_arguments(node.args),
        body=node.body,
        decorator_list=[ast.Constant(None, **_position(each)) for each in decorators],
        returns=None,
        type_comment=None,
        type_params=[],
        **_position(node),
    )


cdef _adjust(compiled, code):
    """Give the compiled function what only its true surroundings could: qualified names, some flags."""
    kept = CO_NESTED | CO_ITERABLE_COROUTINE | CO_METHOD
    flags = compiled.co_flags & ~kept | code.co_flags & kept
    if compiled.co_qualname != code.co_qualname:
        compiled = _requalify(compiled, compiled.co_qualname, code.co_qualname)
    return compiled if flags == compiled.co_flags else compiled.replace(co_flags=flags)


cdef _requalify(compiled, str old, str new):
    """Replace the head of all qualified names, also where a class body holds its own as a constant."""
    def rename(name):
        return new + name[len(old):] if name == old or name.startswith(old + ".") else name

    consts = []
    for const in compiled.co_consts:
        if type(const) is _CodeType:
            const = _requalify(const, old, new)
        elif type(const) is str and const.startswith(old + ".<locals>."):
            const = rename(const)
        consts.append(const)
    return compiled.replace(co_qualname=rename(compiled.co_qualname), co_consts=tuple(consts))


_COMPARED = (
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_name", "co_qualname",
    "co_firstlineno", "co_names", "co_varnames", "co_cellvars", "co_freevars", "co_code", "co_stacksize",
    "co_exceptiontable",
)


def difference(a, b):
    """What distinguishes two code objects, nested ones included; None if nothing does.

    Stricter than ``==``, which leaves out file and qualified names and takes 0.0 for -0.0.
    """
    for name in _COMPARED:
        if getattr(a, name) != getattr(b, name):
            return f"{name} differs"
    if a.co_linetable != b.co_linetable and list(a.co_positions()) != list(b.co_positions()):
        return "positions differ"
    if len(a.co_consts) != len(b.co_consts):
        return "the number of constants differs"
    frozen = _is_frozen(a)
    for one, other in zip(a.co_consts, b.co_consts):
        if frozen and type(one) is tuple and type(other) is frozenset and other == frozenset(one):
            continue  # 3.11 stores the sets of its frozen modules as tuples
        reason = _constant_difference(one, other)
        if reason is not None:
            return reason
    return None


cdef _constant_difference(a, b):
    if type(a) is not type(b):
        return f"constant {a!r} is {b!r}"
    if type(a) is _CodeType:
        return difference(a, b)
    if type(a) is tuple:
        if len(a) != len(b):
            return f"constant {a!r} is {b!r}"
        for one, other in zip(a, b):
            reason = _constant_difference(one, other)
            if reason is not None:
                return reason
        return None
    # repr tells -0.0 from 0.0 and finds NaN equal to NaN; frozensets are equal whatever their order
    same = a == b if type(a) is frozenset else repr(a) == repr(b)
    return None if same else f"constant {a!r} is {b!r}"
