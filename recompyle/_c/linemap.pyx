"""The core's line map for Python: between places in rewritten source and the places they came from."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from recompyle._c.check cimport check
from recompyle._c.rcp_linemap cimport (
    rcp_linemap_encode,
    rcp_linemap_entry_t,
    rcp_linemap_free,
    rcp_linemap_init,
    rcp_linemap_t,
    rcp_linemap_to_original,
    rcp_linemap_to_rewritten,
)


cdef class LineMap:
    """Where each piece of a rewritten text came from. Lines count from 1, columns in UTF-8 bytes from 0.

    Parameters:
        data: an encoded map; see `encode_pieces`.

    Raises:
        ValueError, RuntimeError: the bytes are no line map.
    """

    cdef rcp_linemap_t map
    cdef bytes data

    def __cinit__(self, bytes data not None):
        check(rcp_linemap_init(&self.map, <const uint8_t *>PyBytes_AS_STRING(data), len(data), NULL))
        self.data = data

    def __dealloc__(self):
        if self.data is not None:
            rcp_linemap_free(&self.map)

    def __len__(self):
        return self.map.count

    def __bytes__(self):
        return self.data

    def __reduce__(self):
        return LineMap, (self.data,)

    def pieces(self):
        """The map as a list of ``(line, column, original line, original column)``, as `encode_pieces` takes it."""
        cdef uint32_t i
        return [
            (
                self.map.entries[i].line,
                self.map.entries[i].column,
                self.map.entries[i].original_line,
                self.map.entries[i].original_column,
            )
            for i in range(self.map.count)
        ]

    def to_original(self, int32_t line, int32_t column=0):
        """Where a place of the rewritten text came from.

        Returns:
            Line and column in the original; None for what was inserted.
        """
        cdef int32_t original_line = 0, original_column = 0
        if not rcp_linemap_to_original(&self.map, line, column, &original_line, &original_column):
            return None
        return original_line, original_column

    def to_rewritten(self, int32_t line, int32_t column=0):
        """Where a place of the original stands in the rewritten text.

        Returns:
            Line and column in the rewritten text; None if the place is not in it.
        """
        cdef int32_t new_line = 0, new_column = 0
        if not rcp_linemap_to_rewritten(&self.map, line, column, &new_line, &new_column):
            return None
        return new_line, new_column

    def __repr__(self):
        return f"<LineMap: {len(self)} pieces>"


def encode_pieces(pieces):
    """Encode a line map.

    Parameters:
        pieces: ``(line, column, original line, original column)`` for the beginning of each piece, in order; the
            latter two are -1 for inserted text.

    Returns:
        Bytes for `LineMap`.

    Raises:
        ValueError, RuntimeError: the pieces are out of order or out of range.
    """
    cdef uint32_t count = len(pieces), i
    cdef size_t size = 0
    cdef rcp_linemap_entry_t *entries = <rcp_linemap_entry_t *>calloc(count or 1, sizeof(rcp_linemap_entry_t))
    if entries == NULL:
        raise MemoryError()
    try:
        for i in range(count):
            (
                entries[i].line,
                entries[i].column,
                entries[i].original_line,
                entries[i].original_column,
            ) = pieces[i]
        check(rcp_linemap_encode(entries, count, NULL, 0, &size))
        data = PyBytes_FromStringAndSize(NULL, size)
        check(rcp_linemap_encode(entries, count, <uint8_t *>PyBytes_AS_STRING(data), size, &size))
        return data
    finally:
        free(entries)
