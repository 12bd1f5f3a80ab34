"""Cells divided into parts: who looks into a cell need not look at all that is in it.

More cells would do the same, but everyone is compared with the centres of all cells; with those of
parts only where the cell promises something.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.neighbors.cells import CellIndex, number_of_cells
from facelink.neighbors.codes import Codes
from facelink.neighbors.exact import cosine

_FACES_PER_PART = 32
"""Members of a part on the average. At 1.7 million faces and a recall of 0.95, parts of 32 took
12 % less time than those of 64, which compare with a quarter more (products of float32)."""

_MOST_PARTS = 64
"""Parts of a cell at most: finding them takes time in proportion, of a cell of a million too."""

_ROUNDS = 5


def number_of_parts(n_instances: int) -> int:
    """About how many parts the cells of a collection of N instances have."""
    return max(number_of_cells(n_instances), n_instances // _FACES_PER_PART)


@dataclass(frozen=True, eq=False)
class DividedCells:
    """Instances by cell, and by parts of the cells.

    Parameters
    ----------
    cells : CellIndex
        The cells; the members of each are in order of its parts, by id within one.
    parts : CellIndex
        The same members by part, those of one cell after those of another.
    firsts : int64 (C + 1,)
        Number of each cell's first part.
    codes : Codes
        Of the members, in their order.
    """

    cells: CellIndex
    parts: CellIndex
    firsts: NDArray[np.int64]
    codes: Codes

    @cached_property
    def codes_of_parts(self) -> Codes:
        """Of the parts' centres."""
        return Codes.of_members(self.parts.centers, np.arange(self.parts.n_cells))

    def parts_of(self, cell: int) -> slice:
        """Return the parts of one cell."""
        return slice(int(self.firsts[cell]), int(self.firsts[cell + 1]))

    def only(self, which: slice) -> Self:
        """Return some cells that follow each other, with their parts and members alone."""
        firsts = self.firsts[which.start : which.stop + 1]
        parts = slice(firsts[0], firsts[-1])
        starts = self.parts.starts[parts.start : parts.stop + 1]
        within = slice(starts[0], starts[-1])
        members = self.cells.members[within]
        starts, firsts = starts - starts[0], firsts - firsts[0]
        cells, of_parts = self.cells, self.parts
        return type(self)(
            CellIndex(cells.centers[which], members, starts[firsts], cells.cohesion[which]),
            CellIndex(of_parts.centers[parts], members, starts, of_parts.cohesion[parts]),
            firsts,
            self.codes.only(within),
        )

    @classmethod
    def build(cls, features: NDArray[np.float32], seed: int) -> Self:
        """Find cells and their parts; parameters as of `CellIndex.build`."""
        return cls.of(features, CellIndex.build(features, seed))

    @classmethod
    def of(cls, features: NDArray[np.float32], cells: CellIndex) -> Self:
        """Divide cells by k-means within each.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows; may be memory-mapped.
        cells : CellIndex
            Their cells.
        """
        sizes = np.diff(cells.starts)
        n_parts = np.clip(sizes // _FACES_PER_PART, 1, _MOST_PARTS)
        firsts = np.concatenate([[0], n_parts.cumsum()])
        members = cells.members.copy()
        centers = np.empty((firsts[-1], features.shape[1]), dtype=np.float32)
        cohesion = np.empty(firsts[-1], dtype=np.float32)
        starts = np.zeros(firsts[-1] + 1, dtype=np.int64)
        _divide(features, cells.centers, cells.starts, firsts, members, centers, cohesion, starts)
        whole = CellIndex(cells.centers, members, cells.starts, cells.cohesion)
        of_parts = CellIndex(centers, members, starts, cohesion)
        return cls(whole, of_parts, firsts, Codes.of_members(features, members))


@njit(parallel=True, nogil=True, cache=True)
def _divide(
    features: NDArray[np.float32],
    cell_centers: NDArray[np.float32],
    cell_starts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    members: NDArray[np.int32],
    centers: NDArray[np.float32],
    cohesion: NDArray[np.float32],
    starts: NDArray[np.int64],
) -> None:
    """Fill in each cell's parts and order its members by them; a cell's only part is the cell."""
    for cell in prange(len(cell_centers)):
        here = members[cell_starts[cell] : cell_starts[cell + 1]]
        first, end = firsts[cell], firsts[cell + 1]
        rows = np.empty((len(here), features.shape[1]), dtype=np.float32)
        for place in range(len(here)):
            rows[place] = features[here[place]]
        if end == first + 1:
            centers[first] = cell_centers[cell]
            part_of = np.zeros(len(rows), dtype=np.int64)
        else:
            part_of = _find_parts(rows, centers[first:end])
        here[:] = here[np.argsort(part_of, kind="mergesort")]
        sums = np.zeros(end - first)
        sizes = np.zeros(end - first, dtype=np.int64)
        for place in range(len(rows)):
            part = part_of[place]
            sums[part] += cosine(rows[place], centers[first + part])
            sizes[part] += 1
        start = cell_starts[cell]
        for part in range(end - first):
            cohesion[first + part] = sums[part] / max(1, sizes[part])
            start += sizes[part]
            starts[first + part + 1] = start


@njit(nogil=True, cache=True)
def _find_parts(rows: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Fill in centres by spherical k-means, and return the nearest of each row.

    The first centres are rows at equal distances. One that is nearest to no row stays as it was.
    """
    n_rows, n_centers = len(rows), len(centers)
    for part in range(n_centers):
        centers[part] = rows[part * n_rows // n_centers]
    part_of: NDArray[np.int64] = _nearest(rows, centers)
    for _ in range(_ROUNDS):
        sums = np.zeros(centers.shape, dtype=np.float64)
        for place in range(n_rows):
            sums[part_of[place]] += rows[place]
        for part in range(n_centers):
            length = np.sqrt(np.sum(np.square(sums[part])))
            if length > 0:
                centers[part] = (sums[part] / length).astype(np.float32)
        part_of = _nearest(rows, centers)
    return part_of


@njit(nogil=True, cache=True)
def _nearest(rows: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return each row's nearest centre, the first of those that are equally near."""
    nearest = np.empty(len(rows), dtype=np.int64)
    for place in range(len(rows)):
        best = np.float32(-2.0)
        for part in range(len(centers)):
            similarity = cosine(rows[place], centers[part])
            if similarity > best:
                best, nearest[place] = similarity, part
    return nearest
