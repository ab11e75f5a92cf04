"""Rewrites functions in place and puts their own code back."""

from recompyle.patch.hook import Installation, install
from recompyle.patch.registry import Patch, apply, pause, pristine, restore

__all__ = ["Installation", "Patch", "apply", "install", "pause", "pristine", "restore"]
