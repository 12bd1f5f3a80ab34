"""The k-nearest-neighbour graph that every later stage reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from facelink.errors import InputError

MISSING = -1
"""Id in `NeighborGraph.indices` where a row has fewer than K neighbours."""

MAX_INSTANCES = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """The K nearest neighbours of every instance, by cosine similarity.

    Parameters
    ----------
    indices : int32 (N, K)
        Ids of the neighbours: never the instance itself, no id twice in a row,
        nearest first, equal similarities by ascending id. Missing neighbours
        are −1 and stand last.
    similarities : float32 (N, K)
        Cosine similarities in [−1, 1], non-increasing along a row; −inf where
        the neighbour is missing.
    method : str
        How the neighbours were found: ``"exact"``, ``"ivf"``, ``"hnsw"`` or
        ``"precomputed"``.
    recall : float, optional
        Share of the true K nearest neighbours that an approximate method
        found on a sample of instances, in [0, 1]; None where not measured.

    Raises
    ------
    InputError
        If the arrays break one of these rules. `from_candidates` orders and
        cleans arrays that come from elsewhere.
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    method: str = "precomputed"
    recall: float | None = None

    def __post_init__(self) -> None:
        indices, similarities = self.indices, self.similarities
        if indices.ndim != 2 or indices.shape != similarities.shape:
            raise InputError(
                f"a neighbour graph needs indices and similarities of one shape (N, K), got "
                f"{indices.shape} and {similarities.shape}."
            )
        if indices.dtype != np.int32 or similarities.dtype != np.float32:
            raise InputError(
                f"a neighbour graph holds int32 ids and float32 similarities, got {indices.dtype} "
                f"and {similarities.dtype}; NeighborGraph.from_candidates converts."
            )
        _check_id_range(indices, len(indices))
        if (indices == np.arange(len(indices), dtype=np.int32)[:, None]).any():
            raise InputError(
                "a neighbour graph must not list an instance as its own neighbour; "
                "NeighborGraph.from_candidates removes it by id."
            )
        missing = indices == MISSING
        if np.isnan(similarities).any() or not np.array_equal(missing, np.isneginf(similarities)):
            raise InputError(
                "similarities must be numbers, and −inf exactly where the neighbour id is −1."
            )
        if (similarities[:, 1:] > similarities[:, :-1]).any():
            raise InputError(
                "a neighbour graph lists the nearest neighbour first; "
                "NeighborGraph.from_candidates sorts."
            )

    @property
    def n_instances(self) -> int:
        """Number of instances N."""
        return self.indices.shape[0]

    @property
    def n_neighbors(self) -> int:
        """Width K of the graph."""
        return self.indices.shape[1]

    @classmethod
    def from_candidates(
        cls,
        ids: ArrayLike,
        similarities: ArrayLike,
        n_neighbors: int | None = None,
        method: str = "precomputed",
    ) -> "NeighborGraph":
        """Make a graph from candidate lists in any order, with or without the instance itself.

        Parameters
        ----------
        ids : integer or integer-valued float (N, C)
            Candidate ids, −1 for missing. The instance itself is removed by
            id, wherever it stands; a repeated id is kept once.
        similarities : float (N, C)
            Cosine similarities of the candidates.
        n_neighbors
            Width K of the result; by default the longest row's length.
        method
            Recorded in the result.

        Raises
        ------
        InputError
            For ids out of range or not whole numbers, NaN similarities, or
            shapes that differ.
        """
        id_array = np.asarray(ids)
        values = np.asarray(similarities, dtype=np.float32)
        if id_array.ndim != 2 or id_array.shape != values.shape:
            raise InputError(
                f"candidate ids and similarities need one shape (N, C), got {id_array.shape} and "
                f"{values.shape}."
            )
        whole = _as_whole_numbers(id_array)
        n = len(whole)
        _check_id_range(whole, n)
        if n > MAX_INSTANCES:
            raise InputError(f"{n} instances; at most {MAX_INSTANCES} are supported (int32 ids).")
        keep = (whole != MISSING) & (whole != np.arange(n)[:, None])
        if np.isnan(values[keep]).any():
            raise InputError("the graph's similarities contain NaN; recompute them.")
        order_ids = np.where(keep, whole, n)
        order_values = np.where(keep, values, -np.inf).astype(np.float32)
        order = np.lexsort((order_ids, -order_values))
        order_ids = np.take_along_axis(order_ids, order, axis=1)
        order_values = np.take_along_axis(order_values, order, axis=1)
        _drop_repeats(order_ids, order_values, n)
        longest = int((order_ids < n).sum(axis=1).max(initial=0))
        width = longest if n_neighbors is None else min(n_neighbors, longest)
        cut_ids = order_ids[:, :width]
        return cls(
            np.where(cut_ids < n, cut_ids, MISSING).astype(np.int32),
            np.ascontiguousarray(order_values[:, :width]),
            method=method,
        )

    @classmethod
    def from_csr(cls, matrix: sparse.spmatrix, *, values: str = "distance") -> "NeighborGraph":
        """Make a graph from a scipy sparse matrix, one row per instance.

        Parameters
        ----------
        matrix : (N, N)
            Stored entries are the neighbours. scikit-learn's
            ``KNeighborsTransformer(metric="cosine")`` writes this form.
        values
            ``"distance"``: entries are cosine distances 1 − cosine;
            ``"similarity"``: entries are cosines.
        """
        csr = sparse.csr_matrix(matrix)
        if csr.shape[0] != csr.shape[1]:
            raise InputError(f"a sparse neighbour graph must be square, got {csr.shape}.")
        if values not in ("distance", "similarity"):
            raise InputError(f"values={values!r}; choose 'distance' or 'similarity'.")
        lengths = np.diff(csr.indptr)
        ids = np.full((csr.shape[0], int(lengths.max(initial=0))), MISSING, dtype=np.int64)
        filled = np.arange(ids.shape[1]) < lengths[:, None]
        ids[filled] = csr.indices
        similarities = np.full(ids.shape, -np.inf, dtype=np.float32)
        similarities[filled] = csr.data if values == "similarity" else 1 - csr.data
        return cls.from_candidates(ids, similarities)

    def require(self, k_at_hop: tuple[int, ...], n_edge_neighbors: int) -> None:
        """Raise `InputError` if the graph is too narrow for these subgraph settings."""
        for name, needed in (
            *((f"k_at_hop[{hop}]", k) for hop, k in enumerate(k_at_hop)),
            ("n_edge_neighbors", n_edge_neighbors),
        ):
            if needed > self.n_neighbors:
                raise InputError(
                    f"{name}={needed} but the graph stores K={self.n_neighbors} neighbours for "
                    f"each of {self.n_instances} instances; rebuild it with at least {needed} "
                    f"neighbours (facelink neighbors --k {needed}) or lower {name}."
                )


def _as_whole_numbers(ids: np.ndarray) -> NDArray[np.int64]:
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64)
    if ids.dtype.kind == "f" and np.isfinite(ids).all() and (ids == np.trunc(ids)).all():
        return ids.astype(np.int64)
    raise InputError(f"neighbour ids must be whole numbers, got {ids.dtype} with other values.")


def _check_id_range(ids: np.ndarray, n_instances: int) -> None:
    if ids.size and (ids.min() < MISSING or ids.max() >= n_instances):
        bad = ids.min() if ids.min() < MISSING else ids.max()
        raise InputError(
            f"the neighbour graph names instance {bad}, but ids run from 0 to {n_instances - 1} "
            "(−1 for missing); it belongs to other features or is damaged."
        )


def _drop_repeats(ids: np.ndarray, similarities: np.ndarray, n_instances: int) -> None:
    """Keep the nearest of repeated ids in each sorted row, moving the gaps to the end, in place."""
    by_id = np.argsort(ids, axis=1, kind="stable")
    sorted_ids = np.take_along_axis(ids, by_id, axis=1)
    repeated = (sorted_ids[:, 1:] == sorted_ids[:, :-1]) & (sorted_ids[:, 1:] < n_instances)
    rows = np.flatnonzero(repeated.any(axis=1))
    for row in rows:
        ids[row, by_id[row, 1:][repeated[row]]] = n_instances
        gaps = ids[row] == n_instances
        similarities[row, gaps] = -np.inf
        order = np.argsort(gaps, kind="stable")
        ids[row], similarities[row] = ids[row, order], similarities[row, order]
