"""The idea of the paper's figure 1, on one neighbourhood: context tells what a cosine cannot.

Source: L-GCN (arXiv 1903.11306), figure 1. There a threshold on the cosine
links strangers and leaves out faces of one person; a context metric that nobody
had to learn, here shared neighbours, does better; a learned one is right.

The neighbourhood is picked to show this; how it was picked, how often it is so
and what each method does on average is part of the result.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.benchmark.link_curves import link_curve
from facelink.errors import InputError
from facelink.link_prediction import similarity_links
from facelink.linking import judge_links, subgraph_settings
from facelink.models.context_gcn import ContextGCN
from facelink.models.loading import LinkModel
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.training.face_sets import FaceSet

METHODS = ("cosine", "shared neighbours", "link model")

N_SHOWN = 14
"""Nearest faces around the pivot in a neighbourhood."""

_DEPTHS = (10, 20, 40, 80)
"""Neighbours of which the shared ones are counted; the best number is kept."""

_MODEL_THRESHOLD = 0.5
_BLOCK = 4_096


@dataclass(frozen=True, eq=False)
class MethodLinks:
    """What a method makes of a neighbourhood of n faces, and of all of them.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    threshold : float
        Score at which it links two faces.
    is_linked : bool (n, n)
        Symmetric.
    n_false, n_missed : int
        Links of two people, and pairs of one person without a link.
    mean_errors : float
        Such pairs in the neighbourhood of a face, on average over all faces.
    """

    name: str
    threshold: float
    is_linked: NDArray[np.bool_]
    n_false: int
    n_missed: int
    mean_errors: float


@dataclass(frozen=True, eq=False)
class IdeaExample:
    """A neighbourhood that was picked, and how usual it is.

    Parameters
    ----------
    features : float32 (n, D)
        Of the pivot, first, and of the faces nearest to it.
    labels : int64 (n,)
        Their people.
    methods
        One for each of `METHODS`.
    n_pivots, n_alike : int
        Neighbourhoods looked at, and those in which each method makes fewer
        mistakes than the one before it.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    methods: tuple[MethodLinks, ...]
    n_pivots: int
    n_alike: int


def find_idea_example(faces: FaceSet, model: LinkModel | None = None) -> IdeaExample:
    """Pick the neighbourhood that shows the idea best.

    Thresholds of the cosine and of shared neighbours are those at which the
    links of the whole collection are best by its labels, which is more than
    either could know; the model links at a likelihood of 0.5. Of the
    neighbourhoods in which each method makes fewer mistakes than the one
    before, those with the fewest mistakes of the model are taken, and of
    them the one in which the cosine both links most strangers and misses most
    links, whichever are fewer.

    Parameters
    ----------
    faces
        At least `N_SHOWN` + 1 of them.
    model
        The context model by default.

    Raises
    ------
    InputError
        If there are too few faces, no two of one person are neighbours, or no
        neighbourhood shows the idea.
    """
    if faces.n_faces <= N_SHOWN:
        raise InputError(
            f"{faces.n_faces} faces in {faces.name}; a neighbourhood of {N_SHOWN} around a pivot "
            "needs more, so give a larger collection."
        )
    model = ContextGCN.pretrained() if model is None else model
    settings = subgraph_settings(model, faces.n_faces)
    graph = find_neighbors(faces.features, max(settings.n_neighbors, N_SHOWN))
    links = judge_links(model, faces.features, graph, settings)
    cosines = 2 * similarity_links(graph, settings.k_at_hop[0]).likelihoods - 1
    is_same = faces.labels[links.pairs[:, 0]] == faces.labels[links.pairs[:, 1]]
    cosine_threshold = link_curve(cosines, is_same).best_threshold
    overlaps, overlap_threshold = _best_overlaps(graph, links.pairs, is_same)
    thresholds = (cosine_threshold, overlap_threshold, _MODEL_THRESHOLD)
    scores = np.stack([cosines, overlaps, links.likelihoods])
    accepted = scores >= np.array(thresholds, dtype=np.float32)[:, None]
    members = np.column_stack([np.arange(faces.n_faces), graph.indices[:, :N_SHOWN]])
    false, missed = _count_mistakes(members, links.pairs, accepted, faces.labels)
    errors = false + missed
    pivot, n_alike = _pick(errors, np.minimum(false, missed)[0])
    nodes = members[pivot]
    linked = _linked(nodes[None], links.pairs, accepted, faces.n_faces)[:, 0]
    methods = tuple(
        _method(name, threshold, one, faces.labels[nodes], float(mean))
        for name, threshold, one, mean in zip(
            METHODS, thresholds, linked, errors.mean(axis=1), strict=True
        )
    )
    return IdeaExample(faces.features[nodes], faces.labels[nodes], methods, faces.n_faces, n_alike)


def _method(
    name: str,
    threshold: float,
    is_linked: NDArray[np.bool_],
    labels: NDArray[np.int64],
    mean_errors: float,
) -> MethodLinks:
    is_same = np.equal.outer(labels, labels)
    pairs = np.triu_indices(len(labels), 1)
    n_false = int((is_linked & ~is_same)[pairs].sum())
    n_missed = int((~is_linked & is_same)[pairs].sum())
    return MethodLinks(name, threshold, is_linked, n_false, n_missed, mean_errors)


def _pick(errors: NDArray[np.int64], of_both_kinds: NDArray[np.int64]) -> tuple[int, int]:
    """Pivot to show, and in how many neighbourhoods each method errs less than the one before.

    Errors are (methods, N); `of_both_kinds` (N,) is how many mistakes of the rarer kind the
    cosine makes.
    """
    is_alike = (errors[0] > errors[1]) & (errors[1] > errors[2])
    alike = np.flatnonzero(is_alike)
    if len(alike) == 0:
        raise InputError(
            "in no neighbourhood does the cosine make more mistakes than shared neighbours, and "
            "these more than the model; give a larger or harder collection."
        )
    order = np.lexsort((alike, -errors[0, alike], -of_both_kinds[alike], errors[2, alike]))
    return int(alike[order[0]]), len(alike)


def _count_mistakes(
    members: NDArray[np.integer],
    pairs: NDArray[np.int32],
    accepted: NDArray[np.bool_],
    labels: NDArray[np.int64],
) -> NDArray[np.int64]:
    """False links and missed ones of every neighbourhood, (2, methods, N)."""
    mistakes = np.empty((2, len(accepted), len(members)), dtype=np.int64)
    for start in range(0, len(members), _BLOCK):
        block = members[start : start + _BLOCK]
        linked = _linked(block, pairs, accepted, len(labels))
        is_same = labels[block][:, :, None] == labels[block][:, None, :]
        for kind, is_wrong in enumerate((linked & ~is_same, ~linked & is_same)):
            mistakes[kind, :, start : start + _BLOCK] = is_wrong.sum(axis=(2, 3)) // 2
    return mistakes


def _linked(
    members: NDArray[np.integer],
    pairs: NDArray[np.int32],
    accepted: NDArray[np.bool_],
    n_instances: int,
) -> NDArray[np.bool_]:
    """Whether each method links two members (P, n), (methods, P, n, n); each with itself."""
    keys = pairs[:, 0].astype(np.int64) * n_instances + pairs[:, 1]
    order = np.argsort(keys)
    first, second = members[:, :, None].astype(np.int64), members[:, None, :].astype(np.int64)
    wanted = np.minimum(first, second) * n_instances + np.maximum(first, second)
    places = np.searchsorted(keys[order], wanted).clip(0, len(keys) - 1)
    links = order[places]
    is_judged = keys[links] == wanted
    linked: NDArray[np.bool_] = (accepted[:, links] & is_judged) | (first == second)
    return linked


def _best_overlaps(
    graph: NeighborGraph, pairs: NDArray[np.int32], is_same: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], float]:
    """Jaccard index of each pair's neighbours at the best depth, and the best threshold."""
    depths = sorted({min(depth, graph.n_neighbors) for depth in _DEPTHS})
    overlaps = [shared_neighbors(graph.indices[:, :depth], pairs) for depth in depths]
    curves = [link_curve(each, is_same) for each in overlaps]
    best = int(np.argmax([curve.fscores.max() for curve in curves]))
    return overlaps[best], curves[best].best_threshold


@njit(parallel=True, cache=True)
def shared_neighbors(neighbors: NDArray[np.int32], pairs: NDArray[np.int32]) -> NDArray[np.float32]:
    """Jaccard index of two faces' neighbours, each face counted among its own, float32 (L,).

    Parameters
    ----------
    neighbors : int32 (N, k)
        Ids, −1 where missing.
    pairs : int32 (L, 2)
        Faces to compare.
    """
    ordered = np.empty((len(neighbors), neighbors.shape[1] + 1), dtype=np.int32)
    for row in prange(len(neighbors)):
        ordered[row, :-1] = neighbors[row]
        ordered[row, -1] = row
        ordered[row].sort()
    jaccard = np.empty(len(pairs), dtype=np.float32)
    for link in prange(len(pairs)):
        one, other = ordered[pairs[link, 0]], ordered[pairs[link, 1]]
        place, back, n_shared, n_all = 0, 0, 0, 0
        while place < len(one) or back < len(other):
            if place < len(one) and one[place] == MISSING:
                place += 1
            elif back < len(other) and other[back] == MISSING:
                back += 1
            else:
                n_all += 1
                in_one = back == len(other) or (place < len(one) and one[place] <= other[back])
                in_other = place == len(one) or (back < len(other) and other[back] <= one[place])
                n_shared += in_one and in_other
                place += in_one
                back += in_other
        jaccard[link] = n_shared / n_all
    return jaccard
