"""Approximate search by cells: what is near lies in few cells, and a cell is searched by a product.

An inverted file as in faiss's `IndexIVFFlat`, walked the other way round: not each instance
through its cells, but each cell for all instances that look into it. The similarities of a cell
are then one matrix product, several times faster on a CPU than as many inner products one by one.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import faiss
import numpy as np
from numba import get_num_threads, njit
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

_CELLS_PER_ROOT = 4.0
"""About 4 √N cells: looking for cells and looking into them then cost about the same."""

_FACES_PER_CELL = 40
"""Instances a cell has at least on the average, and as many train its centre."""

_TRAINING_ROUNDS = 10
_QUERY_BLOCK = 16_384
_RANKING_BLOCK = 4_096
_VISITORS_AT_ONCE = 4_096
_STRIDE = 32  # similarities that are passed over at once if none is great enough


@dataclass(frozen=True, eq=False)
class CellIndex:
    """Instances by the cell whose centre is nearest.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows; kept, not copied.
    centers : float32 (C, D)
        L2-normalised centres.
    members : int32 (N,)
        Instances in order of their cells, by id within a cell.
    starts : int64 (C + 1,)
        Where each cell starts in `members`.
    """

    features: NDArray[np.float32]
    centers: NDArray[np.float32]
    members: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def build(cls, features: NDArray[np.float32], seed: int) -> Self:
        """Find centres by spherical k-means on a sample, and put every instance into its cell."""
        n, dim = features.shape
        n_cells = max(1, min(int(_CELLS_PER_ROOT * np.sqrt(n)), n // _FACES_PER_CELL))
        sample = np.random.default_rng(seed).permutation(n)[: n_cells * _FACES_PER_CELL]
        sample.sort()
        kmeans = faiss.Kmeans(
            dim,
            n_cells,
            niter=_TRAINING_ROUNDS,
            spherical=True,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=2 * _FACES_PER_CELL,
        )
        kmeans.train(features[sample])
        centers = np.ascontiguousarray(kmeans.centroids)
        nearest = _nearest_center(features, centers)
        members = np.argsort(nearest, kind="stable").astype(np.int32)
        starts = np.concatenate([[0], np.bincount(nearest, minlength=n_cells).cumsum()])
        return cls(features, centers, members, starts)

    @property
    def n_cells(self) -> int:
        """C."""
        return len(self.centers)

    def cells_needed(
        self, instances: NDArray[np.int64], neighbors: NDArray[np.int32], recall: float
    ) -> int:
        """How many cells each instance has to look into to find a share of its neighbours.

        Parameters
        ----------
        instances : int64 (S,)
            A sample.
        neighbors : int32 (S, k)
            Their true neighbours.
        recall
            Share of all neighbours to be found, in (0, 1].

        Returns
        -------
        int
            From 1 to C.
        """
        cell_of = np.empty(len(self.members), dtype=np.int64)
        cell_of[self.members] = np.repeat(np.arange(self.n_cells), np.diff(self.starts))
        nearness = self.features[instances] @ self.centers.T
        reached = np.take_along_axis(nearness, cell_of[neighbors], axis=1)
        ordered = np.sort(nearness, axis=1)
        places = [
            self.n_cells - np.searchsorted(row, values)
            for row, values in zip(ordered, reached, strict=True)
        ]
        counted = np.sort(np.concatenate(places))
        return int(counted[max(0, int(np.ceil(recall * len(counted))) - 1)])

    def search(
        self, instances: NDArray[np.int64], n_cells: int, n_candidates: int
    ) -> NDArray[np.int32]:
        """Return the most similar members of each instance's nearest cells.

        Parameters
        ----------
        instances : int64 (S,)
            Whose neighbours are sought.
        n_cells
            Cells that each looks into, from 1 to C.
        n_candidates
            How many to return.

        Returns
        -------
        int32 (S, n_candidates)
            In no order, the instance itself among them; −1 where the cells hold fewer.
        """
        candidates = np.full((len(instances), n_candidates), -1, dtype=np.int32)
        starts = range(0, len(instances), _QUERY_BLOCK)
        blocks = [slice(start, start + _QUERY_BLOCK) for start in starts]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(get_num_threads()) as threads:
            searches = [
                threads.submit(self._search_block, instances[block], n_cells, candidates[block])
                for block in blocks
            ]
            for search in searches:
                search.result()
        return candidates

    def _search_block(
        self, instances: NDArray[np.int64], n_cells: int, candidates: NDArray[np.int32]
    ) -> None:
        """Fill the candidates of some instances, cell by cell, on one thread."""
        cells = _nearest_cells(self.features, self.centers, instances, n_cells)
        visitors, firsts = _visitors(cells, self.n_cells)
        best = np.full(candidates.shape, -np.inf, dtype=np.float32)
        dim = self.features.shape[1]
        queries = np.empty((_VISITORS_AT_ONCE, dim), dtype=np.float32)
        products = np.empty(_VISITORS_AT_ONCE * int(np.diff(self.starts).max()), dtype=np.float32)
        for cell in range(self.n_cells):
            members = self.members[self.starts[cell] : self.starts[cell + 1]]
            of_members = self.features[members].T
            for start in range(firsts[cell], firsts[cell + 1], _VISITORS_AT_ONCE):
                rows = visitors[start : min(start + _VISITORS_AT_ONCE, firsts[cell + 1])]
                of_rows = queries[: len(rows)]
                _gather(self.features, instances, rows, of_rows)
                made = products[: len(rows) * len(members)].reshape(len(rows), len(members))
                np.matmul(of_rows, of_members, out=made)
                _keep_best(made, rows, members, best, candidates)


def _nearest_center(
    features: NDArray[np.float32], centers: NDArray[np.float32]
) -> NDArray[np.int64]:
    index = faiss.IndexFlatIP(centers.shape[1])
    index.add(centers)
    _, nearest = index.search(features, 1)
    return np.asarray(nearest[:, 0], dtype=np.int64)


def _nearest_cells(
    features: NDArray[np.float32],
    centers: NDArray[np.float32],
    instances: NDArray[np.int64],
    n_cells: int,
) -> NDArray[np.int32]:
    """Cells with the nearest centres, (S, n_cells), in order of their numbers."""
    cells = np.empty((len(instances), n_cells), dtype=np.int32)
    for start in range(0, len(instances), _RANKING_BLOCK):
        block = slice(start, start + _RANKING_BLOCK)
        _largest(features[instances[block]] @ centers.T, cells[block])
    return cells


@njit(nogil=True, cache=True)
def _largest(values: NDArray[np.float32], columns: NDArray[np.int32]) -> None:
    """Fill each row with the columns of its largest values; of equal ones the first."""
    n_rows, n_columns = values.shape
    n_wanted = columns.shape[1]
    for row in range(n_rows):
        least = np.partition(values[row], n_columns - n_wanted)[n_columns - n_wanted]
        n_above = 0
        for column in range(n_columns):
            n_above += values[row, column] > least
        n_equal = n_wanted - n_above
        place = 0
        for column in range(n_columns):
            if values[row, column] == least and n_equal > 0:
                n_equal -= 1
            elif values[row, column] <= least:
                continue
            columns[row, place] = column
            place += 1


@njit(nogil=True, cache=True)
def _visitors(
    cells: NDArray[np.int32], n_cells: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Rows that look into each cell, one cell after another, and where each cell's start."""
    n_rows, n_wanted = cells.shape
    firsts = np.zeros(n_cells + 1, dtype=np.int64)
    for row in range(n_rows):
        for column in range(n_wanted):
            firsts[cells[row, column] + 1] += 1
    firsts = np.cumsum(firsts)
    places = firsts[:-1].copy()
    visitors = np.empty(n_rows * n_wanted, dtype=np.int32)
    for row in range(n_rows):
        for column in range(n_wanted):
            cell = cells[row, column]
            visitors[places[cell]] = row
            places[cell] += 1
    return visitors, firsts


@njit(nogil=True, cache=True)
def _gather(
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    rows: NDArray[np.int32],
    gathered: NDArray[np.float32],
) -> None:
    for place in range(len(rows)):
        instance = instances[rows[place]]
        for column in range(features.shape[1]):
            gathered[place, column] = features[instance, column]


@njit(nogil=True, cache=True)
def _keep_best(
    products: NDArray[np.float32],
    rows: NDArray[np.int32],
    members: NDArray[np.int32],
    best: NDArray[np.float32],
    candidates: NDArray[np.int32],
) -> None:
    """Put a cell's members into the heaps of the rows where they are among the best.

    A row's heap has its least similarity at place 0, and none before its children.
    """
    n_members = len(members)
    for visit in range(len(rows)):
        values, ids = best[rows[visit]], candidates[rows[visit]]
        for start in range(0, n_members, _STRIDE):
            some = products[visit, start : min(start + _STRIDE, n_members)]
            if _greatest(some) <= values[0]:
                continue
            for column in range(len(some)):
                if some[column] > values[0]:
                    _replace_least(values, ids, some[column], members[start + column])


@njit(fastmath=True, cache=True)
def _greatest(values: NDArray[np.float32]) -> np.float32:
    greatest: np.float32 = values[0]
    for place in range(1, len(values)):
        greatest = max(greatest, values[place])
    return greatest


@njit(cache=True)
def _replace_least(
    values: NDArray[np.float32], ids: NDArray[np.int32], value: np.float32, member: np.int32
) -> None:
    """Take the least similarity out of a heap and put another in."""
    size = len(values)
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] < values[child]:
            child += 1
        if values[child] >= value:
            break
        values[place], ids[place] = values[child], ids[child]
        place = child
    values[place], ids[place] = value, member
