"""Which of CPython's own test modules are run, and which packages each of them is about.

Every function of those packages and of the test module itself is rewritten. Tests of the language name no
package: there the test module is the whole subject.
"""

MODULES: dict[str, tuple[str, ...]] = {
    # scopes, calls and data model
    "test_scope": (),
    "test_super": (),
    "test_listcomps": (),
    "test_genexps": (),
    "test_named_expressions": (),
    "test_unpack": (),
    "test_unpack_ex": (),
    "test_extcall": (),
    "test_keywordonlyarg": (),
    "test_positional_only_arg": (),
    "test_call": (),
    "test_decorators": (),
    "test_descr": (),
    "test_class": (),
    "test_fstring": (),
    "test_patma": (),
    "test_augassign": (),
    "test_grammar": (),
    # generators and coroutines
    "test_generators": (),
    "test_generator_stop": (),
    "test_yield_from": (),
    "test_coroutines": (),
    "test_asyncgen": (),
    "test_types": ("types",),
    "test_contextlib": ("contextlib",),
    "test_contextlib_async": ("contextlib",),
    "test_asyncio": ("asyncio",),
    # exceptions
    "test_exceptions": (),
    "test_exception_group": (),
    "test_exception_variations": (),
    "test_except_star": (),
    "test_raise": (),
    "test_with": (),
    "test_traceback": ("traceback", "linecache"),
    "test_warnings": ("warnings", "_py_warnings"),
    # the library
    "test_functools": ("functools",),
    "test_collections": ("collections", "_collections_abc"),
    "test_dataclasses": ("dataclasses",),
    "test_enum": ("enum",),
    "test_typing": ("typing",),
    "test_abc": ("abc", "_py_abc"),
    "test_weakref": ("weakref", "_weakrefset"),
    "test_copy": ("copy", "copyreg"),
    "test_pickle": ("pickle", "_compat_pickle"),
    "test_heapq": ("heapq",),
    "test_bisect": ("bisect",),
    "test_statistics": ("statistics",),
    "test_fractions": ("fractions",),
    "test_decimal": ("decimal", "_pydecimal"),
    "test_datetime": ("datetime", "_pydatetime", "_strptime"),
    "test_json": ("json",),
    "test_csv": ("csv",),
    "test_configparser": ("configparser",),
    "test_argparse": ("argparse", "gettext"),
    "test_textwrap": ("textwrap",),
    "test_difflib": ("difflib",),
    "test_string": ("string",),
    "test_shlex": ("shlex",),
    "test_tokenize": ("tokenize", "token"),
    "test_ast": ("ast", "_ast_unparse"),
    "test_inspect": ("inspect", "annotationlib"),
    "test_pathlib": ("pathlib", "posixpath"),
    "test_tempfile": ("tempfile",),
    "test_zipfile": ("zipfile",),
    "test_sqlite3": ("sqlite3",),
    "test_email": ("email", "quopri", "base64"),
    "test_logging": ("logging",),
    "test_sched": ("sched",),
    "test_queue": ("queue",),
    "test_threading": ("threading", "_threading_local"),
    "test_concurrent_futures": ("concurrent",),
    "test_selectors": ("selectors",),
    "test_socketserver": ("socketserver",),
    "test_httpservers": ("http", "socketserver"),
    # whatever watches the interpreter
    "test_sys_settrace": (),
    "test_sys_setprofile": (),
    "test_monitoring": (),
    "test_frame": (),
    "test_code": (),
    "test_dis": ("dis", "opcode"),
    "test_bdb": ("bdb",),
    "test_pdb": ("pdb", "bdb", "cmd"),
    "test_trace": ("trace",),
    "test_cprofile": ("cProfile", "profile", "pstats"),
    "test_profile": ("cProfile", "profile", "pstats"),
    "test_doctest": ("doctest",),
    "test_unittest": ("unittest",),
}

# These take minutes, mostly waiting. Unless they are named they are run in one way only, and not at all by --short.
LONG = {"test_asyncio", "test_concurrent_futures"}

# These count what trace functions see, and would count `__inner__` or a wrapper too: they are not run in those ways.
COUNT_CALLS = {
    "test_sys_settrace",
    "test_sys_setprofile",
    "test_monitoring",
    "test_bdb",
    "test_pdb",
    "test_trace",
    "test_cprofile",
    "test_profile",
}

# Tests that are not run, because plain CPython does not come to an end with them either.
LEFT_OUT: dict[str, str] = {
    "test.test_threading.ThreadingExceptionTests.test_print_exception_gh_102056": "3.12: endless recursion",
}
