"""`facelink album export` that is killed: no photograph is half written, and a copy is kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelink.album.audit import audit_album
from facelink.album.decisions import name_person
from facelink.album.export.manifest import MANIFEST
from facelink.album.library import edit_album, open_album
from facelink.album.queries import people
from facelink.photos.formats import BACKUP_SUFFIX
from tests.faults.killing import SEED, points

N_PHOTOS = 9


@pytest.fixture(scope="module")
def place(tmp_path_factory, commands):
    """A folder with photographs in three shades and an album of them, whose people have names."""
    folder = tmp_path_factory.mktemp("place")
    here = folder / "here"
    (here / "pictures").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(N_PHOTOS):
        pixels = random.integers(0, 100, (100, 100, 3)) + np.eye(3)[number % 3] * 150
        photo = here / "pictures" / f"{number}{('.png', '.jpg')[number % 2]}"
        Image.fromarray(pixels.astype(np.uint8)).save(photo)
    for command in (("add", here / "album", here / "pictures"), ("update", here / "album")):
        ended = commands.run("album", *command)
        assert ended.code == 0, ended.output
    with edit_album(here / "album", "a test of killing") as album:
        for number, person in enumerate(people(album)):
            name_person(album, person.id, f"Ada {number}")
    shutil.copytree(here, folder / "before")
    return here


@pytest.fixture
def fresh(place):
    """Puts everything back as it was; an album knows where its photographs are."""

    def make():
        shutil.rmtree(place)
        shutil.copytree(place.parent / "before", place)
        return place

    return make


def arguments(here):
    out = here / "out"
    return (
        *("album", "export", here / "album", "--in-place", "--min-faces", 1),
        *("--xmp-dir", out / "sidecars", "--links", out / "people", "--csv", out / "faces.csv"),
    )


def photographs(here):
    """Contents of the files in the photographs' folder."""
    return {path.name: path.read_bytes() for path in (here / "pictures").iterdir()}


def shown(files):
    """Without what a killed command left half written."""
    return {name: data for name, data in files.items() if ".part" not in name}


def outputs(here):
    paths = [path for path in (here / "out").rglob("*") if path.is_file()]
    return {path.relative_to(here).as_posix(): path.read_bytes() for path in paths}


def test_a_killed_export_leaves_whole_photographs_and_goes_on(commands, fresh):
    here = fresh()
    before = photographs(here)
    (here / "out").mkdir()
    whole = commands.run(*arguments(here))
    assert whole.code == 0, whole.output
    after, expected = photographs(here), outputs(here)
    n_changed = sum(after[name] != data for name, data in before.items())
    assert n_changed == N_PHOTOS
    assert len(expected) >= 2 * N_PHOTOS + 1
    for point in points(whole.n_writes, seed=SEED):
        here = fresh()
        (here / "out").mkdir()
        assert commands.run(*arguments(here), kill=point).met(point)
        found = photographs(here)
        for name, data in before.items():
            assert found[name] in (data, after[name]), (point, name)
            if found[name] != data:
                assert found[name + BACKUP_SUFFIX] == data, (point, name)
        for name, data in shown(outputs(here)).items():
            allowed = expected.get(name), before.get(Path(name).name)  # links lead to photographs
            assert MANIFEST in name or data in allowed, (point, name)
        with open_album(here / "album") as album:
            assert audit_album(album) == []
        again = commands.run(*arguments(here))
        if "facelink album add first" in again.output:  # killed just before the file took its place
            assert commands.run("album", "add", here / "album", here / "pictures").code == 0
            again = commands.run(*arguments(here))
        assert again.code == 0, (point, again.output)
        assert shown(photographs(here)) == after, point
        assert shown(outputs(here)) == expected, point
