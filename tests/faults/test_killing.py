"""The tests of killing kill where they say, and notice what was not killed."""

import os
import signal
import sys
import time

import pytest

from tests.faults.killing import Commands, points

N_LINES = 20


def write_lines(arguments):
    """Write lines to a file, each on the disk before the next; then wait as long as told."""
    path, wait = arguments
    with open(path, "w", encoding="utf-8") as stream:
        for number in range(N_LINES):
            stream.write(f"{number}\n")
            stream.flush()
            os.fsync(stream.fileno())
    time.sleep(float(wait))
    sys.exit(3)


def compile_first(arguments):
    """Write lines as numba would while it compiles, then those that are asked for."""
    path, _ = arguments
    source = "def compiled(write, arguments):\n    write(arguments)\n"
    names = {}
    exec(compile(source, "site-packages/numba/core/caching.py", "exec"), names)
    try:
        names["compiled"](write_lines, (f"{path}.cache", 0))
    except SystemExit:
        write_lines(arguments)


@pytest.fixture(scope="module")
def commands():
    with Commands("tests.faults.test_killing:write_lines") as running:
        yield running


def test_points_are_spread_and_exact(commands, tmp_path):
    whole = commands.run(tmp_path / "whole", 0)
    assert (whole.code, whole.n_writes, whole.was_killed) == (3, 3 * N_LINES + 1, False)
    for number, point in enumerate(points(whole.n_writes, n_points=6)):
        killed = commands.run(tmp_path / str(number), 1, kill=point)
        assert killed.was_killed
        assert number / 6 < point.n_writes / whole.n_writes <= (number + 1.2) / 6
        n_lines = len((tmp_path / str(number)).read_text().split())
        if point.delay:
            assert killed.code == -signal.SIGALRM
            assert n_lines >= (point.n_writes - 1) // 3
        else:
            assert killed.code == -signal.SIGKILL
            assert n_lines == (point.n_writes - 1) // 3


def test_what_compilers_write_is_not_counted(tmp_path):
    with Commands("tests.faults.test_killing:compile_first") as compiling:
        whole = compiling.run(tmp_path / "lines", 0)
    assert (tmp_path / "lines.cache").read_bytes() == (tmp_path / "lines").read_bytes()
    assert whole.n_writes == 3 * N_LINES + 1


def test_writing_beyond_a_limit_fails(commands, tmp_path):
    failed = commands.run(tmp_path / "file", 0, most_bytes=10)
    assert failed.code == 1
    assert "File too large" in failed.output
    assert (tmp_path / "file").read_text() == "0\n1\n2\n3\n4\n"


def test_commands_begun_together_run_side_by_side(commands, tmp_path):
    for number in range(2):
        commands.start(tmp_path / str(number), 0)
    assert [commands.ended().code for _ in range(2)] == [3, 3]
