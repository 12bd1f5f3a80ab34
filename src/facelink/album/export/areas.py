"""Where a face is, as XMP says it: shares of the photograph as it is stored, before it is turned.

The guidelines of the Metadata Working Group (version 2.0, section 5.9) refer regions to the
stored image: a program that turns the photograph by its EXIF orientation turns the regions too.
digiKam does so, and Immich since May 2025. An album's boxes are upright.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from facelink.album.records import Box

_TO_UPRIGHT: Final[dict[int, Callable[[float, float], tuple[float, float]]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
"""Where a point of the stored image is when the photograph is upright, by EXIF orientation."""

_BACK: Final = {6: 8, 8: 6}
"""The orientation that undoes another one, where that is not the same."""


@dataclass(frozen=True)
class Area:
    """A rectangle in a photograph, in shares of its width and height.

    Parameters
    ----------
    x, y : float
        Its centre, from the left and from the top, in [0, 1].
    width, height : float
        Its size, in (0, 1].
    """

    x: float
    y: float
    width: float
    height: float

    def turned(self, orientation: int) -> "Area":
        """Where it is when the photograph is turned upright from an EXIF orientation."""
        x, y = _TO_UPRIGHT[orientation](self.x, self.y)
        width, height = self.width, self.height
        return Area(x, y, height, width) if orientation >= 5 else Area(x, y, width, height)

    def turned_back(self, orientation: int) -> "Area":
        """Where it is in the stored image, of an upright photograph with this orientation."""
        return self.turned(_BACK.get(orientation, orientation))

    def is_close_to(self, other: "Area", tolerance: float = 1e-5) -> bool:
        """Whether the two differ by less than a written number's last digits."""
        pairs = (
            (self.x, other.x),
            (self.y, other.y),
            (self.width, other.width),
            (self.height, other.height),
        )
        return all(abs(one - another) < tolerance for one, another in pairs)


def area_of(box: Box, width: int, height: int) -> Area | None:
    """Area of a face's box in a photograph of so many pixels; what lies outside is cut off.

    Returns
    -------
    Area or None
        None if nothing of the box is within.
    """
    left, right = max(0.0, box.left), min(float(width), box.left + box.width)
    top, bottom = max(0.0, box.top), min(float(height), box.top + box.height)
    if left >= right or top >= bottom:
        return None
    return Area(
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )


def overlap(one: Area, other: Area) -> tuple[float, float]:
    """How much two areas share: of the smaller one, and of both together; each in [0, 1]."""
    across = min(one.x + one.width / 2, other.x + other.width / 2) - max(
        one.x - one.width / 2, other.x - other.width / 2
    )
    down = min(one.y + one.height / 2, other.y + other.height / 2) - max(
        one.y - one.height / 2, other.y - other.height / 2
    )
    shared = max(0.0, across) * max(0.0, down)
    sizes = (one.width * one.height, other.width * other.height)
    if not shared:
        return 0.0, 0.0
    return shared / min(sizes), shared / (sum(sizes) - shared)
