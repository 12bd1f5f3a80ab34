import numpy as np

from facelink.photos.detection import Detections


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
