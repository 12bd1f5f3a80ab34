"""Looking into cells: each cell's members against all who visit it.

The cells are walked through, not the instances, so that a cell's members stay in the processor's
cache while all visitors are compared with them. Of a cell, a visitor is compared with the centres
of its parts, and with the members of those where one may be near enough.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.codes import Codes
from facelink.neighbors.comparing import (
    Kept,
    Members,
    Parts,
    Promise,
    compare,
    compare_packed,
    count_compared,
    leave_the_best,
    products_of,
)
from facelink.neighbors.exact import cosine
from facelink.neighbors.packed_products import can_multiply, offsets_of
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import Visits

SPARE_PLACES = 128
"""Members that are kept besides the best until those that are not are taken out."""

BYTES_PER_PLACE = 8
"""Similarity and place of a member."""


class BestMembers:
    """The most similar members found so far for each of some queries.

    Similarities are products of `Codes`, in units of each query's scale; of
    equally similar members the one with the smaller id counts more, so that
    what is kept does not depend on the order in which cells are looked into.

    Parameters
    ----------
    queries : Codes
        S rows.
    n : int
        Members of each that are kept.
    floor : float32 (S,), optional
        Similarity that those of each have to have at least, because n others
        have it already.
    """

    def __init__(self, queries: Codes, n: int, floor: NDArray[np.float32] | None = None) -> None:
        shape = len(queries.scales), n + SPARE_PLACES
        self._queries = queries
        self._n = n
        self._kept = Kept(
            np.full(shape, -np.inf, dtype=np.float32),
            np.full(shape, -1, dtype=np.int32),
            np.zeros(shape[0], dtype=np.int64),
            np.full(shape[0], -np.inf, dtype=np.float32) if floor is None else floor.copy(),
        )

    @property
    def values(self) -> NDArray[np.float32]:
        """Similarities, (S, n), in no order; −inf where there are fewer."""
        return self._kept.values[:, : self._n]

    @property
    def places(self) -> NDArray[np.int32]:
        """Where the members are among those of the index, (S, n); −1 where there are fewer."""
        return self._kept.places[:, : self._n]

    def instances(self, index: DividedCells) -> NDArray[np.int32]:
        """The members' ids, (S, n); −1 where there are fewer."""
        members = index.cells.members
        if len(members) == 0:
            return np.full(self.places.shape, -1, dtype=np.int32)
        return np.where(self.places < 0, np.int32(-1), members[self.places])

    def look_into(
        self, index: DividedCells, visits: Visits, promise: Promise | None = None
    ) -> None:
        """Compare visitors with the members of cells; none twice with the same row.

        Parameters
        ----------
        index
            The members.
        visits
            Who looks into which cell.
        promise
            Into which parts of it; by default into all.
        """
        promise = promise or Promise.everywhere(index, len(self._queries.scales))
        queries, members, parts = self._queries, Members.of(index), Parts.of(index)
        to_compare = queries.scales, members, parts, promise, visits, self._kept, self._n
        if can_multiply(queries.values.shape[1]):
            compare_packed(queries.values, offsets_of(queries.values), *to_compare)
        else:
            compare(queries.values, *to_compare)
        leave_the_best(self._kept, members.ids, self._n)


def n_compared(
    queries: Codes, index: DividedCells, visits: Visits, promise: Promise
) -> NDArray[np.int64]:
    """Count the centres of parts and the members that queries (S,) are compared with, (S,)."""
    counts = np.zeros(len(queries.scales), dtype=np.int64)
    count_compared(queries.values, queries.scales, Parts.of(index), promise, visits, counts)
    return counts


def nearness_by_codes(
    queries: Codes, others: Codes, which: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cosines of queries (S,) and some others of each, (S, K), by their codes."""
    found = np.empty(which.shape, dtype=np.float32)
    products_of(queries.values, others.values, which, found)
    found *= others.scales[which]
    found *= queries.scales[:, None]
    return found


def least_similarity(
    values: NDArray[np.float32],
    scales: NDArray[np.float32],
    is_itself: NDArray[np.bool_],
    n_neighbors: int,
) -> NDArray[np.float32]:
    """Cosine by codes of each row's n-th nearest other instance, (S,); −inf without so many.

    Parameters
    ----------
    values : float32 (S, m)
        Of `BestMembers`.
    scales : float32 (S,)
        Of the rows.
    is_itself : bool (S, m)
        Which of them are of the row's own instance.
    n_neighbors : int
        n, at most m.
    """
    others = np.where(is_itself, np.float32(-np.inf), values)
    place = others.shape[1] - n_neighbors
    least: NDArray[np.float32] = np.partition(others, place, axis=1)[:, place] * scales
    return least


@njit(nogil=True, cache=True)
def cosines(
    features: NDArray[np.float32],
    rows: NDArray[np.int64],
    of_members: NDArray[np.float32],
    which: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Cosines of rows (S,) of some features and rows (S, m) of others; −inf where those are −1."""
    found = np.full(which.shape, -np.inf, dtype=np.float32)
    for row in range(which.shape[0]):
        for column in range(which.shape[1]):
            if which[row, column] >= 0:
                found[row, column] = cosine(features[rows[row]], of_members[which[row, column]])
    return found
