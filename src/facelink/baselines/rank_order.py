"""Approximate rank-order clustering (ARO)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.baselines.view import FaceView
from facelink.merging.components import connected_components
from facelink.neighbors.graph import MISSING, NeighborGraph


def group_by_rank_order(view: FaceView, distance: float) -> NDArray[np.int64]:
    """Join neighbours whose approximate rank-order distance is at most this, in one pass.

    Source: Otto, Wang, Jain, "Clustering Millions of Faces by Identity" (PAMI
    2018, arXiv 1604.00989), section 4; there lists have 200 neighbours.
    """
    pairs, distances = view.shared("rank-order distances", lambda: rank_order_distances(view.graph))
    return connected_components(view.n_faces, pairs[distances <= np.float32(distance)])


def rank_order_distances(graph: NeighborGraph) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Distance of each face to each of its neighbours.

    With O_a(b) the place of b in a's list, from 1, and k + 1 if it is not
    there, d(a, b) counts those of the first min(O_a(b), k) in a's list that
    b's list lacks; everyone counts as listed by itself. The distance is
    (d(a, b) + d(b, a)) / min(O_a(b), O_b(a)).

    Returns
    -------
    pairs : int32 (L, 2)
        A face and one of its neighbours; mutual ones stand twice.
    distances : float32 (L,)
        At least 0.
    """
    distances = _distances(graph.indices)
    rows, columns = np.nonzero(graph.indices != MISSING)
    pairs = np.stack([rows.astype(np.int32), graph.indices[rows, columns]], axis=1)
    return pairs, distances[rows, columns]


@njit(cache=True)
def _distances(indices: NDArray[np.int32]) -> NDArray[np.float32]:
    n_faces, k = indices.shape
    distances = np.zeros((n_faces, k), dtype=np.float32)
    place = np.full(n_faces, k + 1, dtype=np.int64)  # of each face in the current face's list
    for face in range(n_faces):
        place[face] = 0
        for rank in range(k):
            if indices[face, rank] != MISSING:
                place[indices[face, rank]] = rank + 1
        for rank in range(k):
            other = indices[face, rank]
            if other == MISSING:
                break
            place_back = k + 1
            for back in range(k):
                if indices[other, back] == face:
                    place_back = back + 1
                    break
            lacking = _n_lacking(indices, other, place, min(place_back, k), k)
            lacking += _n_lacking_of(indices, face, other, rank + 1)
            distances[face, rank] = lacking / min(rank + 1, place_back)
        place[face] = k + 1
        for rank in range(k):
            if indices[face, rank] != MISSING:
                place[indices[face, rank]] = k + 1
    return distances


@njit(cache=True)
def _n_lacking(
    indices: NDArray[np.int32], other: int, place: NDArray[np.int64], depth: int, k: int
) -> int:
    """Those of the first `depth` in the other's list that the current face's list lacks."""
    lacking = 0
    for rank in range(depth):
        node = indices[other, rank]
        if node != MISSING and place[node] > k:
            lacking += 1
    return lacking


@njit(cache=True)
def _n_lacking_of(indices: NDArray[np.int32], face: int, other: int, depth: int) -> int:
    """Those of the first `depth` in the face's list that the other's list lacks."""
    lacking = 0
    for rank in range(depth):
        node = indices[face, rank]
        if node == other:
            continue
        is_listed = False
        for back in indices[other]:
            if back == node:
                is_listed = True
                break
        if not is_listed:
            lacking += 1
    return lacking
