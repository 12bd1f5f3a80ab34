"""Runs commands in child processes, and ends them where it is told to: see `tests.faults.killing`.

The argument is the function to call, ``module:name``. Each line of input describes a command;
for each that ends, a line of output says how. Calls of built-in functions that write (to a file, a
folder or a database) are counted by Python's profiler; an alarm that nobody handles ends the
process in the middle of what such a call does.
"""

import ctypes
import importlib
import json
import os
import resource
import selectors
import signal
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

WRITES = frozenset(
    {"close", "commit", "connect", "copyfile", "execute", "executemany", "executescript"}
    | {"fdatasync", "flush", "fsync", "ftruncate", "link", "mkdir", "mknod", "open", "remove"}
    | {"rename", "replace", "rmdir", "sendfile", "symlink", "truncate", "unlink", "write"}
)
"""Names of the built-in functions that are counted."""

CACHING = ("importlib", "matplotlib", "numba")
"""Parts of the names of files whose writes depend on what was done before.

Code is compiled once and fonts are listed once. What they call counts as theirs: numba reads
sources through `linecache`.
"""


@dataclass
class Counter:
    """Counts calls that write, and ends the process at one of them.

    Parameters
    ----------
    n_writes, delay
        As for `tests.faults.killing.Kill`; 0 never ends it.
    """

    n_writes: int = 0
    delay: float = 0.0
    n_seen: int = 0

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ not in WRITES:
            return
        if is_caching(frame):
            return
        self.n_seen += 1
        if self.n_seen == self.n_writes:
            if self.delay == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            signal.setitimer(signal.ITIMER_REAL, self.delay)


def is_caching(frame: FrameType) -> bool:
    """Whether one of `CACHING` is among those who called, directly or not."""
    caller: FrameType | None = frame
    while caller is not None:
        if any(part in caller.f_code.co_filename for part in CACHING):
            return True
        caller = caller.f_back
    return False


def run(entry: Any, command: dict[str, Any], output: int, counted: int) -> NoReturn:
    """Run a command in this process, which is a child of its own."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    if command["without_rights"] and os.getuid() == 0:
        # capset(2), version 3: no capability, so that root is bound by files' modes like anybody.
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
    if command["most_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["most_bytes"],) * 2)
    counter = Counter(**(command["kill"] or {}))
    code = _called(entry, command["arguments"], counter)
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(counted, str(counter.n_seen).encode())
    os._exit(code)


def _called(entry: Any, arguments: list[str], counter: Counter) -> int:
    sys.setprofile(counter)
    try:
        entry(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        sys.setprofile(None)
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.setprofile(None)
    return 0


@dataclass
class Child:
    """A command under way: its process, and the ends of the pipes that it writes to."""

    pid: int
    output: int
    counted: int
    text: bytes = b""

    def ended(self) -> dict[str, Any]:
        """Take leave of it."""
        n_writes = os.read(self.counted, 32)
        os.close(self.counted)
        os.close(self.output)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        text = self.text.decode("utf-8", errors="replace")
        return {"code": code, "n_writes": int(n_writes or 0), "output": text}


def begun(entry: Any, command: dict[str, Any]) -> Child:
    """Begin a command in a child process."""
    (output, write), (counted, count) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        run(entry, command, write, count)
    os.close(write)
    os.close(count)
    return Child(pid, output, counted)


def main() -> None:
    """Run commands until the input ends."""
    module, _, name = sys.argv[1].partition(":")
    entry = getattr(importlib.import_module(module), name)
    unread = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                child, read = key.data, os.read(key.fd, 1 << 16)
                if not read:
                    waiting.unregister(key.fd)
                if child is not None:
                    child.text += read
                    if not read:
                        print(json.dumps(child.ended()), flush=True)
                    continue
                *lines, unread = (unread + read).split(b"\n")
                for line in lines:
                    child = begun(entry, json.loads(line))
                    waiting.register(child.output, selectors.EVENT_READ, child)


if __name__ == "__main__":
    main()
