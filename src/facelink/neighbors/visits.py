"""Which cells an instance looks into: a few of the nearest, then those that promise neighbours.

Of a cell that promises any, an instance looks into the parts that do.

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
from facelink.neighbors.parts import DividedCells

_RANKING_BLOCK = 1_024
"""Instances compared with all centres at a time: 9,000 centres make 36 MiB of products."""


_VISITORS_AT_ONCE = 4_096
_VISITS_AT_ONCE = 1 << 25
"""Visits that are made before the next ones are found: 400 MiB."""


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

    @property
    def is_nowhere(self) -> bool:
        """Whether no cell is in reach."""
        return self.of_cells == -np.inf


NOWHERE = Reach()


class Visit(NamedTuple):
    """Some who look into a cell together.

    Parameters
    ----------
    cell : int
        The cell, or the part of one.
    rows : int32 (V,)
        Their rows, ascending.
    features : float32 (V, D)
        Their features.
    """

    cell: int
    rows: NDArray[np.int32]
    features: NDArray[np.float32]


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
    reach: Reach,
) -> Iterator[Visits]:
    """Find the cells where a member may be as near as the least near neighbour found so far.

    Nobody looks into any if no cell is in reach.

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
        That of cells counts.

    Yields
    ------
    Visits
        Of some rows after others: at most some 30 million at a time. Without
        the known cells.
    """
    if reach.is_nowhere:
        return
    rows, cells, n_visits = [], [], 0
    slack = np.float32(reach.of_cells) * index.scatter
    for start in range(0, len(instances), _RANKING_BLOCK):
        block = slice(start, start + _RANKING_BLOCK)
        queries = features[instances[block]]
        products = queries @ index.centers.T
        is_promising = _mark_promising(
            queries, index.centers, products, index.cohesion, slack, known[block], least[block]
        )
        some_rows, some_cells = _marked(is_promising)
        rows.append(some_rows + np.int32(start))
        cells.append(some_cells)
        n_visits += len(some_rows)
        if n_visits >= _VISITS_AT_ONCE or block.stop >= len(instances):
            yield by_cell(np.concatenate(rows), np.concatenate(cells), index.n_cells)
            rows, cells, n_visits = [], [], 0


def promising_parts(
    index: DividedCells,
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    known: NDArray[np.int32],
    least: NDArray[np.float32],
    reach: Reach,
) -> Iterator[Visit]:
    """Find the parts of promising cells that promise a neighbour themselves.

    Parameters
    ----------
    index
        The cells and their parts.
    features, instances, known, least, reach
        As for `promising_cells`.

    Yields
    ------
    Visit
        Of a part.
    """
    for visits in promising_cells(index.cells, features, instances, known, least, reach):
        for visit in visits_of_cells(features, instances, visits):
            yield from _visits_of_parts(index, visit, least[visit.rows], reach)


def visits_of_cells(
    features: NDArray[np.float32], instances: NDArray[np.int64], visits: Visits
) -> Iterator[Visit]:
    """Go through the cells that someone looks into.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    instances : int64 (S,)
        Instance of each row.
    visits
        Who looks into which cell.
    """
    for cell in np.flatnonzero(np.diff(visits.firsts)).tolist():
        end = visits.firsts[cell + 1]
        for start in range(visits.firsts[cell], end, _VISITORS_AT_ONCE):
            rows = visits.visitors[start : min(start + _VISITORS_AT_ONCE, end)]
            yield Visit(cell, rows, gather(features, instances[rows]))


def _visits_of_parts(
    index: DividedCells, visit: Visit, least: NDArray[np.float32], reach: Reach
) -> Iterator[Visit]:
    """Who of those that look into a cell look into which of its parts."""
    parts, here = index.parts, index.parts_of(visit.cell)
    centers = parts.centers[here]
    is_promising = _mark_promising(
        visit.features,
        centers,
        visit.features @ centers.T,
        parts.cohesion[here],
        np.float32(reach.of_parts) * parts.scatter[here],
        np.empty((len(least), 0), dtype=np.int32),
        least,
    )
    looking = by_cell(*_marked(is_promising), len(centers))
    for part in np.flatnonzero(np.diff(looking.firsts)).tolist():
        which = looking.visitors[looking.firsts[part] : looking.firsts[part + 1]]
        yield Visit(here.start + part, visit.rows[which], gather(visit.features, which))


@njit(nogil=True, cache=True)
def gather(
    features: NDArray[np.float32], which: NDArray[np.int32] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """Copy some rows."""
    gathered = np.empty((len(which), features.shape[1]), dtype=np.float32)
    for place in range(len(which)):
        row = which[place]
        for column in range(features.shape[1]):
            gathered[place, column] = features[row, column]
    return gathered


@njit(nogil=True, cache=True)
def _marked(marks: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows and columns of what is marked, by row."""
    n_marked = np.count_nonzero(marks)
    rows, columns = np.empty(n_marked, dtype=np.int32), np.empty(n_marked, dtype=np.int32)
    place = 0
    for row in range(marks.shape[0]):
        for column in range(marks.shape[1]):
            if marks[row, column]:
                rows[place], columns[place] = row, column
                place += 1
    return rows, columns


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
