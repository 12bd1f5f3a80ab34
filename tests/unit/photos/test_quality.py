import cv2
import numpy as np
import pytest

from facelink.photos.alignment import TEMPLATE
from facelink.photos.quality import junk_reasons, sharpness


@pytest.fixture
def crop():
    """A crop of random texture, coarse and fine."""
    random = np.random.default_rng(0)
    coarse = cv2.resize(random.integers(0, 200, (14, 14, 3)).astype(np.uint8), (112, 112))
    return coarse + random.integers(0, 50, (112, 112, 3), dtype=np.uint8)


def test_sharpness_falls_with_blur(crop):
    values = [sharpness(crop)]
    values += [sharpness(cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 10


def test_a_dim_photograph_is_as_sharp(crop):
    assert sharpness(crop // 4) == pytest.approx(sharpness(crop), rel=0.05)


def test_one_colour_has_none():
    assert sharpness(np.full((112, 112, 3), 90, dtype=np.uint8)) == 0


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        ((0.9, 80.0, 0.1), ()),
        ((0.69, 80.0, 0.1), ("uncertain",)),
        ((0.9, 19.0, 0.1), ("small",)),
        ((0.9, 80.0, 0.001), ("blurred",)),
        ((0.5, 8.0, 0.0), ("uncertain", "small", "blurred")),
    ],
)
def test_each_reason_to_call_a_face_junk(values, reasons):
    assert junk_reasons(*values, TEMPLATE) == reasons


def test_a_profile_is_turned():
    profile = TEMPLATE.copy()
    profile[:, 0] = [60, 64, 40, 62, 65]
    assert junk_reasons(0.9, 80.0, 0.1, profile) == ("turned",)
