"""Rewrites functions in place and puts their own code back."""

from recompyle.patch.registry import Patch, apply, pause, pristine, restore

__all__ = ["Patch", "apply", "pause", "pristine", "restore"]
