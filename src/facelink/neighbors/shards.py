"""An index in shards: each holds some of the cells with the features of their members.

Whoever searches a shard needs neither the other cells nor the collection. A search asks all shards
twice, as `CellSearch` looks twice: into everyone's nearest cells, and then where a member may enter
the list found so far. What a shard answers has the cosines of `exact.cosine`, whose rounding
depends on nothing, so that the lists put together are those of one index.
"""

from collections.abc import Iterable, Sequence
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
from facelink.neighbors.cells import number_of_cells
from facelink.neighbors.centers import nearest_centers
from facelink.neighbors.codes import Codes
from facelink.neighbors.comparing import Promise
from facelink.neighbors.exact import Found
from facelink.neighbors.graph import MISSING
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.stored_cells import cells_to_store, stored_cells
from facelink.neighbors.visits import Reach, Seekers, Visits, by_cell, promising_cells
from facelink.neighbors.walking import BestMembers, cosines, least_similarity

_FORMAT, _VERSION = "facelink.index_shard", 4
_MAX_CELL = np.iinfo(np.int32).max


class Answer(NamedTuple):
    """What is most similar to those that look into a shard.

    Parameters
    ----------
    rows : int32 (V,)
        Rows of the queries that there is an answer to, ascending.
    firsts : int64 (V + 1,)
        Where the answer to each starts.
    ids : int32 (M,)
        Instances, those of a row in no order, itself among them.
    values : float32 (M,)
        How similar they are, as of `BestMembers`.
    similarities : float32 (M,)
        Their cosines.
    """

    rows: NDArray[np.int32]
    firsts: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[np.float32]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Queries:
    """What shards are asked: instances that look for their neighbours.

    Parameters
    ----------
    features : float32 (S, D)
        L2-normalised rows.
    nearest : int32 (S, n_first)
        Their nearest cells, ascending.
    least : float32 (S,)
        Cosine by codes that a new neighbour has to reach; −inf at first.
    floor : float32 (S,)
        Similarity, as of `BestMembers`, below which there is enough already; −inf at first.
    n_kept : int
        Most that are answered to each.
    """

    features: NDArray[np.float32]
    nearest: NDArray[np.int32]
    least: NDArray[np.float32]
    floor: NDArray[np.float32]
    n_kept: int

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
        centers = cells.index.cells.centers
        nearest = nearest_centers(search.features, centers, instances, cells.n_first)
        anything = np.full(len(instances), -np.inf, dtype=np.float32)
        n_kept = cells.n_kept(len(search.features))
        return cls(search.features[instances], nearest, anything, anything, n_kept)

    def for_better_than(self, found: "FoundSoFar", n_neighbors: int) -> Self:
        """The same instances, of which each has found so many neighbours already."""
        scales = Codes.of_queries(_writable(self.features), np.arange(len(self.features))).scales
        least = found.least_similarity(scales, n_neighbors)
        return replace(self, least=least, floor=found.values[:, -1].copy())


@dataclass(frozen=True, eq=False)
class FoundSoFar:
    """What instances have found; it stays with whoever asks the shards.

    Parameters
    ----------
    instances : int64 (S,)
        Their ids.
    ids, values, similarities : int32 and float32 (S, n)
        The instances that are most similar as of `BestMembers`, those first,
        how similar they are, and their cosines; −1 and −inf where there are
        fewer.
    """

    instances: NDArray[np.int64]
    ids: NDArray[np.int32]
    values: NDArray[np.float32]
    similarities: NDArray[np.float32]

    @classmethod
    def nothing(cls, instances: NDArray[np.int64], n_kept: int) -> Self:
        """Room for so many instances of each."""
        shape = len(instances), n_kept
        return cls(
            instances,
            np.full(shape, MISSING, dtype=np.int32),
            np.full(shape, -np.inf, dtype=np.float32),
            np.full(shape, -np.inf, dtype=np.float32),
        )

    def with_answers(self, answers: Iterable[Answer]) -> Self:
        """Put the answers of shards, no two of which hold the same cells, into the lists."""
        lists = self.ids.copy(), self.values.copy(), self.similarities.copy()
        for answer in answers:
            arrays: tuple[NDArray[Any], ...] = answer
            _insert(*map(_writable, arrays), *lists)
        ids, values, similarities = lists
        return replace(self, ids=ids, values=values, similarities=similarities)

    def least_similarity(
        self, scales: NDArray[np.float32], n_neighbors: int
    ) -> NDArray[np.float32]:
        """Cosine of everyone's n-th nearest other so far, by codes of these scales, (S,)."""
        return least_similarity(self.values, scales, self._is_itself, n_neighbors)

    def neighbors(self, n_neighbors: int) -> Found:
        """Rows of the neighbour graph: the nearest of what was found, without the instances."""
        similarities = np.where(self._is_itself, np.float32(-np.inf), self.similarities)
        order = np.lexsort((self.ids, -similarities), axis=1)[:, :n_neighbors]
        ids, found = (np.take_along_axis(one, order, 1) for one in (self.ids, similarities))
        return np.where(found == -np.inf, np.int32(MISSING), ids), found

    @property
    def _is_itself(self) -> NDArray[np.bool_]:
        is_itself: NDArray[np.bool_] = self.ids == self.instances[:, None]
        return is_itself


@dataclass(frozen=True, eq=False)
class IndexShard:
    """Some cells, one after the other.

    Parameters
    ----------
    first_cell : int
        Number of the first one.
    index : DividedCells
        The cells and their parts.
    features : float32 (M, D)
        Of the members, in their order; may be memory-mapped.
    reach : Reach
        As for `CellSearch`.
    """

    first_cell: int
    index: DividedCells
    features: NDArray[np.float32]
    reach: Reach

    @classmethod
    def load(cls, path: Path) -> Self:
        """Map a file of `write_shards` into memory.

        Raises
        ------
        InputError
            If it is missing, damaged or of another kind.
        """
        arrays, metadata = load_arrays(path, "index shard", mapped=True)
        first_cell = metadata.get("first_cell")
        features, members = (arrays.get(name, np.empty(0)) for name in ("features", "members"))
        found = None
        if features.ndim == 2 and members.shape == features.shape[:1]:
            found = stored_cells(arrays, metadata, members, features.shape[1])
        if (
            metadata.get("format") != _FORMAT
            or metadata.get("version") != _VERSION
            or not isinstance(first_cell, int)
            or not 0 <= first_cell <= _MAX_CELL
            or features.dtype != np.float32
            or members.dtype != np.int32
            or found is None
            or found[0].cells.n_cells == 0
        ):
            raise InputError(f"index shard {path}: not one of this version; prepare it again.")
        return cls(first_cell, found[0], features, found[1])

    def look_nearby(self, queries: Queries) -> Answer:
        """Look into those of everyone's nearest cells that are here."""
        n_cells, n_first = self.index.cells.n_cells, queries.nearest.shape[1]
        cells = queries.nearest.reshape(-1) - self.first_cell
        rows = np.repeat(np.arange(len(queries.nearest), dtype=np.int32), n_first)
        is_here = (cells >= 0) & (cells < n_cells)
        visits = by_cell(rows[is_here], cells[is_here].astype(np.int32), n_cells)
        features = _writable(queries.features)
        codes = Codes.of_queries(features, np.arange(len(features)))
        return self._look(queries, features, codes, [visits])

    def look_farther(self, queries: Queries) -> Answer:
        """Look into the other cells where a member may be near enough."""
        features, everyone = _writable(queries.features), np.arange(len(queries.features))
        codes = Codes.of_queries(features, everyone)
        known = queries.nearest - np.int32(self.first_cell)
        seekers = Seekers(features, everyone, known, _writable(queries.least))
        visits = promising_cells(self.index.cells, seekers, self.reach)
        promise = Promise.of(self.index, seekers, self.reach)
        return self._look(queries, features, codes, visits, promise)

    def _look(
        self,
        queries: Queries,
        features: NDArray[np.float32],
        codes: Codes,
        visits: Iterable[Visits],
        promise: Promise | None = None,
    ) -> Answer:
        """Find the best of the cells that rows of some features look into."""
        best = BestMembers(codes, queries.n_kept, queries.floor)
        for some in visits:
            best.look_into(self.index, some, promise)
        is_found = best.places >= 0
        counts = is_found.sum(axis=1)
        rows = np.flatnonzero(counts)
        similarities = cosines(features, rows, self.features, best.places[rows])
        return Answer(
            rows.astype(np.int32),
            np.concatenate([[0], np.cumsum(counts[rows])]),
            best.instances(self.index)[is_found],
            best.values[is_found],
            similarities[is_found[rows]],
        )


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
    starts = cells.index.cells.starts
    for path, which in zip(paths, _divided(starts, len(paths)), strict=True):
        index = cells.index.only(which)
        arrays, metadata = cells_to_store(index, cells.reach)
        members = index.cells.members
        arrays |= {"members": members, "features": search.features[members]}
        described = {"format": _FORMAT, "version": _VERSION, "first_cell": which.start}
        save_arrays(path, arrays, described | metadata)


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


@njit(parallel=True, nogil=True, cache=True)
def _insert(
    rows: NDArray[np.int32],
    firsts: NDArray[np.int64],
    new_ids: NDArray[np.int32],
    new_values: NDArray[np.float32],
    new_similarities: NDArray[np.float32],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    similarities: NDArray[np.float32],
) -> None:
    """Put instances into the lists of some rows where they are among the best; equals by id."""
    n_kept = ids.shape[1]
    for visitor in prange(len(rows)):
        row = rows[visitor]
        for one in range(firsts[visitor], firsts[visitor + 1]):
            new, value = new_ids[one], new_values[one]
            if not _is_before(value, new, values[row, -1], ids[row, -1]):
                continue
            place = n_kept - 1
            while place > 0 and _is_before(value, new, values[row, place - 1], ids[row, place - 1]):
                values[row, place], ids[row, place] = values[row, place - 1], ids[row, place - 1]
                similarities[row, place] = similarities[row, place - 1]
                place -= 1
            values[row, place], ids[row, place] = value, new
            similarities[row, place] = new_similarities[one]


@njit(nogil=True, cache=True)
def _is_before(value: np.float32, instance: int, other_value: np.float32, other: int) -> bool:
    """Whether an instance counts more than another, which may be none."""
    return bool(other < 0 or value > other_value or (value == other_value and instance < other))
