"""The k-nearest-neighbour graph that every later stage reads."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from facelink.errors import InputError

MISSING = -1
"""Id in `NeighborGraph.indices` where a row has fewer than K neighbours."""

MAX_INSTANCES = np.iinfo(np.int32).max

_ROUNDING = 0.01
"""How far outside [−1, 1] a cosine may lie by rounding (of float16 values), and is clipped."""

_ROW_BLOCK = 65_536
"""Rows sorted or checked at a time, so that the copies this takes stay small beside the graph."""

_MAX_PADDING = 16
"""A sparse graph becomes a table as wide as its longest row, but at most so many times larger."""

_ALWAYS_PADDED = 1 << 22
"""Places of a table that is not too large, however few entries there are; it takes some 270 MB."""


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
        check_id_range(indices, len(indices))
        for start in range(0, len(indices), _ROW_BLOCK):
            rows = slice(start, start + _ROW_BLOCK)
            _check_no_self(indices[rows], start)
            _check_similarities(indices[rows], similarities[rows])
            _check_order(indices[rows], similarities[rows])

    @classmethod
    def of_checked(
        cls,
        indices: NDArray[np.int32],
        similarities: NDArray[np.float32],
        method: str = "precomputed",
        recall: float | None = None,
    ) -> "NeighborGraph":
        """Make a graph of arrays that are known to keep the rules, without reading them.

        For arrays whose checksums were compared: those of millions of faces
        are mapped from files, and are to be read when they are used.
        """
        graph = object.__new__(cls)
        values = (indices, similarities, method, recall)
        for one, value in zip(fields(cls), values, strict=True):
            object.__setattr__(graph, one.name, value)
        return graph

    @property
    def n_instances(self) -> int:
        """Number of instances N."""
        return len(self.indices)

    @property
    def n_neighbors(self) -> int:
        """Width K of the graph."""
        return int(self.indices.shape[1])

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
            Cosine similarities of the candidates; up to 0.01 outside [−1, 1]
            is taken for rounding and clipped.
        n_neighbors
            Width K of the result, at most (and by default) the longest row's
            length.
        method
            Recorded in the result.

        Raises
        ------
        InputError
            For ids out of range, not whole numbers or of a float dtype that
            cannot hold them exactly, similarities that are no cosines, or
            shapes that differ.
        """
        if n_neighbors is not None and n_neighbors < 1:
            raise InputError(f"n_neighbors={n_neighbors}; choose at least 1.")
        id_array, values = np.asarray(ids), np.asarray(similarities)
        if id_array.ndim != 2 or id_array.shape != values.shape:
            raise InputError(
                f"candidate ids and similarities need one shape (N, C), got {id_array.shape} and "
                f"{values.shape}."
            )
        n = len(id_array)
        if n > MAX_INSTANCES:
            raise InputError(f"{n} instances; at most {MAX_INSTANCES} are supported (int32 ids).")
        indices = np.empty(id_array.shape, dtype=np.int32)
        cosines = np.empty(id_array.shape, dtype=np.float32)
        for start in range(0, n, _ROW_BLOCK):
            block = slice(start, start + _ROW_BLOCK)
            indices[block], cosines[block] = _ordered(id_array[block], values[block], start, n)
        longest = int((indices != MISSING).sum(axis=1).max(initial=0))
        width = longest if n_neighbors is None else min(n_neighbors, longest)
        return cls(
            np.ascontiguousarray(indices[:, :width]),
            np.ascontiguousarray(cosines[:, :width]),
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

        Raises
        ------
        InputError
            If the matrix is not square or one row is far longer than the
            others, and for the values that `from_candidates` refuses.
        """
        csr = sparse.csr_matrix(matrix)
        if csr.shape[0] != csr.shape[1]:
            raise InputError(f"a sparse neighbour graph must be square, got {csr.shape}.")
        if values not in ("distance", "similarity"):
            raise InputError(f"values={values!r}; choose 'distance' or 'similarity'.")
        lengths = np.diff(csr.indptr)
        width = int(lengths.max(initial=0))
        if len(lengths) * width > max(_MAX_PADDING * csr.nnz, _ALWAYS_PADDED):
            raise InputError(
                f"row {lengths.argmax()} of the sparse graph lists {width} neighbours, but the "
                f"{len(lengths)} rows hold {csr.nnz} in all; keep the nearest ones of each row."
            )
        ids = np.full((len(lengths), width), MISSING, dtype=csr.indices.dtype)
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


def _ordered(
    ids: np.ndarray, similarities: np.ndarray, first_row: int, n_instances: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Clean and sort the candidates of the rows from `first_row` on; missing ones stand last."""
    whole = _as_whole_numbers(ids, n_instances)
    check_id_range(whole, n_instances)
    with np.errstate(over="ignore"):  # what becomes infinite is no cosine
        values = similarities.astype(np.float32)
    instances = np.arange(first_row, first_row + len(whole))
    keep = (whole != MISSING) & (whole != instances[:, None])
    _check_cosines(values[keep])
    kept_ids = np.where(keep, whole, n_instances)
    kept_values = np.where(keep, values.clip(-1, 1), np.float32(-np.inf))
    order = np.lexsort((kept_ids, -kept_values))
    kept_ids = np.take_along_axis(kept_ids, order, axis=1)
    kept_values = np.take_along_axis(kept_values, order, axis=1)
    _drop_repeats(kept_ids, kept_values, n_instances)
    return np.where(kept_ids < n_instances, kept_ids, MISSING), kept_values


def _as_whole_numbers(ids: np.ndarray, n_instances: int) -> NDArray[np.int64]:
    """Ids as int64, if that changes none of them."""
    if ids.dtype.kind == "f":
        exact_up_to = 2 ** (np.finfo(ids.dtype).nmant + 1)
        if n_instances > exact_up_to:
            raise InputError(
                f"{n_instances} instances but ids stored as {ids.dtype}, which is exact up to "
                f"{exact_up_to} only; store them as integers."
            )
        if not (np.isfinite(ids).all() and (ids == np.trunc(ids)).all()):
            raise InputError(
                f"neighbour ids must be whole numbers, got {ids.dtype} with other values; check "
                "that ids and similarities are not swapped."
            )
    elif ids.dtype.kind not in "iu":
        raise InputError(f"neighbour ids must be whole numbers, got {ids.dtype}.")
    with np.errstate(invalid="ignore"):  # beyond int64 it stays out of the range of ids
        return ids.astype(np.int64)


def _check_cosines(values: NDArray[np.float32]) -> None:
    if values.size and not (abs(values.min()) <= 1 + _ROUNDING >= abs(values.max())):
        raise InputError(
            f"the graph's similarities run from {values.min()} to {values.max()}, but cosines lie "
            "in [−1, 1]; normalise the features, or convert distances to similarities."
        )


def _check_no_self(indices: NDArray[np.int32], first_row: int) -> None:
    instances = np.arange(first_row, first_row + len(indices), dtype=np.int32)
    if (indices == instances[:, None]).any():
        raise InputError(
            "a neighbour graph must not list an instance as its own neighbour; "
            "NeighborGraph.from_candidates removes it by id."
        )


def _check_similarities(indices: NDArray[np.int32], similarities: NDArray[np.float32]) -> None:
    missing = indices == MISSING
    if np.isnan(similarities).any() or not np.array_equal(missing, np.isneginf(similarities)):
        raise InputError(
            "similarities must be numbers, and −inf exactly where the neighbour id is −1; "
            "NeighborGraph.from_candidates sets them so."
        )
    if ((abs(similarities) > 1) & ~missing).any():
        raise InputError(
            "a neighbour graph holds cosine similarities in [−1, 1]; "
            "NeighborGraph.from_candidates clips what rounding adds."
        )


def _check_order(indices: NDArray[np.int32], similarities: NDArray[np.float32]) -> None:
    nearer, farther = similarities[:, :-1], similarities[:, 1:]
    is_present = indices[:, 1:] != MISSING
    is_wrong_tie = (nearer == farther) & (indices[:, :-1] > indices[:, 1:]) & is_present
    if (nearer < farther).any() or is_wrong_tie.any():
        raise InputError(
            "a neighbour graph lists the nearest neighbour first and equally near ones by id; "
            "NeighborGraph.from_candidates sorts."
        )
    ids = np.sort(indices, axis=1)
    if ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != MISSING)).any():
        raise InputError(
            "a neighbour graph must not list a neighbour twice; "
            "NeighborGraph.from_candidates keeps it once."
        )


def check_id_range(ids: np.ndarray, n_instances: int) -> None:
    """Raise `InputError` unless all ids lie in 0 … N − 1 or are `MISSING`."""
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
