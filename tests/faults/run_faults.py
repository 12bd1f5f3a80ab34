"""Runs `facelink run` in child processes that are killed: one line of JSON on stdin for each.

``{"settings": {…}, "work": …, "point": n}`` ends the child with SIGKILL just before its n-th step
that changes a file; ``"seconds": s`` by an alarm, which ends it just as abruptly, after so much
time; ``"largest_file"`` limits the size of files in bytes. Without these it runs to its end. The
answer is one line: the child's status as `os.waitpid` gives it, and how many steps it took if it
was not killed.

Children are forked before anything is computed, so that each begins with everything imported and no
threads.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

from facelink.errors import FacelinkError
from facelink.stages.run import run
from facelink.stages.settings import RunSettings

STEPS = ("fsync", "truncate", "posix_fallocate", "replace", "unlink")
"""Functions of `os` by which a run changes files, besides writing into open ones."""


def count_steps(kill_at: int | None) -> list[int]:
    """Count the steps from now on, in the list's only place; be killed before one of them."""
    n_steps = [0]

    def counted(function):
        def step(*args, **kwargs):
            if n_steps[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            n_steps[0] += 1
            return function(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    return n_steps


def work(order: dict) -> None:
    n_steps = count_steps(order.get("point"))
    if "seconds" in order:
        signal.setitimer(signal.ITIMER_REAL, order["seconds"])
    if "largest_file" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
    settings = RunSettings.from_values(order["settings"], Path(order["work"]).parent)
    try:
        run(settings, Path(order["work"]))
    except FacelinkError as error:
        os._exit(error.exit_code)
    os.write(1, f"{n_steps[0]} ".encode())


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{status}\n".encode())


if __name__ == "__main__":
    main()
