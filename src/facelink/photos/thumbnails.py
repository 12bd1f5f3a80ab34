"""Small pictures of faces, for people to look at."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facelink.photos.extras import OptionalModule

cv2: Any = OptionalModule("cv2")

THUMBNAIL_SIDE: Final = 160
"""Longer side of a thumbnail in pixels, at most."""

_MARGIN = 1.6
_JPEG_QUALITY = 85


def thumbnail(image: NDArray[np.uint8], box: NDArray[np.floating]) -> bytes:
    """Cut out a square 1.6 times the box's longer side and shrink it to a small JPEG.

    Parameters
    ----------
    image : uint8 (h, w, 3)
        Blue, green, red.
    box : floating (4,)
        Left, top, width, height in pixels of the image.

    Returns
    -------
    bytes
        A JPEG file; less than a square where the face is at the image's edge, never
        enlarged.
    """
    side = max(1.0, _MARGIN * float(max(box[2], box[3])))
    low = box[:2] + box[2:] / 2 - side / 2
    limit = np.array([image.shape[1], image.shape[0]])
    start = np.clip(low, 0, limit - 1).astype(int)
    stop = np.clip(np.ceil(low + side), start + 1, limit).astype(int)
    part = image[start[1] : stop[1], start[0] : stop[0]]
    factor = THUMBNAIL_SIDE / max(part.shape[:2])
    if factor < 1:
        size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(encoded)
