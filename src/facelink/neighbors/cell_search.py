"""Approximate search: the nearest cells first, then as many others as an instance needs."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from facelink.neighbors.blocks import run_in_blocks
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.centers import choose_nearest
from facelink.neighbors.exact import N_SPARE_CANDIDATES, RecallSample
from facelink.neighbors.visits import by_cell, promising_cells
from facelink.neighbors.walking import BestMembers

_FIRST_CELLS = 8
"""Cells that everyone looks into, at least."""

_FIRST_MEMBERS = 4
"""Members of these on the average, for each candidate wanted."""

_REACH_STEP = 1e-4
"""The reach is rounded up to a multiple: more than cosines are off by rounding."""

_QUERY_BLOCK = 65_536
"""Instances that a thread walks through the cells with."""


@dataclass(frozen=True, eq=False)
class CellSearch:
    """How far instances look into the cells.

    Parameters
    ----------
    index : CellIndex
        The cells.
    n_neighbors : int
        k.
    n_first : int
        Nearest cells that everyone looks into, from 1 to C.
    reach : float
        Then everyone looks into the cells where a member that is nearer than
        the average by so many times the cell's scatter would be among the k
        nearest; −inf to look into no more.
    """

    index: CellIndex
    n_neighbors: int
    n_first: int
    reach: float

    @classmethod
    def for_recall(
        cls,
        features: NDArray[np.float32],
        index: CellIndex,
        sample: RecallSample,
        recall: float,
    ) -> Self:
        """Choose how far to look so that a share of the sample's neighbours is in reach.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows.
        index
            Their cells.
        sample
            Instances with their true neighbours.
        recall
            Share of all these neighbours, in (0, 1].
        """
        n, k = len(features), sample.neighbors.shape[1]
        wanted = _FIRST_MEMBERS * (k + 1 + N_SPARE_CANDIDATES) * index.n_cells
        n_first = min(index.n_cells, max(_FIRST_CELLS, -(-wanted // n)))
        cells = index.cell_of()[sample.neighbors]
        with threadpool_limits(1, "blas"):
            nearness = features[sample.instances] @ index.centers.T
        places = _places(nearness, cells)
        n_needed = int(np.ceil(recall * places.size))
        enough = int(np.sort(places, axis=None)[n_needed - 1])
        if enough <= n_first:
            return cls(index, k, enough, -np.inf)
        first = cls(index, k, n_first, -np.inf)
        least = first._least_nearby(features, sample.instances)
        nearer = least[:, None] - np.take_along_axis(nearness, cells, 1) * index.cohesion[cells]
        reach_needed = np.where(places <= n_first, -np.inf, nearer / index.scatter()[cells])
        reach = float(np.sort(reach_needed, axis=None)[n_needed - 1])
        return cls(index, k, n_first, np.ceil(reach / _REACH_STEP) * _REACH_STEP)

    def search(
        self, features: NDArray[np.float32], instances: NDArray[np.int64], n_candidates: int
    ) -> NDArray[np.int32]:
        """Return the most similar members of the cells that each instance looks into.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows.
        instances : int64 (S,)
            Whose neighbours are sought.
        n_candidates
            How many to return, at least k + 1.

        Returns
        -------
        int32 (S, n_candidates)
            In no order, the instance itself among them; −1 where the cells hold fewer.
        """
        candidates = np.full((len(instances), n_candidates), -1, dtype=np.int32)

        def fill(block: slice) -> None:
            self._fill(features, instances[block], candidates[block])

        run_in_blocks(fill, len(instances), _QUERY_BLOCK)
        return candidates

    def n_compared(
        self, features: NDArray[np.float32], instances: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Count the members that each instance is compared with when its neighbours are sought.

        Parameters
        ----------
        features, instances
            As for `search`.

        Returns
        -------
        int64 (S,)
        """
        sizes = np.diff(self.index.starts)
        with threadpool_limits(1, "blas"):
            best, nearest = self._look_nearby(features, instances, self._room(features, instances))
            rows, cells = self._farther(features, instances, best, nearest)
        farther = np.bincount(rows, sizes[cells], len(instances)).astype(np.int64)
        compared: NDArray[np.int64] = sizes[nearest].sum(axis=1) + farther
        return compared

    def _fill(
        self,
        features: NDArray[np.float32],
        instances: NDArray[np.int64],
        candidates: NDArray[np.int32],
    ) -> None:
        """Fill the candidates of some instances, on one thread."""
        best, nearest = self._look_nearby(features, instances, candidates)
        rows, cells = self._farther(features, instances, best, nearest)
        best.look_into(self.index, by_cell(rows, cells, self.index.n_cells))

    def _farther(
        self,
        features: NDArray[np.float32],
        instances: NDArray[np.int64],
        best: BestMembers,
        nearest: NDArray[np.int32],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Rows of instances, and the cells that they look into after the nearest ones."""
        if self.reach == -np.inf:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32)
        least = best.least_similarity(self.n_neighbors)
        return promising_cells(self.index, features, instances, nearest, least, self.reach)

    def _look_nearby(
        self,
        features: NDArray[np.float32],
        instances: NDArray[np.int64],
        candidates: NDArray[np.int32],
    ) -> tuple[BestMembers, NDArray[np.int32]]:
        """Look into everyone's nearest cells, and return these too: (S, n_first)."""
        best = BestMembers(features, instances, candidates)
        nearest = np.empty((len(instances), self.n_first), dtype=np.int32)
        choose_nearest(features, self.index.centers, instances, nearest)
        rows = np.repeat(np.arange(len(instances), dtype=np.int32), self.n_first)
        best.look_into(self.index, by_cell(rows, nearest.reshape(-1), self.index.n_cells))
        return best, nearest

    def _least_nearby(
        self, features: NDArray[np.float32], instances: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Cosine of each instance's k-th nearest of those in its nearest cells, (S,)."""
        with threadpool_limits(1, "blas"):
            best, _ = self._look_nearby(features, instances, self._room(features, instances))
        return best.least_similarity(self.n_neighbors)

    def _room(
        self, features: NDArray[np.float32], instances: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Room for the candidates of some instances."""
        n_candidates = min(len(features), self.n_neighbors + 1 + N_SPARE_CANDIDATES)
        return np.full((len(instances), n_candidates), -1, dtype=np.int32)


def _places(nearness: NDArray[np.float32], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many centres are at least as near as those of some cells, row by row."""
    ordered = np.sort(nearness, axis=1)
    reached = np.take_along_axis(nearness, cells, axis=1)
    pairs = zip(ordered, reached, strict=True)
    return np.stack([len(row) - np.searchsorted(row, values) for row, values in pairs])
