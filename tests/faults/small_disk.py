"""A disk of a few megabytes that can be filled: a tmpfs."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faults.killing import N_POINTS, SEED

N_BYTES = 1 << 24
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
"""A file takes whole pages of the disk."""


@dataclass(frozen=True)
class SmallDisk:
    """A disk mounted at a folder.

    Parameters
    ----------
    folder : Path
        Where files go; there is nothing else on the disk but what fills it.
    filler : Path
        The file that takes room away.
    """

    folder: Path
    filler: Path

    def n_free_pages(self) -> int:
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize // PAGE

    def leave(self, n_pages: int) -> None:
        """Take all room away but so many pages."""
        with self.filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, (self.n_free_pages() - n_pages) * PAGE)

    def make_room(self) -> None:
        """Give back what was taken away."""
        self.filler.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Take the right to write away, from root too, while the block runs."""
        self._mount_again("ro")
        try:
            yield
        finally:
            self._mount_again("rw")

    def _mount_again(self, way: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{way}", self.folder.parent], check=True)


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[SmallDisk]:
    """Mount a disk at a new folder while the block runs; where that is not allowed, skip the test.

    Parameters
    ----------
    place : Path
        The folder to make.
    """
    if shutil.which("mount") is None:
        pytest.skip("a small disk needs the program mount")
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={N_BYTES}", "tmpfs", place],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk may be mounted here: {mounted.stderr.strip()}")
    try:
        (place / "files").mkdir()
        yield SmallDisk(place / "files", place / "filler")
    finally:
        subprocess.run(["umount", place], check=True)


def too_few_pages(n_needed: int) -> list[int]:
    """Different numbers of pages below the number needed: one drawn from each equal part of them.

    Half of `N_POINTS`, or fewer where there are not so many.
    """
    random, n_parts = np.random.default_rng(SEED), (N_POINTS + 1) // 2
    places = (np.arange(n_parts) + random.random(n_parts)) * n_needed / n_parts
    return sorted(set(places.astype(int).tolist()))
