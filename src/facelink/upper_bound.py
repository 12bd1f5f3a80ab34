"""How good clusters can get at most when only the k nearest neighbours are ever compared."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError
from facelink.merging.components import connected_components
from facelink.metrics import ClusteringScores, clustering_scores, group_ids, pair_count
from facelink.neighbors.graph import MISSING, NeighborGraph

_KS = (5, 10, 20, 40, 80, 160)
"""Numbers of neighbours that are compared unless others are named."""


@dataclass(frozen=True)
class UpperBound:
    """Scores of a perfect judge of the links to the k nearest neighbours.

    Parameters
    ----------
    k : int
        Nearest neighbours of each instance that are compared with it.
    pair_coverage : float
        Share of all pairs of one identity that are compared, in [0, 1]: one
        of the two is among the other's k nearest. 1 if there is no such pair.
    scores : ClusteringScores
        Of the clusters that these pairs connect.
    """

    k: int
    pair_coverage: float
    scores: ClusteringScores

    def as_dict(self) -> dict[str, Any]:
        """Return the bound as nested dictionaries of numbers, ready for JSON."""
        return asdict(self)


def upper_bound_by_k(
    graph: NeighborGraph, labels_true: ArrayLike, ks: Sequence[int]
) -> list[UpperBound]:
    """Score what perfect link prediction would reach, for several numbers of neighbours.

    Source: Table 1 of the paper. Of the pairs of an instance and its k
    nearest neighbours exactly those of one identity are linked, and the
    connected components are the clusters. No precision is lost, so the scores
    show the recall that no model can win back at this k.

    Parameters
    ----------
    graph : NeighborGraph
        Neighbours of N instances.
    labels_true : integer (N,)
        Identity of each instance; −1 (unknown) is an identity of its own.
    ks : sequence of int
        Numbers of neighbours, each from 1 to the width K of the graph.

    Returns
    -------
    list of UpperBound
        One for each k, in the order given.

    Raises
    ------
    InputError
        If a k is below 1 or above K, or the labels do not match the graph.
    """
    identities = group_ids(labels_true, "labels_true")
    if len(identities) != graph.n_instances:
        raise InputError(
            f"{len(identities)} labels but the graph has {graph.n_instances} instances; give the "
            "labels of the features that the graph was built from."
        )
    _check_ks(ks, graph)
    n_pairs = pair_count(np.bincount(identities))
    indices = graph.indices[:, : max(ks, default=0)]
    same_identity = (identities[indices] == identities[:, None]) & (indices != MISSING)
    bounds = []
    for k in ks:
        linked = _linked_pairs(indices[:, :k], same_identity[:, :k])
        clusters = connected_components(graph.n_instances, linked)
        bounds.append(
            UpperBound(
                k=int(k),
                pair_coverage=len(linked) / n_pairs if n_pairs else 1.0,
                scores=clustering_scores(identities, clusters),
            )
        )
    return bounds


def default_ks(n_instances: int) -> tuple[int, ...]:
    """Numbers of neighbours to compare: 5 to 160, as far as there are so many others."""
    return tuple(k for k in _KS if k < n_instances) or (1,)


def _linked_pairs(indices: NDArray[np.int32], linked: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Pairs (L, 2) marked in the neighbour lists, each once even if marked from both sides."""
    n_instances = len(indices)
    rows, _ = np.nonzero(linked)
    neighbors = indices[linked]
    keys = np.unique(np.minimum(rows, neighbors) * n_instances + np.maximum(rows, neighbors))
    return np.stack(np.divmod(keys, n_instances), axis=1).astype(np.int32)


def _check_ks(ks: Sequence[int], graph: NeighborGraph) -> None:
    for k in ks:
        if k < 1:
            raise InputError(f"k={k}, but at least 1 neighbour must be compared; choose k >= 1.")
        if k > graph.n_neighbors:
            raise InputError(
                f"k={k} but the graph stores K={graph.n_neighbors} neighbours for each of "
                f"{graph.n_instances} instances; rebuild it with at least {k} neighbours "
                f"(facelink neighbors --k {k}) or lower k."
            )
