"""Pixels → boxes, landmarks and scores of faces, by YuNet."""

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.photos.extras import OptionalModule

cv2: Any = OptionalModule("cv2")

_MAX_CANDIDATES = 5000
_MAX_OVERLAP = 0.3
_LEAST_SIDE = 8
_LOADING = threading.Lock()  # the level of OpenCV's messages is the process's


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
        """Take YuNet's rows (F, 15): box, landmarks, score.

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


class YuNetDetector:
    """The YuNet face detector of the OpenCV Zoo.

    Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.

    Parameters
    ----------
    model : Path
        Its ONNX file.
    min_score : float
        Less certain faces are dropped, in (0, 1).
    max_pixels : int
        Larger images are scaled down to so many pixels before detection. Faces below
        about ten pixels there are missed.

    Raises
    ------
    InputError
        If OpenCV cannot load the file, or a number is out of range.
    """

    MIN_SCORE: Final = 0.6
    MAX_PIXELS: Final = 1280 * 960

    def __init__(
        self, model: Path, *, min_score: float = MIN_SCORE, max_pixels: int = MAX_PIXELS
    ) -> None:
        if not 0 < min_score < 1:
            raise InputError(f"min_score={min_score}; give a number between 0 and 1.")
        if max_pixels < 1024:
            raise InputError(f"max_pixels={max_pixels}; give at least 1,024.")
        self._model = model
        self._min_score = min_score
        self._max_pixels = max_pixels
        self._of_thread = threading.local()  # the network keeps its last image
        self._network()

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find the faces of a uint8 (h, w, 3) image: blue, green, red.

        Same image, same faces, whichever thread asks.
        """
        height, width = image.shape[:2]
        if min(height, width) < _LEAST_SIDE:
            return Detections.none()
        factor = min(1.0, math.sqrt(self._max_pixels / (height * width)))
        if factor < 1:
            size = (
                max(_LEAST_SIDE, round(width * factor)),
                max(_LEAST_SIDE, round(height * factor)),
            )
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        network = self._network()
        network.setInputSize((image.shape[1], image.shape[0]))
        _, rows = network.detect(image)
        if rows is None:
            return Detections.none()
        return Detections.from_rows(rows).scaled(1 / factor)

    def _network(self) -> Any:
        """Return the calling thread's own copy of the network."""
        if not hasattr(self._of_thread, "network"):
            with _LOADING:
                self._of_thread.network = self._loaded()
        return self._of_thread.network

    def _loaded(self) -> Any:
        """Load the network, without OpenCV's notes on what its graph engine lacks."""
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            return cv2.FaceDetectorYN.create(
                str(self._model), "", (320, 320), self._min_score, _MAX_OVERLAP, _MAX_CANDIDATES
            )
        except cv2.error as error:
            raise InputError(
                f"face detector {self._model}: OpenCV {cv2.__version__} cannot load it ({error}); "
                "download it again or update opencv-python-headless."
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)
