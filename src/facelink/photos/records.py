"""What a scan of photographs passes on: files, faces and problems."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError

JunkReason = Literal["uncertain", "small", "blurred", "turned"]
"""Why a face says little about the person: the detector doubts that it is one, it is too small, it
is out of focus or moved, or it looks away from the camera."""


@dataclass(frozen=True)
class PhotoFile:
    """A photograph as the file system shows it; one that has not changed has the same three.

    Parameters
    ----------
    path : Path
        Where it is.
    size : int
        Bytes.
    mtime_ns : int
        Last modification, in nanoseconds since the epoch.
    """

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """Look at the file; `OSError` if that is not possible."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photograph.

    Coordinates are pixels of the whole photograph, upright, from its top left corner;
    parts of a face may lie outside.

    Parameters
    ----------
    box : float32 (4,)
        Left, top, width, height.
    landmarks : float32 (5, 2)
        Across and down: the two eyes, the tip of the nose, the two corners of the
        mouth, each pair from left to right in the picture.
    detection_score : float
        The detector's confidence that it is a face, in [0, 1].
    sharpness : float
        See `facelink.photos.quality.sharpness`.
    size_px : float
        Shorter side of the box, in pixels of the whole photograph.
    junk_reasons : tuple of JunkReason
        Empty for a face worth comparing.
    feature : float32 (D,)
        The embedder's, of norm 1.
    thumbnail : bytes
        A small JPEG of the face and its surroundings.

    Raises
    ------
    InputError
        If a shape or dtype differs from these.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    detection_score: float
    sharpness: float
    size_px: float
    junk_reasons: tuple[JunkReason, ...]
    feature: NDArray[np.float32]
    thumbnail: bytes

    def __post_init__(self) -> None:
        expected = {"box": (4,), "landmarks": (5, 2), "feature": (self.feature.size,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise InputError(
                    f"a face needs its {name} as float32 of shape {shape}, got {array.dtype} "
                    f"{array.shape}."
                )

    @property
    def is_junk(self) -> bool:
        """Whether there is a reason not to trust its feature."""
        return bool(self.junk_reasons)


@dataclass(frozen=True, eq=False)
class PhotoFaces:
    """A photograph that was read, and its faces.

    Parameters
    ----------
    file : PhotoFile
        As it was when the scan found it.
    content_hash : str
        SHA-256 of the file's bytes, hexadecimal: the same after a move.
    width, height : int
        Of the whole photograph in pixels, upright.
    taken_at : str, optional
        When the camera took it, ISO 8601; with the offset from UTC where the camera gave it.
    faces : tuple of FoundFace
        The detector's most certain first.
    """

    file: PhotoFile
    content_hash: str
    width: int
    height: int
    taken_at: str | None
    faces: tuple[FoundFace, ...]


@dataclass(frozen=True)
class PhotoProblem:
    """A file or folder that could not be used, and why, in words for the user."""

    path: Path
    reason: str
