"""Which cells an instance looks into: a few of the nearest, then those that promise neighbours.

How far an instance has to look depends on what it has found: a face with a hundred photographs of
its person has no stranger among its 80 nearest, one with five has 75. A cell promises a neighbour
if a member some way nearer than the cell's average would enter the list.

Products of matrices round by the sizes of the blocks. Where that could decide, the cosine is
taken again by the product whose rounding does not depend on them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.cells import CellIndex
from facelink.neighbors.exact import ROUNDING, cosine

_RANKING_BLOCK = 1_024
"""Instances compared with all centres at a time: 9,000 centres make 36 MiB of products."""


class Visits(NamedTuple):
    """Who looks into which cell.

    Parameters
    ----------
    visitors : int32 (V,)
        Rows of instances, one cell's after another's, ascending within a cell.
    firsts : int64 (C + 1,)
        Where each cell's start.
    """

    visitors: NDArray[np.int32]
    firsts: NDArray[np.int64]


def promising_cells(
    index: CellIndex,
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    known: NDArray[np.int32],
    least: NDArray[np.float32],
    reach: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find the cells where a member may be as near as the least near neighbour found so far.

    Parameters
    ----------
    index
        The cells.
    features : float32 (N, D)
        L2-normalised rows.
    instances : int64 (S,)
        Who looks.
    known : int32 (S, n)
        Cells that were looked into, in order of their numbers; others than the
        index has do not count.
    least : float32 (S,)
        Cosine that a new neighbour has to reach.
    reach
        How much nearer than a cell's average a member may be, in units of the
        cell's scatter.

    Returns
    -------
    rows, cells : int32 (V,)
        By row, then by cell, without the known ones.
    """
    rows, cells = [], []
    slack = np.float32(reach) * index.scatter()
    for start in range(0, len(instances), _RANKING_BLOCK):
        block = slice(start, start + _RANKING_BLOCK)
        queries = features[instances[block]]
        products = queries @ index.centers.T
        is_promising = _mark_promising(
            queries, index.centers, products, index.cohesion, slack, known[block], least[block]
        )
        some_rows, some_cells = np.nonzero(is_promising)
        rows.append((some_rows + start).astype(np.int32))
        cells.append(some_cells.astype(np.int32))
    return np.concatenate(rows), np.concatenate(cells)


@njit(nogil=True, cache=True)
def by_cell(rows: NDArray[np.int32], cells: NDArray[np.int32], n_cells: int) -> Visits:
    """Order visits by cell, keeping the order of the rows."""
    firsts = np.zeros(n_cells + 1, dtype=np.int64)
    for visit in range(len(cells)):
        firsts[cells[visit] + 1] += 1
    firsts = np.cumsum(firsts)
    places = firsts[:-1].copy()
    visitors = np.empty(len(rows), dtype=np.int32)
    for visit in range(len(rows)):
        visitors[places[cells[visit]]] = rows[visit]
        places[cells[visit]] += 1
    return Visits(visitors, firsts)


@njit(nogil=True, cache=True)
def _mark_promising(
    queries: NDArray[np.float32],
    centers: NDArray[np.float32],
    products: NDArray[np.float32],
    cohesion: NDArray[np.float32],
    slack: NDArray[np.float32],
    known: NDArray[np.int32],
    least: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Whether cohesion · cosine + slack reaches the least similarity, (S, C); not where known."""
    is_promising = np.empty(products.shape, dtype=np.bool_)
    for row in range(len(products)):
        for cell in range(len(centers)):
            surplus = products[row, cell] * cohesion[cell] + slack[cell] - least[row]
            if abs(surplus) < ROUNDING:
                exact = cosine(queries[row], centers[cell])
                surplus = exact * cohesion[cell] + slack[cell] - least[row]
            is_promising[row, cell] = surplus >= 0
        for cell in known[row]:
            if 0 <= cell < len(centers):
                is_promising[row, cell] = False
    return is_promising
