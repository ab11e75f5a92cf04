"""Every error that Recompyle raises on purpose.

Each class carries a ``slug``: a short, stable word for programs and for the page of messages. The text is
for people and says what was wrong with which object, and where it helps, what to do about it.
"""

__all__ = [
    "NotCompiled",
    "NotRewritable",
    "PassError",
    "RecompyleError",
    "RecompyleWarning",
    "SourceMismatch",
    "SourceNotFound",
    "TargetNotFound",
    "Unreachable",
]


class RecompyleError(Exception):
    """Root of the family.

    Parameters:
        text: what was wrong, for people.
        slug: stable word for programs; the class's own slug if not given.
    """

    slug = "error"

    def __init__(self, text: str, slug: str | None = None):
        super().__init__(text)
        if slug is not None:
            self.slug = slug

    def __reduce__(self):
        return type(self), (*self.args, self.slug)


class NotCompiled(RecompyleError, ImportError):
    """The compiled parts of Recompyle are not there for this interpreter; importing it raises this."""

    slug = "needs_c_core"


class SourceNotFound(RecompyleError, ValueError):
    """There is no source text for the function (generated code, ``.pyc`` only, compiled module)."""

    slug = "no_source"


class SourceMismatch(RecompyleError, ValueError):
    """The source text found is not the source of the running code."""

    slug = "source_mismatch"


class NotRewritable(RecompyleError, TypeError):
    """The object is not a Python function, or its code cannot take probes."""

    slug = "not_rewritable"


class PassError(RecompyleError):
    """A pass raised, asked for something that is not allowed, or built an invalid tree."""

    slug = "pass_failed"


class TargetNotFound(RecompyleError, LookupError):
    """A path such as ``package.module:Class.method`` leads nowhere, or not to a function."""

    slug = "target_not_found"


class Unreachable(RecompyleError, ConnectionError):
    """Another process cannot be controlled, or no longer."""

    slug = "gone"


class RecompyleWarning(UserWarning):
    """Something was left out, and the program goes on."""
