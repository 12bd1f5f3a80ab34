"""Whatever bytes a photograph's file holds, reading it gives faces or says what is wrong."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from facelink.photos import decoding
from facelink.photos.decoding import UnreadablePhotoError, decode_photo
from facelink.photos.pipeline import FaceReader
from facelink.photos.records import PhotoFaces, PhotoFile, PhotoProblem
from tests.unit.photos.fakes import MeanColour, OneFace

LEAST_PIXELS = 4_000_000
"""A limit for these tests: damaged sizes of an image would be decoded at length below it."""

REASONS = (
    "empty (0 bytes)",
    "not a JPEG, PNG, WebP or HEIC image",
    "damaged or truncated ",
    " megapixels, above the limit of ",
)

sides = st.integers(1, 40)
orientations = st.sampled_from([None, *range(10), 77, 65535])
losslessly = st.sampled_from([("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
any_kind = st.sampled_from(["PNG", "WEBP", "JPEG"])


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", {})
    monkeypatch.setattr(decoding, "MAX_PIXELS_WHOLE", LEAST_PIXELS)


def noise(mode, width, height, seed=0):
    """An image of a mode, of noise."""
    random = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (height, width), dtype=np.uint16))
    pixels = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode in ("RGBA", "LA"):
        return Image.fromarray(pixels).convert(mode)
    return Image.fromarray(pixels[..., :3].copy()).convert(mode)


def encoded(image, kind, orientation=None, **options):
    """The bytes of a file."""
    if orientation is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def is_documented(reason):
    """Whether the user can read it: one of the reasons, and no address of an object."""
    return any(part in reason for part in REASONS) and " at 0x" not in reason


def outcome(data):
    """What decoding says, to compare."""
    try:
        photo = decode_photo(data, wanted_pixels=400)
    except UnreadablePhotoError as error:
        reason = str(error)
        assert is_documented(reason)
        return reason
    assert photo.image.dtype == np.uint8
    assert photo.image.ndim == 3
    assert photo.image.flags.c_contiguous
    assert photo.reduction >= 1
    return photo.width, photo.height, photo.taken_at, photo.image.shape, photo.image.tobytes()


@given(st.sampled_from(["1", "L", "P", "RGB"]), sides, sides, orientations, losslessly)
@example("L", 1, 1, 6, ("PNG", {}))
def test_opaque_images_are_as_pillow_shows_them(mode, width, height, orientation, format_):
    kind, options = format_
    data = encoded(noise(mode, width, height), kind, orientation, **options)
    photo = decode_photo(data)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert (photo.width, photo.height) == shown.size
    np.testing.assert_array_equal(photo.image, np.asarray(shown)[..., ::-1])


@given(st.sampled_from(["RGBA", "LA"]), sides, sides, orientations)
def test_transparent_images_lie_on_white(mode, width, height, orientation):
    data = encoded(noise(mode, width, height), "PNG", orientation)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    rgba = np.asarray(shown).astype(float)
    share = rgba[..., 3:] / 255
    expected = share * rgba[..., :3] + (1 - share) * 255
    np.testing.assert_allclose(decode_photo(data).image, expected[..., ::-1], atol=1)


@given(st.sampled_from(["L", "RGB", "CMYK"]), sides, sides, orientations)
def test_a_jpeg_of_any_colours_keeps_its_size(mode, width, height, orientation):
    photo = decode_photo(encoded(noise(mode, width, height), "JPEG", orientation))
    assert photo.image.shape == (photo.height, photo.width, 3)
    turned = orientation is not None and 5 <= orientation <= 8
    assert (photo.width, photo.height) == ((height, width) if turned else (width, height))


@given(sides, sides)
def test_sixteen_bits_keep_their_upper_half(width, height):
    image = noise("I;16", width, height)
    photo = decode_photo(encoded(image, "PNG"))
    expected = np.asarray(image)[..., None] >> 8
    np.testing.assert_array_equal(photo.image, np.broadcast_to(expected, photo.image.shape))


@given(st.integers(1, 4), st.integers(1, 7), st.sampled_from(["RGB", "RGBA", "P", "L"]))
def test_rows_converted_some_at_a_time_are_those_converted_together(rows, height, mode):
    data = encoded(noise(mode, 5, height), "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BAND_PIXELS", 5 * rows)
        parts = decode_photo(data).image
    np.testing.assert_array_equal(parts, decode_photo(data).image)


@settings(max_examples=200)
@given(any_kind, st.sampled_from(["L", "RGB"]), sides, sides, st.data())
def test_a_file_cut_anywhere(kind, mode, width, height, data):
    whole = encoded(noise(mode, width, height), kind, orientation=6)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    found = outcome(part)
    assert found == outcome(part)
    assert isinstance(found, str) or found[:2] == (height, width)


@settings(max_examples=300)
@given(any_kind, sides, sides, st.data())
def test_damaged_bytes(kind, width, height, data):
    whole = bytearray(encoded(noise("RGB", width, height), kind, orientation=3))
    places = st.integers(0, len(whole) - 1)
    for place, value in data.draw(
        st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)
    ):
        whole[place] = value
    assert outcome(bytes(whole)) == outcome(bytes(whole))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_heic_file_cut_anywhere(share):
    pillow_heif = pytest.importorskip("pillow_heif", reason="no pillow-heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(noise("RGB", 32, 48)).save(stream)
    whole = stream.getvalue()
    assert outcome(whole)[:2] == (32, 48)
    assert outcome(whole[: int(share * len(whole))]).startswith("damaged or truncated HEIF image")


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x90\0\0\0WEBPVP8 ",
                     b"RIFF\x90\0\0\0WEBPVP8L", b"RIFF\x90\0\0\0WEBPVP8X", b"GIF89a"]),
    st.binary(max_size=200),
)  # fmt: skip
def test_random_bytes_after_a_signature(signature, rest):
    assert outcome(signature + rest) == outcome(signature + rest)


@given(st.binary(max_size=80))
def test_random_bytes_for_the_cameras_tags_spoil_no_pixel(tags):
    pixels = noise("RGB", 6, 5)
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encoded(pixels, kind, exif=b"Exif\0\0II*\0\x08\0\0\0" + tags)
        photo = decode_photo(data)
        assert sorted((photo.width, photo.height)) == [5, 6]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_counts(kind):
    frames = [noise("RGB", 9, 7, seed) for seed in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_photo(data).image, np.asarray(frames[0])[..., ::-1])


def test_an_animation_that_counts_no_pictures_is_a_picture():
    image = noise("RGB", 9, 7)
    data = encoded(image, "PNG")
    body = b"acTL" + struct.pack(">II", 0, 0)
    chunk = struct.pack(">I", 8) + body + struct.pack(">I", zlib.crc32(body))
    photo = decode_photo(data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(photo.image, np.asarray(image)[..., ::-1])


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_small_file_of_a_huge_picture_is_refused(kind):
    data = encoded(Image.new("L", (2001, 2000)), kind)
    assert len(data) < 60_000
    with pytest.raises(UnreadablePhotoError, match="4 megapixels, above the limit of 4"):
        decode_photo(data)


@settings(max_examples=50)
@given(st.data())
def test_reading_a_file_ends_in_faces_or_a_problem(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("photos") / "a.jpg"
    width, height = data.draw(sides), data.draw(sides)
    whole = encoded(noise("RGB", width, height), data.draw(any_kind))
    path.write_bytes(whole[: data.draw(st.integers(0, 2 * len(whole)))])
    found = FaceReader(OneFace(), MeanColour()).read(PhotoFile.at(path))
    if isinstance(found, PhotoFaces):
        assert (found.width, found.height) == (width, height)
        assert len(found.faces) == 1
    else:
        assert isinstance(found, PhotoProblem)
        assert is_documented(found.reason)
