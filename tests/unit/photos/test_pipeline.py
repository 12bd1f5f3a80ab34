import threading

import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.alignment import TEMPLATE
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import FaceReader, ScanProgress
from facelink.photos.records import PhotoFaces, PhotoFile, PhotoProblem
from tests.unit.photos.fakes import MeanColour, OneFace


@pytest.fixture
def reader():
    return FaceReader(OneFace(), MeanColour())


@pytest.fixture
def folder(tmp_path, encoded):
    """Twelve photographs of noise, among them three that cannot be read."""
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (150, 120, 3), dtype=np.uint8)
        (tmp_path / f"{number:02}.png").write_bytes(encoded(pixels))
    (tmp_path / "03.png").write_bytes(b"")
    (tmp_path / "05.png").write_bytes(b"text")
    (tmp_path / "08.png").write_bytes((tmp_path / "07.png").read_bytes()[:99])
    return tmp_path


def shown(outcomes):
    """What matters of outcomes, to compare."""
    return [
        (one.path.name, one.reason)
        if isinstance(one, PhotoProblem)
        else (one.file.path.name, one.content_hash, one.faces[0].feature.tolist())
        for one in outcomes
    ]


def test_a_face_and_all_that_is_known_of_it(reader, folder):
    photo = reader.read(PhotoFile.at(folder / "00.png"))
    assert (photo.width, photo.height) == (120, 150)
    [face] = photo.faces
    np.testing.assert_array_equal(face.box, [16, 24, 80, 90])
    np.testing.assert_allclose(face.landmarks, TEMPLATE, rtol=1e-6)
    assert face.detection_score == pytest.approx(0.9)
    assert (face.size_px, face.is_junk) == (80, False)
    assert face.thumbnail.startswith(b"\xff\xd8")


def test_coordinates_are_of_the_whole_photograph(reader, tmp_path, encoded):
    pixels = np.zeros((4000, 3000, 3), dtype=np.uint8)
    (tmp_path / "large.jpg").write_bytes(encoded(pixels, "JPEG"))
    photo = reader.read(PhotoFile.at(tmp_path / "large.jpg"))
    assert (photo.width, photo.height) == (3000, 4000)
    np.testing.assert_array_equal(photo.faces[0].box, [32, 48, 160, 180])
    assert photo.faces[0].size_px == 160


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_the_same_in_the_same_order_on_any_number_of_threads(reader, folder, n_workers):
    files = list(find_photos([folder]))
    expected = shown(reader.read(file) for file in files)
    assert shown(reader.scan(files, n_workers=n_workers)) == expected
    problems = [one for one in expected if len(one) == 2]
    assert [name for name, _ in problems] == ["03.png", "05.png", "08.png"]


def test_problems_of_finding_and_vanished_files_keep_their_place(reader, folder):
    problem = PhotoProblem(folder / "x", "cannot be read")
    files = [PhotoFile.at(folder / "00.png"), problem, PhotoFile.at(folder / "01.png")]
    (folder / "01.png").unlink()
    first, second, third = reader.scan(files, n_workers=2)
    assert isinstance(first, PhotoFaces)
    assert second == problem
    assert third == PhotoProblem(folder / "01.png", "no longer there, or a link to nothing")


def test_only_a_few_photographs_are_read_ahead(reader, folder):
    taken = []

    def files():
        for _ in range(1000):
            taken.append(PhotoFile.at(folder / "00.png"))
            yield taken[-1]

    scan = reader.scan(files(), n_workers=2)
    next(scan)
    assert len(taken) == 8
    next(scan)
    assert len(taken) == 9
    scan.close()


def test_no_thread_stays_behind_an_interrupted_scan(reader, folder):
    before = threading.active_count()

    def interrupt(progress):
        if progress.n_done == 2:
            raise KeyboardInterrupt("by the user")

    scan = reader.scan(list(find_photos([folder])), n_workers=2, on_progress=interrupt)
    next(scan)
    with pytest.raises(KeyboardInterrupt, match="by the user"):
        next(scan)
    assert threading.active_count() == before
    assert reader.detector.n_calls < 9


def test_an_error_in_the_program_is_not_hidden_as_a_problem(reader, folder, monkeypatch):
    def fail(image):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(reader.detector, "detect", fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        list(reader.scan(list(find_photos([folder])), n_workers=2))


def test_progress(reader, folder):
    seen = []
    list(reader.scan(list(find_photos([folder])), n_workers=2, on_progress=seen.append))
    assert [(one.n_done, one.n_total) for one in seen] == [(n, 12) for n in range(1, 13)]
    list(reader.scan(find_photos([folder]), n_workers=2, on_progress=seen.append))
    assert seen[-1].n_total is None
    assert seen[-1].seconds_left is None


def test_rate_and_time_left():
    progress = ScanProgress(n_done=20, n_total=50, seconds=10)
    assert (progress.rate, progress.seconds_left) == (2, 15)
    assert ScanProgress(0, 50, 0).seconds_left is None


def test_no_workers(reader):
    with pytest.raises(InputError, match="n_workers=0; give at least 1"):
        reader.scan([], n_workers=0)
