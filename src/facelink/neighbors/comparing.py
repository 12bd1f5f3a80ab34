"""Comparing visitors of cells with the cells' parts and members: compiled loops.

Two ways that keep the same: by `packed_products` where the processor has them, or one product of
codes after another. Arrays are taken out of their tuples before loops, which would count
references to them; for the same reason keeping a member is written out in both (by a function,
inlined or not, the search of 584,000 faces took a quarter longer).
"""

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.codes import product
from facelink.neighbors.exact import order_keys
from facelink.neighbors.packed_products import (
    AT_ONCE,
    PACK,
    WORD_BYTES,
    find_near_parts,
    find_similar,
    lowest_bit,
    pack,
)
from facelink.neighbors.parts import DividedCells
from facelink.neighbors.visits import Reach, Seekers, Visits

_VISITORS_AT_ONCE = 1_024
"""Whose near parts are found before any is looked into."""


class Promise(NamedTuple):
    """Which parts of cells may hold a member that is near enough.

    Parameters
    ----------
    least : float32 (S,)
        Cosine that a member has to have, for each visitor.
    slack : float32 (P,)
        How much nearer than the average of its part a member may be.
    """

    least: NDArray[np.float32]
    slack: NDArray[np.float32]

    @classmethod
    def of(cls, index: DividedCells, seekers: Seekers, reach: Reach) -> Self:
        """Those in reach of what seekers look for."""
        return cls(seekers.least, np.float32(reach.of_parts) * index.parts.scatter)

    @classmethod
    def everywhere(cls, index: DividedCells, n_visitors: int) -> Self:
        """All parts."""
        least = np.full(n_visitors, -np.inf, dtype=np.float32)
        return cls(least, np.zeros(index.parts.n_cells, dtype=np.float32))


class Members(NamedTuple):
    """Codes (N, D), scales and ids (N,) of the members of an index."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    ids: NDArray[np.int32]

    @classmethod
    def of(cls, index: DividedCells) -> Self:
        """Those of an index."""
        return cls(index.codes.values, index.codes.scales, index.cells.members)


class Parts(NamedTuple):
    """First part of each cell (C + 1,); first member (P + 1,), centre (P, D) and factor of parts.

    A factor makes a product of codes, in units of a query's scale, the
    average similarity of the part's members.
    """

    firsts: NDArray[np.int64]
    starts: NDArray[np.int64]
    centers: NDArray[np.int8]
    factors: NDArray[np.float32]

    @classmethod
    def of(cls, index: DividedCells) -> Self:
        """Those of an index."""
        codes = index.codes_of_parts
        factors = codes.scales * index.parts.cohesion
        return cls(index.firsts, index.parts.starts, codes.values, factors)


class Kept(NamedTuple):
    """What is kept of each query, without order: the first `counts` (S,) of the places of each.

    `least` (S,) is the least value that may still be among the best.
    """

    values: NDArray[np.float32]
    places: NDArray[np.int32]
    counts: NDArray[np.int64]
    least: NDArray[np.float32]


@njit(nogil=True, cache=True)
def products_of(
    queries: NDArray[np.int8],
    others: NDArray[np.int8],
    which: NDArray[np.int64],
    found: NDArray[np.float32],
) -> None:
    """Fill in products of codes of queries (S, D) and of some others of each, (S, K)."""
    for row in range(which.shape[0]):
        query = queries[row].astype(np.int16)
        for column in range(which.shape[1]):
            found[row, column] = product(query, others[which[row, column]].astype(np.int16))


@njit(nogil=True, cache=True)
def compare(
    queries: NDArray[np.int8],
    scales: NDArray[np.float32],
    members: Members,
    parts: Parts,
    promise: Promise,
    visits: Visits,
    kept: Kept,
    n: int,
) -> None:
    """Keep the members that are among the best of what each visitor looks into."""
    firsts, starts, centers, factors = parts
    wanted, slack = promise
    visitors, firsts_of_cells = visits
    codes, member_scales, ids = members
    values, places, counts, least = kept
    largest = max(1, np.max(starts[1:] - starts[:-1]))
    of_members = np.empty((largest, queries.shape[1]), dtype=np.int16)
    center = np.empty(queries.shape[1], dtype=np.int16)
    for cell in range(len(firsts_of_cells) - 1):
        if firsts_of_cells[cell] == firsts_of_cells[cell + 1]:
            continue
        for part in range(firsts[cell], firsts[cell + 1]):
            begin, n_members = starts[part], starts[part + 1] - starts[part]
            of_members[:n_members] = codes[begin : begin + n_members]
            center[:] = centers[part]
            for visit in range(firsts_of_cells[cell], firsts_of_cells[cell + 1]):
                row = visitors[visit]
                query = queries[row]
                average = _average(product(query, center), factors[part], scales[row])
                if average + slack[part] < wanted[row]:
                    continue
                for member in range(n_members):
                    place = begin + member
                    value = np.float32(product(query, of_members[member])) * member_scales[place]
                    if value >= least[row]:
                        count = counts[row]
                        values[row, count], places[row, count] = value, place
                        counts[row] = count + 1
                        if count + 1 == values.shape[1]:
                            _take_out_others(row, ids, values, places, counts, least, n)


@njit(nogil=True, cache=True)
def _average(of_codes: np.int32, factor: np.float32, scale: np.float32) -> np.float32:
    """Average similarity of a part's members to a query, by the product with their centre."""
    average: np.float32 = np.float32(of_codes) * factor * scale
    return average


@njit(nogil=True, cache=True)
def count_compared(
    queries: NDArray[np.int8],
    scales: NDArray[np.float32],
    parts: Parts,
    promise: Promise,
    visits: Visits,
    counts: NDArray[np.int64],
) -> None:
    """Add what visitors are compared with: centres of parts, and members of near ones."""
    for cell in range(len(visits.firsts) - 1):
        for part in range(parts.firsts[cell], parts.firsts[cell + 1]):
            center = parts.centers[part].astype(np.int16)
            for visit in range(visits.firsts[cell], visits.firsts[cell + 1]):
                row = visits.visitors[visit]
                of_codes = product(queries[row].astype(np.int16), center)
                average = _average(of_codes, parts.factors[part], scales[row])
                counts[row] += 1
                if average + promise.slack[part] >= promise.least[row]:
                    counts[row] += parts.starts[part + 1] - parts.starts[part]


@njit(nogil=True, cache=True)
def compare_packed(
    queries: NDArray[np.int8],
    offsets: NDArray[np.int32],
    scales: NDArray[np.float32],
    members: Members,
    parts: Parts,
    promise: Promise,
    visits: Visits,
    kept: Kept,
    n: int,
) -> None:
    """The same as `compare` by `packed_products`: some visitors and members at a time."""
    firsts, starts, centers, factors = parts
    wanted, slack = promise
    visitors, firsts_of_cells = visits
    codes, member_scales, ids = members
    values, places, counts, least = kept
    n_words = queries.shape[1] // WORD_BYTES
    n_parts = np.max(firsts[1:] - firsts[:-1])
    n_members = np.max(starts[1:] - starts[:-1])
    of_centers = np.empty(_packs(n_parts) * PACK * n_words, dtype=np.uint32)
    of_members = np.empty(_packs(n_members) * PACK * n_words, dtype=np.uint32)
    hits = np.empty(AT_ONCE, dtype=np.int32)
    similarities = np.empty(AT_ONCE * PACK, dtype=np.float32)
    rows = np.empty(_VISITORS_AT_ONCE + AT_ONCE, dtype=np.int32)
    near = np.empty((n_parts, _VISITORS_AT_ONCE + AT_ONCE), dtype=np.int32)
    n_near = np.empty(n_parts, dtype=np.int64)
    for cell in range(len(firsts_of_cells) - 1):
        if firsts_of_cells[cell] == firsts_of_cells[cell + 1]:
            continue
        first, end = firsts[cell], firsts[cell + 1]
        pack(centers[first:end], of_centers)
        for start in range(firsts_of_cells[cell], firsts_of_cells[cell + 1], _VISITORS_AT_ONCE):
            n_rows = min(_VISITORS_AT_ONCE, firsts_of_cells[cell + 1] - start)
            rows[:n_rows] = visitors[start : start + n_rows]
            _find_near(
                queries, rows, n_rows, offsets, scales, wanted, of_centers,
                factors[first:end], slack[first:end], hits, near, n_near,
            )  # fmt: skip
            for part in range(end - first):
                if n_near[part] > 0:
                    _keep_near(
                        queries, near[part], n_near[part], offsets, codes, member_scales, ids,
                        starts[first + part], starts[first + part + 1], of_members, hits,
                        similarities, values, places, counts, least, n,
                    )  # fmt: skip


@njit(nogil=True, cache=True)
def _find_near(
    queries: NDArray[np.int8],
    rows: NDArray[np.int32],
    n_rows: int,
    offsets: NDArray[np.int32],
    scales: NDArray[np.float32],
    wanted: NDArray[np.float32],
    of_centers: NDArray[np.uint32],
    factors: NDArray[np.float32],
    slack: NDArray[np.float32],
    hits: NDArray[np.int32],
    near: NDArray[np.int32],
    n_near: NDArray[np.int64],
) -> None:
    """List the rows, and how many, that may find what they want in each part of a cell."""
    of_lanes, slack_of_lanes = _filled_up(factors), _filled_up(slack)
    n_near[: len(factors)] = 0
    _repeat_last(rows, n_rows)
    for some in range(0, n_rows, AT_ONCE):
        for number in range(_packs(len(factors))):
            find_near_parts(
                of_centers, number, queries, rows, some, offsets,
                of_lanes, slack_of_lanes, scales, wanted, hits,
            )  # fmt: skip
            for visit in range(min(AT_ONCE, n_rows - some)):
                found = hits[visit]
                while found:
                    part = number * PACK + lowest_bit(found)
                    found &= found - 1
                    near[part, n_near[part]] = rows[some + visit]
                    n_near[part] += 1


@njit(nogil=True, cache=True)
def _filled_up(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of whole packs: after those that there are, such as nothing is reached by."""
    lanes = np.full(_packs(len(values)) * PACK, np.float32(np.nan))
    lanes[: len(values)] = values
    return lanes


@njit(nogil=True, cache=True)
def _packs(n: int) -> int:
    return (n + PACK - 1) // PACK


@njit(nogil=True, cache=True)
def _repeat_last(rows: NDArray[np.int32], n_rows: int) -> None:
    """Fill up rows that are multiplied together."""
    for place in range(n_rows, n_rows + AT_ONCE - 1):
        rows[place] = rows[n_rows - 1]


@njit(nogil=True, cache=True)
def _keep_near(
    queries: NDArray[np.int8],
    near: NDArray[np.int32],
    n_near: int,
    offsets: NDArray[np.int32],
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    ids: NDArray[np.int32],
    begin: int,
    end: int,
    of_members: NDArray[np.uint32],
    hits: NDArray[np.int32],
    similarities: NDArray[np.float32],
    values: NDArray[np.float32],
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
    least: NDArray[np.float32],
    n: int,
) -> None:
    """Keep the members from `begin` to `end` that are among the best of near rows."""
    lanes = _filled_up(scales[begin:end])
    _repeat_last(near, n_near)
    pack(codes[begin:end], of_members)
    for some in range(0, n_near, AT_ONCE):
        for number in range(_packs(end - begin)):
            if not find_similar(
                of_members, number, queries, near, some, offsets, lanes, least, hits,
                similarities,
            ):  # fmt: skip
                continue
            for visit in range(min(AT_ONCE, n_near - some)):
                row, found = near[some + visit], hits[visit]
                while found:
                    lane = lowest_bit(found)
                    found &= found - 1
                    value = similarities[visit * PACK + lane]
                    if value >= least[row]:
                        count = counts[row]
                        values[row, count] = value
                        places[row, count] = begin + number * PACK + lane
                        counts[row] = count + 1
                        if count + 1 == values.shape[1]:
                            _take_out_others(row, ids, values, places, counts, least, n)


@njit(nogil=True, cache=True)
def _take_out_others(
    row: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
    least: NDArray[np.float32],
    n: int,
) -> None:
    """Leave the n best that are kept of a row, which are more, and no others."""
    count = counts[row]
    keys = np.empty(count, dtype=np.int64)
    order_keys(values[row], ids[places[row, :count]], keys)
    last = np.partition(keys, count - n)[count - n]
    free, lowest = 0, np.float32(np.inf)
    for column in range(count):
        if keys[column] >= last:
            lowest = min(lowest, values[row, column])
            values[row, free], places[row, free] = values[row, column], places[row, column]
            free += 1
    counts[row], least[row] = n, lowest


@njit(nogil=True, cache=True)
def leave_the_best(kept: Kept, ids: NDArray[np.int32], n: int) -> None:
    """Take all but the n best of each query out."""
    for row in range(len(kept.counts)):
        if kept.counts[row] > n:
            _take_out_others(row, ids, kept.values, kept.places, kept.counts, kept.least, n)
