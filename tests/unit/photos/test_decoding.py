import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from facelink.photos import decoding
from facelink.photos.decoding import (
    UnreadablePhotoError,
    content_hash,
    decode_photo,
    read_photo,
)

JPEG_ERROR = 6
"""Grey levels that the best quality of JPEG may be off by."""


def in_bgr(image):
    return np.asarray(image.convert("RGB"))[..., ::-1]


class TestFormats:
    @pytest.mark.parametrize(
        ("kind", "options"),
        [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100, "subsampling": 0})],
    )
    def test_pixels_are_blue_green_red(self, encoded, gradient, kind, options):
        photo = decode_photo(encoded(gradient, kind, **options))
        assert (photo.width, photo.height, photo.reduction) == (64, 96, 1.0)
        assert photo.image.flags.c_contiguous
        np.testing.assert_allclose(photo.image, gradient[..., ::-1].astype(float), atol=JPEG_ERROR)

    def test_heic(self, encoded, gradient):
        pillow_heif = pytest.importorskip("pillow_heif", reason="no pillow-heif")
        made = pillow_heif.from_pillow(Image.fromarray(gradient))
        stream = io.BytesIO()
        made.save(stream, quality=100)
        photo = decode_photo(stream.getvalue())
        np.testing.assert_allclose(photo.image, gradient[..., ::-1].astype(float), atol=16)

    @pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr"])
    def test_colour_models(self, encoded, gradient, mode):
        image = Image.fromarray(gradient).convert(mode)
        kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        photo = decode_photo(encoded(image, kind, **options))
        np.testing.assert_allclose(photo.image, in_bgr(image).astype(float), atol=JPEG_ERROR)

    def test_sixteen_bits_keep_their_upper_half(self, encoded):
        samples = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
        photo = decode_photo(encoded(samples))
        np.testing.assert_allclose(photo.image[..., 0], samples / 257, atol=1)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_transparent_parts_become_white(self, encoded, mode):
        image = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
        image.paste((10, 20, 30, 0), (0, 0, 4, 8))
        image = image.quantize(4) if mode == "P" else image.convert(mode)
        photo = decode_photo(encoded(image))
        assert (photo.image[:, :4] == 255).all()
        assert (photo.image[:, 4:] == 0).all()


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_as_pillow_turns_it(self, encoded, gradient, orientation):
        image = Image.fromarray(gradient)
        exif = image.getexif()
        exif[0x0112] = orientation
        data = encoded(image, "PNG", exif=exif)
        turned = Image.fromarray(gradient)
        turned.getexif()[0x0112] = orientation
        photo = decode_photo(data)
        np.testing.assert_array_equal(photo.image, in_bgr(ImageOps.exif_transpose(turned)))
        assert photo.image.shape[:2] == (photo.height, photo.width)

    def test_a_value_that_means_nothing(self, encoded, gradient):
        exif = Image.Exif()
        exif[0x0112] = 77
        photo = decode_photo(encoded(gradient, "PNG", exif=exif))
        np.testing.assert_array_equal(photo.image, gradient[..., ::-1])


class TestReducedScale:
    @pytest.mark.parametrize(("wanted", "side"), [(400 * 400, 400), (200 * 200, 200), (9, 50)])
    def test_a_jpeg_keeps_at_least_the_wanted_pixels(self, encoded, wanted, side):
        photo = decode_photo(encoded(Image.new("RGB", (400, 400)), "JPEG"), wanted_pixels=wanted)
        assert photo.image.shape == (side, side, 3)
        assert (photo.width, photo.height, photo.reduction) == (400, 400, 400 / side)

    def test_a_turned_one_has_its_upright_size(self, encoded):
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encoded(Image.new("RGB", (400, 200)), "JPEG", exif=exif)
        photo = decode_photo(data, wanted_pixels=200 * 100)
        assert (photo.width, photo.height) == (200, 400)
        assert photo.image.shape == (200, 100, 3)

    def test_other_formats_come_whole(self, encoded, gradient):
        assert decode_photo(encoded(gradient), wanted_pixels=10).image.shape == gradient.shape


class TestTakenAt:
    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ({0x9003: "2021:05:06 07:08:09"}, "2021-05-06T07:08:09"),
            ({0x9003: "2021:05:06 07:08:09", 0x9011: "+02:00"}, "2021-05-06T07:08:09+02:00"),
            ({0x9003: "2021:05:06 07:08:09", 0x9011: "east"}, "2021-05-06T07:08:09"),
            ({0x9003: "0000:00:00 00:00:00"}, None),
            ({0x9003: "yesterday"}, None),
            ({0x9011: "+02:00"}, None),
        ],
    )
    def test_of_the_camera(self, encoded, gradient, tags, expected):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update(tags)
        assert decode_photo(encoded(gradient, "JPEG", exif=exif)).taken_at == expected

    def test_the_time_of_a_later_change_is_another(self, encoded, gradient):
        exif = Image.Exif()
        exif[0x0132] = "2021:05:06 07:08:09"
        assert decode_photo(encoded(gradient, "JPEG", exif=exif)).taken_at is None


class TestUnreadable:
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_truncated(self, encoded, kind, share):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        data = encoded(noise, kind)
        with pytest.raises(UnreadablePhotoError, match=f"damaged or truncated {kind} image"):
            decode_photo(data[: int(len(data) * share)])

    def test_no_image(self):
        with pytest.raises(UnreadablePhotoError, match="not a JPEG, PNG, WebP or HEIC image"):
            decode_photo(b"GIF89a, or some text")

    def test_a_few_bytes_that_claim_a_huge_image(self):
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + b"IHDR" + header
        chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
        empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        with pytest.raises(UnreadablePhotoError, match=r"3,600 megapixels, above the limit of 100"):
            decode_photo(b"\x89PNG\r\n\x1a\n" + chunk + empty)

    def test_the_limit_of_pixels_itself_is_allowed(self, encoded, gradient, monkeypatch):
        monkeypatch.setattr(decoding, "MAX_PIXELS_WHOLE", 96 * 64)
        assert decode_photo(encoded(gradient)).width == 64
        monkeypatch.setattr(decoding, "MAX_PIXELS_WHOLE", 96 * 64 - 1)
        with pytest.raises(UnreadablePhotoError, match="above the limit"):
            decode_photo(encoded(gradient))


class TestRead:
    def test_bytes_and_their_hash(self, tmp_path):
        (tmp_path / "a").write_bytes(b"abc")
        data = read_photo(tmp_path / "a")
        assert data == b"abc"
        assert content_hash(data).startswith("ba7816bf8f01cfea")

    def test_empty(self, tmp_path):
        (tmp_path / "a").touch()
        with pytest.raises(UnreadablePhotoError, match=r"empty \(0 bytes\)"):
            read_photo(tmp_path / "a")

    def test_vanished(self, tmp_path):
        with pytest.raises(UnreadablePhotoError, match="no longer there"):
            read_photo(tmp_path / "a")

    def test_a_folder(self, tmp_path):
        with pytest.raises(UnreadablePhotoError, match="cannot be read: Is a directory"):
            read_photo(tmp_path)

    def test_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 1 << 20)
        (tmp_path / "a").write_bytes(bytes((1 << 20) + 1))
        with pytest.raises(UnreadablePhotoError, match="larger than 1 MB"):
            read_photo(tmp_path / "a")
