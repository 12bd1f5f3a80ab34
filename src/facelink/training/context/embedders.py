"""Made-up embedders: real embeddings, changed the way that another embedding model would differ.

Each draw changes the spectrum, keeps a part of the dimensions, mixes them, adds
noise that differs from face to face, lets some faces fall together as junk and
shifts everything by a constant, so that the mean vector is long.
"""

import numpy as np
from numpy.typing import NDArray

_SPECTRUM_SAMPLE = 4_000
_LEAST_DIMENSIONS = 40
_LEAST_VARIANCE = 1e-5

Features = NDArray[np.float32]


def unit_rows(values: NDArray[np.floating]) -> Features:
    """Rows scaled to length 1, float32."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Features = (values / np.maximum(lengths, 1e-9)).astype(np.float32)
    return unit


def draw_embedder(features: Features, random: np.random.Generator) -> Features:
    """Features (N, D) as some other embedder might give them, (N, D′), L2-normalised."""
    if random.random() < 0.35 and len(features) > features.shape[1]:
        features = change_spectrum(features, random)
    if random.random() < 0.35:
        features = mix_dimensions(features, random.uniform(0, 0.8), random)
    if random.random() < 0.35:
        features = add_noise(features, random.uniform(0, 0.7), random.uniform(0, 0.6), random)
    if random.random() < 0.15:
        features = make_junk(features, random.uniform(0, 0.06), random)
    if random.random() < 0.4:
        features = shift(features, random.uniform(0.2, 0.95), random)
    return features


def sharpen(
    features: Features, labels: NDArray[np.int64], amount: float, random: np.random.Generator
) -> Features:
    """Faces as a stronger embedder might give them: nearer to the mean of their person.

    Each person moves by up to `amount` times the mean, and each face by a
    random part of that; faces of people with one face stay.
    """
    people, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(people), features.shape[1]), dtype=np.float32)
    np.add.at(sums, codes, features)
    means = sums / sizes[:, None]
    lengths = amount * random.random((len(people), 1))[codes] * random.random((len(features), 1))
    return unit_rows(features + lengths * means[codes])


def make_families(
    features: Features, labels: NDArray[np.int64], share: float, random: np.random.Generator
) -> Features:
    """Let a share of the people be families of 2 to 4 lookalikes, who share a direction."""
    people, codes = np.unique(labels, return_inverse=True)
    related = random.permutation(len(people))[: int(share * len(people))]
    family = np.full(len(people), -1)
    family[related] = np.repeat(np.arange(len(related)), random.integers(2, 5, size=len(related)))[
        : len(related)
    ]
    directions = unit_rows(random.standard_normal((len(related) + 1, features.shape[1])))
    lengths = random.uniform(0.2, 1.0, size=len(related) + 1)
    lengths[-1] = 0  # of those without a family, who are number −1
    return unit_rows(features + (lengths[:, None] * directions)[family[codes]])


def change_spectrum(features: Features, random: np.random.Generator) -> Features:
    """Sharpen or flatten the spectrum; in half of the draws keep only some directions."""
    sample = features[random.permutation(len(features))[:_SPECTRUM_SAMPLE]]
    variances, directions = np.linalg.eigh(np.cov(sample.T))
    power = random.uniform(-0.35, 0.45)
    scales = np.maximum(variances, _LEAST_VARIANCE) ** power
    changed = unit_rows(features @ (directions * scales).astype(np.float32))
    n_dimensions = changed.shape[1]
    if random.random() < 0.5 and n_dimensions > _LEAST_DIMENSIONS:
        n_kept = int(np.exp(random.uniform(np.log(_LEAST_DIMENSIONS), np.log(n_dimensions))))
        by_strength = np.arange(n_dimensions)[::-1]
        order = by_strength if random.random() < 0.5 else random.permutation(n_dimensions)
        changed = unit_rows(changed[:, order[:n_kept]])
    return changed


def mix_dimensions(features: Features, amount: float, random: np.random.Generator) -> Features:
    """Add a random linear map of the features, `amount` times as long as they are."""
    n_dimensions = features.shape[1]
    mixing = random.standard_normal((n_dimensions, n_dimensions)) / np.sqrt(n_dimensions)
    return unit_rows(features + amount * (features @ mixing.astype(np.float32)))


def add_noise(
    features: Features, amount: float, variation: float, random: np.random.Generator
) -> Features:
    """Add noise of length `amount` times a log-normal factor of this variation, face by face."""
    lengths = amount * random.lognormal(0, variation, (len(features), 1))
    return unit_rows(features + lengths * unit_rows(random.standard_normal(features.shape)))


def make_junk(features: Features, share: float, random: np.random.Generator) -> Features:
    """Let a share of the faces keep little of the person and share a direction instead."""
    is_junk = random.random(len(features)) < share
    common = unit_rows(random.standard_normal((1, features.shape[1])))
    deviation = unit_rows(random.standard_normal(features.shape))
    return np.where(
        is_junk[:, None], unit_rows(0.35 * features + common + 0.7 * deviation), features
    )


def shift(features: Features, mean_length: float, random: np.random.Generator) -> Features:
    """Add a constant vector, so that the mean of the normalised rows is about this long.

    In half of the draws it points near the mean that there is; its length
    differs a little from face to face.
    """
    length = mean_length / np.sqrt(1 - mean_length**2)
    direction = unit_rows(random.standard_normal((1, features.shape[1])))
    if random.random() < 0.5:
        direction = unit_rows(direction + 3 * features.mean(axis=0, keepdims=True))
    variation = random.uniform(0, 0.15) * random.standard_normal((len(features), 1))
    return unit_rows(features + length * direction * np.clip(1 + variation, 0.5, 1.5))
