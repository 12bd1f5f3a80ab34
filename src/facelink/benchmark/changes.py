"""What can happen to a collection: strangers, noise, junk, copies, another embedder.

Every function gives new unit rows or picks faces; all of it is drawn from the generator
that is handed in, so that a seed repeats it.
"""

import numpy as np
from numpy.typing import NDArray

from facelink.features import normalize_features

_SAMPLE = 512
"""Faces whose spread made-up vectors have: more than most embedders have dimensions."""

_MEAN_LENGTH = 0.9
"""Length of the mean row of an embedder that is not centred; those of 128-d models reach 0.91."""

_SPREAD = 0.95
"""Deviation of a made-up person's faces, beside 1 for the person: cosines near 0.53."""

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def some_people(labels: Labels, n_faces: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Faces of random whole people, about `n_faces` of them, ascending."""
    people, sizes = np.unique(labels, return_counts=True)
    order = random.permutation(len(people))
    n_people = int(np.searchsorted(np.cumsum(sizes[order]), n_faces)) + 1
    return np.flatnonzero(np.isin(labels, people[order[:n_people]]))


def one_each(labels: Labels, random: np.random.Generator) -> NDArray[np.int64]:
    """One random face of each person, in random order."""
    order = random.permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    return random.permutation(order[first])


def made_up_strangers(features: Features, n: int, random: np.random.Generator) -> Features:
    """Unit rows (n, D) of nobody: normal vectors with the mean and spread of these features."""
    return normalize_features(features.mean(axis=0) + _deviations(features, n, random))


def made_up_person(features: Features, n: int, random: np.random.Generator) -> Features:
    """Unit rows (n, D) of one made-up person of the embedder of these features.

    Faces lie around one stranger, and deviate as the features deviate from their mean.
    """
    mean = features.mean(axis=0)
    person = _deviations(features, 1, random)
    person /= np.linalg.norm(person)
    deviations = _deviations(features, n, random)
    deviations *= _SPREAD / np.sqrt((deviations**2).sum(axis=1).mean())
    size = np.linalg.norm(features - mean, axis=1).mean()
    return normalize_features(mean + size * (person + deviations))


def noisy(features: Features, amount: float, random: np.random.Generator) -> Features:
    """Add to each row a random direction, `amount` times as long as the row."""
    noise = normalize_features(random.standard_normal(features.shape, dtype=np.float32))
    return normalize_features(features + amount * noise)


def blurred(
    features: Features, share: float, amount: float, random: np.random.Generator
) -> Features:
    """Move a share of the rows towards the mean direction, `amount` of the way.

    What a recogniser makes of bad photographs: the less of the person is left, the more
    they resemble each other.
    """
    direction = normalize_features(features.mean(axis=0, keepdims=True))
    is_bad = random.random(len(features)) < share
    moved = normalize_features((1 - amount) * features + amount * direction)
    return np.where(is_bad[:, None], moved, features)


def uncentred(features: Features, random: np.random.Generator) -> Features:
    """Add one vector to all rows, so that their mean is nearly as long as they are."""
    direction = random.standard_normal(features.shape[1])
    direction *= _MEAN_LENGTH / np.sqrt(1 - _MEAN_LENGTH**2) / np.linalg.norm(direction)
    return normalize_features(features + direction)


def steeper_spectrum(features: Features) -> Features:
    """Scale the n-th principal component by 1/√n: an embedder of fewer effective dimensions."""
    mean = features.mean(axis=0)
    left, values, right = np.linalg.svd(features - mean, full_matrices=False)
    return normalize_features((left * (values / np.sqrt(1 + np.arange(len(values))))) @ right)


def _deviations(features: Features, n: int, random: np.random.Generator) -> Features:
    """Normal vectors (n, D) with the covariance of these features: random sums of their rows."""
    chosen = random.permutation(len(features))[:_SAMPLE]
    centred = features[chosen] - features[chosen].mean(axis=0)
    weights = random.standard_normal((n, len(chosen)), dtype=np.float32)
    deviations: Features = weights @ centred / np.float32(np.sqrt(len(chosen)))
    return deviations
