"""Instances by cells: what is near each other lies in the same cell or in a few.

An inverted file as in faiss's `IndexIVFFlat`: centres by k-means on a sample, every instance in
the cell of its nearest centre.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.neighbors.centers import nearest_centers, train_centers
from facelink.neighbors.exact import cosine

_CELLS_PER_ROOT = 4.0
"""About 4 √N cells: looking for cells and looking into them then cost about the same."""

_FACES_PER_CELL = 40
"""Instances a cell has at least on the average, and as many train its centre."""

_LEAST_SCATTER = np.float32(1e-3)


def number_of_cells(n_instances: int) -> int:
    """C: how many cells a collection of N instances is divided into, at least 1."""
    return max(1, min(int(_CELLS_PER_ROOT * np.sqrt(n_instances)), n_instances // _FACES_PER_CELL))


@dataclass(frozen=True, eq=False)
class CellIndex:
    """Instances by the cell whose centre is nearest.

    Parameters
    ----------
    centers : float32 (C, D)
        L2-normalised centres.
    members : int32 (N,)
        Instances in order of their cells.
    starts : int64 (C + 1,)
        Where each cell starts in `members`.
    cohesion : float32 (C,)
        Mean cosine similarity of a cell's members to its centre; 0 for an empty cell.
    """

    centers: NDArray[np.float32]
    members: NDArray[np.int32]
    starts: NDArray[np.int64]
    cohesion: NDArray[np.float32]

    @classmethod
    def build(cls, features: NDArray[np.float32], seed: int) -> Self:
        """Find centres by spherical k-means on a sample, and put every instance into its cell.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows; may be memory-mapped, only the sample is copied.
        seed
            Of the sample and of the first centres.
        """
        n = len(features)
        n_cells = number_of_cells(n)
        random = np.random.default_rng(seed)
        sample = np.sort(random.permutation(n)[: n_cells * _FACES_PER_CELL])
        centers = train_centers(features[sample], n_cells, random)
        nearest = nearest_centers(features, centers, np.arange(n), 1)[:, 0]
        members = np.argsort(nearest, kind="stable").astype(np.int32)
        starts = np.concatenate([[0], np.bincount(nearest, minlength=n_cells).cumsum()])
        return cls(centers, members, starts, _cohesion(features, centers, members, starts))

    @property
    def n_cells(self) -> int:
        """C."""
        return len(self.centers)

    def cell_of(self) -> NDArray[np.int64]:
        """Return the cell of every instance, (N,)."""
        cells = np.empty(len(self.members), dtype=np.int64)
        cells[self.members] = np.repeat(np.arange(self.n_cells), np.diff(self.starts))
        return cells

    @cached_property
    def scatter(self) -> NDArray[np.float32]:
        """Return the part of a cell's members that lies across its centre, (C,), in (0, 1].

        In any other direction the members' cosines scatter in proportion to it.
        """
        across = np.sqrt(np.maximum(0, 1 - np.square(self.cohesion)))
        scatter: NDArray[np.float32] = np.maximum(across, _LEAST_SCATTER)
        return scatter


@njit(parallel=True, nogil=True, cache=True)
def _cohesion(
    features: NDArray[np.float32],
    centers: NDArray[np.float32],
    members: NDArray[np.int32],
    starts: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Mean cosine of each cell's members to its centre."""
    means = np.zeros(len(centers), dtype=np.float32)
    for cell in prange(len(centers)):
        total = 0.0
        for place in range(starts[cell], starts[cell + 1]):
            total += cosine(features[members[place]], centers[cell])
        means[cell] = total / max(1, starts[cell + 1] - starts[cell])
    return means
