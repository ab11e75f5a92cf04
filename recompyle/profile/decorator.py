"""`shallow_call_profiler`: put the profiler on a function and hand the very same object back."""

import functools
import logging
import weakref

from recompyle import _env, patch
from recompyle.errors import NotRewritable, PassError, SourceMismatch, SourceNotFound
from recompyle.patch.resolve import functions_of
from recompyle.profile.limits import Options
from recompyle.profile.passes import ProfileCalls
from recompyle.rewrite.preview import details

__all__ = ["profile_functions", "shallow_call_profiler"]

_log = logging.getLogger("recompyle")

# id(function) -> (function, weakly; its Patch; its Options): decorating again changes the options.
_decorated: dict[int, tuple[weakref.ref, patch.Patch, Options]] = {}


def shallow_call_profiler(time_limit=None, /, *, methods=False, **options):
    """Time every run of a function and every call written in it; report the runs that were slow.

    The function's code is rewritten and swapped in place: the object given is the object returned, and everybody
    who holds it already runs the profiled code. Used bare, with a limit, or with options::

        @shallow_call_profiler
        @shallow_call_profiler("300ms")
        @shallow_call_profiler(time_limit=0.3, rate="1/min")

    Parameters:
        time_limit: seconds, or text such as ``"300ms"``. A run is slow if it took at least that long. 0 reports
            every run, a negative number none. None: what `recompyle.profile.configure` says, else 100 ms.
        methods: for a class: profile the functions that it defines itself.
        above_callback, below_callback: called with the report (`SlowCall`) of each slow, each other run. By default
            slow runs go to the sinks and others to nobody.
        include, exclude: dotted names as written, which calls to time; ``a[b]`` matches a subscript, ``a[*]`` any.
        builtins: False leaves out calls of builtins, as far as the name tells.
        rate, always: at most so many records a time go to the sinks (``"1/10s"``), but those that took so many
            times the limit always do (``"10x"``).
        top: rows shown in a report; 0 for all.
        ring: slow calls of this function kept for `recompyle.profile.recent`.
        logger, level: where the log record goes; the logger of the function's module and WARNING if not given.
        clock: ``"auto"``, ``"tsc"`` or ``"system"``.
        on_error: ``"fallback"`` times calls in the compiled code where there is no source, the whole run where calls
            cannot be timed at all, and logs why on logger ``recompyle``; ``"raise"`` raises the reason.
        mode: ``"pairs"`` times each call, ``"total"`` the whole run only.
        rewrite_details: a dict that gets ``original_func``, ``original_source`` and ``new_source``.

    Returns:
        The object given, or a decorator that returns it.

    Raises:
        TypeError: the object is no Python function, nor a wrapper of one.
        ValueError: an option with a value that it does not take.
        RecompyleError: with ``on_error="raise"``: why the function cannot be rewritten.
    """
    if _is_target(time_limit):
        Options.of(**options)
        return _profile(time_limit, options, methods)
    if time_limit is not None:
        if "time_limit" in options:
            raise TypeError("time_limit was given twice")
        options["time_limit"] = time_limit
    Options.of(**options)
    return functools.partial(_profile, given=options, methods=methods)


def _is_target(thing):
    return not isinstance(thing, (str, int, float)) and (
        callable(thing) or hasattr(type(thing), "__get__") or hasattr(type(thing), "__set_name__")
    )


def _profile(target, given, methods):
    if isinstance(target, type):
        if not methods:
            raise TypeError(f"{target!r} is a class: give methods=True to profile the functions that it defines")
        functions = _methods(target)
    else:
        functions = functions_of(target)
    if not _env.disabled():
        profile_functions(functions, given)
    return target


def _methods(cls):
    found = []
    for value in vars(cls).values():
        try:
            found += functions_of(value)
        except TypeError:  # not a function
            continue
    own = [each for each in found if each.__module__ == cls.__module__]
    return list({id(each): each for each in own}.values())


def profile_functions(functions, given):
    """Profile functions with the options given by name; those that are profiled already get these options."""
    for function in functions:
        known = _decorated.get(id(function))
        if known is not None and known[0]() is function:
            _, old, before = known
            options = before.updated(**given)
            old.restore()
        else:
            options = Options.of(**given)
        _apply(function, options)


def _apply(function, options):
    try:
        applied = patch.apply(function, ProfileCalls.from_options(options))
    except (SourceNotFound, SourceMismatch, NotRewritable, PassError) as reason:
        if options.on_error == "raise":
            raise
        applied = _fall_back(function, options, reason)
    if applied is None:
        return
    key = id(function)
    gone = functools.partial(_forget, key)
    _decorated[key] = weakref.ref(function, gone), applied, options
    if options.rewrite_details is not None:
        options.rewrite_details.update(details(function, applied.passes))


def _forget(key, ref, known=_decorated):
    entry = known.get(key)
    if entry is not None and entry[0] is ref:
        del known[key]


def _fall_back(function, options, reason):
    name = f"{function.__module__}:{function.__qualname__}"
    try:
        if isinstance(reason, (SourceNotFound, SourceMismatch)):
            applied = patch.apply(function, ProfileCalls.from_options(options, from_code=True))
            _log.warning("%s: calls are timed in the compiled code, rows have no text: %s", name, reason)
        else:
            applied = patch.apply(function, ProfileCalls.from_options(options.updated(mode="total")))
            _log.warning("%s: only whole runs are timed, not calls: %s", name, reason)
    except (NotRewritable, PassError) as worse:
        _log.warning("%s is not profiled: %s; %s", name, reason, worse)
        return None
    return applied
