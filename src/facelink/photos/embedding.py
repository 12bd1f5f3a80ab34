"""Aligned faces → features, by a recogniser."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.features import normalize_features
from facelink.files import existing_file
from facelink.photos.alignment import CROP_SIDE
from facelink.photos.extras import OptionalModule
from facelink.photos.model_files import RECOGNISER, RECOGNISER_WEIGHTS, model_file
from facelink.photos.networks import Network

cv2: Any = OptionalModule("cv2")


class Embedder(Protocol):
    """Turns aligned faces into features; several threads may call it at once.

    Attributes
    ----------
    name : str
        Names the model: features of two names must not be compared.
    n_features : int
        Width D of its features.
    """

    @property
    def name(self) -> str:
        """Names the model."""

    @property
    def n_features(self) -> int:
        """Width D."""

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed crops uint8 (B, 112, 112, 3), blue, green, red.

        Returns
        -------
        float32 (B, D)
            Rows of norm 1.
        """


@dataclass(frozen=True)
class InputFormat:
    """What a recogniser takes: an image of `side` pixels with values (v − `mean`) / `scale`.

    Parameters
    ----------
    side : int
        In pixels; aligned crops are resized to it.
    is_rgb : bool
        Red, green, blue; otherwise blue, green, red.
    mean, scale : float
        Of values from 0 to 255.
    """

    side: int
    is_rgb: bool
    mean: float = 0.0
    scale: float = 1.0


REIDENTIFICATION_INPUT: Final = InputFormat(side=128, is_rgb=False)
ARCFACE_INPUT: Final = InputFormat(side=CROP_SIDE, is_rgb=True, mean=127.5, scale=127.5)


class OpenVinoEmbedder:
    """A recogniser in OpenVINO's format or in ONNX, run by OpenVINO on the processor.

    Parameters
    ----------
    name : str
        What to call the model.
    path : Path
        Its .xml (with the .bin beside it) or .onnx file.
    input_format : InputFormat
        What it takes.
    n_threads : int, optional
        As for `Network`.

    Raises
    ------
    InputError
        If OpenVINO cannot load it, or it does not take one such image and give one vector.
    """

    def __init__(
        self, name: str, path: Path, input_format: InputFormat, n_threads: int | None = None
    ) -> None:
        self._name = name
        self._format = input_format
        side = input_format.side
        # Larger batches are no faster on a processor, and their sums would differ.
        self._network = Network(
            "recogniser",
            path,
            f"one image of {side} × {side} pixels",
            self._taking_one_image,
            n_threads,
        )
        shape = self._output(np.zeros((1, 3, side, side), dtype=np.float32)).shape
        self._n_features = int(np.prod(shape))
        if not shape or shape[0] != 1 or self._n_features < 2:
            raise InputError(f"recogniser {path}: gives {shape}, not one vector for an image.")

    @property
    def name(self) -> str:
        """Names the model."""
        return self._name

    @property
    def n_features(self) -> int:
        """Width D of its features."""
        return self._n_features

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed crops uint8 (B, 112, 112, 3), blue, green, red; gives float32 (B, D) of norm 1.

        Faces are independent: a face's feature does not depend on the others of its batch.

        Raises
        ------
        InputError
            If crops have another shape or dtype, or the network gives NaN or zeros.
        """
        if crops.shape[1:] != (CROP_SIDE, CROP_SIDE, 3) or crops.dtype != np.uint8:
            raise InputError(
                f"crops of {crops.dtype} {crops.shape}; aligned faces are uint8 "
                f"(B, {CROP_SIDE}, {CROP_SIDE}, 3)."
            )
        features = np.empty((len(crops), self._n_features), dtype=np.float32)
        if len(crops) == 0:
            return features
        for row, crop in enumerate(crops):
            features[row] = self._output(self._prepared(crop)).reshape(-1)
        return normalize_features(features, name=f"features by {self._name}")

    def _taking_one_image(self, model: Any) -> Any:
        """Fix the network's input."""
        model.reshape([1, 3, self._format.side, self._format.side])
        return model

    def _output(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network; what it gives first is the feature."""
        return next(iter(self._network.run(image).values()))

    def _prepared(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bring a crop into the network's form, float32 (1, 3, side, side)."""
        side = self._format.side
        image = crop if side == len(crop) else cv2.resize(crop, (side, side))
        if self._format.is_rgb:
            image = image[:, :, ::-1]
        values = image.transpose(2, 0, 1)[None].astype(np.float32)
        values = (values - np.float32(self._format.mean)) / np.float32(self._format.scale)
        return np.ascontiguousarray(values)


def reidentifier(folder: Path | None = None, n_threads: int | None = None) -> OpenVinoEmbedder:
    """Load face-reidentification-retail-0095 (Open Model Zoo, Apache-2.0), 256 features.

    Parameters
    ----------
    folder
        Where its files are; by default the cache, filled at first use.
    n_threads
        As for `OpenVinoEmbedder`.
    """
    network = model_file(RECOGNISER, folder)
    model_file(RECOGNISER_WEIGHTS, folder)
    return OpenVinoEmbedder(network.stem, network, REIDENTIFICATION_INPUT, n_threads)


def arcface(path: Path, n_threads: int | None = None) -> OpenVinoEmbedder:
    """Load any recogniser with ArcFace's input from an ONNX file.

    Its name is the file's with the beginning of its checksum, so that two models of one
    file name are told apart.
    """
    digest = hashlib.sha256(existing_file(path, "recogniser").read_bytes()).hexdigest()
    return OpenVinoEmbedder(f"{path.stem}-{digest[:12]}", path, ARCFACE_INPUT, n_threads)


def insightface(
    path: Path, *, accept_licence: bool = False, n_threads: int | None = None
) -> OpenVinoEmbedder:
    """Load a recogniser of InsightFace's model packs, such as ``w600k_r50.onnx``.

    Raises
    ------
    InputError
        If `accept_licence` is not given: the weights are for non-commercial research only.
    """
    if not accept_licence:
        raise InputError(
            f"recogniser {path}: InsightFace's pretrained models are for non-commercial research "
            "only; pass accept_licence=True (--accept-insightface-licence) if that suits your use."
        )
    return arcface(path, n_threads)
