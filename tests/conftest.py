"""What holds for all tests: neither the user's settings nor the machine's speed decide how they end."""

import os
import signal

from hypothesis import settings

# What the tests start writes plain text, as wide as usual, and a pytest among it takes no options of this one.
SETTINGS = {"COLUMNS", "FORCE_COLOR", "NO_COLOR", "PYTHON_COLORS", "PYTEST_ADDOPTS"}
for name in list(os.environ):
    if name in SETTINGS or name.startswith("RECOMPYLE"):
        del os.environ[name]
os.environ["RECOMPYLE_CACHE_DIR"] = ""  # nothing is left in the user's folder for caches

# A shell lets what runs in the background ignore Ctrl-C, as nohup does with the end of the terminal; so would the
# programs of the tests, which are sent such signals.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

settings.load_profile("ci")  # the same examples in every run, however long one takes
