"""The memory of this machine."""

import contextlib
import os
from pathlib import Path

_CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""What a container of Linux sees of its limit, in the two versions of control groups."""


def machine_memory_bytes() -> int:
    """Memory of this machine, or what its container may take of it."""
    limits = [int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for path in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            limits.append(int(path.read_text(encoding="ascii")))
    return min(limits)
