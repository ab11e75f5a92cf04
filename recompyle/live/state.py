"""The one registry of this process, and the one worker."""

from recompyle.live.registry import Registry
from recompyle.live.worker import Worker

__all__ = ["registry", "worker"]

registry = Registry()
worker = Worker()
