"""What a rewrite would do, for people to read."""

import ast
import difflib
from types import FunctionType

from recompyle._c.linemap import LineMap, encode_pieces
from recompyle.rewrite import engine, origin, sourcemap
from recompyle.rewrite.passes import Pass
from recompyle.rewrite.transform import transform

__all__ = ["Preview", "details", "preview"]


class Preview:
    """The rewritten source of a function, as text.

    Probes are shown by names that begin with ``@``: ``@end_0[f(a, @start_0[b])]``.

    Attributes:
        source: the function with its probes, formatted anew (comments are lost).
        original: the function without probes, formatted in the same way.
        map: `LineMap` from places in ``source`` to those in the function's file.
        sites: the sites of all passes.
        skipped: places left as they are, with the reason.
    """

    __slots__ = ("map", "original", "sites", "skipped", "source")

    def __init__(self, source, original, map, sites, skipped):
        self.source = source
        self.original = original
        self.map = map
        self.sites = sites
        self.skipped = skipped

    def __str__(self):
        return self.source

    def __repr__(self):
        return f"<Preview: {len(self.sites)} sites, {len(self.skipped)} skipped>"

    @property
    def diff(self) -> str:
        """Unified diff from the original to the rewritten function."""
        return "".join(
            difflib.unified_diff(
                self.original.splitlines(keepends=True),
                self.source.splitlines(keepends=True),
                "original",
                "rewritten",
            )
        )


def preview(function: FunctionType, *passes: Pass | ast.NodeTransformer) -> Preview:
    """Show what `recompyle.rewrite` would do; nothing is changed or run.

    Parameters:
        function: a Python function with source.
        passes: the passes, in order.

    Returns:
        A `Preview`. Probes that stand in the compiled code only (entry, return, handlers) are not shown.

    Raises:
        The same errors as `recompyle.rewrite`.
    """
    engine.check_function(function)
    code = origin.of(function.__code__)
    engine.build(function, code, passes)  # proves that the rewrite is possible
    wanted = engine.prepare(function, code, passes)
    sites = tuple(site for at in wanted.cursors for site in at.sites)
    if wanted.context is None or wanted.node is None:
        return Preview("", "", LineMap(encode_pieces([])), sites, tuple(wanted.plan.skipped))
    node, _ = transform(wanted.node, wanted.plan, names=True)
    original = _unparse(wanted.context.definition.node)
    return Preview(_unparse(node), original, sourcemap.of(node), sites, tuple(wanted.plan.skipped))


def details(function: FunctionType, passes) -> dict[str, object]:
    """What a decorator tells of a rewrite.

    Returns:
        A dict: ``original_func``, the function; ``original_source``, the lines of the file that it stands on, as they
        are; ``new_source``, see `Preview.source`. Without source the latter two are empty.
    """
    new = preview(function, *passes).source
    context = engine.context_of(function, origin.of(function.__code__), passes)
    original = "" if context is None else context.source.text_of(context.definition.node)
    return {"original_func": function, "original_source": original, "new_source": new}


def _unparse(node):
    return ast.unparse(ast.fix_missing_locations(node)) + "\n"
