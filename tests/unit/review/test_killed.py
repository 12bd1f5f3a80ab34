"""The page's server, killed during decisions, loses none that it had answered."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.library import edit_album, open_album
from facelink.review.security import TOKEN_HEADER
from tests.review_worker import TOKEN

N_KILLS = int(os.environ.get("FACELINK_KILLS", "3"))
"""How often; a hundred takes minutes."""

LONGEST_SECONDS = 0.8

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork")
pytest.importorskip("uvicorn", reason="the extra review is not installed")


@pytest.fixture(scope="module")
def worker():
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.review_worker"],
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


def decisions(random, people, faces, seed):
    """Path and body of decisions without an end; each changes something."""
    number = 0
    while True:
        number += 1
        one, other = random.choice(people, 2, replace=False).tolist()
        yield f"people/{one}/name", {"name": f"name {seed}-{number}"}
        yield "separate", {"first": one, "other": other}
        yield "assign", {"faces": [int(random.choice(faces))], "person": None}
        yield "undo", {}


def answered_until_killed(worker, folder, seed, seconds):
    """The actions that the server said it had kept, before it was killed after some seconds."""
    random = np.random.default_rng(seed)
    with open_album(folder) as album:
        people = [row[0] for row in album.connection.execute("SELECT id FROM people")]
        faces = [row[0] for row in album.connection.execute("SELECT id FROM faces")]
    worker.stdin.write(f"{folder}\n")
    worker.stdin.flush()
    pid, port = map(int, worker.stdout.readline().split())
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {TOKEN_HEADER: TOKEN, "content-type": "application/json"}
    answered = []

    def say(path, body):
        connection.request("POST", f"/api/{path}", json.dumps(body), headers)
        with connection.getresponse() as answer:
            return answer.status, json.loads(answer.read())

    connection.request("GET", "/api/pairs", headers=headers)
    with connection.getresponse() as answer:
        answer.read()  # what decisions would wait for is there
    if seed % 2:
        say("look-again", {})
    killing = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
    killing.start()
    try:
        for path, body in decisions(random, people, faces, seed):
            status, answer = say(path, body)
            if status == 200 and path != "undo":
                answered.append(answer["undo"])
    except (OSError, http.client.HTTPException):
        killing.join()
    finally:
        connection.close()
    assert worker.stdout.readline() == "killed\n"
    return answered


def actions(folder):
    with open_album(folder) as album:
        query = "SELECT cause FROM batches WHERE undoes IS NULL AND cause <> 'update' ORDER BY id"
        return [row[0] for row in album.connection.execute(query)]


def test_no_answered_decision_is_lost_and_the_album_is_sound(worker, folder):
    random = np.random.default_rng(int(os.environ.get("FACELINK_SEED", "0")))
    n_answered = 0
    for seed in range(N_KILLS):
        before = actions(folder)
        answered = answered_until_killed(
            worker, folder, seed, random.uniform(0.05, LONGEST_SECONDS)
        )
        after = actions(folder)
        n_kept = len(before) + len(answered)
        assert after[:n_kept] == before + answered
        assert len(after) <= n_kept + 1  # the one that was kept, but not answered any more
        with edit_album(folder, "test") as album:
            assert audit_album(album) == []
        n_answered += len(answered)
    assert n_answered > 0
