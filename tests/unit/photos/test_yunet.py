from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.decoding import decode_photo
from facelink.photos.detection import Detections
from facelink.photos.model_files import DETECTOR
from facelink.photos.yunet import YuNetDetector, candidates_of, without_overlaps
from tests.reference.yunet import boxes_left, candidates
from tests.unit.photos.onnx_file import mean_of_colours

PIXEL_TOLERANCE = 1e-3
"""Pixels; the sums of two runtimes of one network in float32."""

SCORE_TOLERANCE = 1e-5

PHOTOGRAPHS = ("photo_000.jpg", "photo_010.jpg", "photo_013.jpg", "photo_021.png", "photo_046.jpg")
"""Twenty-five faces, twelve, sixteen small ones, one of 150 pixels in grey, three large ones."""


@pytest.fixture(scope="module")
def detector(models):
    return YuNetDetector(models / DETECTOR.name, n_threads=2)


@pytest.fixture(scope="module")
def images(models):
    """Photographs below the size at which the detector shrinks them."""
    folder = models.parent / "photos"
    if not folder.is_dir():
        pytest.skip("no photographs in ../shared/data/photos")
    whole = [decode_photo((folder / name).read_bytes()).image for name in PHOTOGRAPHS]
    return [
        image if image[..., 0].size <= YuNetDetector.MAX_PIXELS else image[::2, ::2].copy()
        for image in whole
    ]


def assert_same_faces(found, expected):
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=PIXEL_TOLERANCE, rtol=0)
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=PIXEL_TOLERANCE, rtol=0)
    np.testing.assert_allclose(found.scores, expected.scores, atol=SCORE_TOLERANCE, rtol=0)


def test_finds_what_opencv_finds(detector, models, images):
    opencv = cv2.FaceDetectorYN.create(
        str(models / DETECTOR.name), "", (320, 320), YuNetDetector.MIN_SCORE, 0.3, 5000
    )
    n_faces = 0
    for image in images:
        opencv.setInputSize(image.shape[1::-1])
        expected = Detections.from_rows(opencv.detect(image)[1])
        assert_same_faces(detector.detect(image), expected)
        n_faces += len(expected)
    assert n_faces > 50


def test_the_same_to_the_bit_on_several_threads(detector, images):
    expected = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(detector.detect, images * 2), expected * 2, strict=True):
            np.testing.assert_array_equal(found.boxes, one.boxes)
            np.testing.assert_array_equal(found.landmarks, one.landmarks)
            np.testing.assert_array_equal(found.scores, one.scores)


def test_a_shrunk_image_has_its_faces_where_they_are(models, images):
    exact = YuNetDetector(models / DETECTOR.name, max_pixels=4_000_000).detect(images[4])
    for share in (0.8, 0.3, 0.15):
        max_pixels = int(share * images[4][..., 0].size)
        found = YuNetDetector(models / DETECTOR.name, max_pixels=max_pixels).detect(images[4])
        assert len(found) == len(exact) == 3
        nearest = np.abs(found.landmarks[:, None] - exact.landmarks[None]).max(axis=(2, 3))
        side = exact.boxes[:, 2:].min(axis=1)
        assert (nearest.min(axis=0) < 0.25 * side).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 400), (9, 3000), (8, 20_000), (100, 100)])
def test_images_without_faces_of_any_shape(models, shape):
    detector = YuNetDetector(models / DETECTOR.name, max_pixels=2000)
    assert len(detector.detect(np.full((*shape, 3), 90, dtype=np.uint8))) == 0


def test_nothing_is_printed(models, capfd):
    YuNetDetector(models / DETECTOR.name)
    assert capfd.readouterr() == ("", "")


class TestCandidates:
    @pytest.mark.parametrize(("stride", "n_columns"), [(8, 5), (32, 3)])
    def test_as_the_reference_reads_them(self, stride, n_columns):
        random = np.random.default_rng(stride)
        shapes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
        outputs = {
            f"{name}_{stride}": random.normal(0.5, 0.5, (1, 4 * n_columns, width)).astype("f4")
            for name, width in shapes.items()
        }
        found = candidates_of(outputs, stride, n_columns, 0.6)
        expected = candidates(outputs, stride, n_columns, 0.6)
        assert 0 < len(expected) < 4 * n_columns
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


class TestOverlaps:
    @pytest.mark.parametrize("seed", range(4))
    def test_as_the_reference_drops_them(self, seed):
        random = np.random.default_rng(seed)
        rows = random.uniform(-5, 60, (60, 15)).astype(np.float32)
        rows[:, 2:4] = random.uniform(5, 40, (60, 2))
        rows[:, 14] = random.permutation(60) / 60 + 0.001
        kept = without_overlaps(rows)
        expected = boxes_left(rows.tolist(), 0.3)
        assert 1 < len(expected) < 60
        np.testing.assert_array_equal(kept, rows[expected])

    def test_none(self):
        assert without_overlaps(np.empty((0, 15), dtype=np.float32)).shape == (0, 15)


class TestRefused:
    def test_a_file_that_is_no_network(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"face detector .*a.onnx: OpenVINO .* cannot load it"):
            YuNetDetector(tmp_path / "a.onnx")

    def test_another_network(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(mean_of_colours(32))
        with pytest.raises(InputError, match=r"face detector .*a.onnx: .* not YuNet's \('cls_8'\)"):
            YuNetDetector(tmp_path / "a.onnx")

    @pytest.mark.parametrize("options", [{"min_score": 0}, {"min_score": 1}, {"max_pixels": 9}])
    def test_numbers_out_of_range(self, tmp_path, options):
        [name] = options
        with pytest.raises(InputError, match=f"{name}="):
            YuNetDetector(tmp_path, **options)
