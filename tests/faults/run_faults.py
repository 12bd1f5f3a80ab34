"""Runs `facelink run` in child processes that are killed: one line of JSON on stdin for each.

``{"settings": {…}, "work": …, "kill": {"n_writes": n, "delay": s}}`` ends the child with SIGKILL
just before its n-th step that changes a file, counted from 1, or by an alarm, which ends it just as
abruptly, s seconds later; ``"largest_file"`` limits the size of files in bytes. Without these it
runs to its end. The answer is one line: how many steps it took if it was not killed, and the
child's status as `os.waitpid` gives it.

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
from tests.faults.killing import Kill
from tests.faults.runner import is_caching

STEPS = ("fsync", "truncate", "posix_fallocate", "replace", "unlink")
"""Functions of `os` by which a run changes files, besides writing into open ones."""


def count_steps(kill: Kill | None) -> list[int]:
    """Count the steps from now on, in the list's only place; be killed at one of them."""
    n_steps = [0]

    def counted(function):
        def step(*args, **kwargs):
            if not is_caching(sys._getframe()):
                n_steps[0] += 1
                if kill is not None and n_steps[0] == kill.n_writes:
                    end(kill.delay)
            return function(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    return n_steps


def end(delay: float) -> None:
    """End this process, in so many seconds."""
    if delay == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.setitimer(signal.ITIMER_REAL, delay)


def work(order: dict) -> None:
    n_steps = count_steps(Kill(**order["kill"]) if "kill" in order else None)
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
