"""Finds the source of a running code object, or says why there is none.

A file is parsed once and indexed once: where each function and lambda stands, in which scopes, and what the
compiler asks the module's symbol table for. Several functions of one file share that work.
"""

import ast
import linecache
import threading
import warnings
from collections import OrderedDict

from recompyle._env import CONTEXT_WARNINGS
from recompyle.errors import SourceNotFound

_CACHED_FILES = 4  # trees are large: a 5,000-line module takes about 30 MB

_cache = OrderedDict()
_lock = threading.Lock()

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)


class Definition:
    """One function or lambda in a file.

    Attributes:
        node: FunctionDef, AsyncFunctionDef or Lambda, part of the shared tree: never changed.
        scopes: the enclosing scope nodes, outermost first (functions, classes, lambdas, comprehensions).
    """

    __slots__ = ("node", "scopes")

    def __init__(self, node, scopes):
        self.node = node
        self.scopes = scopes


class Source:
    """The text and tree of one file, and its index.

    Attributes:
        file: the name the compiled code carries (``co_filename``).
        text: the source text.
        lines: the text's lines as Python counts them, ends kept.
        definitions: ``(co_name, co_firstlineno)`` to the list of `Definition` that could have made such code.
        imports: names that the module's own level imports.
        names_super: whether the module's own level mentions ``super``.
        globals: scope node to the names of each ``global`` statement that belongs to it.
    """

    __slots__ = ("file", "text", "lines", "definitions", "imports", "names_super", "globals")

    def __init__(self, file, text, lines, tree):
        self.file = file
        self.text = text
        self.lines = lines
        self.definitions = {}
        self.imports = set()
        self.names_super = False
        self.globals = {}
        _index(self, tree)

    def text_of(self, node):
        """The lines on which a function stands, its decorators included."""
        decorators = getattr(node, "decorator_list", None)
        first = decorators[0].lineno if decorators else node.lineno
        return "".join(self.lines[first - 1 : node.end_lineno])


cdef _index(source, tree):
    """Walk the whole file once, with the scopes around each node."""
    cdef list work = [(tree, ())]
    cdef tuple scopes
    definitions = source.definitions
    while work:
        node, scopes = work.pop()
        kind = type(node)
        inner = scopes
        if kind in _SCOPES:
            inner = (*scopes, node)
            if kind is ast.Lambda:
                definitions.setdefault(("<lambda>", node.lineno), []).append(Definition(node, scopes))
            elif kind in _FUNCTIONS:
                first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
                definitions.setdefault((node.name, first), []).append(Definition(node, scopes))
        elif kind is ast.Global and scopes:
            source.globals.setdefault(scopes[-1], []).append(node.names)
        if not scopes:
            _note_module_name(source, node, kind)
        for field in _fields_of(kind):
            value = getattr(node, field, None)
            if value is None:
                continue
            within = inner if inner is scopes or _is_inside(node, kind, field) else scopes
            if type(value) is list:
                for item in reversed(value):
                    if not _is_leaf(item, within):
                        work.append((item, within))
            elif not _is_leaf(value, within):
                work.append((value, within))


_known_fields = {}


cdef tuple _fields_of(kind):
    """The fields of a kind of node that may lead to a function."""
    fields = _known_fields.get(kind)
    if fields is None:
        fields = _known_fields[kind] = tuple(each for each in kind._fields if each not in ("ctx", "op", "ops"))
    return fields


cdef bint _is_leaf(value, tuple scopes):
    """Whether nothing below or in a value is of interest: texts, constants, and names but for the module's own."""
    kind = type(value)
    if kind is ast.Name:
        return bool(scopes)
    return kind is str or kind is ast.Constant or kind is int or not isinstance(value, ast.AST)


cdef bint _is_inside(node, kind, field):
    """Whether a field of a scope node belongs to the new scope (decorators, defaults and bases do not)."""
    if kind in _FUNCTIONS or kind is ast.Lambda or kind is ast.ClassDef:
        return field == "body"
    return True


cdef _note_module_name(source, node, kind):
    if kind is ast.Import or kind is ast.ImportFrom:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            source.imports.add(name)
            source.names_super = source.names_super or name == "super"
    elif kind is ast.Name:
        source.names_super = source.names_super or node.id == "super"
    elif kind in _FUNCTIONS or kind is ast.ClassDef:
        source.names_super = source.names_super or node.name == "super"


def find(code, module_globals, refresh=False):
    """The source of the file that a code object comes from.

    Parameters:
        code: a code object.
        module_globals: the globals of its function: a loader in it can give the source of zipped modules.
        refresh: look at the file again, even if its text is cached.

    Returns:
        A `Source`, shared and not to be changed.

    Raises:
        SourceNotFound: no text (generated code, compiled module, ``.pyc`` only), or it does not parse.
    """
    file = code.co_filename
    lines = lines_of(code, module_globals, refresh)
    if not lines:
        raise SourceNotFound(
            f"no source for {code.co_qualname}: nothing can be read for {file!r}"
            + (" (generated code)" if file.startswith("<") else "")
        )
    with _lock:
        source = _cache.get(file)
        if source is not None and (source.lines is lines or source.lines == lines):
            source.lines = lines  # the very list is recognised at once
            _cache.move_to_end(file)
            return source
    text = "".join(lines)
    try:
        tree = quietly(text, file, ast.PyCF_ONLY_AST)
    except (SyntaxError, ValueError) as error:
        raise SourceNotFound(f"the source of {code.co_qualname} does not parse: {error}") from error
    source = Source(file, text, lines, tree)
    with _lock:
        _cache[file] = source
        while len(_cache) > _CACHED_FILES:
            _cache.popitem(last=False)
    return source


def lines_of(code, module_globals, refresh=False):
    """The lines of the file that a code object comes from, ends kept; parameters as for `find`. There may be none."""
    name = code.co_filename
    if name.startswith("<frozen "):
        # Frozen standard-library modules know their file; the code objects do not.
        name = module_globals.get("__file__") or name
    if refresh:
        linecache.checkcache(name)
    return linecache.getlines(name, module_globals)


def quietly(what, file, flags, optimize=-1):
    """``compile`` without repeating the warnings that the user saw when the file was first compiled.

    Where all threads share the filters, ours stands first in ``warnings.filters`` only while the compiler runs, which
    neither runs Python code nor gives the interpreter lock away.
    """
    if CONTEXT_WARNINGS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(what, file, "exec", flags=flags, dont_inherit=True, optimize=optimize)
    ours = ("ignore", None, Warning, None, 0)
    filters = warnings.filters
    filters.insert(0, ours)
    try:
        return compile(what, file, "exec", flags=flags, dont_inherit=True, optimize=optimize)
    finally:
        for i in range(len(filters)):
            if filters[i] is ours:
                del filters[i]
                break
