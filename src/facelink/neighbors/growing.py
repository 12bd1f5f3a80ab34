"""A neighbour graph that grows: new instances get lists, and enter those of the old ones.

Every new instance is compared with all others in blocked exact products. That takes N·D
multiplications, reads the features once for a block of new instances and needs no index that would
have to be kept, trained or repaired.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.neighbors.exact import ROUNDING, cosine
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors_of

_NEW_BLOCK, _OLD_BLOCK = 512, 16_384
"""Products at a time: 32 MiB."""


@dataclass(frozen=True, eq=False)
class GrownGraph:
    """A graph with more instances than before.

    Parameters
    ----------
    graph : NeighborGraph
        Of all N instances.
    is_changed : bool (N,)
        Instances that are new, or whose list now holds a new one.
    """

    graph: NeighborGraph
    is_changed: NDArray[np.bool_]


def complete_lists(
    graph: NeighborGraph, features: NDArray[np.float32], instances: NDArray[np.int64]
) -> NeighborGraph:
    """Search the neighbours of some instances anew, and leave all other lists as they are.

    Parameters
    ----------
    graph : NeighborGraph
        Of N instances.
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped.
    instances : int64 (S,)
        Whose lists are searched.
    """
    if len(instances) == 0:
        return graph
    indices, similarities = graph.indices.copy(), graph.similarities.copy()
    k = min(graph.n_neighbors, len(features) - 1)
    indices[instances], similarities[instances] = MISSING, -np.inf
    found = find_neighbors_of(features, instances, k)
    indices[instances, :k], similarities[instances, :k] = found
    return NeighborGraph(indices, similarities, graph.method)


def extend_graph(
    graph: NeighborGraph, features: NDArray[np.float32], n_neighbors: int
) -> GrownGraph:
    """Add the instances to a graph that it does not have yet.

    Parameters
    ----------
    graph : NeighborGraph
        Of the first instances; at most K wide.
    features : float32 (N, D)
        L2-normalised rows of all instances; may be memory-mapped.
    n_neighbors : int
        Width K of the result, from 1 to N − 1.

    Returns
    -------
    GrownGraph
        For an exact graph of K columns, or of all others, the same as
        searching anew. Time N·D for each new instance, whatever the number of
        people.

    Raises
    ------
    InputError
        If there are fewer features than instances in the graph, or it is
        wider than K.
    """
    n_old, n = graph.n_instances, len(features)
    if n_old > n or graph.n_neighbors > n_neighbors:
        raise InputError(
            f"a graph of {n_old} instances and {graph.n_neighbors} neighbours cannot be extended "
            f"to {n} and {n_neighbors}; give all features, the old ones first, and no fewer "
            "neighbours."
        )
    indices = np.full((n, n_neighbors), MISSING, dtype=np.int32)
    similarities = np.full((n, n_neighbors), -np.inf, dtype=np.float32)
    indices[:n_old, : graph.n_neighbors] = graph.indices
    similarities[:n_old, : graph.n_neighbors] = graph.similarities
    is_changed = np.arange(n) >= n_old
    if n_old < n:
        newcomers = np.arange(n_old, n)
        indices[n_old:], similarities[n_old:] = find_neighbors_of(features, newcomers, n_neighbors)
        for start in range(n_old, n, _NEW_BLOCK):
            block = slice(start, min(n, start + _NEW_BLOCK))
            _enter_lists(features, block, n_old, indices, similarities, is_changed)
    return GrownGraph(NeighborGraph(indices, similarities, graph.method), is_changed)


def _enter_lists(
    features: NDArray[np.float32],
    newcomers: slice,
    n_old: int,
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    is_changed: NDArray[np.bool_],
) -> None:
    """Put newcomers into the old instances' lists that they are near enough for."""
    for start in range(0, n_old, _OLD_BLOCK):
        old = slice(start, min(n_old, start + _OLD_BLOCK))
        products = features[old] @ features[newcomers].T
        rows, columns = np.nonzero(products > similarities[old, -1:] - ROUNDING)
        _insert(
            features, rows + start, columns + newcomers.start, indices, similarities, is_changed
        )


@njit(cache=True)
def _insert(
    features: NDArray[np.float32],
    rows: NDArray[np.int64],
    newcomers: NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    is_changed: NDArray[np.bool_],
) -> None:
    """Insert newcomers, whose ids are greater than all others', by ascending id."""
    width = indices.shape[1]
    for entry in range(len(rows)):
        row, newcomer = rows[entry], newcomers[entry]
        value = cosine(features[row], features[newcomer])
        place = width
        while place > 0 and similarities[row, place - 1] < value:
            place -= 1
        if place == width:
            continue
        for column in range(width - 1, place, -1):
            indices[row, column] = indices[row, column - 1]
            similarities[row, column] = similarities[row, column - 1]
        indices[row, place], similarities[row, place] = newcomer, value
        is_changed[row] = True
