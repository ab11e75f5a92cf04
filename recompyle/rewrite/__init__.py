"""The AST writer: finds a function's source, runs passes over it, compiles and proves the result.

`recompyle.rewrite` is the function below, not this folder: write ``from recompyle.rewrite import source``.
"""

import ast
import types

from recompyle.inject import Edit
from recompyle.rewrite import engine, origin
from recompyle.rewrite.passes import Pass, Site
from recompyle.rewrite.preview import Preview, preview
from recompyle.rewrite.probes import Clock, Counter
from recompyle.rewrite.ready import (
    Assignments,
    Calls,
    EntryExit,
    Expressions,
    Handlers,
    Loops,
    Statements,
)

__all__ = [
    "Assignments",
    "Calls",
    "Clock",
    "Counter",
    "EntryExit",
    "Expressions",
    "Handlers",
    "Loops",
    "Pass",
    "Preview",
    "Site",
    "Statements",
    "preview",
    "rewrite",
]


def rewrite(function: types.FunctionType, *passes: Pass | ast.NodeTransformer | Edit) -> types.FunctionType:
    """Make a rewritten copy of a function.

    Parameters:
        function: a Python function; it is not touched.
        passes: the passes, in order: on one node earlier ones are inner. An ast.NodeTransformer is a pass too, of
            level ``"free"``: it gets a copy of the function in an ast.Module, and gives back the changed one. A
            `recompyle.inject.Edit` goes on top of what all of them make, and needs no source.

    Returns:
        A new function with the same globals, defaults, closure, attributes and names.

    Raises:
        SourceNotFound: there is no source (generated code, compiled module).
        SourceMismatch: the source is not that of the running code.
        NotRewritable: not a Python function, or its code cannot take the probes.
        PassError: a pass failed, asked for what is not allowed, or made a tree that is not valid.
        TypeError: something that is no pass.
    """
    engine.check_function(function)
    built = engine.build(function, origin.of(function.__code__), passes)
    copy = types.FunctionType(
        built.code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__ and dict(function.__kwdefaults__)
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    copy.__doc__ = function.__doc__
    copy.__dict__.update(function.__dict__)
    _copy_annotations(function, copy)
    return copy


def _copy_annotations(function, copy):
    if hasattr(function, "__annotate__"):  # 3.14: evaluated when asked for
        copy.__annotate__ = function.__annotate__
    else:
        copy.__annotations__ = dict(function.__annotations__)
    if hasattr(function, "__type_params__"):
        copy.__type_params__ = function.__type_params__
