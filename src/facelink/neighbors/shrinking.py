"""A neighbour graph that loses instances: their rows go, and their entries in other lists."""

import numpy as np
from numpy.typing import NDArray

from facelink.neighbors.graph import MISSING, NeighborGraph


def without_instances(
    graph: NeighborGraph, is_kept: NDArray[np.bool_]
) -> tuple[NeighborGraph, NDArray[np.int64]]:
    """Take instances out of a graph; lists that they stood in end earlier.

    Parameters
    ----------
    graph : NeighborGraph
        Of N instances, K wide.
    is_kept : bool (N,)
        Who stays.

    Returns
    -------
    graph : NeighborGraph
        Of the M that stay, numbered anew in the same order.
    columns : int64 (M, K)
        Column that each entry had before.
    """
    number = np.full(graph.n_instances + 1, MISSING, dtype=np.int32)  # MISSING finds the last one
    number[:-1][is_kept] = np.arange(is_kept.sum(), dtype=np.int32)
    indices, similarities = number[graph.indices[is_kept]], graph.similarities[is_kept]
    similarities[indices == MISSING] = -np.inf
    columns = np.tile(np.arange(graph.n_neighbors), (len(indices), 1))
    shorter = np.flatnonzero((indices == MISSING).any(axis=1))
    columns[shorter] = np.argsort(indices[shorter] == MISSING, axis=1, kind="stable")
    for table in (indices, similarities):
        table[shorter] = np.take_along_axis(table[shorter], columns[shorter], axis=1)
    return NeighborGraph(indices, similarities, graph.method), columns
