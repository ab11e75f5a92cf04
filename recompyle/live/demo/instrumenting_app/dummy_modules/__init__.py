"""Modules full of functions that only count their calls."""
