"""Made-up faces: seeded unit vectors with the structure of real face embeddings.

What is modelled, and where it comes from in real collections:

- **long tail**: few people with many faces, many people with one;
- **spread**: each person's faces scatter around a centre, each person differently;
- **modes**: an age, a beard or a pair of glasses gives a person several centres;
- **families**: lookalikes, whose centres are close to each other;
- **junk**: blurred or turned faces, which keep little of the person and share a
  direction of their own, so that they resemble each other across people;
- **spectrum**: directions differ in strength, so that strangers' similarities
  spread more than in an isotropic space of the same width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError

_BLOCK = 65_536
"""Faces made at a time."""

_JUNK_PERSON, _JUNK_SPREAD = 0.35, 0.7
"""Lengths of a junk face's person and deviation, beside 1 for the direction of all junk."""


@dataclass(frozen=True)
class SyntheticSettings:
    """What a made-up collection looks like.

    Parameters
    ----------
    n_faces
        Number of faces N.
    n_features
        Width D of the features.
    singleton_share
        Share of people with one face, in [0, 1].
    size_exponent
        The sizes s ≥ 2 of the others follow s^−exponent: the smaller, the
        longer the tail; above 1.
    max_faces_per_person
        Largest size drawn; a tenth of the faces at most, so that small
        collections have several people.
    spread
        Mean ratio of a face's deviation from its mode to the length of the
        mode, about 1 for a good embedder: two faces of one mode then have a
        cosine near 1 / (1 + spread²).
    spread_variation
        Relative standard deviation of the spread between people.
    max_modes
        Centres of one person, 1 to this number.
    mode_spread
        Ratio of a mode's deviation from the person's centre to its length.
    family_share
        Share of people who belong to a family of 2 to 4 lookalikes.
    family_similarity
        Cosine between the centres of two members of a family.
    junk_share
        Share of faces that are junk.
    spectrum_decay
        Standard deviation of direction i falls as (1 + i / 16)^−decay.
    """

    n_faces: int = 10_000
    n_features: int = 256
    singleton_share: float = 0.4
    size_exponent: float = 1.7
    max_faces_per_person: int = 300
    spread: float = 0.95
    spread_variation: float = 0.15
    max_modes: int = 3
    mode_spread: float = 0.35
    family_share: float = 0.1
    family_similarity: float = 0.45
    junk_share: float = 0.01
    spectrum_decay: float = 0.25

    def __post_init__(self) -> None:
        for name in ("n_faces", "n_features", "max_faces_per_person", "max_modes"):
            if not getattr(self, name) >= 1:
                raise InputError(f"{name}={getattr(self, name)}; it must be at least 1.")
        for name in ("singleton_share", "family_share", "family_similarity", "junk_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)}; choose from [0, 1].")
        for name in ("spread", "spread_variation", "mode_spread", "spectrum_decay"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}; it must not be negative.")
        if not self.size_exponent > 1:
            raise InputError(f"size_exponent={self.size_exponent}; it must be above 1.")


@dataclass(frozen=True, eq=False)
class SyntheticFaces:
    """A made-up collection.

    Parameters
    ----------
    features : float32 (N, D)
        Unit vectors, in random order.
    labels : int64 (N,)
        Person of each face, consecutive from 0.
    is_junk : bool (N,)
        Faces that keep little of their person.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    is_junk: NDArray[np.bool_]


def make_faces(settings: SyntheticSettings | None = None, *, seed: int = 0) -> SyntheticFaces:
    """Make up a collection of faces.

    Parameters
    ----------
    settings
        What it looks like; by default 10,000 faces of width 256.
    seed
        The same seed and settings give the same collection, whatever the
        number of threads.

    Raises
    ------
    InputError
        If the seed is negative.

    Examples
    --------
    >>> faces = make_faces(SyntheticSettings(n_faces=500, n_features=64), seed=7)
    >>> faces.features.shape, len(faces.labels)
    ((500, 64), 500)
    """
    settings = settings or SyntheticSettings()
    if seed < 0:
        raise InputError(f"seed={seed}; it must not be negative.")
    random = np.random.default_rng(seed)
    labels = _draw_labels(settings, random)
    centers = _draw_centers(settings, int(labels.max()) + 1, random)
    spreads = _draw_spreads(settings, len(centers), random)
    modes, mode_of_face = _draw_modes(settings, centers, labels, random)
    is_junk = random.random(settings.n_faces) < settings.junk_share
    junk_direction = _unit(_directions(settings, 1, random))
    features = np.empty((settings.n_faces, settings.n_features), dtype=np.float32)
    for start in range(0, settings.n_faces, _BLOCK):
        faces = slice(start, start + _BLOCK)
        deviation = _directions(settings, len(labels[faces]), random)
        person = modes[mode_of_face[faces]]
        clear = person + spreads[labels[faces], None] * deviation
        junk = _JUNK_PERSON * person + junk_direction + _JUNK_SPREAD * deviation
        features[faces] = _unit(np.where(is_junk[faces, None], junk, clear))
    return SyntheticFaces(features, labels, is_junk)


def _draw_labels(settings: SyntheticSettings, random: np.random.Generator) -> NDArray[np.int64]:
    """Person of each face: sizes from the long tail until there are enough faces, shuffled."""
    largest = min(settings.max_faces_per_person, max(2, settings.n_faces // 10))
    sizes = np.arange(2, largest + 1)
    weights = sizes.astype(np.float64) ** -settings.size_exponent
    drawn: list[NDArray[np.int64]] = []
    n_drawn = 0
    while n_drawn < settings.n_faces:
        block = np.ones(1 + settings.n_faces // 8, dtype=np.int64)
        if len(sizes):
            several = random.random(len(block)) >= settings.singleton_share
            block[several] = random.choice(
                sizes, size=int(several.sum()), p=weights / weights.sum()
            )
        drawn.append(block)
        n_drawn += int(block.sum())
    all_sizes = np.concatenate(drawn)
    labels = np.repeat(np.arange(len(all_sizes)), all_sizes)[: settings.n_faces]
    return random.permutation(labels)


def _draw_centers(
    settings: SyntheticSettings, n_people: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Unit centres (P, D); members of a family share a direction."""
    centers = _unit(_directions(settings, n_people, random))
    n_related = int(settings.family_share * n_people)
    related = random.permutation(n_people)[:n_related]
    family_sizes = random.integers(2, 5, size=n_related)
    family = np.repeat(np.arange(n_related), family_sizes)[:n_related]
    shared = _unit(_directions(settings, max(1, n_related), random))
    similarity = np.float32(settings.family_similarity)
    centers[related] = _unit(
        np.sqrt(similarity) * shared[family] + np.sqrt(1 - similarity) * centers[related]
    )
    return centers


def _draw_spreads(
    settings: SyntheticSettings, n_people: int, random: np.random.Generator
) -> NDArray[np.float32]:
    relative = 1 + settings.spread_variation * random.standard_normal(n_people)
    return (settings.spread * np.clip(relative, 0.3, 2.0)).astype(np.float32)


def _draw_modes(
    settings: SyntheticSettings,
    centers: NDArray[np.float32],
    labels: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit modes of all people, (M, D), and the mode of each face, (N,)."""
    n_modes = random.integers(1, settings.max_modes + 1, size=len(centers))
    owners = np.repeat(np.arange(len(centers)), n_modes)
    deviation = settings.mode_spread * _directions(settings, len(owners), random)
    first_modes = np.cumsum(n_modes) - n_modes
    mode_of_face = first_modes[labels] + random.integers(0, n_modes[labels])
    return _unit(centers[owners] + deviation), mode_of_face


def _directions(
    settings: SyntheticSettings, n: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Random vectors (n, D) of mean squared length 1 with the decaying spectrum."""
    scale = (1 + np.arange(settings.n_features) / 16) ** -settings.spectrum_decay
    scale /= np.linalg.norm(scale)
    vectors = random.standard_normal((n, settings.n_features), dtype=np.float32)
    return vectors * scale.astype(np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)
