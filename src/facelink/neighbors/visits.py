"""Which cells an instance looks into: a few of the nearest, then those that promise neighbours.

How far an instance has to look depends on what it has found: a face with a hundred photographs of
its person has no stranger among its 80 nearest, one with five has 75. A cell promises a neighbour
if a member some way nearer than the cell's average would enter the list.

Products of matrices round by the sizes of the blocks. Where that could decide, the cosine is
taken again by the product whose rounding does not depend on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.cells import CellIndex
from facelink.neighbors.exact import ROUNDING, cosine

_RANKING_BLOCK = 1_024
"""Instances compared with all centres at a time: 9,000 centres make 36 MiB of products."""

VISITS_AT_ONCE = 1 << 24
"""Visits that are made before the next ones are found."""

BYTES_PER_VISIT = 20
"""Row and cell, twice while they are put together, and the row by its cell."""


@dataclass(frozen=True)
class Reach:
    """How much nearer than the average of its cell a member may be, in units of the scatter there.

    Parameters
    ----------
    of_cells, of_parts : float
        In a cell as a whole, and in a part of it; −inf to look into none.
    """

    of_cells: float = -np.inf
    of_parts: float = -np.inf


NOWHERE = Reach()


class Seekers(NamedTuple):
    """Instances that look for neighbours, and what they have seen and found.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    instances : int64 (S,)
        Who looks.
    known : int32 (S, n)
        Cells that were looked into, in order of their numbers; others than an
        index has do not count.
    least : float32 (S,)
        Cosine that a new neighbour has to reach.
    """

    features: NDArray[np.float32]
    instances: NDArray[np.int64]
    known: NDArray[np.int32]
    least: NDArray[np.float32]


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


def promising_cells(cells: CellIndex, seekers: Seekers, reach: Reach) -> Iterator[Visits]:
    """Find the cells where a member may be as near as the least near neighbour found so far.

    Yields
    ------
    Visits
        Without those of known cells; of some rows after others, at most some
        20 million at a time.
    """
    if reach.of_cells == -np.inf:
        return
    features, instances, known, least = seekers
    slack = np.float32(reach.of_cells) * cells.scatter
    rows, which, n_visits = [], [], 0
    for start in range(0, len(instances), _RANKING_BLOCK):
        block = slice(start, start + _RANKING_BLOCK)
        queries = features[instances[block]]
        products = queries @ cells.centers.T
        some_rows, some_cells = _near_cells(
            queries, cells.centers, products, cells.cohesion, slack, known[block], least[block]
        )
        rows.append(some_rows + np.int32(start))
        which.append(some_cells)
        n_visits += len(some_rows)
        if n_visits >= VISITS_AT_ONCE or block.stop >= len(instances):
            yield by_cell(np.concatenate(rows), np.concatenate(which), cells.n_cells)
            rows, which, n_visits = [], [], 0


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
def _near_cells(
    queries: NDArray[np.float32],
    centers: NDArray[np.float32],
    products: NDArray[np.float32],
    cohesion: NDArray[np.float32],
    slack: NDArray[np.float32],
    known: NDArray[np.int32],
    least: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows and cells where cohesion · cosine + slack reaches the least similarity; not known ones.

    By row, then by cell.
    """
    is_near = np.empty(products.shape, dtype=np.bool_)
    for row in range(len(products)):
        for cell in range(len(centers)):
            surplus = products[row, cell] * cohesion[cell] + slack[cell] - least[row]
            if abs(surplus) < ROUNDING:
                exact = cosine(queries[row], centers[cell])
                surplus = exact * cohesion[cell] + slack[cell] - least[row]
            is_near[row, cell] = surplus >= 0
        for cell in known[row]:
            if 0 <= cell < len(centers):
                is_near[row, cell] = False
    n_near = int(np.sum(is_near))
    rows, cells = np.empty(n_near, np.int32), np.empty(n_near, np.int32)
    place = 0
    for row in range(len(products)):
        for cell in range(len(centers)):
            if is_near[row, cell]:
                rows[place], cells[place] = row, cell
                place += 1
    return rows, cells
