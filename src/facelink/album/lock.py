"""One process at a time writes to an album; others wait, and are told for whom.

The lock is an exclusive transaction of an SQLite file that holds nothing: the operating system ends
it with the process, however that ends, so that no stale lock is left to remove by hand.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from facelink.errors import OutputError
from facelink.files import write_json

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Holder:
    """Who writes to an album.

    Parameters
    ----------
    pid : int
        Process id.
    command : str
        What it does, such as ``"facelink album update"``.
    """

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


@contextlib.contextmanager
def write_lock(
    path: Path,
    command: str,
    *,
    wait_seconds: float = 0.0,
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold an album's lock while the block runs.

    Parameters
    ----------
    path
        The lock's file; its holder is described beside it, with suffix ``.json``.
    command
        What others are told is being done.
    wait_seconds
        How long to wait for another holder, in seconds.
    on_wait
        Called once if there is one, before waiting.

    Raises
    ------
    OutputError
        If another process still holds the lock; the message says which. If the
        folder cannot be written, or the lock's file is damaged.
    """
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise _cannot_lock(path, error) from error
    try:
        _acquire(connection, path, time.monotonic() + wait_seconds, on_wait)
        write_json(_holder_path(path), asdict(Holder(os.getpid(), command)))
        try:
            yield
        finally:
            _holder_path(path).unlink(missing_ok=True)
    finally:
        connection.close()


def holder(path: Path) -> Holder | None:
    """Who said last that they hold the lock; None if nobody did or they have finished."""
    try:
        described = json.loads(_holder_path(path).read_text(encoding="utf-8"))
        return Holder(int(described["pid"]), str(described["command"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _acquire(
    connection: sqlite3.Connection,
    path: Path,
    deadline: float,
    on_wait: Callable[[Holder | None], None] | None,
) -> None:
    while True:
        try:
            connection.execute("BEGIN EXCLUSIVE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise _cannot_lock(path, error) from error
        except sqlite3.DatabaseError as error:  # none of its subclasses: damage
            raise OutputError(
                f"cannot lock {path}: {error}; the file is damaged. It holds nothing: delete it, "
                "and run the command again."
            ) from error
        if on_wait is not None:
            on_wait(holder(path))
            on_wait = None
        if time.monotonic() >= deadline:
            who = holder(path) or "another process"
            raise OutputError(
                f"{path.parent} is being written by {who}; wait until it has finished, or end it."
            )
        time.sleep(_POLL_SECONDS)


def _cannot_lock(path: Path, error: sqlite3.OperationalError) -> OutputError:
    return OutputError(f"cannot lock {path}: {error}; check its permissions.")


def _holder_path(path: Path) -> Path:
    return path.with_suffix(".json")
