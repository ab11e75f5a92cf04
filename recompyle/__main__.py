"""``python -m recompyle``."""

import sys

from recompyle.cli import main

if __name__ == "__main__":
    sys.exit(main())
