"""Looking into cells: each cell's members against all who visit it, in one product.

The similarities of a cell are one matrix product, several times faster on a CPU than as many
inner products one by one; so the cells are walked through, not the instances.
"""

from collections.abc import Iterable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.cells import CellIndex
from facelink.neighbors.exact import ROUNDING, STRIDE, cosine, maximum
from facelink.neighbors.visits import Visit, gather

_PRODUCTS_AT_ONCE = 1 << 24
"""Similarities of a thread at a time, 64 MiB, however many members a cell has."""


class BestMembers:
    """The most similar members found so far for each of some instances, as heaps.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    instances : int64 (S,)
        Whose neighbours are sought.
    candidates : int32 (S, n)
        Filled with the members found, in no order, the instance itself among
        them; −1 where there are fewer.
    of_members : float32 (M, D), optional
        Rows that are the cells' members, where they are not those of the instances.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        instances: NDArray[np.int64],
        candidates: NDArray[np.int32],
        of_members: NDArray[np.float32] | None = None,
    ) -> None:
        self._features = features
        self._of_members = features if of_members is None else of_members
        self._instances = instances
        self._candidates = candidates
        self._values = np.full(candidates.shape, -np.inf, dtype=np.float32)

    def look_into(self, cells: CellIndex, visits: Iterable[Visit]) -> None:
        """Compare visitors with the members of the cells; no cell twice for the same row."""
        largest = int(np.diff(cells.starts).max(initial=1))
        products = np.empty(max(largest, _PRODUCTS_AT_ONCE), dtype=np.float32)
        for cell, rows, of_rows in visits:
            members = cells.members_of(cell)
            of_members = gather(self._of_members, members)
            at_once = max(1, _PRODUCTS_AT_ONCE // max(1, len(members)))
            for start in range(0, len(rows), at_once):
                some = slice(start, start + at_once)
                shape = len(rows[some]), len(members)
                made = products[: shape[0] * shape[1]].reshape(shape)
                np.matmul(of_rows[some], of_members.T, out=made)
                _keep_best(made, rows[some], members, self._values, self._candidates)

    def least_similarity(self, n_neighbors: int) -> NDArray[np.float32]:
        """Cosine of each row's n-th nearest other instance so far, (S,); −inf without so many."""
        nth: NDArray[np.float32] = _nth_similarity(
            self._features, self._instances, self._values, self._candidates, n_neighbors
        )
        return nth


@njit(nogil=True, cache=True)
def _nth_similarity(
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    values: NDArray[np.float32],
    candidates: NDArray[np.int32],
    n_neighbors: int,
) -> NDArray[np.float32]:
    """Choose by products of blocks, and take those about the n-th again one by one."""
    n_rows, n_candidates = candidates.shape
    nth = np.empty(n_rows, dtype=np.float32)
    for row in range(n_rows):
        others = np.where(candidates[row] == instances[row], np.float32(-np.inf), values[row])
        last = np.partition(others, n_candidates - n_neighbors)[n_candidates - n_neighbors]
        if last == -np.inf:
            nth[row] = last
            continue
        about = np.flatnonzero(np.abs(others - last) <= ROUNDING)
        exact = np.empty(len(about), dtype=np.float32)
        for place in range(len(about)):
            other = candidates[row, about[place]]
            exact[place] = cosine(features[instances[row]], features[other])
        n_nearer = np.sum(others > last + ROUNDING)
        nth[row] = np.sort(exact)[len(about) - (n_neighbors - n_nearer)]
    return nth


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
        for start in range(0, n_members, STRIDE):
            some = products[visit, start : min(start + STRIDE, n_members)]
            if maximum(some) <= values[0]:
                continue
            for column in range(len(some)):
                if some[column] > values[0]:
                    _replace_least(values, ids, some[column], members[start + column])


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
