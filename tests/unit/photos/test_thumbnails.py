import cv2
import numpy as np
import pytest

from facelink.photos.thumbnails import thumbnail


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_face_is_in_the_middle_with_a_margin():
    image = np.zeros((1000, 1000, 3), dtype=np.uint8)
    image[400:600, 300:500] = 255
    small = decoded(thumbnail(image, np.array([300, 400, 200, 200])))
    assert small.shape == (160, 160, 3)
    assert small[35:125, 35:125].min() > 240
    assert small[:25].max() < 15


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ([10, 10, 20, 20], (32, 32, 3)),
        ([-30, -30, 40, 40], (22, 22, 3)),
        ([90, 90, 500, 500], (100, 100, 3)),
        ([500, 500, 10, 10], (1, 1, 3)),
    ],
)
def test_small_faces_and_those_at_the_edge(box, shape):
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    assert decoded(thumbnail(image, np.array(box, dtype=np.float32))).shape == shape
