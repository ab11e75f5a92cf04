"""The base class of all probes, so that every part knows one on sight."""


cdef class Probe:
    """What stands in a code object's constants and is reached as ``probe[value]`` or ``~probe``.

    A probe hands on exactly the value it got, raises nothing, runs no Python code on its fast path and keeps no
    reference to the value. It is equal to itself only, and copying it gives the probe itself: code objects
    compare and copy their constants.

    Attributes:
        label: what it is called when code is shown.
    """

    def __getitem__(self, value):
        return value

    def __invert__(self):
        return None

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        # Tools that send functions by value would otherwise fail; what arrives records nothing.
        return Probe, ()

    def __repr__(self):
        return f"<{type(self).__name__} {self.label or ''}>".replace(" >", ">")
