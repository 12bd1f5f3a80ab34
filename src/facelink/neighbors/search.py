"""Finding the k nearest neighbours: faiss proposes candidates, exact products order them."""

from dataclasses import dataclass

import faiss
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.neighbors.graph import MAX_INSTANCES, MISSING, NeighborGraph

METHODS = ("auto", "exact", "ivf", "hnsw")

AUTO_EXACT_LIMIT = 100_000
"""`method="auto"` searches exactly up to this many instances."""

_N_SPARE_CANDIDATES = 8
"""Candidates beyond k: room for the instance itself and for ties at the k-th place."""

_QUERY_BLOCK = 16_384
_RECALL_SAMPLE = 1_000
_HNSW_LINKS = 32
_FIRST_PROBES = 16
_LEAST_FACES_PER_CELL = 39  # below this faiss warns that cells are ill-trained


def find_neighbors(
    features: NDArray[np.float32],
    n_neighbors: int,
    method: str = "auto",
    *,
    recall_target: float = 0.95,
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
        IVF searches twice as many cells until the recall on the sample
        reaches this share, in (0, 1].
    seed
        Seeds the sample that measures the recall of approximate methods.

    Returns
    -------
    NeighborGraph
        With the method used and, if approximate, its measured recall: the
        share of the true k nearest neighbours of 1,000 random instances that
        were found.

    Raises
    ------
    InputError
        For an unknown method, or k outside 1 … N − 1.
    """
    n = len(features)
    _check_request(n, n_neighbors, method)
    if not 0 < recall_target <= 1:
        raise InputError(f"recall_target={recall_target}; choose a share in (0, 1].")
    if method == "auto":
        method = "exact" if n <= AUTO_EXACT_LIMIT else "ivf"
    features = np.ascontiguousarray(features, dtype=np.float32)
    if method == "exact":
        return _search(_flat_index(features), features, n_neighbors, method)
    sample = _RecallSample.draw(features, n_neighbors, seed)
    if method == "ivf":
        index = _ivf_index(features)
        _probe_until(index, features, sample, recall_target)
    else:
        index = _hnsw_index(features, n_neighbors)
    graph = _search(index, features, n_neighbors, method)
    recall = sample.recall(graph.indices[sample.instances])
    return NeighborGraph(graph.indices, graph.similarities, method=method, recall=recall)


def _check_request(n_instances: int, n_neighbors: int, method: str) -> None:
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


def _flat_index(features: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexFlatIP(features.shape[1])
    index.add(features)
    return index


def _ivf_index(features: NDArray[np.float32]) -> faiss.Index:
    n, dim = features.shape
    n_cells = max(1, min(int(4 * np.sqrt(n)), n // _LEAST_FACES_PER_CELL))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_cells, faiss.METRIC_INNER_PRODUCT)
    index.train(features)
    index.add(features)
    return index


def _hnsw_index(features: NDArray[np.float32], n_neighbors: int) -> faiss.Index:
    index = faiss.IndexHNSWFlat(features.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.hnsw.efSearch = max(128, 4 * n_neighbors)
    index.add(features)
    return index


@dataclass(frozen=True, eq=False)
class _RecallSample:
    """Some instances with their true nearest neighbours, by exact search."""

    instances: NDArray[np.int64]
    true_ids: NDArray[np.int64]

    @classmethod
    def draw(
        cls, features: NDArray[np.float32], n_neighbors: int, seed: int
    ) -> "_RecallSample":
        n = len(features)
        random = np.random.default_rng(seed)
        instances = random.choice(n, size=min(n, _RECALL_SAMPLE), replace=False)
        _, found = _flat_index(features).search(features[instances], n_neighbors + 1)
        return cls(instances, _without_self(instances, found))

    def recall(self, ids: NDArray[np.integer]) -> float:
        """Share of the true neighbours that stand among `ids`, row by row."""
        pairs = zip(self.true_ids, ids, strict=True)
        n_found = sum(np.isin(true, row).sum() for true, row in pairs)
        return float(n_found / self.true_ids.size)


def _without_self(instances: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the instance itself from each row of ids, or the last id where it is not there."""
    order = np.argsort(ids == instances[:, None], axis=1, kind="stable")
    return np.take_along_axis(ids, order, axis=1)[:, :-1]


def _probe_until(
    index: faiss.IndexIVFFlat,
    features: NDArray[np.float32],
    sample: _RecallSample,
    recall_target: float,
) -> None:
    """Double the number of cells searched until the sample's recall reaches the target."""
    index.nprobe = min(index.nlist, _FIRST_PROBES)
    n_columns = sample.true_ids.shape[1] + 1
    while index.nprobe < index.nlist:
        _, found = index.search(features[sample.instances], n_columns)
        if sample.recall(_without_self(sample.instances, found)) >= recall_target:
            return
        index.nprobe = min(index.nlist, 2 * index.nprobe)


def _search(
    index: faiss.Index, features: NDArray[np.float32], n_neighbors: int, method: str
) -> NeighborGraph:
    n = len(features)
    n_candidates = min(n, n_neighbors + 1 + _N_SPARE_CANDIDATES)
    indices = np.empty((n, n_neighbors), dtype=np.int32)
    similarities = np.empty((n, n_neighbors), dtype=np.float32)
    for start in range(0, n, _QUERY_BLOCK):
        stop = min(n, start + _QUERY_BLOCK)
        _, candidates = index.search(features[start:stop], n_candidates)
        is_cut_in_tie = _order_candidates(
            features, start, candidates, indices[start:stop], similarities[start:stop]
        )
        if method == "exact" and n_candidates < n:
            for row in start + np.flatnonzero(is_cut_in_tie):
                _order_candidates(
                    features,
                    row,
                    _all_near(features, row, similarities[row, -1]),
                    indices[row : row + 1],
                    similarities[row : row + 1],
                )
    return NeighborGraph(indices, similarities, method=method)


def _all_near(features: NDArray[np.float32], row: int, least: np.float32) -> NDArray[np.int64]:
    """All instances within rounding of at least this similarity to `row`, as candidates (1, C)."""
    rounding = np.float32(1e-5)
    return np.flatnonzero(features @ features[row] >= least - rounding)[None, :]


@njit(fastmath={"reassoc", "contract", "nsz"}, cache=True, inline="never")  # type: ignore[misc]
def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> np.float32:
    total = np.float32(0.0)
    for column in range(first.shape[0]):
        total += first[column] * second[column]
    return min(np.float32(1.0), max(np.float32(-1.0), total))


@njit(parallel=True, nogil=True, cache=True)  # type: ignore[misc]
def _order_candidates(
    features: NDArray[np.float32],
    first_row: int,
    candidates: NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Fill the k best of each row's candidates; return where a tie runs past the candidates."""
    n_rows, n_candidates = candidates.shape
    k = indices.shape[1]
    is_cut_in_tie = np.zeros(n_rows, dtype=np.bool_)
    for row in prange(n_rows):
        ids = np.empty(n_candidates, dtype=np.int32)
        values = np.empty(n_candidates, dtype=np.float32)
        n_kept = 0
        for column in range(n_candidates):
            candidate = candidates[row, column]
            if candidate < 0 or candidate == first_row + row:
                continue
            value = _cosine(features[first_row + row], features[candidate])
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
        is_cut_in_tie[row] = n_kept > k and values[n_kept - 1] == values[k - 1]
    return is_cut_in_tie

