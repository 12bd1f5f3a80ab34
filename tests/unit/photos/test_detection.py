import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.detection import Detections, YuNetDetector
from facelink.photos.model_files import DETECTOR


def row(score, left=0.0):
    return [left, 1, 10, 12, *np.arange(10) + left, score]


class TestRows:
    def test_the_most_certain_first(self):
        rows = np.array([row(0.7, 1), row(0.9, 2), row(0.8, 3)], dtype=np.float32)
        found = Detections.from_rows(rows)
        np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7])
        np.testing.assert_array_equal(found.boxes[:, 0], [2, 3, 1])
        np.testing.assert_array_equal(found.landmarks[0], np.arange(10).reshape(5, 2) + 2)

    def test_unusable_rows_are_dropped(self):
        together = row(0.9)
        together[4:14] = [5.0] * 10
        rows = np.array([row(np.nan), row(0.8), together, row(0.7, np.inf)], dtype=np.float32)
        assert Detections.from_rows(rows).scores.tolist() == [np.float32(0.8)]

    def test_scaled(self):
        found = Detections.from_rows(np.array([row(0.8)], dtype=np.float32))
        np.testing.assert_array_equal(found.scaled(2).boxes, 2 * found.boxes)
        np.testing.assert_array_equal(found.scaled(2).landmarks, 2 * found.landmarks)
        np.testing.assert_array_equal(found.scaled(2).scores, found.scores)


class TestYuNet:
    @pytest.fixture
    def detector(self, models):
        return YuNetDetector(models / DETECTOR.name)

    @pytest.mark.parametrize("shape", [(1, 1), (7, 400), (9, 3000), (100, 100)])
    def test_images_without_faces_of_any_shape(self, detector, shape):
        assert len(detector.detect(np.full((*shape, 3), 90, dtype=np.uint8))) == 0

    def test_nothing_is_printed(self, models, capfd):
        YuNetDetector(models / DETECTOR.name)
        assert capfd.readouterr() == ("", "")

    def test_a_file_that_is_no_network(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"face detector .*a.onnx: OpenCV .* cannot load it"):
            YuNetDetector(tmp_path / "a.onnx")

    @pytest.mark.parametrize("options", [{"min_score": 0}, {"min_score": 1}, {"max_pixels": 9}])
    def test_numbers_out_of_range(self, tmp_path, options):
        [name] = options
        with pytest.raises(InputError, match=f"{name}="):
            YuNetDetector(tmp_path, **options)
