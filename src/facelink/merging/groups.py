"""Groups that merge: who belongs to whom, and the links of each to the others, kept in place."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.merging.components import find_root
from facelink.merging.evidence import added

_STANDING = np.dtype([("evidence", np.float64), ("partner", np.int32), ("round", np.int32)])
"""A group's best partner, −1 if none is good enough, the evidence for it, and the last round in
which the group merged or looked around again: in one line of the processor's cache."""


def _standings(n_instances: int, least_evidence: float) -> NDArray[np.void]:
    """Of instances alone that have not looked around."""
    standings = np.zeros(n_instances, dtype=_STANDING)
    standings["evidence"] = least_evidence
    standings["partner"] = -1
    return standings


class Groups(NamedTuple):
    """Groups, called by their smallest instance, and the entries of each.

    An entry stands for the links of two groups. A group's entries lie in the
    rows of its members, chained by `next_row`: row i from ``starts[i]`` to
    ``ends[i]``. The name of this class is part of compiled functions that are
    kept on disk, so a new name leaves those of earlier versions unreadable.
    """

    parents: NDArray[np.int32]
    sizes: NDArray[np.int32]
    anchors: NDArray[np.int32]
    standings: NDArray[np.void]
    next_row: NDArray[np.int32]
    last_row: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    partners: NDArray[np.int32]
    totals: NDArray[np.int64]
    counts: NDArray[np.int32]
    n_neighbors: int
    least_evidence: float

    @classmethod
    def of(
        cls,
        n_instances: int,
        pairs: NDArray[np.int32],
        totals: NDArray[np.int64],
        counts: NDArray[np.int32],
        n_neighbors: int,
        anchors: NDArray[np.int32],
        least_evidence: float,
    ) -> "Groups":
        """Every instance alone, with its pairs as entries."""
        alone = np.arange(n_instances, dtype=np.int32)
        starts, ends, partners, totals, counts = _rows(n_instances, pairs, totals, counts)
        return cls(
            alone.copy(),
            np.ones(n_instances, dtype=np.int32),
            anchors.copy(),
            _standings(n_instances, least_evidence),
            np.full(n_instances, -1, dtype=np.int32),
            alone.copy(),
            starts,
            ends,
            partners,
            totals,
            counts,
            int(n_neighbors),
            float(least_evidence),
        )


@njit(nogil=True, cache=True)
def _rows(
    n_instances: int,
    pairs: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]
]:
    """Starts and ends of the rows; other instance, total and count of every entry."""
    starts = np.zeros(n_instances + 1, dtype=np.int64)
    for pair in range(len(pairs)):
        starts[pairs[pair, 0] + 1] += 1
        starts[pairs[pair, 1] + 1] += 1
    starts = np.cumsum(starts)
    ends = starts[:-1].copy()
    partners = np.empty(2 * len(pairs), dtype=np.int32)
    totals_of_rows = np.empty(2 * len(pairs), dtype=np.int64)
    counts_of_rows = np.empty(2 * len(pairs), dtype=np.int32)
    for pair in range(len(pairs)):
        for side in range(2):
            instance = pairs[pair, side]
            entry = ends[instance]
            partners[entry] = pairs[pair, 1 - side]
            totals_of_rows[entry] = totals[pair]
            counts_of_rows[entry] = counts[pair]
            ends[instance] = entry + 1
    return starts, ends, partners, totals_of_rows, counts_of_rows


@njit(cache=True)
def join_from_start(groups: Groups, joined: NDArray[np.int32]) -> None:
    """Join the groups of pairs (J, 2) of instances, which may be in one group already."""
    for pair in range(len(joined)):
        first = find_root(groups.parents, joined[pair, 0])
        second = find_root(groups.parents, joined[pair, 1])
        if first != second:
            _join(groups, min(first, second), max(first, second))
    _flatten(groups.parents)


@njit(cache=True)
def join_pairs(groups: Groups, merged: NDArray[np.int32]) -> None:
    """Join pairs (M, 2) of different groups, the smaller id first."""
    for merge in range(len(merged)):
        _join(groups, merged[merge, 0], merged[merge, 1])
    _flatten(groups.parents)


@njit(cache=True)
def _join(groups: Groups, first: int, second: int) -> None:
    """Make the group `second` part of the group `first`: its chain of rows is appended."""
    groups.parents[second] = first
    groups.sizes[first] += groups.sizes[second]
    groups.anchors[first] = max(groups.anchors[first], groups.anchors[second])
    groups.next_row[groups.last_row[first]] = second
    groups.last_row[first] = groups.last_row[second]


@njit(cache=True)
def _flatten(parents: NDArray[np.int32]) -> None:
    """Make every instance's parent its root; parents have smaller ids than their children."""
    for instance in range(len(parents)):
        parents[instance] = parents[parents[instance]]


@njit(cache=True)
def compact(groups: Groups, group: int, place_of: NDArray[np.int64]) -> None:
    """Combine a group's entries with the same partner group, in place.

    What is written never overtakes what is read. `place_of` is −1 everywhere,
    before and after.
    """
    starts, ends, next_row = groups.starts, groups.ends, groups.next_row
    partners, totals, counts = groups.partners, groups.totals, groups.counts
    parents = groups.parents
    write_row = group
    write = starts[group]
    row = group
    while row >= 0:
        for read in range(starts[row], ends[row]):
            partner = parents[partners[read]]
            if partner == group:
                continue
            place = place_of[partner]
            if place >= 0:
                totals[place] = added(totals[place], totals[read])
                counts[place] += counts[read]
                continue
            while write == starts[write_row + 1]:
                ends[write_row] = write
                write_row = next_row[write_row]
                write = starts[write_row]
            place_of[partner] = write
            partners[write] = partner
            totals[write] = totals[read]
            counts[write] = counts[read]
            write += 1
        row = next_row[row]
    ends[write_row] = write
    row = next_row[write_row]
    while row >= 0:
        ends[row] = starts[row]
        row = next_row[row]
    row = group
    while row >= 0:
        for entry in range(starts[row], ends[row]):
            place_of[partners[entry]] = -1
        row = next_row[row]
