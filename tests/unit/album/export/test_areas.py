import numpy as np
import pytest
from PIL import Image

from facelink.album.export.areas import Area, area_of, overlap
from facelink.album.records import Box
from facelink.photos.decoding import decode_photo
from facelink.photos.header import read_header

WIDTH, HEIGHT = 96, 64
MARKED = (slice(8, 24), slice(56, 88))
"""Rows and columns of the stored image that are white."""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_areas_refer_to_the_stored_image(tmp_path, orientation):
    """The white part, found in the upright photograph, is where it was drawn before turning."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[MARKED] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)

    photo = decode_photo(path.read_bytes())
    rows, columns = np.nonzero(photo.image[:, :, 0])
    left, top = columns.min(), rows.min()
    box = Box(left, top, columns.max() + 1 - left, rows.max() + 1 - top)
    upright = area_of(box, photo.width, photo.height)

    header = read_header(path)
    assert (header.width, header.height, header.orientation) == (WIDTH, HEIGHT, orientation)
    assert header.upright_size == (photo.width, photo.height)
    stored = upright.turned_back(header.orientation)
    assert stored.is_close_to(Area(72 / 96, 16 / 64, 32 / 96, 16 / 64))
    assert stored.turned(header.orientation).is_close_to(upright)


def test_what_lies_outside_is_cut_off():
    assert area_of(Box(-10, -10, 30, 60), 40, 40) == Area(0.25, 0.5, 0.5, 1.0)
    assert area_of(Box(50, 0, 10, 10), 40, 40) is None


def test_overlap():
    one = Area(0.25, 0.5, 0.5, 1.0)
    assert overlap(one, one) == (1.0, 1.0)
    assert overlap(one, Area(0.75, 0.5, 0.5, 1.0)) == (0.0, 0.0)
    assert overlap(one, Area(0.5, 0.5, 0.5, 1.0)) == (0.5, 1 / 3)
    assert overlap(Area(0.25, 0.5, 0.1, 0.1), one) == pytest.approx((1.0, 0.02))
