"""What holds for all tests."""

import os

os.environ["RECOMPYLE_CACHE_DIR"] = ""  # nothing is left in the user's folder for caches
