"""Validation in several size regimes, beside what plain cosine similarity reaches."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from facelink.calibration import Calibration, fit_calibration
from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.link_prediction import combine_directions, predict_likelihoods
from facelink.links import Links
from facelink.merging.likelihood import merge_by_likelihood
from facelink.merging.merge import merge_links
from facelink.metrics import bcubed_scores
from facelink.models.context_gcn import ContextGCN
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import MISSING
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import (
    Collection,
    FaceSet,
    cap_sizes,
    limit_faces,
    merge_face_sets,
    power_law_sizes,
)

THRESHOLDS = (*(round(0.05 * step, 2) for step in range(1, 20)), 0.97, 0.98, 0.99, 0.995, 0.999)
"""Merge thresholds that validation compares."""

_AS_GOOD_AS_THE_BEST = 0.01
"""Of thresholds whose BCubed F over all faces is this close to the best, the highest is taken.

One false link joins two people, and the more strangers a collection has, the more
false links it offers: collections in use are larger than those of validation.
"""

_MAX_FACES = 4_000
"""Faces of a validation collection: whole people, so that the regime stays as it is."""

_CAPPED_SIZE = 5
_LONG_TAIL_EXPONENT = 2.0


@dataclass(frozen=True, eq=False)
class ValidationRegime:
    """Held-out people in one distribution of cluster sizes.

    Parameters
    ----------
    name : str
        Set and regime, as ``"pins / natural"``.
    collection
        The faces and their neighbours.
    cosine_average_precision : float
        What plain cosine similarity reaches on the same links, in [0, 1].
    context_bcubed_f : float
        What the context model that ships with facelink reaches, in [0, 1].
    """

    name: str
    collection: Collection
    cosine_average_precision: float
    context_bcubed_f: float


@dataclass(frozen=True)
class RegimeScores:
    """How well a model does in one regime; all but `loss` lie in [0, 1].

    Precision and recall of links are those at a likelihood of 0.5; `bcubed_f`
    is that of the clustering at the threshold chosen for all regimes,
    `context_bcubed_f` that of the context model that ships with facelink.
    """

    regime: str
    n_faces: int
    loss: float
    link_precision: float
    link_recall: float
    average_precision: float
    cosine_average_precision: float
    bcubed_f: float
    context_bcubed_f: float


@dataclass(frozen=True)
class ValidationScores:
    """Scores of every regime and the merge threshold chosen on all their faces.

    Parameters
    ----------
    regimes
        Scores in each, those of clustering at `threshold`.
    threshold : float
        The highest of those that are nearly as good as the best, in [0, 1].
    best_bcubed_f : float
        BCubed F over all faces at the best threshold, in [0, 1]: by it epochs
        are compared, since the chosen threshold gives away a little of its own.
    calibration
        Fitted to the links of all regimes.
    """

    regimes: tuple[RegimeScores, ...]
    threshold: float
    best_bcubed_f: float
    calibration: Calibration

    @property
    def average_precision(self) -> float:
        """Mean over regimes."""
        return float(np.mean([scores.average_precision for scores in self.regimes]))

    @property
    def cosine_average_precision(self) -> float:
        """Mean over regimes."""
        return float(np.mean([scores.cosine_average_precision for scores in self.regimes]))

    @property
    def bcubed_f(self) -> float:
        """Mean over the faces of all regimes, so that tiny regimes do not decide."""
        return self._over_faces([scores.bcubed_f for scores in self.regimes])

    @property
    def context_bcubed_f(self) -> float:
        """Of the context model that ships with facelink, over the same faces."""
        return self._over_faces([scores.context_bcubed_f for scores in self.regimes])

    def _over_faces(self, values: list[float]) -> float:
        weights = [scores.n_faces for scores in self.regimes]
        return float(np.average(values, weights=weights))

    @property
    def worse_than_cosine(self) -> tuple[str, ...]:
        """Regimes in which plain cosine similarity ranks links better than the model."""
        return tuple(
            scores.regime
            for scores in self.regimes
            if scores.average_precision < scores.cosine_average_precision
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ValidationScores":
        """Read the JSON form; ValueError, TypeError or KeyError for values that are none."""
        regimes = tuple(RegimeScores(**scores) for scores in values["regimes"])
        calibration = Calibration(**values["calibration"])
        numbers = [values["threshold"], values["best_bcubed_f"]]
        numbers += [value for scores in regimes for value in astuple(scores)[1:]]
        if not regimes or not all(isinstance(number, int | float) for number in numbers):
            raise ValueError("scores that are no numbers")
        return cls(regimes, values["threshold"], values["best_bcubed_f"], calibration)


def validation_regimes(
    face_sets: Sequence[FaceSet], subgraphs: SubgraphSettings, seed: int
) -> list[ValidationRegime]:
    """Make the regimes: each set as it is, capped and long-tailed, and all sets mixed.

    A regime without two linked neighbours, or without two that are not linked,
    measures nothing and is left out.

    Raises
    ------
    InputError
        If every regime is such a one.
    """
    random = np.random.default_rng(seed)
    regimes = []
    for faces in face_sets:
        n_people = len(np.unique(faces.labels))
        long_tail = power_law_sizes(n_people, _LONG_TAIL_EXPONENT, random)
        regimes += [
            faces.take(np.arange(len(faces)), f"{faces.name} / natural"),
            _named(cap_sizes(faces, np.full(n_people, _CAPPED_SIZE), random), "capped", faces),
            _named(cap_sizes(faces, long_tail, random), "long tail", faces),
        ]
    if len(face_sets) > 1:
        regimes.append(merge_face_sets(face_sets, "all sets / mixed"))
    limited = (limit_faces(faces, _MAX_FACES, random) for faces in regimes)
    context = ContextGCN.pretrained()
    made = (_regime(faces, subgraphs, context) for faces in limited if len(faces) > 2)
    measuring = [regime for regime in made if regime is not None]
    if not measuring:
        n_faces = sum(len(faces) for faces in face_sets)
        raise InputError(
            f"the {n_faces} validation faces have no two of one person, or none of different "
            "people, among their neighbours; hold out a larger share of people, or add a "
            "validation set."
        )
    return measuring


def _named(drawn: FaceSet, regime: str, source: FaceSet) -> FaceSet:
    return FaceSet(f"{source.name} / {regime}", drawn.features, drawn.labels)


def _regime(
    faces: FaceSet, subgraphs: SubgraphSettings, context: ContextGCN
) -> ValidationRegime | None:
    collection = Collection.of(faces, subgraphs)
    neighbors = _judged(collection)
    is_present = neighbors != MISSING
    is_linked = _is_linked(collection)[is_present]
    if is_linked.all() or not is_linked.any():
        return None
    similarities = collection.graph.similarities[:, : neighbors.shape[1]][is_present]
    return ValidationRegime(
        faces.name,
        collection,
        float(average_precision_score(is_linked, similarities)),
        _context_bcubed_f(context, collection),
    )


def _context_bcubed_f(context: ContextGCN, collection: Collection) -> float:
    """BCubed F of what facelink does without a trained model."""
    faces, graph = collection.faces, collection.graph
    judged = predict_context_likelihoods(context, faces.features, graph, graph.n_neighbors)
    merged = merge_by_likelihood(combine_directions(graph, judged))
    return bcubed_scores(faces.labels, merged.labels).fscore


def _judged(collection: Collection) -> NDArray[np.int32]:
    return collection.graph.indices[:, : collection.subgraphs.k_at_hop[0]]


def _is_linked(collection: Collection) -> NDArray[np.bool_]:
    return collection.is_linked(np.arange(len(collection.faces))[:, None], _judged(collection))


def validate(model: LinkGCN, regimes: Sequence[ValidationRegime]) -> ValidationScores:
    """Judge the links of every regime and cluster it at each threshold.

    The clustering is `merge_links` with its defaults, the way the model will
    be used.
    """
    likelihoods = [
        predict_likelihoods(
            model, regime.collection.faces.features, regime.collection.graph,
            regime.collection.subgraphs,
        )
        for regime in regimes
    ]  # fmt: skip
    links = [
        combine_directions(regime.collection.graph, judged)
        for regime, judged in zip(regimes, likelihoods, strict=True)
    ]
    bcubed = np.array(
        [
            [_bcubed_f(link, regime, threshold) for threshold in THRESHOLDS]
            for link, regime in zip(links, regimes, strict=True)
        ]
    )
    n_faces = [len(regime.collection.faces) for regime in regimes]
    mean = np.average(bcubed, axis=0, weights=n_faces)
    best = int(np.flatnonzero(mean >= mean.max() - _AS_GOOD_AS_THE_BEST)[-1])
    scores = tuple(
        _scores(regime, judged, float(at_threshold[best]))
        for regime, judged, at_threshold in zip(regimes, likelihoods, bcubed, strict=True)
    )
    is_linked = [_is_linked_pair(link, regime) for link, regime in zip(links, regimes, strict=True)]
    calibration = fit_calibration(
        np.concatenate([link.likelihoods for link in links]), np.concatenate(is_linked)
    )
    return ValidationScores(scores, THRESHOLDS[best], float(mean.max()), calibration)


def _is_linked_pair(links: Links, regime: ValidationRegime) -> NDArray[np.bool_]:
    return regime.collection.is_linked(links.pairs[:, 0], links.pairs[:, 1])


def _bcubed_f(links: Links, regime: ValidationRegime, threshold: float) -> float:
    merged = merge_links(links, initial_threshold=threshold)
    scores = bcubed_scores(regime.collection.faces.labels, merged.labels)
    return scores.fscore


def _scores(
    regime: ValidationRegime, likelihoods: NDArray[np.float32], bcubed_f: float
) -> RegimeScores:
    is_present = ~np.isnan(likelihoods)
    judged = likelihoods[is_present].astype(np.float64)
    is_linked = _is_linked(regime.collection)[is_present]
    is_accepted = judged >= 0.5
    n_right = int((is_accepted & is_linked).sum())
    of_truth = np.clip(np.where(is_linked, judged, 1 - judged), 1e-7, 1)
    return RegimeScores(
        regime=regime.name,
        n_faces=len(regime.collection.faces),
        loss=float(-np.log(of_truth).mean()),
        link_precision=n_right / max(1, int(is_accepted.sum())),
        link_recall=n_right / max(1, int(is_linked.sum())),
        average_precision=float(average_precision_score(is_linked, judged)),
        cosine_average_precision=regime.cosine_average_precision,
        bcubed_f=bcubed_f,
        context_bcubed_f=regime.context_bcubed_f,
    )
