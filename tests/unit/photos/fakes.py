"""A detector and a recogniser that need no model files."""

import numpy as np

from facelink.photos.alignment import TEMPLATE
from facelink.photos.detection import Detections


class OneFace:
    """Finds one face, of 80 pixels, wherever it looks; counts its calls."""

    def __init__(self):
        self.n_calls = 0

    def detect(self, image):
        self.n_calls += 1
        row = [16, 24, 80, 90, *TEMPLATE.ravel(), 0.9]
        return Detections.from_rows(np.array([row], dtype=np.float32))


class MeanColour:
    """A face's feature is its mean colour."""

    name, n_features = "mean colour", 3

    def embed(self, crops):
        means = crops.reshape(len(crops), -1, 3).mean(axis=1) + 1
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
