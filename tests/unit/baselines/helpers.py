"""Faces and comparisons that the tests of baselines share."""

import numpy as np

from facelink.baselines.view import FaceView
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features

FEATURES, LABELS = clustered_features(12, 6, 32, seed=3)
"""72 faces of 12 people who are easy to tell apart."""


def easy_view(seed=0):
    """Lists of 8: with all others in them, everyone would share every neighbour."""
    return FaceView(FEATURES, find_neighbors(FEATURES, 8), seed)


def partition(labels):
    """Groups as a set of sets, the label −1 as one group for each face."""
    labels = np.asarray(labels)
    groups = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels) - {-1}}
    return groups | {frozenset([face]) for face in np.flatnonzero(labels == -1).tolist()}
