"""A program to be instrumented: it calls functions and methods at random, for ever.

It knows nothing of instrumentation.
"""
