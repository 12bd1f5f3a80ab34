"""Runs commands of facelink that are killed half-way, or that cannot write.

::

    with Commands() as commands:
        whole = commands.run("album", "update", album)
        for point in points(whole.n_writes):
            commands.run("album", "update", copy, kill=point)

A point is counted in calls that write (see `tests.faults.runner`), not in seconds, so that a busy
machine neither misses nor crowds the points.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

N_POINTS = int(os.environ.get("FACELINK_FAULT_SEEDS", "2"))
"""At how many points each command is killed."""

SEED = int(os.environ.get("FACELINK_SEED", "0"))
"""Other points with another seed."""

LONGEST_DELAY = 0.02
"""Seconds after a call that writes began: long enough to end in the middle of a commit."""

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kill:
    """When a command ends, without a chance to tidy up.

    Parameters
    ----------
    n_writes : int
        As its call number n that writes begins, counted from 1,
    delay : float
        or so many seconds after that, whatever it does then.
    """

    n_writes: int
    delay: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Parameters
    ----------
    code : int
        Exit code; below 0 it was killed.
    n_writes : int
        Calls that write; 0 if it was killed.
    output : str
        What it wrote to stdout and stderr.
    """

    code: int
    n_writes: int
    output: str

    @property
    def was_killed(self) -> bool:
        """Whether it did not end by itself."""
        return self.code < 0

    def met(self, point: Kill) -> bool:
        """Whether it was killed at a point, or came to its end in the time that the point gave."""
        return self.was_killed or (point.delay > 0 and self.n_writes >= point.n_writes)


class Commands:
    """Runs commands, each in a process of its own, whose imports were made once for all.

    Parameters
    ----------
    entry : str
        Function that takes a command's arguments, ``module:name``. The module
        may replace what commands need, such as models that are not there.
    """

    def __init__(self, entry: str = "facelink.cli:main") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.runner", entry],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def start(
        self,
        *command: object,
        kill: Kill | None = None,
        most_bytes: int | None = None,
        without_rights: bool = False,
    ) -> None:
        """Begin a command; `ended` waits for it. Commands begun together run side by side.

        Parameters
        ----------
        command
            Arguments.
        kill
            When to kill it; by default it runs to its end.
        most_bytes
            Writing beyond so many bytes of any file fails, as on a full disk.
        without_rights
            Root's right to write everywhere is given up before.
        """
        described = {
            "arguments": list(map(str, command)),
            "kill": None if kill is None else asdict(kill),
            "most_bytes": most_bytes,
            "without_rights": without_rights,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(described) + "\n")
        self._process.stdin.flush()

    def ended(self) -> Ended:
        """Wait for one of the commands that were begun, whichever ends first."""
        assert self._process.stdout is not None
        return Ended(**json.loads(self._process.stdout.readline()))

    def run(
        self,
        *command: object,
        kill: Kill | None = None,
        most_bytes: int | None = None,
        without_rights: bool = False,
    ) -> Ended:
        """Run one command; parameters as for `start`."""
        self.start(*command, kill=kill, most_bytes=most_bytes, without_rights=without_rights)
        return self.ended()


def points(n_writes: int, *, seed: int = 0, n_points: int = N_POINTS) -> Iterator[Kill]:
    """Points spread over a run of so many calls that write: one drawn from each equal part of it.

    Half of them wait: a thousandth of `LONGEST_DELAY` as likely as all of it.
    """
    random = np.random.default_rng(seed)
    for part in range(n_points):
        place = int((part + random.random()) * n_writes / n_points) + 1
        delay = LONGEST_DELAY * 10 ** random.uniform(-3, 0)
        yield Kill(min(place, n_writes), delay if random.random() < 0.5 else 0.0)
