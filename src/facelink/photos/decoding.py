"""A photograph's bytes → upright pixels, whatever its format, colours and orientation."""

import contextlib
import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.photos.extras import OptionalModule
from facelink.photos.finding import reason_of
from facelink.photos.formats import HEAD_BYTES, format_of

Image: Any = OptionalModule("PIL.Image")
heif_plugin: Any = OptionalModule("pillow_heif.as_plugin", "heif")

MAX_FILE_BYTES: Final = 512 << 20
"""Larger files are refused unread."""

MAX_PIXELS: Final = {"JPEG": 250_000_000}
"""Larger photographs are refused undecoded; the largest telephones' cameras make 200 megapixels.
A JPEG is decoded at reduced scale, other formats only whole, so they have `MAX_PIXELS_WHOLE`."""

MAX_PIXELS_WHOLE: Final = 100_000_000
"""Limit for formats that are decoded whole: 400 MB as red, green, blue and alpha."""

_ORIENTATION, _EXIF_FOLDER = 0x0112, 0x8769
_TAKEN_AT, _TAKEN_AT_OFFSET = 0x9003, 0x9011

_UPRIGHT: Final[dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image),
}
"""What makes an image upright, by its EXIF orientation (JEITA CP-3451, tag 0x0112)."""


class UnreadablePhotoError(InputError):
    """A file that cannot be used as a photograph; the message is the reason alone."""


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """Pixels of a photograph, perhaps at reduced scale.

    Parameters
    ----------
    image : uint8 (h, w, 3)
        Upright; blue, green, red; C-contiguous.
    width, height : int
        Of the whole photograph in pixels, upright.
    taken_at : str, optional
        When the camera took it, ISO 8601; with the offset from UTC where the camera gave it.
    """

    image: NDArray[np.uint8]
    width: int
    height: int
    taken_at: str | None

    @property
    def reduction(self) -> float:
        """Pixels of the whole photograph for each pixel of the image, along a side; at least 1."""
        height, width = self.image.shape[:2]
        return float(max(self.width, self.height) / max(width, height))


def read_photo(path: Path) -> bytes:
    """Read a file's bytes.

    Raises
    ------
    UnreadablePhotoError
        If it has vanished, is empty, larger than `MAX_FILE_BYTES` or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadablePhotoError(reason_of(error)) from error
    if not data:
        raise UnreadablePhotoError("empty (0 bytes)")
    if len(data) > MAX_FILE_BYTES:
        raise UnreadablePhotoError(f"larger than {MAX_FILE_BYTES >> 20} MB")
    return data


def content_hash(data: bytes) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def decode_photo(data: bytes, *, wanted_pixels: int | None = None) -> DecodedPhoto:
    """Decode a JPEG, PNG, WebP or HEIC image.

    Transparent parts become white, 16-bit samples lose their lower half, and every colour
    model becomes blue, green, red; colour profiles are not applied.

    Parameters
    ----------
    data
        The file's bytes.
    wanted_pixels
        If given, a JPEG is decoded at 1/2, 1/4 or 1/8 of its scale where at least so
        many pixels remain, which is several times faster. Other formats come whole.

    Raises
    ------
    UnreadablePhotoError
        If it is no image of these formats, truncated, damaged or larger than
        `MAX_PIXELS` says.
    """
    kind = format_of(data[:HEAD_BYTES])
    if kind is None:
        raise UnreadablePhotoError("not a JPEG, PNG, WebP or HEIC image")
    try:
        return _decode(data, kind, wanted_pixels)
    except InputError as error:
        raise UnreadablePhotoError(str(error)) from error
    except MemoryError as error:
        raise UnreadablePhotoError("too large for the memory that is left") from error
    except Exception as error:  # parsers of damaged files raise whatever they stumble over
        raise UnreadablePhotoError(f"damaged or truncated {kind} image ({error})") from error


def _decode(data: bytes, kind: str, wanted_pixels: int | None) -> DecodedPhoto:
    with _opened(data, kind) as source:
        width, height = source.size
        _refuse_bomb(width * height, kind)
        exif = _exif_of(source)
        if wanted_pixels is not None:
            reduction = max(1, math.isqrt(width * height // wanted_pixels))
            source.draft(None, (width // reduction, height // reduction))
        pixels = np.asarray(_in_colour(source))
    orientation = exif.get(_ORIENTATION)
    if orientation in _UPRIGHT:
        pixels = _UPRIGHT[orientation](pixels)
        if orientation >= 5:
            width, height = height, width
    image = np.ascontiguousarray(pixels[:, :, ::-1])
    return DecodedPhoto(image, width, height, _taken_at(exif))


def _opened(data: bytes, kind: str) -> Any:
    """Read the header, by the format's own reader.

    `PIL.Image.open` would warn of or refuse images above limits that are global to the
    process; `_refuse_bomb` has ours.
    """
    if kind == "HEIF":
        return heif_plugin.HeifImageFile(io.BytesIO(data))
    Image.preinit()
    if kind not in Image.OPEN:
        Image.init()
    factory, _ = Image.OPEN[kind]
    return factory(io.BytesIO(data), None)


def _refuse_bomb(n_pixels: int, kind: str) -> None:
    limit = MAX_PIXELS.get(kind, MAX_PIXELS_WHOLE)
    if n_pixels > limit:
        raise UnreadablePhotoError(
            f"{n_pixels / 1e6:,.0f} megapixels, above the limit of {limit / 1e6:.0f} for {kind}; "
            "save it smaller"
        )


def _in_colour(source: Any) -> Any:
    """Convert to red, green, blue; lay transparent images on white."""
    if source.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(source) >> 8).astype(np.uint8)).convert("RGB")
    if source.mode in ("I", "F"):
        return Image.fromarray(_eight_bits(np.asarray(source))).convert("RGB")
    if source.has_transparency_data:
        layered = source.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return source if source.mode == "RGB" else source.convert("RGB")


def _eight_bits(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring wide grey samples, of 16 bits if any is above 255, into 0 to 255."""
    scale = 257 if samples.max() > 255 else 1
    return np.asarray(np.clip(samples / scale, 0, 255), dtype=np.uint8)


def _exif_of(source: Any) -> Any:
    """Tags of the camera; none where they are damaged, which spoils no pixel."""
    try:
        return source.getexif()
    except Exception:  # as in decode_photo
        return Image.Exif()


def _taken_at(exif: Any) -> str | None:
    """Read when the camera took it; the time of a later change, which EXIF has too, is another."""
    try:
        folder = exif.get_ifd(_EXIF_FOLDER)
        text = str(folder.get(_TAKEN_AT) or "").strip("\0 ")
        offset = str(folder.get(_TAKEN_AT_OFFSET) or "").strip("\0 ")
        taken = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")
    except Exception:  # as in decode_photo
        return None
    with contextlib.suppress(ValueError):
        taken = taken.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo)
    return taken.isoformat()
