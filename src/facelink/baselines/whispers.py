"""Chinese whispers: every face takes the label that its neighbours weigh most for."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.baselines.view import FaceView, edges, symmetric_matrix

MAX_ROUNDS = 50
"""Rounds over all faces; it ends earlier when a round changes nothing."""


def group_by_chinese_whispers(view: FaceView, cosine: float) -> NDArray[np.int64]:
    """Chinese whispers over the neighbours that are at least so similar, weighed by cosine.

    Source: Biemann, "Chinese Whispers" (TextGraphs 2006); photo tools that use
    dlib group faces so.
    """
    pairs, similarities = view.shared("edges", lambda: edges(view.graph))
    kept = similarities >= np.float32(cosine)
    return whisper(view.n_faces, pairs[kept], similarities[kept], view.seed)


def whisper(
    n_faces: int, pairs: NDArray[np.int32], weights: NDArray[np.floating], seed: int
) -> NDArray[np.int64]:
    """Pass labels along weighted edges, in another random order each round.

    Parameters
    ----------
    n_faces
        N.
    pairs : int32 (L, 2)
        Edges, each once.
    weights : float (L,)
        Of the edges, positive.
    seed
        Of the orders.

    Returns
    -------
    int64 (N,)
        The label of each face is the id of one; the smaller wins a tie. The
        same seed gives the same labels, whatever the order of the edges.
    """
    matrix = symmetric_matrix(n_faces, pairs, weights)
    random = np.random.default_rng(seed)
    labels = np.arange(n_faces)
    for _ in range(MAX_ROUNDS):
        order = random.permutation(n_faces)
        if not _one_round(matrix.indptr, matrix.indices, matrix.data, order, labels):
            break
    return labels


@njit(cache=True)
def _one_round(
    starts: NDArray[np.int32],
    neighbors: NDArray[np.int32],
    weights: NDArray[np.float64],
    order: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> int:
    """Number of faces whose label changed."""
    votes = np.zeros(len(labels))
    n_changed = 0
    for face in order:
        row = range(starts[face], starts[face + 1])
        if len(row) == 0:
            continue
        for edge in row:
            votes[labels[neighbors[edge]]] += weights[edge]
        best = labels[neighbors[starts[face]]]
        for edge in row:
            label = labels[neighbors[edge]]
            if votes[label] > votes[best] or (votes[label] == votes[best] and label < best):
                best = label
        for edge in row:
            votes[labels[neighbors[edge]]] = 0.0
        n_changed += best != labels[face]
        labels[face] = best
    return n_changed
