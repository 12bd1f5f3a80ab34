"""Album commands that are killed leave a sound album and go on; so do those without room."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelink.album.audit import audit_album
from facelink.album.library import DATABASE, edit_album, open_album
from tests.faults.killing import N_POINTS, SEED, points
from tests.faults.small_commands import N_DECISIONS, decide
from tests.faults.small_disk import small_disk, too_few_pages
from tests.helpers import clustered_features

N_PHOTOS = 36
"""Three commits."""

TABLES = {
    "photos": "id, path, content_hash, state, reason",
    "copies": "path, photo",
    "faces": "id, photo, model, feature_row, box_left, external_id",
    "thumbnails": "face, jpeg",
    "models": "*",
    "people": "*",
    "memberships": "face, person, how",
    "decisions": "*",
    "batches": "id, cause, undoes",
    "history": "*",
    "erasures": "*",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, commands):
    """A folder with photographs in three shades, one of them a copy, faces, and an album of them.

    The album has faces that were placed, and some that were not.
    """
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(N_PHOTOS):
        pixels = random.integers(0, 100, (100, 100, 3)) + np.eye(3)[number % 3] * 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / f"{number:02}.png")
    shutil.copy(folder / "pictures" / "00.png", folder / "pictures" / "copy.png")
    features, _ = clustered_features(6, 12, n_features=32, spread=0.45)
    np.save(folder / "first.npy", features[:60])
    np.save(folder / "second.npy", features[60:])
    for command in (
        ("import", folder / "album", "--features", folder / "first.npy"),
        ("update", folder / "album"),
        ("import", folder / "album", "--features", folder / "second.npy"),
    ):
        ended = commands.run("album", *command)
        assert ended.code == 0, ended.output
    return folder


def contents(folder):
    """All that an album holds but times and estimates, and the features of its faces."""
    with open_album(folder) as album:
        assert audit_album(album) == []
        held = {
            table: album.connection.execute(
                f"SELECT {columns} FROM {table} ORDER BY 1, 2"
            ).fetchall()
            for table, columns in TABLES.items()
        }
        features = [album.feature_file(one).rows(album.n_rows(one)) for one in album.models()]
        return held | {"features": [rows.tolist() for rows in features]}


def arguments(command, album, inputs):
    return {
        "add": ("album", "add", album, inputs / "pictures", "--workers", "1"),
        "import": ("album", "import", album, "--features", inputs / "second.npy"),
        "update": ("album", "update", album),
        "forget": ("album", "forget", album, "1", "--yes"),
        "decide": ("decide", album),
    }[command]


@pytest.fixture
def fresh(inputs, tmp_path):
    """Makes an album for a command: the one of the inputs, or for ``add`` none."""

    def make(command, name):
        if command != "add":
            shutil.copytree(inputs / "album", tmp_path / name)
        return tmp_path / name

    return make


def check_sound(folder):
    """A killed command's album opens, if there is one yet, and counts nothing twice."""
    if not (folder / DATABASE).exists():
        return
    with edit_album(folder, "test") as album:
        assert audit_album(album) == []
        faces = album.connection.execute(
            "SELECT photo, box_left, external_id FROM faces"
        ).fetchall()
        assert len(set(faces)) == len(faces)
        assert album.count("SELECT count(*) FROM photos") <= N_PHOTOS
        assert album.count("SELECT count(*) FROM erasures") == 0


@pytest.mark.parametrize("command", ["add", "import", "update", "forget"])
def test_a_killed_command_ends_like_one_that_was_not(commands, inputs, fresh, command):
    album = fresh(command, "whole")
    whole = commands.run(*arguments(command, album, inputs))
    assert whole.code == 0, whole.output
    expected = contents(album)
    for number, point in enumerate(points(whole.n_writes, seed=SEED)):
        album = fresh(command, str(number))
        assert commands.run(*arguments(command, album, inputs), kill=point).met(point)
        check_sound(album)
        again = commands.run(*arguments(command, album, inputs))
        was_done = command == "forget" and "no person 1" in again.output
        assert again.code == 0 or was_done, again.output
        assert contents(album) == expected, point
        shutil.rmtree(album)


def test_decisions_are_kept_from_the_moment_they_are_told(commands, inputs, fresh):
    states = []
    for n_steps in range(N_DECISIONS + 1):
        album = fresh("decide", f"after {n_steps}")
        decide(album, n_steps)
        states.append(contents(album))
    whole = commands.run("decide", fresh("decide", "whole"))
    for number, point in enumerate(points(whole.n_writes, seed=SEED)):
        album = fresh("decide", str(number))
        killed = commands.run("decide", album, kill=point)
        assert killed.met(point)
        n_told = killed.output.count("done")
        assert contents(album) in states[n_told : n_told + 2], point


@pytest.mark.parametrize("command", ["add", "import", "update"])
def test_a_full_disk_fails_a_command_and_nothing_else(commands, inputs, fresh, command):
    album = fresh(command, "whole")
    assert commands.run(*arguments(command, album, inputs)).code == 0
    expected = contents(album)
    largest = max(path.stat().st_size for path in album.iterdir())
    random = np.random.default_rng(SEED)
    for number in range(N_POINTS):
        album = fresh(command, str(number))
        most_bytes = int(random.uniform(number, number + 1) * largest / N_POINTS)
        full = commands.run(*arguments(command, album, inputs), most_bytes=most_bytes)
        assert full.code == 0 or (full.code == 1 and "Traceback" not in full.output), full.output
        check_sound(album)
        again = commands.run(*arguments(command, album, inputs))
        assert again.code == 0, again.output
        assert contents(album) == expected, most_bytes


@pytest.mark.parametrize("command", ["add", "import", "update"])
def test_an_album_on_a_disk_that_is_full_goes_on_when_there_is_room(
    commands, inputs, tmp_path, command
):
    with small_disk(tmp_path / "disk") as disk:
        album = disk.folder / "album"

        def fresh():
            shutil.rmtree(album, ignore_errors=True)
            if command != "add":
                shutil.copytree(inputs / "album", album)
            return disk.n_free_pages()

        n_free = fresh()
        assert commands.run(*arguments(command, album, inputs)).code == 0
        expected, n_needed = contents(album), n_free - disk.n_free_pages()
        for n_left in too_few_pages(n_needed):
            fresh()
            disk.leave(n_left)
            full = commands.run(*arguments(command, album, inputs))
            assert full.code == 1, (n_left, full.output)
            assert "Traceback" not in full.output
            disk.make_room()
            check_sound(album)
            again = commands.run(*arguments(command, album, inputs))
            assert again.code == 0, again.output
            assert contents(album) == expected, n_left


@pytest.fixture
def read_only(inputs):
    """An album in a folder that nobody can write, where even a process of root's tries to."""
    with tempfile.TemporaryDirectory() as parent:
        album = Path(parent) / "album"
        shutil.copytree(inputs / "album", album)
        for path in album.iterdir():
            path.chmod(0o444)
        album.chmod(0o555)
        Path(parent).chmod(0o555)
        yield album
        Path(parent).chmod(0o755)
        album.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(commands, inputs, read_only):
    before = {path: path.read_bytes() for path in read_only.iterdir()}
    for command in ("import", "update", "forget"):
        refused = commands.run(*arguments(command, read_only, inputs), without_rights=True)
        assert refused.code == 1, refused.output
        assert "Traceback" not in refused.output
        assert str(read_only) in " ".join(refused.output.split())
    status = commands.run("album", "status", read_only, "--json", without_rights=True)
    assert '"faces": 72' in status.output
    assert {path: path.read_bytes() for path in read_only.iterdir()} == before


@pytest.mark.parametrize("command", ["add", "import"])
def test_two_processes_at_once_do_it_once(commands, inputs, fresh, command):
    album = fresh(command, "one")
    assert commands.run(*arguments(command, album, inputs)).code == 0
    expected = contents(album)
    album = fresh(command, "both")
    for _ in range(2):
        commands.start(*arguments(command, album, inputs))
    for ended in (commands.ended(), commands.ended()):
        assert ended.code == 0, ended.output
    assert contents(album) == expected
