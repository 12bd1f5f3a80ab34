import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facelink.album.audit import audit_album
from facelink.album.decisions import name_person, say_different
from facelink.album.history import action
from facelink.album.library import open_album
from facelink.album.queries import (
    face,
    faces_of_photo,
    paths_of,
    person,
    photo_at,
    photos,
    placements,
    thumbnail,
)
from facelink.album.records import LostFace
from facelink.album.scan import ScanReport, scan_photos
from facelink.errors import InputError, OutputError
from facelink.photos.pipeline import FaceReader
from tests.unit.album.helpers import edited
from tests.unit.photos.fakes import MeanColour, OneFace

NOTHING = ScanReport(0, 0, 0, 0, 0, 0, 0, ())


class OtherColour(MeanColour):
    name = "other colour"


@pytest.fixture
def reader():
    return FaceReader(OneFace(), MeanColour())


@pytest.fixture
def pictures(tmp_path):
    """A folder with five photographs of one face each, one of them deeper."""
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for name, colour in zip(("a", "b", "c", "d", "deeper/e"), range(10, 60, 10), strict=True):
        paint(folder / f"{name}.png", colour)
    return folder


@pytest.fixture
def empty(folder):
    with edited(folder) as album:
        yield album


@pytest.fixture
def scanned(empty, reader, pictures):
    """An album of the five photographs; a person called Ada has the face of a.png."""
    scan_photos(empty, reader, [pictures])
    with action(empty, "test") as under_way:
        ada = under_way.new_person()
        under_way.place(faces_in(empty, pictures / "a.png")[0].id, ada, "user")
    name_person(empty, ada, "Ada")
    return empty


def paint(path, colour):
    """Write a photograph with noise around one shade, different for each."""
    random = np.random.default_rng(colour)
    pixels = random.integers(colour, colour + 100, (150, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def faces_in(album, path):
    return faces_of_photo(album, photo_at(album, path).id)


def ada_has(album):
    """Photographs of the faces of person 1, who was named in the beginning."""
    assert person(album, 1).name == "Ada"
    paths = {photo.id: photo.path for photo in photos(album)}
    return [paths[face(album, one.face).photo].name for one in placements(album, 1)]


def test_photographs_come_with_faces_and_thumbnails(empty, reader, pictures):
    report = scan_photos(empty, reader, [pictures])
    assert report == replace(NOTHING, n_read=5, n_faces=5, n_junk_faces=report.n_junk_faces)
    assert [photo.path for photo in photos(empty)] == sorted(pictures.rglob("*.png"))
    photo = photo_at(empty, pictures / "a.png")
    assert (photo.width, photo.height, photo.state) == (120, 150, "present")
    [found] = faces_of_photo(empty, photo.id)
    assert (found.box.left, found.box.height, found.size) == (16, 90, 80)
    assert found.detection_score == pytest.approx(0.9)
    assert thumbnail(empty, found.id).startswith(b"\xff\xd8")
    assert audit_album(empty) == []


def test_a_name_that_is_no_text_is_a_problem_and_the_others_are_read(empty, reader, pictures):
    unnamable = pictures / os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(pictures / "a.png", unnamable)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    report = scan_photos(empty, reader, [pictures])
    assert report.n_read == 5
    (problem,) = report.problems
    assert problem.path == unnamable
    assert "is not UTF-8; rename" in problem.reason
    assert scan_photos(empty, reader, [unnamable]).problems == (problem,)
    assert [photo.path for photo in photos(empty)] == sorted(
        set(pictures.rglob("*.png")) - {unnamable}
    )


def test_what_has_not_changed_is_not_read_again(scanned, reader, pictures):
    n_calls = reader.detector.n_calls
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=5)
    os.utime(pictures / "a.png", ns=(1, 1))
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=5)
    assert photo_at(scanned, pictures / "a.png").mtime_ns == 1
    assert reader.detector.n_calls == n_calls
    assert ada_has(scanned) == ["a.png"]


def test_a_changed_photograph_has_its_new_face_only(scanned, reader, pictures):
    [old] = faces_in(scanned, pictures / "b.png")
    paint(pictures / "b.png", 90)
    assert scan_photos(scanned, reader, [pictures]).n_read == 1
    [new] = faces_in(scanned, pictures / "b.png")
    assert new.id != old.id


def test_moved_photographs_keep_their_faces(scanned, reader, pictures):
    (pictures / "a.png").rename(pictures / "deeper" / "z.png")
    shutil.move(pictures / "deeper", pictures / "elsewhere")
    n_calls = reader.detector.n_calls
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=3, n_moved=2)
    assert reader.detector.n_calls == n_calls
    assert ada_has(scanned) == ["z.png"]
    assert {photo.state for photo in photos(scanned)} == {"present"}


def test_a_name_that_passes_to_another_photograph(scanned, reader, pictures):
    (pictures / "a.png").rename(pictures / "f.png")
    paint(pictures / "a.png", 90)
    report = scan_photos(scanned, reader, [pictures])
    assert (report.n_read, report.n_moved, report.n_unchanged) == (1, 1, 4)
    assert ada_has(scanned) == ["f.png"]
    assert len(faces_in(scanned, pictures / "a.png")) == 1


def test_a_copy_is_another_place_of_one_photograph(scanned, reader, pictures):
    n_calls = reader.detector.n_calls
    shutil.copy(pictures / "a.png", pictures / "copy.png")
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=5, n_copies=1)
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=6)
    assert reader.detector.n_calls == n_calls
    assert len(photos(scanned)) == 5
    photo = photo_at(scanned, pictures / "a.png")
    assert paths_of(scanned, photo.id) == [pictures / "a.png", pictures / "copy.png"]
    assert ada_has(scanned) == ["a.png"]


@pytest.mark.parametrize("first", ["a.png", "copy.png"])
def test_a_photograph_is_missing_when_its_last_copy_is_gone(scanned, reader, pictures, first):
    shutil.copy(pictures / "a.png", pictures / "copy.png")
    scan_photos(scanned, reader, [pictures])
    (pictures / first).unlink()
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=5)
    (last,) = {"a.png", "copy.png"} - {first}
    assert ada_has(scanned) == [last]
    (pictures / last).unlink()
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=4, n_missing=1)
    assert ada_has(scanned) == [last]
    assert scanned.count("SELECT count(*) FROM copies") == 0


def test_copies_in_one_scan_are_read_once(empty, reader, pictures):
    for number in range(3):
        shutil.copy(pictures / "a.png", pictures / f"copy {number}.png")
    report = scan_photos(empty, reader, [pictures])
    assert (report.n_read, report.n_copies, report.n_faces) == (5, 3, 5)
    assert reader.detector.n_calls == 5
    [photo] = [one for one in photos(empty) if len(paths_of(empty, one.id)) == 4]
    assert len(faces_of_photo(empty, photo.id)) == 1


def test_copies_that_cannot_be_read_are_each_told(empty, reader, pictures):
    for name in ("x.png", "y.png"):
        (pictures / name).write_bytes(b"no photograph")
    report = scan_photos(empty, reader, [pictures])
    assert sorted(one.path.name for one in report.problems) == ["x.png", "y.png"]
    assert len(photos(empty, state="unreadable")) == 2


def test_a_copy_that_is_changed_is_a_photograph_of_its_own(scanned, reader, pictures):
    shutil.copy(pictures / "a.png", pictures / "copy.png")
    scan_photos(scanned, reader, [pictures])
    paint(pictures / "a.png", 90)
    assert scan_photos(scanned, reader, [pictures]) == replace(
        NOTHING, n_unchanged=5, n_read=1, n_faces=1
    )
    assert ada_has(scanned) == ["copy.png"]
    assert len(faces_in(scanned, pictures / "a.png")) == 1
    assert len(photos(scanned)) == 6


def rotate(folder, names):
    """Give each file the name of the next, and the last one that of the first."""
    for name in names:
        (folder / name).rename(folder / f"{name}.moving")
    for name, other in zip(names, (*names[1:], names[0]), strict=True):
        (folder / f"{name}.moving").rename(folder / other)


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a.png", "b.png", "deeper/e.png")])
def test_photographs_that_exchange_names_keep_their_faces(scanned, reader, pictures, names):
    before = [faces_in(scanned, pictures / name)[0].id for name in names]
    rotate(pictures, names)
    n_calls = reader.detector.n_calls
    assert scan_photos(scanned, reader, [pictures]) == replace(
        NOTHING, n_unchanged=5 - len(names), n_moved=len(names)
    )
    assert reader.detector.n_calls == n_calls
    after = [faces_in(scanned, pictures / name)[0].id for name in (*names[1:], names[0])]
    assert after == before
    assert ada_has(scanned) == ["b.png"]
    assert audit_album(scanned) == []


def test_what_the_user_said_of_an_overwritten_photograph_is_listed(scanned, reader, pictures):
    [ada], [other] = (faces_in(scanned, pictures / name) for name in ("a.png", "b.png"))
    say_different(scanned, ada.id, other.id)
    paint(pictures / "a.png", 90)
    report = scan_photos(scanned, reader, [pictures])
    assert report.lost == (LostFace(ada.id, pictures / "a.png", 1, "Ada", 1),)
    (pictures / "c.png").replace(pictures / "b.png")
    report = scan_photos(scanned, reader, [pictures])
    assert (report.n_moved, report.n_missing, report.lost) == (1, 0, ())
    assert len(photos(scanned)) == 4
    assert audit_album(scanned) == []


def test_a_face_whose_pixels_stay_keeps_what_was_said(scanned, reader, pictures):
    [before] = faces_in(scanned, pictures / "a.png")
    with Image.open(pictures / "a.png") as image:
        image.load()
        title = PngInfo()
        title.add_text("Title", "Ada on the beach")
        image.save(pictures / "a.png", pnginfo=title)
    report = scan_photos(scanned, reader, [pictures])
    assert (report.n_read, report.lost) == (1, ())
    assert [one.id for one in faces_in(scanned, pictures / "a.png")] == [before.id]
    assert ada_has(scanned) == ["a.png"]


def test_when_a_photograph_was_taken_is_kept(empty, reader, pictures):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    with Image.open(pictures / "a.png") as image:
        image.load()
    image.save(pictures / "a.jpg", exif=exif)
    scan_photos(empty, reader, [pictures])
    assert photo_at(empty, pictures / "a.jpg").taken_at == "2024-05-06T07:08:09"
    assert photo_at(empty, pictures / "b.png").taken_at is None


def test_a_deleted_photograph_is_marked_and_known_when_it_comes_back(scanned, reader, pictures):
    kept = (pictures / "a.png").read_bytes()
    (pictures / "a.png").unlink()
    report = scan_photos(scanned, reader, [pictures])
    assert report == replace(NOTHING, n_unchanged=4, n_missing=1)
    assert photo_at(scanned, pictures / "a.png").state == "missing"
    assert ada_has(scanned) == ["a.png"]
    assert scan_photos(scanned, reader, [pictures]).n_missing == 0
    (pictures / "a.png").write_bytes(kept)
    assert scan_photos(scanned, reader, [pictures]) == replace(NOTHING, n_unchanged=5)
    assert photo_at(scanned, pictures / "a.png").state == "present"


def test_photographs_elsewhere_are_not_missed(scanned, reader, pictures):
    (pictures / "a.png").unlink()
    assert scan_photos(scanned, reader, [pictures / "deeper"]).n_missing == 0
    assert scan_photos(scanned, reader, [pictures / "a.png"]).n_missing == 1


def test_problems_are_told_and_kept_and_do_not_stop_the_scan(empty, reader, pictures, tmp_path):
    (pictures / "b.png").write_bytes(b"")
    report = scan_photos(empty, reader, [tmp_path / "nowhere", pictures])
    assert report.n_read == 4
    assert [(one.path.name, one.reason) for one in report.problems] == [
        ("nowhere", "no longer there, or a link to nothing"),
        ("b.png", "empty (0 bytes)"),
    ]
    [unreadable] = photos(empty, state="unreadable")
    assert (unreadable.path, unreadable.reason) == (pictures / "b.png", "empty (0 bytes)")
    again = scan_photos(empty, reader, [pictures])
    assert (again.n_read, len(again.problems)) == (0, 1)
    paint(pictures / "b.png", 20)
    assert scan_photos(empty, reader, [pictures]).n_read == 1
    assert photos(empty, state="unreadable") == []


def test_faces_outlast_damage_that_is_repaired(scanned, reader, pictures):
    kept = (pictures / "a.png").read_bytes()
    (pictures / "a.png").write_bytes(kept[:99])
    assert len(scan_photos(scanned, reader, [pictures]).problems) == 1
    assert photo_at(scanned, pictures / "a.png").state == "unreadable"
    (pictures / "a.png").write_bytes(kept)
    scan_photos(scanned, reader, [pictures])
    assert photo_at(scanned, pictures / "a.png").state == "present"
    assert ada_has(scanned) == ["a.png"]


def test_links_lead_to_the_same_photographs(scanned, reader, pictures, tmp_path):
    (tmp_path / "link").symlink_to(pictures, target_is_directory=True)
    assert scan_photos(scanned, reader, [tmp_path / "link"]) == replace(NOTHING, n_unchanged=5)


def test_another_recogniser_does_not_replace_faces(scanned, pictures, tmp_path):
    other = FaceReader(OneFace(), OtherColour())
    with pytest.raises(InputError, match="has faces of the model 'mean colour'"):
        scan_photos(scanned, other, [pictures])
    assert ada_has(scanned) == ["a.png"]
    (tmp_path / "new").mkdir()
    paint(tmp_path / "new" / "x.png", 90)
    assert scan_photos(scanned, other, [tmp_path / "new"]).n_read == 1


def test_an_album_that_is_open_for_reading(scanned, folder, reader, pictures):
    with open_album(folder) as album, pytest.raises(OutputError, match="for reading only"):
        scan_photos(album, reader, [pictures])


def test_progress_counts_what_is_read(scanned, reader, pictures):
    paint(pictures / "f.png", 60)
    paint(pictures / "g.png", 70)
    seen = []
    scan_photos(scanned, reader, [pictures], n_workers=1, on_progress=seen.append)
    assert [(one.n_done, one.n_total) for one in seen] == [(1, 2), (2, 2)]
