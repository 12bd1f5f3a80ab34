"""Where the faces of an image are, and what finds them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """Faces of one image, in its pixels, the most certain first.

    Parameters
    ----------
    boxes : float32 (F, 4)
        Left, top, width, height.
    landmarks : float32 (F, 5, 2)
        Eyes, tip of the nose, corners of the mouth; left before right in the picture.
    scores : float32 (F,)
        Confidence that it is a face, in [0, 1].
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> "Detections":
        """An image without faces."""
        return cls.from_rows(np.empty((0, 15), dtype=np.float32))

    @classmethod
    def from_rows(cls, rows: NDArray[np.float32]) -> "Detections":
        """Take rows (F, 15): box, landmarks, score.

        Rows that are not finite, whose box has no area, or whose landmarks all coincide,
        are dropped.
        """
        rows = rows.astype(np.float32, copy=False)
        rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)]
        landmarks = rows[:, 4:14].reshape(-1, 5, 2)
        is_spread = (np.ptp(landmarks, axis=1) > 0).any(axis=1)
        rows, landmarks = rows[is_spread], landmarks[is_spread]
        order = np.argsort(-rows[:, 14], kind="stable")
        return cls(rows[order, :4], landmarks[order], np.clip(rows[order, 14], 0, 1))

    def scaled(self, factor: float) -> "Detections":
        """Return the same faces in an image `factor` times as large."""
        multiplier = np.float32(factor)
        return Detections(self.boxes * multiplier, self.landmarks * multiplier, self.scores)


class Detector(Protocol):
    """Finds faces; several threads may call it at once."""

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find the faces of a uint8 (h, w, 3) image: blue, green, red."""
