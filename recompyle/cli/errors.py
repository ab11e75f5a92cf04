"""What a command says when it cannot be carried out."""

__all__ = ["INTERRUPTED", "CommandError"]

INTERRUPTED = 130  # by Ctrl-C, as of a shell


class CommandError(Exception):
    """Shown in one line, without a traceback.

    Parameters:
        text: what was wrong.
        code: the exit code: 2 for a mistake in the command line.
    """

    def __init__(self, text: str, code: int = 2):
        super().__init__(text)
        self.code = code
