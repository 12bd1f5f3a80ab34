"""Looking into cells: each cell's members against all who visit it.

The cells are walked through, not the instances, so that a cell's members stay in the processor's
cache while all visitors are compared with them.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.codes import Codes, product
from facelink.neighbors.exact import cosine
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import Visits


class BestMembers:
    """The most similar members found so far for each of some queries, as heaps.

    Similarities are products of `Codes`, in units of each query's scale; of
    equally similar members the one with the smaller id counts more, so that
    the heaps do not depend on the order in which cells are looked into.

    Parameters
    ----------
    queries : Codes
        S rows.
    n : int
        Members of each that are kept.

    Attributes
    ----------
    values : float32 (S, n)
        Similarities, in no order; −inf where there are fewer.
    places : int32 (S, n)
        Where the members are among those of the index; −1 where there are fewer.
    """

    def __init__(self, queries: Codes, n: int) -> None:
        self._queries = queries.values
        self._least = np.full(len(queries.scales), -np.inf, dtype=np.float32)
        self.values = np.full((len(self._least), n), -np.inf, dtype=np.float32)
        self.places = np.full(self.values.shape, -1, dtype=np.int32)

    def look_into(self, index: DividedCells, starts: NDArray[np.int64], visits: Visits) -> None:
        """Compare visitors with the members of cells, or of parts; none twice with the same row.

        Parameters
        ----------
        index
            The members.
        starts : int64 (C + 1,)
            Where the cells or parts start among them.
        visits
            Who looks into which.
        """
        _compare(
            self._queries,
            index.codes.values,
            index.codes.scales,
            index.cells.members,
            starts,
            *visits,
            self._least,
            self.values,
            self.places,
        )

    def instances(self, index: DividedCells) -> NDArray[np.int32]:
        """The members' ids, (S, n); −1 where there are fewer."""
        return np.where(self.places < 0, np.int32(-1), index.cells.members[self.places])


def least_similarity(
    similarities: NDArray[np.float32], is_itself: NDArray[np.bool_], n_neighbors: int
) -> NDArray[np.float32]:
    """Cosine of each row's n-th nearest other instance, (S,); −inf without so many.

    Parameters
    ----------
    similarities : float32 (S, m)
        Cosines in no order; −inf where there is none.
    is_itself : bool (S, m)
        Which of them are of the row's own instance.
    n_neighbors : int
        n, at most m.
    """
    others = np.where(is_itself, np.float32(-np.inf), similarities)
    place = others.shape[1] - n_neighbors
    least: NDArray[np.float32] = np.partition(others, place, axis=1)[:, place]
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


@njit(nogil=True, cache=True)
def _compare(
    queries: NDArray[np.int8],
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    members: NDArray[np.int32],
    starts: NDArray[np.int64],
    visitors: NDArray[np.int32],
    firsts: NDArray[np.int64],
    least: NDArray[np.float32],
    values: NDArray[np.float32],
    places: NDArray[np.int32],
) -> None:
    """Put members into the heaps of the rows where they are among the best.

    A row's heap has its least similar member at place 0, and none before its children; how
    similar that is, is kept in `least` as well, all of which stays in the cache.
    """
    largest = max(1, np.max(starts[1:] - starts[:-1]))
    of_members = np.empty((largest, queries.shape[1]), dtype=np.int16)
    query = np.empty(queries.shape[1], dtype=np.int16)
    for cell in range(len(starts) - 1):
        if firsts[cell] == firsts[cell + 1]:
            continue
        begin, n_members = starts[cell], starts[cell + 1] - starts[cell]
        of_members[:n_members] = codes[begin : begin + n_members]
        of_scales = scales[begin : begin + n_members]
        for visit in range(firsts[cell], firsts[cell + 1]):
            row = visitors[visit]
            query[:] = queries[row]
            limit = least[row]
            for member in range(n_members):
                value = np.float32(product(query, of_members[member])) * of_scales[member]
                if value < limit:
                    continue
                place = begin + member
                if value > limit or _is_after(places[row, 0], place, members):
                    _replace_least(values[row], places[row], value, place, members)
                    limit = least[row] = values[row, 0]


@njit(nogil=True, cache=True)
def _is_after(place: int, other: int, members: NDArray[np.int32]) -> bool:
    """Whether the member at a place counts less than an equally similar one at another."""
    return place < 0 or members[place] > members[other]


@njit(nogil=True, cache=True)
def _replace_least(
    values: NDArray[np.float32],
    places: NDArray[np.int32],
    value: np.float32,
    new: int,
    members: NDArray[np.int32],
) -> None:
    """Take the least similar member out of a heap and put another in."""
    size = len(values)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            values[other] < values[child]
            or (
                values[other] == values[child]
                and places[child] >= 0
                and _is_after(places[other], places[child], members)
            )
        ):
            child = other
        if values[child] > value or (
            values[child] == value and not _is_after(places[child], new, members)
        ):
            break
        values[at], places[at] = values[child], places[child]
        at = child
    values[at], places[at] = value, new
