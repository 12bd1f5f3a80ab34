"""Groups that merge: who belongs to whom, and the links of each to the others, kept in place."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.blocks import blocks
from facelink.merging.components import find_root
from facelink.merging.entries import (
    fill_entries,
    n_slots_of,
    read_entry,
    row_starts,
    write_entry,
)
from facelink.merging.evidence import added, log_odds_units

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
    ``ends[i]``, with room up to ``starts[i + 1]``; `entries` says what a slot
    holds. The name of this class is
    part of compiled functions that are kept on disk, so a new name leaves those
    of earlier versions unreadable.
    """

    parents: NDArray[np.int32]
    sizes: NDArray[np.int32]
    anchors: NDArray[np.int32]
    standings: NDArray[np.void]
    next_row: NDArray[np.int32]
    last_row: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    slots: NDArray[np.int32]
    n_neighbors: int
    least_evidence: float

    @classmethod
    def of(
        cls,
        links: tuple[NDArray[np.int32], NDArray[np.float32]],
        others: tuple[NDArray[np.int32], NDArray[np.int64]],
        reach: NDArray[np.integer],
        sizes: NDArray[np.int32],
        n_neighbors: int,
        anchors: NDArray[np.int32],
        least_evidence: float,
    ) -> "Groups":
        """Every instance alone, with its pairs as entries.

        Parameters
        ----------
        links : int32 (L, 2) and float32 (L,)
            Pairs of instances and their likelihoods.
        others : int32 (E, 2) and int64 (E,)
            Pairs with log-odds in units, or `BLOCKED`, that no link stands for.
        reach : integer (N,)
            Pairs between instances of different numbers are left out.
        sizes, n_neighbors, anchors, least_evidence
            As for `agglomerate`.
        """
        n_instances = len(reach)
        alone = np.arange(n_instances, dtype=np.int32)
        starts = row_starts(links[0], others[0], reach)
        ends = starts[:-1].copy()
        slots = np.empty((starts[-1], 2), dtype=np.int32)
        for block in blocks(len(links[0])):
            fill_entries(links[0][block], log_odds_units(links[1][block]), 1, reach, ends, slots)
        fill_entries(*others, 0, reach, ends, slots)
        return cls(
            alone.copy(),
            sizes.copy(),
            anchors.copy(),
            _standings(n_instances, least_evidence),
            np.full(n_instances, -1, dtype=np.int32),
            alone.copy(),
            starts,
            ends,
            slots,
            int(n_neighbors),
            float(least_evidence),
        )


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
def compact(groups: Groups, group: int, place_of: NDArray[np.int32]) -> None:
    """Combine a group's entries with the same partner group, in its rows.

    `place_of` is −1 everywhere, before and after. The rows have room: entries
    never need more slots together than apart, and what a row leaves empty at
    its end is the one it has to spare.
    """
    starts, ends, next_row = groups.starts, groups.ends, groups.next_row
    n_slots = 0
    row = group
    while row >= 0:
        n_slots += ends[row] - starts[row]
        row = next_row[row]
    partners = np.empty(n_slots, dtype=np.int32)
    totals = np.empty(n_slots, dtype=np.int64)
    counts = np.empty(n_slots, dtype=np.int32)
    n_partners = _collect(groups, group, place_of, partners, totals, counts)
    row, write = group, starts[group]
    for place in range(n_partners):
        place_of[partners[place]] = -1
        while write + n_slots_of(totals[place], counts[place]) > starts[row + 1]:
            ends[row] = write
            row = next_row[row]
            write = starts[row]
        write = write_entry(groups.slots, write, partners[place], totals[place], counts[place])
    ends[row] = write
    row = next_row[row]
    while row >= 0:
        ends[row] = starts[row]
        row = next_row[row]


@njit(cache=True)
def _collect(
    groups: Groups,
    group: int,
    place_of: NDArray[np.int32],
    partners: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
) -> int:
    """Sum a group's entries by partner group; returns the number of these."""
    parents, slots = groups.parents, groups.slots
    n_partners = 0
    row = group
    while row >= 0:
        slot = groups.starts[row]
        while slot < groups.ends[row]:
            partner, total, n_links, slot = read_entry(slots, slot)
            partner = parents[partner]
            if partner == group:
                continue
            place = place_of[partner]
            if place < 0:
                place_of[partner] = n_partners
                partners[n_partners] = partner
                totals[n_partners] = total
                counts[n_partners] = n_links
                n_partners += 1
            else:
                totals[place] = added(totals[place], total)
                counts[place] += n_links
        row = groups.next_row[row]
    return n_partners
