"""The default path on changed collections, beside cosine thresholds that need to be chosen.

Three ways of grouping each case: facelink as it is, with nothing chosen; links by plain
cosine, cut at the threshold that suits the labels of this very case best; and, where a
threshold is given that was chosen elsewhere, cosine links cut there. The second is more
than any user could do, the third what an untuned competitor does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelink.benchmark.cases import WHOLE, Case, robustness_cases
from facelink.benchmark.changes import some_people
from facelink.benchmark.cosine import best_threshold
from facelink.benchmark.scored import Scored, timed
from facelink.clustering import LinkageClustering
from facelink.errors import InputError
from facelink.link_prediction import similarity_links
from facelink.linking import subgraph_settings
from facelink.merging.threshold import merge_threshold
from facelink.metrics import clustering_scores, pairwise_scores
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.models.loading import LinkModel
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.training.face_sets import FaceSet

FACELINK = "facelink"
BEST_COSINE = "cosine, best threshold for these labels"
FIXED_COSINE = "cosine > {}"

_WARM_UP_FACES = 64


@dataclass(frozen=True)
class RobustnessSettings:
    """What is measured.

    Parameters
    ----------
    fixed_cosine
        Cosine in [−1, 1] at which links are cut in every case, chosen on other faces.
    n_draws
        Draws of small sets, and people who are grouped alone, at each size.
    n_large_person
        Faces of the made-up person who stands beside people of one face.
    max_faces
        Of a larger collection random whole people are taken, about so many faces.
    seed
        The same seed gives the same cases.
    """

    fixed_cosine: float | None = None
    n_draws: int = 5
    n_large_person: int = 3_000
    max_faces: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fixed_cosine is not None and not -1 <= self.fixed_cosine <= 1:
            raise InputError(f"fixed_cosine={self.fixed_cosine}; a cosine lies in [−1, 1].")
        for name, least in (("n_draws", 1), ("n_large_person", 1), ("max_faces", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)}; give at least {least}.")


@dataclass(frozen=True)
class CaseScores(Scored):
    """One way of grouping one case.

    Parameters
    ----------
    strangers_taken : float, optional
        Share, in [0, 1], of the faces that are not scored which were put with one that is.
    flipped : float, optional
        Share, in [0, 1], of the pairs together here or in the grouping of the whole
        collection which are not together in both.
    best_pairwise_f, best_bcubed_f : float, optional
        Where a threshold is chosen on the labels: the best of each, at thresholds of their own.
    """

    strangers_taken: float | None = None
    flipped: float | None = None
    best_pairwise_f: float | None = None
    best_bcubed_f: float | None = None


@dataclass(frozen=True)
class CaseResult:
    """Every way of grouping one case."""

    family: str
    name: str
    n_faces: int
    groupings: tuple[CaseScores, ...]


@dataclass(frozen=True)
class Robustness:
    """The cases of one collection, in order; several draws of a case follow each other."""

    collection: str
    strangers: str
    settings: RobustnessSettings
    results: tuple[CaseResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Grouping:
    method: str
    labels: NDArray[np.int64]
    seconds: float
    threshold: float | None = None
    best: tuple[float, float] | None = None


@dataclass
class _Study:
    """Groups cases in turn; remembers the grouping of the whole collection."""

    models: Mapping[str, LinkModel]
    fixed_cosine: float | None
    whole: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def result(self, case: Case) -> CaseResult:
        groupings = list(self._groupings(case))
        if case.name == WHOLE:
            self.whole = {each.method: each.labels for each in groupings}
        scored = tuple(self._scores(case, each) for each in groupings)
        return CaseResult(case.family, case.name, case.faces.n_faces, scored)

    def _groupings(self, case: Case) -> Iterator[_Grouping]:
        features = case.faces.features
        models = {
            name: model
            for name, model in self.models.items()
            if not isinstance(model, LinkGCN) or model.config.n_features == features.shape[1]
        }
        needed = [subgraph_settings(m, len(features)).n_neighbors for m in models.values()]
        graph, search = timed(lambda: find_neighbors(features, max(needed)))
        for name, model in models.items():
            found, seconds = timed(partial(_labels_by, model, features, graph))
            yield _Grouping(name, found, search + seconds)
        yield from self._by_cosine(case, graph, search)

    def _by_cosine(self, case: Case, graph: NeighborGraph, search: float) -> Iterator[_Grouping]:
        k = subgraph_settings(None, case.faces.n_faces).k_at_hop[0]
        links, linking = timed(lambda: similarity_links(graph, k))
        best = best_threshold(links, case.faces.labels, case.n_scored)
        merged, merging = timed(lambda: merge_threshold(links, best.threshold))
        yield _Grouping(
            BEST_COSINE,
            merged.labels,
            search + linking + merging,
            best.threshold,
            (best.best_pairwise_f, best.best_bcubed_f),
        )
        if self.fixed_cosine is not None:
            threshold = (1 + self.fixed_cosine) / 2
            merged, merging = timed(lambda: merge_threshold(links, threshold))
            name = FIXED_COSINE.format(self.fixed_cosine)
            yield _Grouping(name, merged.labels, search + linking + merging, threshold)

    def _scores(self, case: Case, grouping: _Grouping) -> CaseScores:
        labels, n_scored = grouping.labels, case.n_scored
        flipped = None
        if case.origins is not None and grouping.method in self.whole:
            flipped = flipped_share(self.whole[grouping.method][case.origins], labels)
        best_pairwise_f, best_bcubed_f = grouping.best or (None, None)
        return CaseScores(
            grouping.method,
            clustering_scores(case.faces.labels[:n_scored], labels[:n_scored]),
            grouping.seconds,
            threshold=grouping.threshold,
            strangers_taken=_taken_share(labels, n_scored),
            flipped=flipped,
            best_pairwise_f=best_pairwise_f,
            best_bcubed_f=best_bcubed_f,
        )


def measure_robustness(
    collection: FaceSet,
    strangers: FaceSet | None = None,
    settings: RobustnessSettings | None = None,
    *,
    models: Mapping[str, LinkModel] | None = None,
    on_case: Callable[[CaseResult], None] | None = None,
) -> Robustness:
    """Group every changed form of a collection and score it.

    Parameters
    ----------
    collection
        Labelled faces of at least 10 people.
    strangers
        Distractors; see `robustness_cases`.
    settings
        What is measured.
    models
        Further models by name, each with its own way of merging. A LinkGCN takes no part in
        cases of another width than its own.
    on_case
        Called after each case: a whole collection of ten thousand faces takes seconds.

    Raises
    ------
    InputError
        If the collections do not allow the cases.
    """
    settings = settings or RobustnessSettings()
    if collection.n_faces > settings.max_faces:
        random = np.random.default_rng(settings.seed)
        people = some_people(collection.labels, settings.max_faces, random)
        collection = collection.take(people)
    study = _Study({FACELINK: ContextGCN.pretrained(), **(models or {})}, settings.fixed_cosine)
    results: list[CaseResult] = []
    for case in robustness_cases(
        collection,
        strangers,
        n_draws=settings.n_draws,
        n_large_person=settings.n_large_person,
        seed=settings.seed,
    ):
        if not results:
            study.result(_warm_up(case))
        results.append(study.result(case))
        if on_case is not None:
            on_case(results[-1])
    source = "made up" if strangers is None else strangers.name
    return Robustness(collection.name, source, settings, tuple(results))


def flipped_share(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Share of the pairs of faces together in one grouping that are not in the other, in [0, 1]."""
    same_in_both = pairwise_scores(before, after)
    if 0 in (same_in_both.precision, same_in_both.recall):
        return 1.0
    return 1 - 1 / (1 / same_in_both.precision + 1 / same_in_both.recall - 1)


def _labels_by(
    model: LinkModel, features: NDArray[np.float32], graph: NeighborGraph
) -> NDArray[np.int64]:
    return LinkageClustering(model).fit(features, neighbor_graph=graph).labels_


def _warm_up(case: Case) -> Case:
    """A few faces of a case: compiles what the first timing must not count."""
    few = case.faces.take(np.arange(min(_WARM_UP_FACES, case.faces.n_faces)))
    return Case.of(case.family, "warm-up", few)


def _taken_share(labels: NDArray[np.int64], n_scored: int) -> float | None:
    """Share of the faces after the scored ones that are in a cluster of one of these."""
    if n_scored == len(labels):
        return None
    return float(np.isin(labels[n_scored:], labels[:n_scored]).mean())
