"""What measured figures depend on besides the code: the machine and the versions."""

import contextlib
import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import torch

PACKAGES = ("numpy", "scipy", "torch", "numba", "faiss-cpu")
"""Those that speed depends on most."""


def machine() -> dict[str, Any]:
    """What the speed depends on; nothing that tells one machine from another of its kind."""
    n_cores = os.cpu_count()
    has_affinity = hasattr(os, "sched_getaffinity")
    return {
        "cpu": _cpu_model(),
        "n_cores": n_cores,
        "n_usable_cores": len(os.sched_getaffinity(0)) if has_affinity else n_cores,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "n_torch_threads": torch.get_num_threads(),
        "n_numba_threads": numba.get_num_threads(),
    }


def versions(*further: str) -> dict[str, str]:
    """Versions of Python, of `PACKAGES`, and of those of the further packages that are there."""
    found = {"python": platform.python_version()}
    found |= {package: version(package) for package in PACKAGES}
    for package in further:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def forget_peak_memory() -> None:
    """Set the peak back to what is resident now, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Peak resident memory of this process.

    Not from `getrusage` on Linux: there a new process begins with the peak of
    the one that started it.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(peak.split()[1])
    peak_in_units = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_in_units if sys.platform == "darwin" else 1024 * peak_in_units


def _cpu_model() -> str:
    """Name of the processor as the system gives it."""
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
