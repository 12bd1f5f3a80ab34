import os
import subprocess
import sys

import pytest

from facelink.album.lock import Holder, holder, write_lock
from facelink.errors import OutputError

HOLD = """
import sys, time
from pathlib import Path
from facelink.album.lock import write_lock
with write_lock(Path(sys.argv[1]), "holding"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock.sqlite")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_holder_is_named_while_the_lock_is_held_and_not_after(tmp_path):
    path = tmp_path / "lock.sqlite"
    with write_lock(path, "an update"):
        assert holder(path) == Holder(os.getpid(), "an update")
    assert holder(path) is None


def test_a_second_process_is_told_who_holds_it(tmp_path, other_process):
    waited_for = []
    with (
        pytest.raises(OutputError, match=rf"process {other_process.pid} \(holding\)"),
        write_lock(tmp_path / "lock.sqlite", "second", on_wait=waited_for.append),
    ):
        pass
    assert waited_for == [Holder(other_process.pid, "holding")]


def test_a_second_process_gets_it_when_the_first_has_finished(tmp_path, other_process):
    path = tmp_path / "lock.sqlite"
    with write_lock(path, "second", wait_seconds=60, on_wait=lambda _: other_process.stdin.close()):
        assert holder(path) == Holder(os.getpid(), "second")


def test_a_killed_holder_leaves_no_lock(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    with write_lock(tmp_path / "lock.sqlite", "next"):
        assert holder(tmp_path / "lock.sqlite").command == "next"


@pytest.mark.parametrize(
    "text",
    ["[1]", "", "[" * 100_000, '{"pid": 1e999, "command": "x"}', '{"pid": ' + "9" * 5000 + "}"],
    ids=["list", "nothing", "nested", "endless", "digits"],
)
def test_a_damaged_description_names_nobody(tmp_path, text):
    (tmp_path / "lock.json").write_text(text, encoding="utf-8")
    assert holder(tmp_path / "lock.sqlite") is None


def test_a_damaged_lock_says_that_it_may_be_deleted(tmp_path):
    path = tmp_path / "lock.sqlite"
    path.write_bytes(b"no database " * 100)
    with (
        pytest.raises(OutputError, match=r"lock\.sqlite: .*damaged\. It holds nothing: delete it"),
        write_lock(path, "an update"),
    ):
        pass
    path.unlink()
    with write_lock(path, "an update"):
        assert holder(path) is not None


def test_a_folder_in_which_no_lock_can_be_made(tmp_path):
    path = tmp_path / "missing" / "lock.sqlite"
    with (
        pytest.raises(OutputError, match=r"cannot lock .*lock\.sqlite: .*; check its permissions"),
        write_lock(path, "an update"),
    ):
        pass
