"""How much a face says about the person: sharpness, and reasons to call it junk."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facelink.photos.alignment import misfit
from facelink.photos.extras import OptionalModule
from facelink.photos.records import JunkReason

cv2: Any = OptionalModule("cv2")

LEAST_SCORE: Final = 0.7
"""Detection score below which a face is "uncertain"."""

LEAST_SIZE_PX: Final = 20.0
"""Shorter side of the box, in pixels of the whole photograph, below which a face is "small". Of 64
large sharp faces shrunk to 20 pixels, one in ten had a cosine below 0.47 with itself before; at
32 pixels, below 0.89 (face-reidentification-retail-0095)."""

LEAST_SHARPNESS: Final = 0.0015
"""Sharpness below which a face is "blurred". The same faces reach it under a Gaussian blur of 2.5
to 3 pixels of the crop, which leaves one in ten a cosine below 0.56 to 0.73 with itself."""

GREATEST_MISFIT_PX: Final = 9.0
"""`misfit` above which a face is "turned": twice what nineteen in twenty faces have. Set by eye."""


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Share of an aligned crop's contrast that is fine detail.

    The variance of the Laplacian over the variance of the grey levels, so that a dim
    photograph is not taken for a blurred one.

    Parameters
    ----------
    crop : uint8 (112, 112, 3)
        An aligned face: blue, green, red.

    Returns
    -------
    float
        At least 0; 0 for a crop of one colour.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
    contrast = float(grey.var())
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) / contrast if contrast > 0 else 0.0


def junk_reasons(
    score: float, size_px: float, sharpness: float, landmarks: NDArray[np.floating]
) -> tuple[JunkReason, ...]:
    """Tell why a face's feature should not be trusted, if there is a reason.

    Parameters
    ----------
    score
        Detection score in [0, 1].
    size_px
        Shorter side of the box in pixels of the whole photograph.
    sharpness
        Of the aligned crop.
    landmarks : floating (5, 2)
        In any scale.
    """
    verdicts: dict[JunkReason, bool] = {
        "uncertain": score < LEAST_SCORE,
        "small": size_px < LEAST_SIZE_PX,
        "blurred": sharpness < LEAST_SHARPNESS,
        "turned": misfit(landmarks) > GREATEST_MISFIT_PX,
    }
    return tuple(reason for reason, applies in verdicts.items() if applies)
