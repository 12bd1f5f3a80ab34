"""The errors facelink raises on purpose, each naming the value, the limit and the remedy."""


class FacelinkError(Exception):
    """Base of every error that facelink raises on purpose.

    The command line prints its message without a traceback and exits with
    ``exit_code``.
    """

    exit_code = 1


class InputError(FacelinkError, ValueError):
    """Something the caller passed cannot be used; nothing was computed or written (exit code 2)."""

    exit_code = 2


class OutputError(FacelinkError, OSError):
    """An output could not be written; no partial file is left under its name (exit code 1)."""
