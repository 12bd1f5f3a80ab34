import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from facelink.album.decisions import name_person
from facelink.album.library import edit_album, open_album
from facelink.album.lock import write_lock
from facelink.album.queries import people
from facelink.cli import album_growth
from facelink.photos.pipeline import FaceReader
from tests.helpers import clustered_features
from tests.unit.photos.fakes import MeanColour, OneFace


@pytest.fixture
def command(run):
    """Runs an album command that ends with this exit code; returns its outcome."""

    def run_command(*args, code=0):
        outcome = run("album", *args)
        assert outcome.code == code, outcome.err
        return outcome

    return run_command


@pytest.fixture
def features(tmp_path):
    rows, _ = clustered_features(6, 10, n_features=32, spread=0.45)
    np.save(tmp_path / "faces.npy", rows)
    return tmp_path / "faces.npy"


@pytest.fixture
def album(command, tmp_path, features):
    """An album with sixty faces, not yet placed."""
    command("import", tmp_path / "my.album", "--features", features)
    return tmp_path / "my.album"


def facts(result):
    return json.loads(result.out)


def test_import_update_and_people(command, album, features):
    assert facts(command("status", album, "--json"))["undecided_faces"] == 60
    planned = facts(command("update", album, "--dry-run", "--json"))
    assert facts(command("status", album, "--json"))["people"] == 0
    done = facts(command("update", album, "--json"))
    assert done["joinings"] == planned["joinings"]
    assert done["faces_placed"] + done["undecided_faces"] == 60
    assert done["changes"] > 0
    listed = facts(command("people", album, "--json"))
    assert len(listed) == done["new_people"]
    assert sum(one["n_faces"] for one in listed) == done["faces_placed"]
    again = facts(command("import", album, "--features", features, "--json"))
    assert again == {"faces_added": 0, "faces_known": 60}


def test_what_is_printed_for_people_to_read(command, album):
    lines = command("update", album).out.splitlines()
    assert lines[0].startswith("new person: + ")
    with edit_album(album, "test") as opened:
        name_person(opened, people(opened)[0].id, "Ada")
    table = command("people", album, "--limit", "1").out.splitlines()
    assert table[1].split()[1] == "Ada"
    assert len(table) == 2
    assert "undecided faces" in command("status", album).out


def test_audit_repairs_and_its_exit_code_tells_what_is_left(command, album):
    command("update", album)
    assert command("audit", album).out == ""
    with edit_album(album, "test") as opened:
        first, second = (one.id for one in people(opened)[:2])
        opened.connection.execute("UPDATE people SET merged_into = ? WHERE id = ?", (first, second))
    found = command("audit", album, code=1)
    assert found.out.startswith("can be repaired: ")
    assert command("audit", album, "--fix").out.startswith("repaired: ")
    assert facts(command("audit", album, "--json")) == []


def test_forget_asks_and_deletes(command, album, monkeypatch):
    command("update", album)
    with open_album(album) as opened:
        gone = people(opened)[0]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    command("forget", album, gone.id, code=1)
    deleted = facts(command("forget", album, gone.id, "--yes", "--json"))
    assert deleted == {"person": gone.id, "faces_deleted": gone.n_faces}
    assert facts(command("status", album, "--json"))["faces"] == 60 - gone.n_faces


def test_ids_name_faces(command, tmp_path, features):
    (tmp_path / "ids.txt").write_text("\n".join(map(str, range(60))), encoding="utf-8")
    album = tmp_path / "other.album"
    for n_added in (60, 0):
        found = command(
            "import",
            album,
            "--features",
            features,
            "--ids",
            tmp_path / "ids.txt",
            "--json",
        )
        assert facts(found)["faces_added"] == n_added


def test_where_faces_come_from_must_be_said_once(command, tmp_path, features):
    album = tmp_path / "a.album"
    both = ("--features", features, "--immich", "postgresql://localhost/immich")
    for given in ((), both):
        assert "either --features or --immich" in command("import", album, *given, code=2).err
    assert not album.exists()


def test_no_album_is_bad_input(command, tmp_path):
    for name in ("status", "people", "update", "audit"):
        assert "no album there" in command(name, tmp_path / "none", code=2).err


def test_a_second_process_waits_and_says_for_whom(command, album, monkeypatch):
    monkeypatch.setattr("facelink.cli.album_opening.WAIT_SECONDS", 0.0)
    with write_lock(album / "lock.sqlite", "the first"):
        refused = command("update", album, code=1)
        assert f"waiting for process {os.getpid()} (the first)" in refused.err
        assert "is being written by process" in refused.err
        command("status", album)
        command("update", album, "--dry-run")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Twelve photographs of noise in three shades, and made-up models to read them with."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        shade = np.eye(3)[number % 3] * 150
        pixels = random.integers(0, 100, (150, 120, 3)) + shade
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    reader = FaceReader(OneFace(), MeanColour())
    monkeypatch.setattr(album_growth, "face_reader", lambda *_: reader)
    return folder


def test_add_reads_and_places(command, pictures, tmp_path):
    (pictures / "broken.jpg").touch()
    made = tmp_path / "my.album"
    added = command("add", made, pictures, "--json")
    found = facts(added)
    assert (found["photographs_read"], found["unreadable"], found["faces_added"]) == (12, 1, 12)
    assert f"{pictures / 'broken.jpg'}: empty (0 bytes)" in added.err
    assert found["faces_placed"] + found["undecided_faces"] == 12 - found["junk_faces"]
    again = facts(command("add", made, pictures, "--json"))
    assert (again["photographs_read"], again["unchanged"], again["faces_added"]) == (0, 12, 0)
    counted = facts(command("status", made, "--json"))
    assert (counted["photos"], counted["unreadable_photos"], counted["faces"]) == (13, 1, 12)


def test_add_tells_of_a_name_that_is_no_text(command, pictures, tmp_path):
    try:
        (pictures / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    added = command("add", tmp_path / "my.album", pictures, "--no-update", "--json")
    assert (facts(added)["photographs_read"], facts(added)["unreadable"]) == (12, 1)
    assert f"{pictures}/caf\\udce9.jpg: its path, or that of what it links to" in added.err


def test_add_without_update(command, pictures, tmp_path):
    added = command("add", tmp_path / "my.album", pictures, "--no-update", "--json")
    assert "people_merged" not in facts(added)
    assert f"facelink album update {tmp_path / 'my.album'}" in added.err
    assert facts(command("status", tmp_path / "my.album", "--json"))["placed_faces"] == 0


def test_add_makes_no_album_of_nothing(command, pictures, tmp_path):
    (tmp_path / "nothing").mkdir()
    for path in (tmp_path / "misspelt", tmp_path / "nothing"):
        refused = command("add", tmp_path / "my.album", path, code=2)
        assert f"no photographs in {path}" in " ".join(refused.err.split())
    assert not (tmp_path / "my.album").exists()
