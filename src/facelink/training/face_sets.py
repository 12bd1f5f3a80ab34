"""Labelled sets of faces, split by identity and drawn anew in other size regimes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.features import load_features
from facelink.labels import check_labels, load_labels
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings

_LEAST_FACES = 64
"""A drawn collection has at least this many faces, or all there are."""

_MIXED_SHARE = 0.35
"""How often faces of all sets are drawn into one collection."""


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces with their people.

    Parameters
    ----------
    name : str
        For messages and reports.
    features : float32 (N, D)
        L2-normalised rows.
    labels : int64 (N,)
        Person of each face; people of different sets are different.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.features) != len(self.labels):
            raise InputError(
                f"{self.name}: features of shape {self.features.shape} but {len(self.labels)} "
                "labels; each face needs one label."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def load(
        cls, features: Path, labels: Path, name: str | None = None, *, dim: int | None = None
    ) -> Self:
        """Read features and the person of each face; a .bin file is as wide as the labels tell.

        Called by the path of the features unless it is given a name; `InputError` says what
        does not fit.
        """
        people = load_labels(labels)
        is_width_unknown = features.suffix.lower() == ".bin" and dim is None
        rows = load_features(
            features, dim=dim, n_instances=len(people) if is_width_unknown else None
        )
        check_labels(people, len(rows), f"labels {labels}")
        return cls(name or str(features), rows, people)

    @property
    def n_faces(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def n_features(self) -> int:
        """Width D of the features."""
        return int(self.features.shape[1])

    def take(self, faces: NDArray[np.integer], name: str | None = None) -> Self:
        """Only these faces, in this order."""
        return type(self)(name or self.name, self.features[faces], self.labels[faces])


@dataclass(frozen=True, eq=False)
class Collection:
    """A face set with its neighbour graph, as wide as the subgraph settings need."""

    faces: FaceSet
    graph: NeighborGraph
    subgraphs: SubgraphSettings

    @classmethod
    def of(cls, faces: FaceSet, subgraphs: SubgraphSettings) -> "Collection":
        """Search the neighbours; where there are too few faces, the others are missing."""
        width = subgraphs.n_neighbors
        graph = find_neighbors(faces.features, min(width, len(faces) - 1))
        missing = ((0, 0), (0, width - graph.n_neighbors))
        padded = NeighborGraph(
            np.pad(graph.indices, missing, constant_values=MISSING),
            np.pad(graph.similarities, missing, constant_values=-np.inf),
            graph.method,
        )
        return cls(faces, padded, subgraphs)

    @classmethod
    def side_by_side(cls, collections: Sequence["Collection"]) -> "Collection":
        """Several collections as one, in which no face has neighbours of another."""
        starts = np.cumsum([0] + [len(collection.faces) for collection in collections[:-1]])
        indices = [
            np.where(collection.graph.indices == MISSING, MISSING, collection.graph.indices + start)
            for start, collection in zip(starts, collections, strict=True)
        ]
        graph = NeighborGraph(
            np.concatenate(indices).astype(np.int32),
            np.concatenate([collection.graph.similarities for collection in collections]),
        )
        faces = merge_face_sets([collection.faces for collection in collections], "side by side")
        return cls(faces, graph, collections[0].subgraphs)

    def is_linked(
        self, pivots: NDArray[np.integer], nodes: NDArray[np.integer]
    ) -> NDArray[np.bool_]:
        """Whether two faces are of one person, element by element."""
        same: NDArray[np.bool_] = self.faces.labels[pivots] == self.faces.labels[nodes]
        return same


def check_face_sets(face_sets: Sequence[FaceSet]) -> None:
    """Raise `InputError` unless there are sets of one width, each with two linked faces."""
    if not face_sets:
        raise InputError("no training set; give at least one pair of features and labels.")
    if len({faces.n_features for faces in face_sets}) > 1:
        listed = ", ".join(f"{faces.name}: {faces.n_features}" for faces in face_sets)
        raise InputError(
            f"training sets have different widths ({listed}); one model reads one embedder's "
            "features."
        )
    for faces in face_sets:
        if faces.labels.min() < 0:
            raise InputError(
                f"{faces.name}: label {faces.labels.min()}; training needs to know everyone, so "
                "leave out the faces whose person is unknown."
            )
        sizes = np.unique(faces.labels, return_counts=True)[1]
        if len(sizes) < 4 or sizes.max() < 2:
            raise InputError(
                f"{faces.name}: {len(sizes)} people, the largest with {sizes.max(initial=0)} "
                "faces; training needs at least 4 people and someone with 2 faces."
            )


def split_by_identity(faces: FaceSet, share: float, seed: int) -> tuple[FaceSet, FaceSet]:
    """Hold out a share of the people: (training faces, validation faces).

    At least two people are on either side.
    """
    people = np.unique(faces.labels)
    n_held_out = min(len(people) - 2, max(2, round(share * len(people))))
    held_out = np.random.default_rng(seed).permutation(people)[:n_held_out]
    is_held_out = np.isin(faces.labels, held_out)
    return faces.take(np.flatnonzero(~is_held_out)), faces.take(np.flatnonzero(is_held_out))


def merge_face_sets(face_sets: Sequence[FaceSet], name: str) -> FaceSet:
    """All faces in one set; people keep apart."""
    labels, n_people = [], 0
    for faces in face_sets:
        people, codes = np.unique(faces.labels, return_inverse=True)
        labels.append(codes + n_people)
        n_people += len(people)
    features = np.concatenate([faces.features for faces in face_sets])
    return FaceSet(name, features, np.concatenate(labels))


def draw_collection(
    face_sets: Sequence[FaceSet], random: np.random.Generator, max_faces: int
) -> FaceSet:
    """Draw people and cluster sizes anew, from one set or from all of them together.

    A draw keeps a share of the people and then either everything of them, at
    most a fixed number of faces of each, or sizes from a power law; in half of
    the draws a share of the people keeps a single face.
    """
    weights = np.sqrt([len(faces) for faces in face_sets])
    if len(face_sets) > 1 and random.random() < _MIXED_SHARE:
        source = merge_face_sets(face_sets, "mixed")
    else:
        source = face_sets[random.choice(len(face_sets), p=weights / weights.sum())]
    people, codes = np.unique(source.labels, return_inverse=True)
    order = random.permutation(len(people))
    kept = order[: max(2, round(len(people) * np.exp(random.uniform(np.log(0.1), 0))))]
    sizes = np.zeros(len(people), dtype=np.int64)
    sizes[kept] = _draw_sizes(len(kept), random)
    chosen = _first_of_each(codes, sizes, random)
    if len(chosen) < min(_LEAST_FACES, len(source)):
        chosen = random.permutation(len(source))
    return source.take(chosen[:max_faces])


def limit_faces(faces: FaceSet, max_faces: int, random: np.random.Generator) -> FaceSet:
    """Keep whole people, in random order, until the number of faces is reached."""
    people, codes, sizes = np.unique(faces.labels, return_inverse=True, return_counts=True)
    order = random.permutation(len(people))
    n_kept = max(2, int(np.searchsorted(np.cumsum(sizes[order]), max_faces, side="right")))
    return faces.take(np.flatnonzero(np.isin(codes, order[:n_kept])))


def cap_sizes(faces: FaceSet, sizes: NDArray[np.integer], random: np.random.Generator) -> FaceSet:
    """Keep at most ``sizes[i]`` random faces of the i-th person (in order of label)."""
    codes = np.unique(faces.labels, return_inverse=True)[1]
    return faces.take(_first_of_each(codes, np.asarray(sizes), random))


def power_law_sizes(
    n_people: int, exponent: float, random: np.random.Generator
) -> NDArray[np.int64]:
    """Sizes s ≥ 1 that follow s^−exponent, int64 (n_people,)."""
    uniform = 1 - random.random(n_people)  # in (0, 1]
    return np.minimum(uniform ** (-1 / (exponent - 1)), 1e6).astype(np.int64)


def _draw_sizes(n_people: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Largest number of faces to keep of each person."""
    rule = random.choice(("natural", "capped", "power_law"), p=(0.3, 0.35, 0.35))
    if rule == "natural":
        sizes = np.full(n_people, np.iinfo(np.int64).max)
    elif rule == "capped":
        sizes = np.full(n_people, int(np.exp(random.uniform(np.log(2), np.log(100)))))
    else:
        sizes = power_law_sizes(n_people, random.uniform(1.5, 2.5), random)
    if random.random() < 0.5:
        sizes[random.random(n_people) < random.uniform(0.2, 0.9)] = 1
    return sizes


def _first_of_each(
    codes: NDArray[np.integer], sizes: NDArray[np.integer], random: np.random.Generator
) -> NDArray[np.int64]:
    """Random faces, at most ``sizes[code]`` of each person, in random order."""
    order = random.permutation(len(codes))
    by_person = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes, minlength=len(sizes))
    rank = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(codes), dtype=bool)
    chosen[by_person] = rank < sizes[codes[by_person]]
    return order[chosen[order]]
