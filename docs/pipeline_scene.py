"""The people that docs/pipeline.png shows, and what each stage of facelink makes of them.

A small LinkGCN is trained on other made-up people first. The people shown are
picked so that there is something to see: two of them look alike, and the cosine
threshold that is best for this set joins them. That makes the picture an
illustration of the stages, not a measurement.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.link_prediction import combine_directions, predict_likelihoods, similarity_links
from facelink.links import Links
from facelink.merging.merge import merge_links
from facelink.metrics import bcubed_scores
from facelink.models.link_gcn import LinkGCN, LinkGCNConfig
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import PivotSubgraph, SubgraphBuilder, SubgraphSettings
from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import train_link_gcn

N_FEATURES = 32

_PEOPLE = SyntheticSettings(
    n_faces=12_000,
    n_features=N_FEATURES,
    spread=0.8,
    max_faces_per_person=30,
    singleton_share=0.2,
    size_exponent=1.2,
    family_share=0.5,
    family_similarity=0.6,
    max_modes=1,
    junk_share=0.0,
    spectrum_decay=0.0,
)
_SUBGRAPHS = SubgraphSettings((12, 4), 4)
_MODEL = LinkGCNConfig(N_FEATURES, (128, 128, 64, 64), subgraphs=_SUBGRAPHS)
_TRAINING = TrainingSettings(
    subgraphs=_SUBGRAPHS,
    epochs=6,
    batch_size=32,
    optimizer="adamw",
    learning_rate=2e-3,
    schedule="cosine",
)
_TRAINING_SEED, _SHOWN_SEED = 1, 2

_N_OTHERS, _N_ALONE = 6, 3
"""People shown beside the two who look alike: with several faces, and with one."""

_SIZES = (10, 18)
"""Fewest and most faces of a person shown who has several."""

_ALIKE, _UNALIKE = (0.4, 0.6), 0.35
"""Cosine between the centres of the two, and at most between those of all others."""

_COSINES = np.round(np.arange(0.3, 0.9, 0.01), 2)
"""Thresholds to find the best one among."""

_LEAST_NEIGHBORS = 3
"""Neighbours that the pivot has of either of the two."""

_CLEAR_GAP = 0.5
"""A gap in the likelihoods of the pivot's links that can be seen."""


@dataclass(frozen=True, eq=False)
class Pivot:
    """The face whose links are shown, and by how much its likelihoods tell the two apart."""

    instance: int
    gap: float


@dataclass(frozen=True, eq=False)
class Scene:
    """What the stages made of N faces.

    Parameters
    ----------
    alike : int64 (2,)
        The two people who look alike, the pivot's first.
    cosine : float
        The threshold that is best for these faces and yet joins the two.
    likelihoods : float32 (N, k1)
        Of each face's link with each of its neighbours, nearest first.
    threshold : float
        Likelihood at which merging starts.
    """

    features: NDArray[np.float32]
    labels_true: NDArray[np.int64]
    alike: NDArray[np.int64]
    cosine: float
    graph: NeighborGraph
    likelihoods: NDArray[np.float32]
    links: Links
    threshold: float
    labels_pred: NDArray[np.int64]
    pivot: Pivot

    @property
    def fscore(self) -> float:
        """BCubed F of the people found."""
        return bcubed_scores(self.labels_true, self.labels_pred).fscore

    @property
    def subgraph(self) -> PivotSubgraph:
        """The pivot's."""
        return SubgraphBuilder(self.graph, _SUBGRAPHS).build([self.pivot.instance])[0]


def make_scene() -> Scene:
    """Train a model, and take the people whom it groups best around a clear pivot."""
    model = _trained_model()
    return max(
        _scenes(model),
        key=lambda scene: (scene.pivot.gap >= _CLEAR_GAP, scene.fscore, scene.pivot.gap),
    )


def _trained_model() -> LinkGCN:
    known = make_faces(_PEOPLE, seed=_TRAINING_SEED)
    with tempfile.TemporaryDirectory() as folder:
        train_link_gcn([FaceSet("known", known.features, known.labels)], _MODEL, _TRAINING, folder)
        return LinkGCN.from_pretrained(folder)


def _scenes(model: LinkGCN) -> Iterator[Scene]:
    """Every set of people in which the best cosine threshold joins the two who look alike."""
    for alike, features, labels in _sets_of_people():
        graph = find_neighbors(features, _SUBGRAPHS.n_neighbors, "exact")
        by_cosine = similarity_links(graph, _SUBGRAPHS.k_at_hop[0])
        cosine = _best_cosine(by_cosine, labels)
        if not _are_joined(alike, labels, _joined_by(by_cosine, cosine)):
            continue
        likelihoods = predict_likelihoods(model, features, graph, _SUBGRAPHS)
        pivot = _clearest_pivot(alike, labels, graph, likelihoods)
        if pivot is None:
            continue
        links = combine_directions(graph, likelihoods)
        threshold = model.config.initial_threshold
        merged = merge_links(links, initial_threshold=threshold)
        yield Scene(
            features,
            labels,
            alike if labels[pivot.instance] == alike[0] else alike[::-1],
            cosine,
            graph,
            likelihoods,
            links,
            threshold,
            merged.labels,
            pivot,
        )


SetOfPeople = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


def _sets_of_people() -> Iterator[SetOfPeople]:
    """Two people who look alike among others who do not: the two, features and labels of all."""
    faces = make_faces(_PEOPLE, seed=_SHOWN_SEED)
    sizes = np.bincount(faces.labels)
    centers = np.zeros((len(sizes), N_FEATURES))
    np.add.at(centers, faces.labels, faces.features)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    cosines = centers @ centers.T
    several = np.flatnonzero((sizes >= _SIZES[0]) & (sizes <= _SIZES[1]))
    alone = np.flatnonzero(sizes == 1)
    random = np.random.default_rng(_SHOWN_SEED)
    for first in several:
        is_alike = (cosines[first, several] > _ALIKE[0]) & (cosines[first, several] < _ALIKE[1])
        for second in several[is_alike & (several > first)]:
            shown = [first, second]
            for person in random.permutation(several):
                if len(shown) < 2 + _N_OTHERS and cosines[person, shown].max() < _UNALIKE:
                    shown.append(person)
            shown.extend(random.choice(alone, _N_ALONE, replace=False))
            chosen = np.flatnonzero(np.isin(faces.labels, shown))
            yield np.array(shown[:2]), faces.features[chosen], faces.labels[chosen]


def _best_cosine(by_cosine: Links, labels: NDArray[np.int64]) -> float:
    """The threshold with the best BCubed F."""
    scores = [bcubed_scores(labels, _joined_by(by_cosine, cosine)).fscore for cosine in _COSINES]
    return float(_COSINES[int(np.argmax(scores))])


def _joined_by(by_cosine: Links, cosine: float) -> NDArray[np.int64]:
    """Groups of faces that links of at least this cosine join."""
    return merge_links(by_cosine, "threshold", initial_threshold=(1 + cosine) / 2).labels


def _are_joined(
    alike: NDArray[np.int64], labels: NDArray[np.int64], labels_pred: NDArray[np.int64]
) -> bool:
    """Whether most faces of both people are in one group."""
    first, second = (np.bincount(labels_pred[labels == person]).argmax() for person in alike)
    return bool(first == second)


def _clearest_pivot(
    alike: NDArray[np.int64],
    labels: NDArray[np.int64],
    graph: NeighborGraph,
    likelihoods: NDArray[np.float32],
) -> Pivot | None:
    """The face with neighbours of both people whose likelihoods tell them apart best."""
    neighbors = labels[graph.indices[:, : likelihoods.shape[1]]]
    best = None
    for instance in np.flatnonzero(np.isin(labels, alike)):
        is_own = neighbors[instance] == labels[instance]
        n_other = np.isin(neighbors[instance], alike).sum() - is_own.sum()
        if min(is_own.sum(), n_other) < _LEAST_NEIGHBORS:
            continue
        gap = likelihoods[instance, is_own].min() - likelihoods[instance, ~is_own].max()
        if best is None or gap > best.gap:
            best = Pivot(int(instance), float(gap))
    return best
