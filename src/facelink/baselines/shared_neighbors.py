"""Similarities from shared neighbours: Jaccard overlap, and FC-ES's edge probability."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.graph import MISSING, NeighborGraph

TEMPERATURE = 0.5
"""Of the weights exp(−squared distance / temperature), as FC-ES's authors have it."""


def list_weights(graph: NeighborGraph) -> NDArray[np.float64]:
    """Weight of each face for itself and its neighbours, (N, 1 + K): rows sum to 1.

    exp(−(2 − 2 cosine) / `TEMPERATURE`) over its sum; 0 where the neighbour
    is missing.
    """
    cosines = np.concatenate(
        [np.ones((graph.n_instances, 1)), graph.similarities.astype(np.float64)], axis=1
    )
    weights = np.exp(-(2 - 2 * cosines) / TEMPERATURE)
    weighted: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return weighted


def edge_probabilities(graph: NeighborGraph) -> NDArray[np.float32]:
    """Probability that a face and each of its neighbours are one person, float32 (N, K).

    Source: neighbour-based edge probability of FC-ES (arXiv 2408.13431): half
    the sum, over the faces that both list (each lists itself), of the
    weights that the two give them (`list_weights`).
    """
    probabilities: NDArray[np.float32] = _shared_weights(graph.indices, list_weights(graph))
    return probabilities


def jaccard_overlaps(graph: NeighborGraph) -> NDArray[np.float32]:
    """Faces that both lists hold over those that either holds, float32 (N, K).

    Everyone belongs to its own list.
    """
    n_listed = 1 + (graph.indices != MISSING).sum(axis=1)
    ones = np.ones((graph.n_instances, 1 + graph.n_neighbors))
    n_common = _shared_weights(graph.indices, ones)
    n_either = n_listed[:, None] + n_listed[graph.indices] - n_common
    overlaps: NDArray[np.float32] = np.where(
        graph.indices == MISSING, 0, n_common / n_either
    ).astype(np.float32)
    return overlaps


def cut_graph(graph: NeighborGraph, cosine: float) -> NeighborGraph:
    """Return the graph without the neighbours below a cosine."""
    is_kept = graph.similarities >= np.float32(cosine)
    return NeighborGraph(
        np.where(is_kept, graph.indices, np.int32(MISSING)),
        np.where(is_kept, graph.similarities, np.float32(-np.inf)),
    )


@njit(cache=True)
def _shared_weights(
    indices: NDArray[np.int32], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Half of both faces' weights of the members that they share; column 0 is the face itself."""
    n_faces, k = indices.shape
    shared = np.zeros((n_faces, k), dtype=np.float32)
    column = np.full(n_faces, -1, dtype=np.int64)  # of each member in the current face's weights
    for face in range(n_faces):
        column[face] = 0
        for rank in range(k):
            if indices[face, rank] != MISSING:
                column[indices[face, rank]] = rank + 1
        for rank in range(k):
            other = indices[face, rank]
            if other == MISSING:
                break
            total = weights[face, rank + 1] + weights[other, 0]
            for back in range(k):
                member = indices[other, back]
                if member != MISSING and column[member] >= 0:
                    total += weights[face, column[member]] + weights[other, back + 1]
            shared[face, rank] = total / 2
        column[face] = -1
        for rank in range(k):
            if indices[face, rank] != MISSING:
                column[indices[face, rank]] = -1
    return shared
