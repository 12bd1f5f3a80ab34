import cv2
import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.alignment import TEMPLATE, align_faces, misfit, similarity_transform
from tests.reference.alignment import fitted_similarity


def moved(scale, degrees, shift):
    """The template's points scaled, turned and shifted."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * TEMPLATE @ turn.T + shift


class TestSimilarity:
    @pytest.mark.parametrize("seed", range(5))
    def test_as_the_reference_solves_it(self, seed):
        random = np.random.default_rng(seed)
        source = random.normal(0, 100, (5, 2)) + random.normal(0, 1000, 2)
        target = random.normal(0, 30, (5, 2))
        expected = fitted_similarity(source, target)
        np.testing.assert_allclose(
            similarity_transform(source, target), expected, rtol=1e-6, atol=1e-6
        )

    def test_a_moved_template_comes_back(self):
        points = moved(3.5, 40, (200, -70))
        matrix = similarity_transform(points, TEMPLATE)
        np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-9)

    def test_mirrored_points_are_not_mirrored_back(self):
        matrix = similarity_transform(TEMPLATE * (-1, 1), TEMPLATE)
        assert np.linalg.det(matrix[:, :2]) > 0

    def test_one_point_five_times(self):
        with pytest.raises(InputError, match="landmarks that all coincide"):
            similarity_transform(np.ones((5, 2)), TEMPLATE)


class TestMisfit:
    def test_is_none_for_the_template_at_any_size_and_angle(self):
        assert misfit(moved(7, 123, (5, 5))) == pytest.approx(0, abs=1e-9)

    def test_is_large_where_the_eyes_are_as_one(self):
        profile = TEMPLATE.copy()
        profile[:, 0] = [60, 64, 40, 62, 65]
        assert misfit(profile) > 9


class TestCrops:
    @pytest.mark.parametrize("scale", [0.5, 1.0, 1.9, 2.0, 3.3, 6.7])
    def test_marks_at_the_landmarks_come_to_the_template(self, scale):
        points = moved(scale, 25, (150, 60))
        image = np.zeros((1000, 1000, 3), dtype=np.uint8)
        for channel, point in enumerate(points[[0, 2, 4]]):
            one = np.ascontiguousarray(image[..., channel])
            shifted = tuple(round(16 * value) for value in point)
            cv2.circle(one, shifted, int(16 * 5 * scale), 255, -1, cv2.LINE_AA, 4)
            image[..., channel] = one
        [crop] = align_faces(image, points[None])
        for channel, expected in enumerate(TEMPLATE[[0, 2, 4]]):
            weights = crop[..., channel].astype(float)
            rows, columns = np.mgrid[:112, :112]
            centre = [(columns * weights).sum(), (rows * weights).sum()] / weights.sum()
            np.testing.assert_allclose(centre, expected, atol=0.2)

    def test_fine_stripes_of_a_large_face_become_grey_and_not_stripes(self):
        image = np.zeros((900, 900, 3), dtype=np.uint8)
        image[:, ::2] = 255
        [crop] = align_faces(image, moved(6, 0, (50, 50))[None])
        assert crop[10:-10, 10:-10].std() < 8

    def test_a_face_outside_the_image_is_black(self):
        image = np.full((50, 50, 3), 255, dtype=np.uint8)
        crops = align_faces(image, moved(4, 0, (9000, 9000))[None])
        assert crops.shape == (1, 112, 112, 3)
        assert crops.max() == 0

    def test_no_faces(self):
        none = np.empty((0, 5, 2), dtype=np.float32)
        assert align_faces(np.zeros((9, 9, 3), np.uint8), none).shape == (0, 112, 112, 3)
