"""Features as small integers: to find candidates, which exact products then put in order.

A quarter of the memory that has to be read, and sums of integers: the same in any order, by any
blocks and on any machine. Members have 7 bits and queries 6, so that the sum of eight products fits
into 16 bits (`packed_products`); a cosine of 256-d features is off by some 0.002.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.blocks import run_in_blocks

LARGEST_OF_MEMBERS = 63
LARGEST_OF_QUERIES = 32
"""With 8 bits for both, searches of 584,000 made-up faces and of 30,000 real ones find the same
share of neighbours to 0.0005."""

_BLOCK = 65_536

_N_SPARE = 32
"""Candidates beyond those that are wanted: some of these are behind others by rounding alone."""


def n_with_spare(n_instances: int, n_candidates: int) -> int:
    """How many candidates to find so that those that are wanted are among them."""
    return min(n_instances, n_candidates + _N_SPARE)


@dataclass(frozen=True, eq=False)
class Codes:
    """Rows of features, each divided by its scale and rounded.

    Parameters
    ----------
    values : int8 (N, D)
        From −63 to 63 for members, from −32 to 32 for queries.
    scales : float32 (N,)
        Largest value of each row, divided by 63 or 32.
    """

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    @classmethod
    def of_queries(
        cls, features: NDArray[np.float32], which: NDArray[np.int32] | NDArray[np.int64]
    ) -> Self:
        """Round rows whose neighbours are sought, on one thread.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows; may be memory-mapped.
        which : integer (M,)
            Those to round, in this order.
        """
        codes = cls._empty(len(which), features.shape[1])
        _round(features, which, LARGEST_OF_QUERIES, codes.values, codes.scales)
        return codes

    @classmethod
    def of_members(
        cls, features: NDArray[np.float32], which: NDArray[np.int32] | NDArray[np.int64]
    ) -> Self:
        """Round rows that are found, or centres, on all threads; parameters as for queries."""
        codes = cls._empty(len(which), features.shape[1])

        def fill(block: slice) -> None:
            values, scales = codes.values[block], codes.scales[block]
            _round(features, which[block], LARGEST_OF_MEMBERS, values, scales)

        run_in_blocks(fill, len(which), _BLOCK)
        return codes

    @classmethod
    def _empty(cls, n_rows: int, dim: int) -> Self:
        return cls(np.empty((n_rows, dim), dtype=np.int8), np.empty(n_rows, dtype=np.float32))

    def only(self, rows: slice) -> Self:
        """Return some rows that follow each other."""
        return type(self)(self.values[rows], self.scales[rows])


@njit(nogil=True, cache=True)
def _round(
    features: NDArray[np.float32],
    which: NDArray[np.int32] | NDArray[np.int64],
    largest: int,
    values: NDArray[np.int8],
    scales: NDArray[np.float32],
) -> None:
    for row in range(len(which)):
        feature = features[which[row]]
        scale = np.max(np.abs(feature)) / np.float32(largest)
        if scale == 0:
            scale = np.float32(1)
        scales[row] = scale
        for column in range(len(feature)):
            values[row, column] = np.int8(np.rint(feature[column] / scale))


@njit(nogil=True, cache=True, inline="never")
def product(first: NDArray[np.signedinteger], second: NDArray[np.signedinteger]) -> np.int32:
    """Sum of the products of two rows; every step is kept to 32 bits, which vectors add up."""
    total = np.int32(0)
    for column in range(first.shape[0]):
        total = np.int32(total + np.int32(np.int32(first[column]) * np.int32(second[column])))
    return total
