"""What a stage takes: seconds, and the most memory the process had meanwhile."""

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from facelink.benchmark.machine import forget_peak_memory, peak_memory_bytes

_STATUS = Path("/proc/self/status")
_SECONDS_BETWEEN = 0.05


class Measured:
    """Fills itself while a `measuring` block runs.

    Attributes
    ----------
    seconds : float
        Time the block took.
    peak_memory_bytes : int
        Greatest resident memory, mapped files included.
    peak_own_memory_bytes : int
        Greatest resident memory that is not of mapped files, looked at 20 times
        a second; 0 where the system does not tell (other than Linux).
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_memory_bytes = 0
        self.peak_own_memory_bytes = own_memory_bytes()

    def look(self) -> None:
        """Look at the memory now."""
        self.peak_own_memory_bytes = max(self.peak_own_memory_bytes, own_memory_bytes())


@contextlib.contextmanager
def measuring() -> Iterator[Measured]:
    """Measure the block, from little memory on; the result is complete after it."""
    give_back_memory()
    measured, is_over = Measured(), threading.Event()

    def watch() -> None:
        while not is_over.wait(_SECONDS_BETWEEN):
            measured.look()

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    forget_peak_memory()
    start = time.perf_counter()
    watcher.start()
    try:
        yield measured
    finally:
        is_over.set()
        watcher.join()
        measured.look()
        measured.seconds = time.perf_counter() - start
        measured.peak_memory_bytes = peak_memory_bytes()


def give_back_memory() -> None:
    """Give memory that the process has freed back to the system, where its library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def own_memory_bytes() -> int:
    """Resident memory of this process that is not of mapped files; 0 where not known."""
    try:
        status = _STATUS.read_text(encoding="ascii")
    except OSError:
        return 0
    line = next((one for one in status.splitlines() if one.startswith("RssAnon:")), "0 0 kB")
    return 1024 * int(line.split()[1])
