"""What the head of a photograph's file says: format, size, orientation, XMP. No pixel is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facelink.errors import InputError
from facelink.photos.decoding import UnreadablePhotoError, open_image, orientation_of
from facelink.photos.finding import reason_of
from facelink.photos.formats import HEAD_BYTES, format_of


@dataclass(frozen=True)
class PhotoHeader:
    """The head of a photograph's file.

    Parameters
    ----------
    kind : str
        ``"JPEG"``, ``"PNG"``, ``"WEBP"`` or ``"HEIF"``.
    width, height : int
        Pixels as they are stored, before the photograph is turned.
    orientation : int
        EXIF orientation, 1 to 8: how it is turned.
    packet : bytes, optional
        XMP in the file, if there is any.
    """

    kind: str
    width: int
    height: int
    orientation: int
    packet: bytes | None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels when it is turned."""
        is_on_its_side = self.orientation >= 5
        return (self.height, self.width) if is_on_its_side else (self.width, self.height)


def read_header(path: Path) -> PhotoHeader:
    """Read the head of a photograph's file.

    Raises
    ------
    UnreadablePhotoError
        If it has vanished, cannot be read, is no such image or damaged.
    """
    try:
        with path.open("rb") as stream:
            kind = format_of(stream.read(HEAD_BYTES))
            if kind is None:
                raise UnreadablePhotoError("not a JPEG, PNG, WebP or HEIC image")
            stream.seek(0)
            with open_image(stream, kind) as source:
                return _header(source, kind)
    except OSError as error:
        reason = reason_of(error) if error.errno else f"damaged ({error})"
        raise UnreadablePhotoError(reason) from error
    except InputError as error:
        raise UnreadablePhotoError(str(error)) from error
    except Exception as error:  # as in decode_photo
        raise UnreadablePhotoError(f"damaged ({error})") from error


def _header(source: Any, kind: str) -> PhotoHeader:
    """Gather what an opened image says; HEIC is turned when it is opened."""
    (width, height), orientation = source.size, orientation_of(source)
    if kind == "HEIF":
        orientation = source.info.get("original_orientation") or 1
        width, height = (height, width) if orientation >= 5 else (width, height)
    packet = source.info.get("xmp")
    text = packet.encode() if isinstance(packet, str) else packet
    return PhotoHeader(kind, width, height, orientation, text)
