"""Collections drawn for training: people, sizes and embedders that differ from draw to draw."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training.context.embedders import (
    add_noise,
    draw_embedder,
    make_families,
    sharpen,
    unit_rows,
)
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.face_sets import (
    FaceSet,
    cap_sizes,
    limit_faces,
    merge_face_sets,
    power_law_sizes,
)

FaceSets = Mapping[str, Sequence[FaceSet]]
"""Embedder → sets of faces; the i-th set of every embedder holds the same faces in one order."""

_ALL = np.iinfo(np.int64).max

_MIXED_SHARE = 0.35
_TWO_EMBEDDERS_SHARE = 0.25
_TINY_SHARE = 0.15
_ALONE_SHARE = 0.3
_GROWN_SHARE = 0.4
_STRONGER_SHARE = 0.4
_FAMILIES_SHARE = 0.35
_OTHER_EMBEDDER_SHARE = 0.6
_REPEATED_SHARE = 0.1
_LEAST_PEOPLE = 8
_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 1024)


def log_uniform(lowest: float, highest: float, random: np.random.Generator) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(lowest), np.log(highest))))


def draw_faces(
    face_sets: FaceSets, settings: ContextTrainingSettings, random: np.random.Generator
) -> FaceSet:
    """Draw one collection, in random order.

    Parameters
    ----------
    face_sets
        Real people.
    settings
        The largest collection and the share of made-up people.
    random
        Decides everything.

    Returns
    -------
    FaceSet
        At least 2 faces.
    """
    if random.random() < settings.made_up_share:
        faces = _draw_made_up(random)
        changed_share = _OTHER_EMBEDDER_SHARE / 2
    else:
        faces = _draw_real(face_sets, settings, random)
        changed_share = _OTHER_EMBEDDER_SHARE
    if random.random() < _STRONGER_SHARE:
        sharpened = sharpen(faces.features, faces.labels, random.uniform(0, 3), random)
        faces = FaceSet(faces.name, sharpened, faces.labels)
    if random.random() < _FAMILIES_SHARE:
        alike = make_families(faces.features, faces.labels, random.uniform(0.05, 0.6), random)
        faces = FaceSet(faces.name, alike, faces.labels)
    if random.random() < changed_share:
        faces = FaceSet(faces.name, draw_embedder(faces.features, random), faces.labels)
    if random.random() < _REPEATED_SHARE:
        faces = repeat_faces(faces, random)
    return faces.take(random.permutation(len(faces))[: settings.max_faces])


def draw_k(n_faces: int, settings: ContextTrainingSettings, random: np.random.Generator) -> int:
    """Neighbours to judge in a collection of this size."""
    k = settings.max_k
    if random.random() >= settings.max_k_share:
        k = int(log_uniform(settings.min_k, settings.max_k + 1, random))
    return max(1, min(k, n_faces - 1))


def _draw_real(
    face_sets: FaceSets, settings: ContextTrainingSettings, random: np.random.Generator
) -> FaceSet:
    faces = _draw_source(face_sets, random)
    faces = cap_sizes(faces, _draw_sizes(faces.labels, random), random)
    is_tiny = random.random() < _TINY_SHARE
    lowest, highest = (3, 200) if is_tiny else (200, max(201, settings.max_faces))
    faces = limit_faces(faces, int(log_uniform(lowest, highest, random)), random)
    if is_tiny and random.random() < _ALONE_SHARE:
        _, codes, sizes = np.unique(faces.labels, return_inverse=True, return_counts=True)
        return faces.take(np.flatnonzero(codes == sizes.argmax())) if sizes.max() > 1 else faces
    return grow_people(faces, random) if random.random() < _GROWN_SHARE else faces


def _draw_source(face_sets: FaceSets, random: np.random.Generator) -> FaceSet:
    """One set or all of them, by one embedder or by two side by side."""
    embedders = list(face_sets)
    n_sets = len(face_sets[embedders[0]])
    is_mixed = n_sets > 1 and random.random() < _MIXED_SHARE
    chosen = list(range(n_sets)) if is_mixed else [int(random.integers(n_sets))]
    n_embedders = 1 + (len(embedders) > 1 and random.random() < _TWO_EMBEDDERS_SHARE)
    names = random.choice(embedders, size=n_embedders, replace=False)
    by_embedder = [
        merge_face_sets([face_sets[str(name)][number] for number in chosen], str(name))
        for name in names
    ]
    if n_embedders == 1:
        return by_embedder[0]
    weighted = [random.uniform(0.3, 1) * faces.features for faces in by_embedder]
    features = unit_rows(np.concatenate(weighted, axis=1))
    return FaceSet("+".join(names), features, by_embedder[0].labels)


def _draw_sizes(labels: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Largest number of faces to keep of each person; 0 for those left out."""
    available = np.unique(labels, return_counts=True)[1]
    n_people = len(available)
    kept = random.permutation(n_people)[: max(2, round(n_people * log_uniform(0.08, 1, random)))]
    rule = random.choice(("natural", "capped", "power_law", "few_large"), p=(0.3, 0.25, 0.25, 0.2))
    if rule == "natural":
        sizes = np.full(len(kept), _ALL)
    elif rule == "capped":
        sizes = np.full(len(kept), int(log_uniform(2, 120, random)))
    elif rule == "power_law":
        sizes = power_law_sizes(len(kept), random.uniform(1.4, 2.5), random)
    else:
        sizes = np.ones(len(kept), dtype=np.int64)
        sizes[np.argsort(-available[kept])[: int(log_uniform(1, 30, random))]] = _ALL
    if random.random() < 0.4:
        sizes[random.random(len(kept)) < random.uniform(0.2, 0.95)] = 1
    all_sizes = np.zeros(n_people, dtype=np.int64)
    all_sizes[kept] = sizes
    return all_sizes


def grow_people(faces: FaceSet, random: np.random.Generator) -> FaceSet:
    """Give some people many more faces: blends of two of theirs, and noise of their own spread.

    People with at least 4 faces can grow; where they are many, in 6 of 10 draws
    nobody else is kept.
    """
    people, codes, sizes = np.unique(faces.labels, return_inverse=True, return_counts=True)
    n_grown = int(log_uniform(1, 60, random))
    grown = random.permutation(np.flatnonzero(sizes >= 4))[:n_grown]
    if len(grown) == 0:
        return faces
    largest = log_uniform(40, 1_000, random)
    is_kept = np.ones(len(faces), dtype=bool)
    if random.random() < 0.6 and len(grown) >= _LEAST_PEOPLE:
        is_kept = np.isin(codes, grown)
    features, labels = [faces.features[is_kept]], [faces.labels[is_kept]]
    for person in grown:
        own = faces.features[codes == person]
        n_new = int(log_uniform(largest / 4, largest, random))
        features.append(_blends(own, n_new, random))
        labels.append(np.full(n_new, people[person]))
    return FaceSet(faces.name, np.concatenate(features), np.concatenate(labels))


def _blends(
    own: NDArray[np.float32], n_new: int, random: np.random.Generator
) -> NDArray[np.float32]:
    first, second = own[random.integers(len(own), size=(2, n_new))]
    weight = random.random((n_new, 1))
    spread = np.sqrt(max(0.05, 1 - float(np.linalg.norm(own.mean(axis=0))) ** 2))
    blended = unit_rows(weight * first + (1 - weight) * second)
    return add_noise(blended, spread * random.uniform(0.3, 1.0), 0.3, random)


def repeat_faces(faces: FaceSet, random: np.random.Generator) -> FaceSet:
    """Repeat 1 to 20 % of the faces: exactly, or with a little noise as in a burst of photos."""
    n_repeated = max(1, int(len(faces) * random.uniform(0.01, 0.2)))
    again = faces.take(random.integers(len(faces), size=n_repeated))
    features = again.features
    if random.random() < 0.7:
        features = add_noise(features, random.uniform(0.01, 0.4), 0.0, random)
    return FaceSet(
        faces.name,
        np.concatenate([faces.features, features]),
        np.concatenate([faces.labels, again.labels]),
    )


def _draw_made_up(random: np.random.Generator) -> FaceSet:
    """Made-up people; in 4 of 10 draws most of them have hundreds of faces."""
    n_features = int(random.choice(_WIDTHS))
    has_large = random.random() < 0.4
    settings = SyntheticSettings(
        n_faces=int(log_uniform(300, 3_000 if n_features > 512 else 8_000, random)),
        n_features=n_features,
        singleton_share=random.uniform(0, 0.3 if has_large else 0.95),
        size_exponent=random.uniform(1.01, 1.3) if has_large else random.uniform(1.2, 2.6),
        max_faces_per_person=int(
            log_uniform(100, 1_000, random) if has_large else log_uniform(5, 300, random)
        ),
        spread=random.uniform(0.6, 1.25),
        spread_variation=random.uniform(0.05, 0.35),
        max_modes=int(random.integers(1, 6)),
        mode_spread=random.uniform(0.1, 0.7),
        family_share=random.uniform(0, 0.5),
        family_similarity=random.uniform(0.2, 0.6),
        junk_share=random.uniform(0, 0.05),
        spectrum_decay=random.uniform(0, 0.7),
    )
    made = make_faces(settings, seed=int(random.integers(2**31)))
    return FaceSet("made up", made.features, made.labels)
