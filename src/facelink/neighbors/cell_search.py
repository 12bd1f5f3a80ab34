"""Approximate search: the nearest cells first, then as many others as an instance needs."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from facelink.neighbors.blocks import run_in_blocks
from facelink.neighbors.cells import CellIndex
from facelink.neighbors.centers import choose_nearest
from facelink.neighbors.codes import Codes, n_with_spare
from facelink.neighbors.comparing import Promise
from facelink.neighbors.exact import N_SPARE_CANDIDATES, RecallSample
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import NOWHERE, Reach, Seekers, by_cell, promising_cells
from facelink.neighbors.walking import (
    BestMembers,
    least_similarity,
    n_compared,
    nearness_by_codes,
)

_FIRST_CELLS = 8
"""Cells that everyone looks into, at least. With its own cell alone a face misses its person's
photographs in the next one and finds all strangers of its own: at 1.7 million faces that is a
recall of 0.81, and groups of a BCubed F of 76."""

_FIRST_MEMBERS = 4
"""Members of these on the average, for each candidate wanted."""

_REACH_STEP = 1e-4
"""The reach is rounded up to a multiple: more than cosines are off by rounding."""

_QUERY_BLOCK = 65_536
"""Instances that a thread walks through the cells with."""

_MISSED_BY_CELLS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7)
"""Shares, of the neighbours that may be missed, of those that no cell in reach holds."""


@dataclass(frozen=True, eq=False)
class CellSearch:
    """How far instances look into the cells.

    Parameters
    ----------
    index : DividedCells
        The cells and their parts.
    n_neighbors : int
        k.
    n_first : int
        Nearest cells that everyone looks into, from 1 to C.
    reach : Reach
        Then everyone looks into the parts of cells where a member that is
        nearer than the average by so many times the scatter would be among
        the k nearest.
    """

    index: DividedCells
    n_neighbors: int
    n_first: int
    reach: Reach = NOWHERE

    @classmethod
    def for_recall(
        cls,
        features: NDArray[np.float32],
        index: DividedCells,
        sample: RecallSample,
        recall: float,
    ) -> Self:
        """Choose how far to look so that a share of the sample's neighbours is in reach.

        Neighbours that are not in reach are missed by their cells or by the
        parts of these: of some ways to share them out, the one that compares
        the sample with fewest members and centres of parts.

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
        n, k, n_cells = len(features), sample.neighbors.shape[1], index.cells.n_cells
        wanted = _FIRST_MEMBERS * (k + 1 + N_SPARE_CANDIDATES) * n_cells
        n_first = min(n_cells, max(_FIRST_CELLS, -(-wanted // n)))
        cells = index.cells.cell_of()[sample.neighbors]
        with threadpool_limits(1, "blas"):
            nearness = features[sample.instances] @ index.cells.centers.T
        places = _places(nearness, cells)
        n_missed = places.size - int(np.ceil(recall * places.size))
        enough = _least_that_misses(places, n_missed)
        first = cls(index, k, n_first)
        if enough <= n_first:
            return first
        seekers = first._look_nearby(features, sample.instances, first.n_kept(n))[1]
        is_nearby = places <= n_first
        needed = _reach_needed(
            index.cells, np.take_along_axis(nearness, cells, 1), cells, seekers.least
        )
        needed[is_nearby] = -np.inf
        parts = index.parts.cell_of()[sample.neighbors]
        queries = Codes.of_queries(features, sample.instances)
        to_parts = nearness_by_codes(queries, index.codes_of_parts, parts)
        needed_of_parts = _reach_needed(index.parts, to_parts, parts, seekers.least)
        needed_of_parts[is_nearby] = -np.inf
        choices = []
        for share in _MISSED_BY_CELLS:
            of_cells = _round_up(_least_that_misses(needed, int(share * n_missed)))
            in_cells = np.where(needed <= of_cells, needed_of_parts, np.inf)
            of_parts = _round_up(_least_that_misses(in_cells, n_missed))
            choices.append(cls(index, k, n_first, Reach(of_cells, of_parts)))
        return min(choices, key=lambda one: one._n_farther(seekers).sum())

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
            How many are wanted, at least k + 1.

        Returns
        -------
        int32 (S, n)
            So many and some to spare, as similarities are rounded (`codes`);
            in no order, the instance itself among them; −1 where the cells
            hold fewer.
        """
        n = n_with_spare(len(features), n_candidates)
        candidates = np.empty((len(instances), n), dtype=np.int32)

        _ = self.index.codes_of_parts  # once, before threads ask for them

        def fill(block: slice) -> None:
            candidates[block] = self._best(features, instances[block], n)

        run_in_blocks(fill, len(instances), _QUERY_BLOCK)
        return candidates

    def n_compared(
        self, features: NDArray[np.float32], instances: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Count what each instance is compared with when its neighbours are sought.

        Parameters
        ----------
        features, instances
            As for `search`.

        Returns
        -------
        int64 (S,)
            Members, and centres of parts; everyone is compared with the
            centres of all cells besides.
        """
        seekers = self._look_nearby(features, instances, self.n_kept(len(features)))[1]
        nearby = np.diff(self.index.cells.starts)[seekers.known].sum(axis=1)
        compared: NDArray[np.int64] = nearby + self._n_farther(seekers)
        return compared

    def _best(
        self, features: NDArray[np.float32], instances: NDArray[np.int64], n: int
    ) -> NDArray[np.int32]:
        """The n best of what some instances look into, on one thread."""
        best, seekers = self._look_nearby(features, instances, n)
        promise = Promise.of(self.index, seekers, self.reach)
        for visits in promising_cells(self.index.cells, seekers, self.reach):
            best.look_into(self.index, visits, promise)
        return best.instances(self.index)

    def n_kept(self, n_instances: int) -> int:
        """How many are kept of what each of N instances looks into."""
        return n_with_spare(n_instances, self.n_neighbors + 1 + N_SPARE_CANDIDATES)

    def _n_farther(self, seekers: Seekers) -> NDArray[np.int64]:
        """Centres of parts, and members of these, that each instance is compared with, (S,)."""
        promise = Promise.of(self.index, seekers, self.reach)
        queries = Codes.of_queries(seekers.features, seekers.instances)
        counts = np.zeros(len(seekers.instances), dtype=np.int64)
        with threadpool_limits(1, "blas"):
            for visits in promising_cells(self.index.cells, seekers, self.reach):
                counts += n_compared(queries, self.index, visits, promise)
        return counts

    def _look_nearby(
        self, features: NDArray[np.float32], instances: NDArray[np.int64], n: int
    ) -> tuple[BestMembers, Seekers]:
        """Look into everyone's nearest cells and keep the n best, on one thread."""
        cells = self.index.cells
        queries = Codes.of_queries(features, instances)
        best = BestMembers(queries, n)
        nearest = np.empty((len(instances), self.n_first), dtype=np.int32)
        with threadpool_limits(1, "blas"):
            choose_nearest(features, cells.centers, instances, nearest)
        rows = np.repeat(np.arange(len(instances), dtype=np.int32), self.n_first)
        best.look_into(self.index, by_cell(rows, nearest.reshape(-1), cells.n_cells))
        is_itself = best.instances(self.index) == instances[:, None]
        least = least_similarity(best.values, queries.scales, is_itself, self.n_neighbors)
        return best, Seekers(features, instances, nearest, least)


def _reach_needed(
    cells: CellIndex,
    nearness: NDArray[np.float32],
    which: NDArray[np.int64],
    least: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Reach from which on cells at some nearness, (S, K) both, promise what is needed, (S,)."""
    needed: NDArray[np.float32] = least[:, None] - nearness * cells.cohesion[which]
    return needed / cells.scatter[which]


def _least_that_misses(values: NDArray[Any], n_missed: int) -> Any:
    """Least value that is not below all but so many of some values."""
    return np.sort(values, axis=None)[values.size - 1 - n_missed]


def _round_up(reach: float) -> float:
    return float(np.ceil(reach / _REACH_STEP) * _REACH_STEP)


def _places(nearness: NDArray[np.float32], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many centres are at least as near as those of some cells, row by row."""
    ordered = np.sort(nearness, axis=1)
    reached = np.take_along_axis(nearness, cells, axis=1)
    pairs = zip(ordered, reached, strict=True)
    return np.stack([len(row) - np.searchsorted(row, values) for row, values in pairs])
