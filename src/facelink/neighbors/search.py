"""Finding the k nearest neighbours: faiss proposes candidates, exact products order them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.graph import MAX_INSTANCES, MISSING, NeighborGraph

METHODS = ("auto", "exact", "ivf", "hnsw")

AUTO_EXACT_LIMIT = 100_000
"""`method="auto"` searches exactly up to this many instances."""

_N_SPARE_CANDIDATES = 8
"""Candidates beyond k: room for the instance itself and for ties at the k-th place."""

ROUNDING = np.float32(1e-5)
"""More than float32 products of unit vectors differ by the order of their terms."""

_QUERY_BLOCK = 65_536
_TIE_BLOCK = 64
_RECALL_SAMPLE = 1_000
_HNSW_LINKS = 32


def find_neighbors(
    features: NDArray[np.float32],
    n_neighbors: int,
    method: str = "auto",
    *,
    recall_target: float = 0.98,
    seed: int = 0,
) -> NeighborGraph:
    """Find the k nearest neighbours of every instance by cosine similarity.

    Candidates come from faiss; their similarities are recomputed by one
    product whose rounding does not depend on the order of the pair, so that
    exact duplicates tie exactly and ties are broken by id.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    n_neighbors
        k, from 1 to N − 1.
    method
        ``"exact"`` compares all pairs; ``"ivf"`` searches the nearest of about
        4 √N cells; ``"hnsw"`` walks a navigable graph; ``"auto"`` is exact up
        to `AUTO_EXACT_LIMIT` instances and IVF above.
    recall_target
        IVF searches as many cells as this share of the sample's neighbours
        lies in; in (0, 1].
    seed
        Seeds the sample that measures the recall of approximate methods. A
        repeated call gives the same graph; ``"hnsw"`` only on one thread, as
        several link the navigable graph in the order they get to it.

    Returns
    -------
    NeighborGraph
        With the method used and, if approximate, its measured recall: the
        share of the k nearest neighbours of 1,000 random instances that were
        found, an equally near one counting as found.

    Raises
    ------
    InputError
        For an unknown method, k outside 1 … N − 1, or a recall target outside
        (0, 1].
    """
    n = len(features)
    check_request(n, n_neighbors, method, recall_target)
    method = chosen_method(method, n)
    features = np.ascontiguousarray(features, dtype=np.float32)
    everyone = np.arange(n)
    if method == "exact":
        return NeighborGraph(*search_exactly(features, everyone, n_neighbors), method=method)
    sample = RecallSample.draw(features, n_neighbors, seed)
    if method == "ivf":
        propose = _by_cells(features, sample, recall_target, seed)
    else:
        propose = proposals(hnsw_index(features, n_neighbors), features)
    indices, similarities, _ = search_candidates(propose, features, everyone, n_neighbors)
    recall = sample.recall(similarities[sample.instances])
    return NeighborGraph(indices, similarities, method=method, recall=recall)


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


def chosen_method(method: str, n_instances: int) -> str:
    """The method that ``"auto"`` stands for in a collection, or the one that is named."""
    if method != "auto":
        return method
    return "exact" if n_instances <= AUTO_EXACT_LIMIT else "ivf"


def check_request(
    n_instances: int, n_neighbors: int, method: str, recall_target: float = 1.0
) -> None:
    """Raise the `InputError` of `find_neighbors` if it could not do what is asked for."""
    if not 0 < recall_target <= 1:
        raise InputError(f"recall_target={recall_target}; choose a share in (0, 1].")
    if method not in METHODS:
        raise InputError(f"method={method!r}; choose one of {', '.join(METHODS)}.")
    if n_instances > MAX_INSTANCES:
        raise InputError(f"{n_instances} instances; at most {MAX_INSTANCES} are supported.")
    if n_instances < 2:
        raise InputError(
            f"n_samples={n_instances}: neighbours need at least 2 instances; add more features."
        )
    if not 1 <= n_neighbors < n_instances:
        raise InputError(
            f"{n_neighbors} neighbours asked for, but each of {n_instances} instances has "
            f"{n_instances - 1} others; choose k from 1 to {n_instances - 1}, or add features."
        )


def _by_cells(
    features: NDArray[np.float32], sample: "RecallSample", recall_target: float, seed: int
) -> "Propose":
    """Candidates from as many cells as the sample needs to reach the recall."""
    index = CellIndex.build(features, seed)
    n_cells = index.cells_needed(sample.instances, sample.neighbors, recall_target)
    return lambda instances, n_candidates: index.search(instances, n_cells, n_candidates)


def proposals(index: faiss.Index, features: NDArray[np.float32]) -> "Propose":
    """Candidates from an index of faiss."""
    return lambda instances, n_candidates: index.search(features[instances], n_candidates)[1]


def hnsw_index(features: NDArray[np.float32], n_neighbors: int) -> faiss.Index:
    """Make a navigable graph, wide enough for k neighbours."""
    index = faiss.IndexHNSWFlat(features.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.hnsw.efSearch = max(128, 4 * n_neighbors)
    index.add(features)
    return index


@dataclass(frozen=True, eq=False)
class RecallSample:
    """Some instances, (S,), with their true k nearest neighbours and similarities, (S, k)."""

    instances: NDArray[np.int64]
    neighbors: NDArray[np.int32]
    similarities: NDArray[np.float32]

    @classmethod
    def draw(cls, features: NDArray[np.float32], n_neighbors: int, seed: int) -> "RecallSample":
        """Choose up to 1,000 instances at random and search their neighbours exactly."""
        n = len(features)
        random = np.random.default_rng(seed)
        instances = random.choice(n, size=min(n, _RECALL_SAMPLE), replace=False)
        return cls(instances, *search_exactly(features, instances, n_neighbors))

    def recall(self, similarities: NDArray[np.float32]) -> float:
        """Share of the found similarities (S, k) that reach the true k nearest neighbours'."""
        return float((similarities >= self.similarities[:, -1:]).mean())


Propose = Callable[[NDArray[np.int64], int], NDArray[Any]]
"""Instances (S,) and a number n → n candidates of each, int (S, n); −1 where there are fewer."""

Found = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Ids and similarities of the neighbours of some instances, (S, k)."""


def search_exactly(
    features: NDArray[np.float32], instances: NDArray[np.int64], n_neighbors: int
) -> Found:
    """Find the true k nearest neighbours of some instances: ids and similarities, (S, k)."""
    index = faiss.IndexFlatIP(features.shape[1])
    index.add(features)
    propose = proposals(index, features)
    indices, similarities, is_cut_in_tie = search_candidates(
        propose, features, instances, n_neighbors
    )
    tied = np.flatnonzero(is_cut_in_tie)
    for start in range(0, len(tied), _TIE_BLOCK):
        rows = tied[start : start + _TIE_BLOCK]
        products = features[instances[rows]] @ features.T
        is_near = products >= similarities[rows, -1:] - ROUNDING
        for row, near in zip(rows, is_near, strict=True):
            one = slice(row, row + 1)
            candidates = np.flatnonzero(near)[None, :]
            _order_candidates(features, instances[one], candidates, indices[one], similarities[one])
    return indices, similarities


def search_candidates(
    propose: Propose,
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    n_neighbors: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """Order the proposed candidates: ids and similarities, (S, k), and where others may tie."""
    n_candidates = min(len(features), n_neighbors + 1 + _N_SPARE_CANDIDATES)
    indices = np.empty((len(instances), n_neighbors), dtype=np.int32)
    similarities = np.empty(indices.shape, dtype=np.float32)
    is_cut_in_tie = np.zeros(len(instances), dtype=np.bool_)
    for start in range(0, len(instances), _QUERY_BLOCK):
        block = slice(start, start + _QUERY_BLOCK)
        candidates = propose(instances[block], n_candidates)
        is_cut_in_tie[block] = _order_candidates(
            features, instances[block], candidates, indices[block], similarities[block]
        )
    return indices, similarities, is_cut_in_tie & (n_candidates < len(features))


@njit(fastmath={"reassoc", "contract", "nsz"}, cache=True, inline="never")
def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> np.float32:
    """Cosine of two unit vectors, rounded the same whichever comes first."""
    total = np.float32(0.0)
    for column in range(first.shape[0]):
        total += first[column] * second[column]
    return min(np.float32(1.0), max(np.float32(-1.0), total))


@njit(parallel=True, nogil=True, cache=True)
def _order_candidates(
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    candidates: NDArray[np.int32] | NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Fill the k best of each row's candidates; return where others may be as near as the last."""
    n_rows, n_candidates = candidates.shape
    k = indices.shape[1]
    is_cut_in_tie = np.zeros(n_rows, dtype=np.bool_)
    for row in prange(n_rows):
        instance = instances[row]
        ids = np.empty(n_candidates, dtype=np.int32)
        values = np.empty(n_candidates, dtype=np.float32)
        n_kept = 0
        for column in range(n_candidates):
            candidate = candidates[row, column]
            if candidate < 0 or candidate == instance:
                continue
            value = cosine(features[instance], features[candidate])
            place = n_kept
            while place > 0 and (
                values[place - 1] < value
                or (values[place - 1] == value and ids[place - 1] > candidate)
            ):
                values[place], ids[place] = values[place - 1], ids[place - 1]
                place -= 1
            values[place], ids[place] = value, candidate
            n_kept += 1
        for column in range(k):
            if column < n_kept:
                indices[row, column] = ids[column]
                similarities[row, column] = values[column]
            else:
                indices[row, column] = MISSING
                similarities[row, column] = -np.inf
        is_cut_in_tie[row] = n_kept > k and values[n_kept - 1] >= values[k - 1] - ROUNDING
    return is_cut_in_tie
