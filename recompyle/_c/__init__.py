"""The border between C and Python: mirrors of the C headers, and what a process has once."""
