"""Commands that are killed at any point leave a sound album with all that they had committed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.library import edit_album, open_album
from facelink.album.queries import decisions
from tests.unit.album.helpers import add, edited, made_up_people, update

N_KILLS = int(os.environ.get("FACELINK_KILLS", "5"))
"""How often; a hundred takes minutes."""

LONGEST_SECONDS = 2.0

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork")


@pytest.fixture(scope="module")
def worker():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kill_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    yield process
    process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


def killed_after(worker, folder, seed, seconds):
    """What a process said that it had done before it was killed."""
    worker.stdin.write(f"{folder} {seed}\n")
    worker.stdin.flush()
    pid = int(worker.stdout.readline().removeprefix("pid "))
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return list(iter(worker.stdout.readline, "killed\n"))


def test_no_committed_decision_is_lost_and_the_album_opens(worker, folder):
    features, _ = made_up_people()
    with edited(folder) as album:
        add(album, features)
        update(album)
    random = np.random.default_rng(int(os.environ.get("FACELINK_SEED", "0")))
    committed: dict[int, tuple[int, int]] = {}
    for seed in range(N_KILLS):
        for line in killed_after(worker, folder, seed, random.uniform(0, LONGEST_SECONDS)):
            decision, first, second = map(int, line.split())
            committed[decision] = first, second
        with open_album(folder) as album:
            kept = {one.id for one in decisions(album, with_undone=True)}
            faces = {row[0] for row in album.connection.execute("SELECT id FROM faces")}
        for decision in committed.keys() - kept:  # only with a face that was forgotten
            assert not set(committed[decision]) <= faces
        with edit_album(folder, "test") as album:
            assert audit_album(album) == []
    assert N_KILLS < 50 or len(committed) > 50
    with edit_album(folder, "test") as album:
        update(album)
        assert audit_album(album) == []
