"""Pixels → faces, by the detector YuNet."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.photos.detection import Detections
from facelink.photos.extras import OptionalModule
from facelink.photos.networks import Network, openvino

cv2: Any = OptionalModule("cv2")

STRIDES: Final = (8, 16, 32)
"""Sides, in pixels, of the squares at each of which the network looks for one face."""

_MAX_CANDIDATES = 5000
_MAX_OVERLAP = 0.3
_LEAST_SIDE = 8


class YuNetDetector:
    """The YuNet face detector of the OpenCV Zoo; several threads may call it at once.

    Finds what ``cv2.FaceDetectorYN`` finds, in less time and on one core.
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
    n_threads : int, optional
        As for `Network`.

    Raises
    ------
    InputError
        If OpenVINO cannot load the file, or a number is out of range.
    """

    MIN_SCORE: Final = 0.6
    MAX_PIXELS: Final = 1280 * 960

    def __init__(
        self,
        model: Path,
        *,
        min_score: float = MIN_SCORE,
        max_pixels: int = MAX_PIXELS,
        n_threads: int | None = None,
    ) -> None:
        if not 0 < min_score < 1:
            raise InputError(f"min_score={min_score}; give a number between 0 and 1.")
        if max_pixels < 1024:
            raise InputError(f"max_pixels={max_pixels}; give at least 1,024.")
        self._min_score = min_score
        self._max_pixels = max_pixels
        self._network = Network(
            "face detector", model, "images of any size", _taking_any_size, n_threads
        )
        self._check_outputs(model)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Find the faces of a uint8 (h, w, 3) image: blue, green, red.

        Same image, same faces, whichever thread asks.
        """
        height, width = image.shape[:2]
        if min(height, width) < _LEAST_SIDE:
            return Detections.none()
        reduction = max(1.0, math.sqrt(height * width / self._max_pixels))
        padded = _padded(_shrunk(image, reduction))
        outputs = self._network.run(padded[None])
        candidates = np.concatenate(
            [
                candidates_of(outputs, stride, padded.shape[1] // stride, self._min_score)
                for stride in STRIDES
            ]
        )
        return Detections.from_rows(without_overlaps(candidates)).scaled(reduction)

    def _check_outputs(self, model: Path) -> None:
        """Refuse a network that is not YuNet, by what it makes of a small image."""
        outputs = self._network.run(np.zeros((1, 32, 32, 3), dtype=np.uint8))
        try:
            for stride in STRIDES:
                candidates_of(outputs, stride, 32 // stride, self._min_score)
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"face detector {model}: its outputs are not YuNet's ({error}); give the file "
                "face_detection_yunet_2026may.onnx."
            ) from error


def candidates_of(
    outputs: Mapping[str, NDArray[np.float32]], stride: int, n_columns: int, min_score: float
) -> NDArray[np.float32]:
    """Read the network's outputs at one stride.

    At each square it gives the probabilities of a class and of an object, whose geometric
    mean is the score; the shift of the box's centre and of five landmarks, in strides,
    from the square's corner; and the logarithms of the box's sides in strides.

    Parameters
    ----------
    outputs
        By name: ``cls_8`` and ``obj_8`` float32 (1, S, 1), ``bbox_8`` (1, S, 4), ``kps_8``
        (1, S, 10), and so for every stride; squares row by row.
    stride, n_columns
        Side of a square, and how many stand in a row.
    min_score
        Only squares with a greater score are read.

    Returns
    -------
    float32 (C, 15)
        Box (left, top, width, height), landmarks, score, in pixels.
    """
    certainty = np.clip(outputs[f"cls_{stride}"][0, :, 0], 0, 1)
    scores = np.sqrt(certainty * np.clip(outputs[f"obj_{stride}"][0, :, 0], 0, 1))
    chosen = np.flatnonzero(scores > min_score)
    corners = np.column_stack([chosen % n_columns, chosen // n_columns]).astype(np.float32)
    boxes = outputs[f"bbox_{stride}"][0, chosen]
    sides = np.exp(boxes[:, 2:]) * stride
    lefts = (corners + boxes[:, :2]) * stride - sides / 2
    landmarks = outputs[f"kps_{stride}"][0, chosen].reshape(-1, 5, 2) + corners[:, None]
    return np.column_stack(
        [lefts, sides, landmarks.reshape(-1, 10) * stride, scores[chosen]]
    ).astype(np.float32, copy=False)


def without_overlaps(candidates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drop candidates (C, 15) that share 30 % or more of their area with a more certain one.

    As in OpenCV, areas are those of boxes cut down to whole pixels.
    """
    if len(candidates) == 0:
        return candidates
    boxes = np.trunc(candidates[:, :4])
    kept = cv2.dnn.NMSBoxes(
        boxes.tolist(), candidates[:, 14].tolist(), 0.0, _MAX_OVERLAP, top_k=_MAX_CANDIDATES
    )
    return candidates[np.asarray(kept, dtype=np.int64)]


def _taking_any_size(model: Any) -> Any:
    """Let the network take uint8 (1, h, w, 3) of any size."""
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    fitted = steps.build()
    fitted.reshape([1, -1, -1, 3])
    return fitted


def _shrunk(image: NDArray[np.uint8], reduction: float) -> NDArray[np.uint8]:
    """Shrink an image: by blocks of pixels as far as a whole number goes, then between them."""
    if reduction == 1:
        return image
    height, width = image.shape[:2]
    sides = [max(_LEAST_SIDE, round(side / reduction)) for side in (width, height)]
    block = max(1, min(int(reduction), min(height, width) // _LEAST_SIDE))
    if block > 1:
        n_rows, n_columns = height // block, width // block
        blocks = image[: n_rows * block, : n_columns * block]
        image = cv2.resize(blocks, (n_columns, n_rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add black to the right and below, up to whole squares of the greatest stride."""
    height, width = image.shape[:2]
    bottom, right = -height % STRIDES[-1], -width % STRIDES[-1]
    padded = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(padded, dtype=np.uint8)
