import threading
import time

import pytest

from facelink.album.library import edit_album
from facelink.album.lock import write_lock
from facelink.review import api, looking_again
from tests.unit.album.helpers import add, link_model, made_up_people, people_of


@pytest.fixture
def judging(monkeypatch):
    """Judging that waits until it is told to go on; its two events: begun, and go on."""
    begun, go_on = threading.Event(), threading.Event()
    judge_faces = looking_again.judge_faces

    def judge_when_told(album, model, *, progress):
        found = judge_faces(album, model, progress=progress)
        begun.set()
        assert go_on.wait(60)
        return found

    monkeypatch.setattr(looking_again, "judge_faces", judge_when_told)
    monkeypatch.setattr(looking_again.ContextGCN, "pretrained", link_model)
    yield begun, go_on
    go_on.set()


@pytest.fixture
def ended(look):
    def wait():
        deadline = time.monotonic() + 60
        while look("looking")["state"] in ("judging", "placing"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return look("looking")

    return wait


def newcomers(folder, n=4):
    """Copies of known faces, and others that nobody resembles."""
    features, _ = made_up_people()
    strangers, _ = made_up_people(1, 3, seed=9)
    with edit_album(folder, "test") as album:
        return add(album, features[:n]), add(album, strangers)


def test_before_it_was_asked_for_there_is_nothing_to_tell(look):
    assert look("looking")["state"] == "none"


def test_new_faces_find_people_and_it_is_told_who_gained(folder, look, say, judging, ended, album):
    known, strangers = newcomers(folder)
    judging[1].set()
    say("look-again")
    told = ended()
    assert (told["state"], told["n_undecided"]) == ("done", 0)
    whose = people_of(album)
    gainers = {whose[face] for face in known}
    assert {one["person"] for one in told["gains"] if not one["is_new"]} == gainers
    [new] = [one for one in told["gains"] if one["is_new"]]
    assert (new["person"], new["n_faces"]) == (whose[strangers[0]], len(strangers))
    assert sum(one["n_faces"] for one in told["gains"]) == len(known) + len(strangers)
    assert look("history")[0]["cause"] == "update"


def test_decisions_go_on_meanwhile_and_are_heeded(folder, look, say, judging, ended, album):
    known, _ = newcomers(folder)
    say("look-again")
    assert judging[0].wait(60)
    assert say("look-again")["state"] == "judging"
    say("set-aside", faces=[known[0]], kind="ignore")
    late = newcomers(folder, 1)[0][0]
    judging[1].set()
    assert ended()["state"] == "done"
    whose = people_of(album)
    assert known[0] not in whose
    assert whose[known[1]] is not None
    assert late in whose  # the album has other faces than were judged: it was judged again


def test_another_process_that_writes_is_named(folder, say, judging, ended, monkeypatch):
    monkeypatch.setattr(api, "_WAIT_SECONDS", 0.0)
    say("look-again")
    assert judging[0].wait(60)
    with write_lock(folder / "lock.sqlite", "facelink album add"):
        judging[1].set()
        told = ended()
    assert told["state"] == "failed"
    assert "facelink album add" in told["problem"]
