"""Finding the k nearest neighbours of every instance, or of some."""

import numpy as np
import torch
from numpy.typing import NDArray

from facelink.neighbors.exact import search_exactly
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.prepared import AUTO_EXACT_LIMIT, METHODS, PreparedSearch, check_request

__all__ = ["AUTO_EXACT_LIMIT", "METHODS", "find_neighbors", "find_neighbors_of"]


def find_neighbors(
    features: NDArray[np.float32],
    n_neighbors: int,
    method: str = "auto",
    *,
    recall_target: float = 0.98,
    seed: int = 0,
    device: torch.device | None = None,
) -> NeighborGraph:
    """Find the k nearest neighbours of every instance by cosine similarity.

    The similarities of all candidates are recomputed by one product whose
    rounding does not depend on the order of the pair, so that exact duplicates
    tie exactly and ties are broken by id.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    n_neighbors
        k, from 1 to N − 1.
    method
        ``"exact"`` compares all pairs; ``"ivf"`` looks into the nearest of
        about 4 √N cells, and then into parts of others where a member may
        enter the list found so far; ``"hnsw"`` walks a navigable graph; ``"auto"`` is exact up to
        `AUTO_EXACT_LIMIT` instances, on a GPU to more, and IVF above.
    recall_target
        IVF and HNSW look so far that this share of the sample's neighbours is
        found at least, less the standard error of measuring it, IVF as far as
        five attempts get, HNSW as long as looking farther finds more; in (0, 1].
    seed
        Seeds the sample that measures the recall of approximate methods, and
        the cells. A repeated call gives the same graph; ``"hnsw"`` only on one
        thread, as several link the navigable graph in the order they get to it.
    device
        Where ``"exact"`` compares; by default the processor. The graph is the
        same.

    Returns
    -------
    NeighborGraph
        With the method used and, if approximate, its measured recall: the
        share of the k nearest neighbours of 2,000 random instances that were
        found, an equally near one counting as found. How IVF looks was chosen
        by others, unless nearly all neighbours were asked for.

    Raises
    ------
    InputError
        For an unknown method, k outside 1 … N − 1, or a recall target outside
        (0, 1].
    """
    search = PreparedSearch.prepare(
        features, n_neighbors, method, recall_target=recall_target, seed=seed, device=device
    )
    indices, similarities = search.rows(np.arange(len(features)))
    return NeighborGraph(indices, similarities, method=search.method, recall=search.recall)


def find_neighbors_of(
    features: NDArray[np.float32], instances: NDArray[np.int64], n_neighbors: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the true k nearest neighbours of some instances among all.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    instances : int64 (S,)
        Those to find neighbours of.
    n_neighbors
        k, from 1 to N − 1.

    Returns
    -------
    int32 and float32 (S, k)
        Rows of the graph that ``find_neighbors(..., "exact")`` finds.

    Raises
    ------
    InputError
        If k lies outside 1 … N − 1.
    """
    check_request(len(features), n_neighbors, "exact")
    return search_exactly(np.ascontiguousarray(features, dtype=np.float32), instances, n_neighbors)
