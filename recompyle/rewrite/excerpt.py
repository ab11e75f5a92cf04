"""A node in its line of source, as messages show it."""

__all__ = ["excerpt"]


def excerpt(source, node) -> str:
    """Two lines of text below a message's first: the line of source that a node begins on, and carets under the node.

    Parameters:
        source: the `recompyle.rewrite.source.Source` of the file.
        node: a node; without a place in the file there is no excerpt.
    """
    if not 1 <= (getattr(node, "lineno", None) or 0) <= len(source.lines):
        return ""
    line = source.lines[node.lineno - 1].rstrip()
    start = _characters(line, node.col_offset)
    end = _characters(line, node.end_col_offset) if node.end_lineno == node.lineno else len(line)
    text = line.lstrip()
    indent = len(line) - len(text)
    carets = " " * (start - indent) + "^" * max(end - start, 1)
    return f'\n  File "{source.file}", line {node.lineno}\n    {text}\n    {carets}'


def _characters(line, column):
    """A column in UTF-8 bytes as one in characters."""
    return len(line.encode()[:column].decode(errors="replace"))
