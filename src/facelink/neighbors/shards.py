"""An index in shards: each holds some of the cells with the features of their members.

Whoever searches a shard needs neither the other cells nor the collection. A search asks all shards
twice, as `CellSearch` looks twice: into everyone's nearest cells, and then where a member may enter
the list found so far. What a shard answers has the cosines of `exact.cosine`, whose rounding
depends on nothing, so that the lists put together are those of one index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.neighbors.cell_search import CellSearch
from facelink.neighbors.cells import CellIndex, number_of_cells
from facelink.neighbors.centers import nearest_centers
from facelink.neighbors.exact import N_SPARE_CANDIDATES, Found, cosine, put_in_order
from facelink.neighbors.graph import MISSING
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.visits import by_cell, promising_cells
from facelink.neighbors.walking import BestMembers

_FORMAT, _VERSION = "facelink.index_shard", 1


class Answer(NamedTuple):
    """What is most similar to those that look into a shard.

    Parameters
    ----------
    rows : int32 (V,)
        Rows of the queries that look into one of its cells, ascending.
    ids : int32 (V, n)
        Instances, in no order, themselves among them; −1 where the cells hold fewer.
    similarities : float32 (V, n)
        Their cosines; −inf where there is none.
    """

    rows: NDArray[np.int32]
    ids: NDArray[np.int32]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Queries:
    """Instances that look for their neighbours, and what they have found.

    Parameters
    ----------
    instances : int64 (S,)
        Their ids.
    features : float32 (S, D)
        L2-normalised rows.
    nearest : int32 (S, n_first)
        Their nearest cells, ascending.
    ids, similarities : int32 and float32 (S, n)
        The most similar instances so far, those first; −1 and −inf where there are fewer.
    """

    instances: NDArray[np.int64]
    features: NDArray[np.float32]
    nearest: NDArray[np.int32]
    ids: NDArray[np.int32]
    similarities: NDArray[np.float32]

    @classmethod
    def begin(cls, search: PreparedSearch, instances: NDArray[np.int64]) -> Self:
        """Find everyone's nearest cells.

        Parameters
        ----------
        search : PreparedSearch
            Of method ``"ivf"``.
        instances : int64 (S,)
            Whose neighbours are sought.
        """
        cells = _cells_of(search)
        nearest = nearest_centers(search.features, cells.index.centers, instances, cells.n_first)
        n_candidates = min(len(search.features), search.n_neighbors + 1 + N_SPARE_CANDIDATES)
        shape = len(instances), n_candidates
        return cls(
            instances,
            search.features[instances],
            nearest,
            np.full(shape, MISSING, dtype=np.int32),
            np.full(shape, -np.inf, dtype=np.float32),
        )

    def with_answers(self, answers: Iterable[Answer]) -> Self:
        """Put the answers of shards, no two of which hold the same cells, into the lists."""
        ids, similarities = self.ids.copy(), self.similarities.copy()
        for answer in answers:
            _insert(*map(_writable, answer), ids, similarities)
        return replace(self, ids=ids, similarities=similarities)

    def least_similarity(self, n_neighbors: int) -> NDArray[np.float32]:
        """Cosine of everyone's n-th nearest other instance so far, (S,); −inf without so many."""
        least: NDArray[np.float32] = self.neighbors(n_neighbors)[1][:, -1]
        return least

    def neighbors(self, n_neighbors: int) -> Found:
        """Rows of the neighbour graph: what was found, without the instances themselves."""
        is_before_itself = self.ids[:, :n_neighbors] != self.instances[:, None]
        columns = np.arange(n_neighbors) + ~np.logical_and.accumulate(is_before_itself, axis=1)
        ids = np.take_along_axis(self.ids, columns, axis=1)
        return ids, np.take_along_axis(self.similarities, columns, axis=1)


@dataclass(frozen=True, eq=False)
class IndexShard:
    """Some cells, one after the other.

    Parameters
    ----------
    first_cell : int
        Number of the first one.
    index : CellIndex
        The cells; members are numbered from 0, in their order.
    features : float32 (M, D)
        Of the members, in their order; may be memory-mapped.
    ids : int32 (M,)
        Instances that the members are.
    reach : float
        As for `CellSearch`.
    """

    first_cell: int
    index: CellIndex
    features: NDArray[np.float32]
    ids: NDArray[np.int32]
    reach: float

    @classmethod
    def load(cls, path: Path) -> Self:
        """Map a file of `write_shards` into memory.

        Raises
        ------
        InputError
            If it is missing, damaged or of another kind.
        """
        arrays, metadata = load_arrays(path, "index shard", mapped=True)
        first_cell, reach = metadata.get("first_cell"), metadata.get("reach")
        if (
            metadata.get("format") != _FORMAT
            or metadata.get("version") != _VERSION
            or not isinstance(first_cell, int)
            or not isinstance(reach, float | None)
            or not _has_its_form(arrays)
        ):
            raise InputError(f"index shard {path}: not one of this version; prepare it again.")
        members = np.arange(len(arrays["members"]), dtype=np.int32)
        index = CellIndex(arrays["centers"], members, arrays["starts"], arrays["cohesion"])
        reach = -np.inf if reach is None else reach
        return cls(first_cell, index, arrays["features"], arrays["members"], reach)

    def look_nearby(self, queries: Queries) -> Answer:
        """Look into those of everyone's nearest cells that are here."""
        cells = queries.nearest.reshape(-1) - self.first_cell
        rows = np.repeat(np.arange(len(queries.nearest), dtype=np.int32), queries.nearest.shape[1])
        is_here = (cells >= 0) & (cells < self.index.n_cells)
        return self._look(queries, rows[is_here], cells[is_here].astype(np.int32))

    def look_farther(self, queries: Queries, n_neighbors: int) -> Answer:
        """Look into the other cells where a member may be among the k nearest."""
        if self.reach == -np.inf:
            nobody = np.empty(0, dtype=np.int32)
            return self._look(queries, nobody, nobody)
        least = queries.least_similarity(n_neighbors)
        everyone = np.arange(len(least))
        known = queries.nearest - np.int32(self.first_cell)
        rows, cells = promising_cells(
            self.index, queries.features, everyone, known, least, self.reach
        )
        return self._look(queries, rows, cells)

    def _look(self, queries: Queries, rows: NDArray[np.int32], cells: NDArray[np.int32]) -> Answer:
        """Compare rows of the queries with the members of the cells that they look into."""
        visitors, visitor_of = np.unique(rows, return_inverse=True)
        places = np.full((len(visitors), queries.ids.shape[1]), -1, dtype=np.int32)
        looking = _writable(queries.features)
        best = BestMembers(looking, visitors.astype(np.int64), places, self.features)
        visits = by_cell(visitor_of.astype(np.int32), cells, self.index.n_cells)
        best.look_into(self.index, visits)
        similarities = _cosines(looking, visitors, self.features, places)
        ids = np.where(places < 0, np.int32(MISSING), self.ids[places])
        return Answer(visitors, ids, similarities)


def check_shards(n_instances: int, method: str, n_shards: int) -> None:
    """Raise `InputError` if a search has no cells, or fewer cells than there are to be shards."""
    if method != "ivf":
        raise InputError(
            f"index_shards={n_shards} with method={method!r}, which has no cells to divide; "
            "choose 'ivf', or one shard."
        )
    n_cells = number_of_cells(n_instances)
    if n_shards > n_cells:
        raise InputError(
            f"index_shards={n_shards}, but an index of {n_instances} instances has {n_cells} "
            "cells; choose at most that many."
        )


def write_shards(search: PreparedSearch, paths: Sequence[Path]) -> None:
    """Divide the cells of a search into shards of about as many members each.

    Parameters
    ----------
    search : PreparedSearch
        Of method ``"ivf"``.
    paths : sequence of Path
        A file for each shard, .safetensors; each is written whole or not at
        all. The features of one at a time are held in memory.

    Raises
    ------
    InputError
        As from `check_shards`.
    OutputError
        If a file cannot be written.
    """
    check_shards(len(search.features), search.method, len(paths))
    cells = _cells_of(search)
    index, n_shards = cells.index, len(paths)
    reach = None if cells.reach == -np.inf else cells.reach
    for path, cells_here in zip(paths, _divided(index.starts, n_shards), strict=True):
        members = index.members[index.starts[cells_here.start] : index.starts[cells_here.stop]]
        arrays = {
            "centers": index.centers[cells_here],
            "cohesion": index.cohesion[cells_here],
            "starts": index.starts[cells_here.start : cells_here.stop + 1]
            - index.starts[cells_here.start],
            "members": members,
            "features": search.features[members],
        }
        metadata = {"format": _FORMAT, "version": _VERSION, "first_cell": cells_here.start}
        save_arrays(path, arrays, {**metadata, "reach": reach})


def _divided(starts: NDArray[np.int64], n_shards: int) -> list[slice]:
    """Ranges of cells with about as many members each, at least one cell in each."""
    n_cells = len(starts) - 1
    wanted = starts[-1] * np.arange(1, n_shards) / n_shards
    bounds = [0, *np.searchsorted(starts, wanted).tolist(), n_cells]
    for shard in range(1, n_shards):
        bounds[shard] = min(max(bounds[shard], bounds[shard - 1] + 1), n_cells - n_shards + shard)
    return [slice(*pair) for pair in pairwise(bounds)]


def _cells_of(search: PreparedSearch) -> CellSearch:
    if search.cells is None:
        raise InputError(f"a search with method={search.method!r} has no cells; choose 'ivf'.")
    return search.cells


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or a copy if it may not be written, as when it came from another process.

    Loops would be compiled once more for such arrays.
    """
    return np.require(array, requirements=["W"])


def _has_its_form(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether arrays of a file are what compiled loops rely on."""
    features, n_cells = arrays.get("features", np.empty(0)), len(arrays.get("centers", ()))
    if features.ndim != 2:
        return False
    n, dim = features.shape
    expected = {
        "centers": ((n_cells, dim), np.dtype(np.float32)),
        "cohesion": ((n_cells,), np.dtype(np.float32)),
        "starts": ((n_cells + 1,), np.dtype(np.int64)),
        "members": ((n,), np.dtype(np.int32)),
        "features": ((n, dim), np.dtype(np.float32)),
    }
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != expected:
        return False
    starts = arrays["starts"]
    return bool(starts[0] == 0 and starts[-1] == n and (np.diff(starts) >= 0).all())


@njit(parallel=True, nogil=True, cache=True)
def _cosines(
    features: NDArray[np.float32],
    rows: NDArray[np.int32],
    of_members: NDArray[np.float32],
    places: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Cosine of each row with each of its members, −inf where there is none."""
    cosines = np.full(places.shape, -np.inf, dtype=np.float32)
    for visitor in prange(len(places)):
        for column in range(places.shape[1]):
            place = places[visitor, column]
            if place >= 0:
                cosines[visitor, column] = cosine(features[rows[visitor]], of_members[place])
    return cosines


@njit(parallel=True, nogil=True, cache=True)
def _insert(
    rows: NDArray[np.int32],
    new_ids: NDArray[np.int32],
    new_similarities: NDArray[np.float32],
    ids: NDArray[np.int32],
    similarities: NDArray[np.float32],
) -> None:
    """Put instances into the lists of some rows where they are among the best; equals by id."""
    n_kept = ids.shape[1]
    for visitor in prange(len(rows)):
        names, values = ids[rows[visitor]], similarities[rows[visitor]]
        for column in range(new_ids.shape[1]):
            name, value = new_ids[visitor, column], new_similarities[visitor, column]
            if name < 0 or value < values[-1] or (value == values[-1] and name > names[-1] >= 0):
                continue
            put_in_order(names, values, n_kept - 1, name, value)
