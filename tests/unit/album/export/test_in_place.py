import os

import pytest
from PIL import Image

from facelink.album.decisions import name_person
from facelink.album.export.in_place import write_in_place
from facelink.album.files_since import compare_files
from facelink.album.queries import photos, places
from facelink.errors import OutputError
from facelink.photos.finding import find_photos
from facelink.photos.header import read_header
from tests.unit.album.export.helpers import copy_of, names_in, regions_of, save_picture


@pytest.fixture
def export(pictured):
    """Writes into the photographs as the album stands; returns the report."""

    def run(backup=None, write=True):
        return write_in_place(pictured.album, regions_of(pictured.album), backup, write=write)

    return run


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pixels(path):
    with Image.open(path) as opened:
        return opened.tobytes()


def names(path):
    return names_in(read_header(path).packet)


def test_regions_go_into_the_photographs_after_a_copy(pictured, export):
    before = contents(pictured.folder)
    times = {path.name: path.stat().st_mtime_ns for path in pictured.folder.iterdir()}
    assert export(write=False).counts() == {"made": 2, "changed": 2, "removed": 0, "unchanged": 0}
    assert contents(pictured.folder) == before
    assert export().counts() == {"made": 2, "changed": 2, "removed": 0, "unchanged": 0}
    for name, content in before.items():
        path, copy = pictured.folder / name, pictured.folder / f"{name}.original"
        assert copy.read_bytes() == content
        assert names(path) == ["Ada"]
        assert pixels(path) == pixels(copy)
        assert path.stat().st_mtime_ns == copy.stat().st_mtime_ns == times[name]
    assert export().counts()["unchanged"] == 2


def test_the_next_scan_finds_nothing_new(pictured, export):
    export()
    since = compare_files(places(pictured.album), list(find_photos([pictured.folder])))
    assert since.n_unchanged == 2
    assert (since.unread, since.twins, since.arranged) == ((), (), ())
    rows = pictured.album.connection.execute("SELECT count(*) FROM faces WHERE photo IS NOT NULL")
    assert rows.fetchone() == (6,)


def test_a_new_name_changes_the_photograph_and_keeps_the_first_copy(pictured, export):
    before = contents(pictured.folder)
    export()
    name_person(pictured.album, pictured.ada, "Eve")
    assert export().counts() == {"made": 0, "changed": 2, "removed": 0, "unchanged": 0}
    assert names(pictured.one) == ["Eve"]
    assert (pictured.folder / "one.jpg.original").read_bytes() == before["one.jpg"]
    name_person(pictured.album, pictured.ada, None)
    export()
    assert {name: contents(pictured.folder)[name] for name in before} == before


def test_a_copy_of_another_picture_is_not_taken_for_a_backup(pictured, export):
    other = pictured.folder / "one.jpg.original"
    os.replace(save_picture(pictured.folder / "x.jpg", seed=9), other)
    mine, before = other.read_bytes(), pictured.one.read_bytes()
    export()
    assert other.read_bytes() == mine
    assert (pictured.folder / "one.jpg.2.original").read_bytes() == before


def test_copies_elsewhere(pictured, export, tmp_path):
    before = pictured.one.read_bytes()
    export(tmp_path / "kept")
    copy = (tmp_path / "kept").joinpath(*pictured.one.parts[1:]).with_name("one.jpg.original")
    assert copy.read_bytes() == before
    assert sorted(os.listdir(pictured.folder)) == ["one.jpg", "two.png"]


def test_without_a_copy_nothing_is_written(pictured, export):
    before = pictured.one.read_bytes()
    with pytest.raises(OutputError, match="cannot write"):
        export(pictured.two)
    assert pictured.one.read_bytes() == before


def test_a_photograph_that_cannot_be_replaced_stays_known(pictured, export, monkeypatch):
    before, known = contents(pictured.folder), photos(pictured.album)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copystat", refuse)
    with pytest.raises(OutputError, match="No space left"):
        export()
    assert contents(pictured.folder).items() >= before.items()
    assert photos(pictured.album) == known


def test_copies_of_a_photograph_are_left_alone(pictured, export):
    copy = copy_of(pictured.album, pictured.one)
    before = contents(pictured.folder)
    reasons = {one.path: one.reason for one in export().problems}
    assert reasons.keys() == {pictured.one, copy}
    assert all("has exact copies" in reason for reason in reasons.values())
    kept = contents(pictured.folder)
    assert (kept["one.jpg"], kept["copy.jpg"]) == (before["one.jpg"], before["copy.jpg"])


def test_changed_vanished_and_other_files_are_left_alone(pictured, export):
    content = pictured.one.read_bytes() + b"changed"
    pictured.one.write_bytes(content)
    pictured.two.unlink()
    Image.new("RGB", (200, 100)).save(pictured.two, "webp")
    report = export()
    reasons = [one.reason for one in report.problems]
    assert "has changed since the album read it" in reasons[0]
    assert "not written into WEBP files" in reasons[1]
    assert report.changes == []
    assert pictured.one.read_bytes() == content
    pictured.one.unlink()
    assert "no longer there" in export().problems[0].reason
