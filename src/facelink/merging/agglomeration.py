"""Greedy agglomeration of groups while their evidence is positive, in compiled rounds.

Source: greedy additive edge contraction for correlation clustering (Bailoni et
al., GASP, arXiv 1906.11713), with average linkage. Instead of one pair at a time, a round
merges every two groups that are each other's best; the rounds do not depend on the
order of links or the number of threads, and equal evidence goes to the group with the
smaller id.
"""

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange
from numpy.typing import NDArray

from facelink.merging.entries import read_entry
from facelink.merging.evidence import mean_evidence
from facelink.merging.groups import Groups, compact, join_from_start, join_pairs

NO_ANCHOR = -1
"""An instance that no group was named for."""


@dataclass(frozen=True, eq=False)
class Agglomeration:
    """Groups and the merges that made them.

    Parameters
    ----------
    roots : int32 (N,)
        Smallest instance of each instance's group.
    merges : int32 (M, 2)
        Smallest instances of the two groups of each merge, the smaller first,
        in order of the rounds, by id within one.
    evidence : float64 (M,)
        Mean log-odds of each merge.
    n_rounds : int
        Rounds with at least one merge.
    """

    roots: NDArray[np.int32]
    merges: NDArray[np.int32]
    evidence: NDArray[np.float64]
    n_rounds: int


def agglomerate(
    reach: NDArray[np.integer],
    links: tuple[NDArray[np.int32], NDArray[np.float32]],
    n_neighbors: int,
    *,
    sizes: NDArray[np.int32] | None = None,
    others: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None,
    joined: NDArray[np.int32] | None = None,
    anchors: NDArray[np.int32] | None = None,
    least_evidence: float = 0.0,
) -> Agglomeration:
    """Merge groups that are each other's best until no pair has enough evidence.

    Parameters
    ----------
    reach : integer (N,)
        For each instance a number; pairs between two numbers are left out, as
        if nobody had looked at them.
    links : int32 (L, 2) and float32 (L,)
        Pairs of different instances, in any order, and the likelihood of each
        that they are one person. A pair may come several times.
    n_neighbors : int
        Neighbours k that each instance lists.
    sizes : int32 (N,), optional
        Faces that each instance stands for; by default one.
    others : int32 (E, 2) and int64 (E,), optional
        Pairs with log-odds in units, or `BLOCKED`, that no link stands for.
    joined : int32 (J, 2), optional
        Instances that are in one group from the start.
    anchors : int32 (N,), optional
        Groups that hold instances of two different anchors never merge; −1 is
        no anchor. Instances in one group from the start share theirs.
    least_evidence : float
        Groups merge above this mean log-odds; −inf merges whatever has links.

    Returns
    -------
    Agglomeration
        Memory 16 bytes per link within reach, beyond what is given; time
        nearly linear in the links.
    """
    n_instances = len(reach)
    if sizes is None:
        sizes = np.ones(n_instances, dtype=np.int32)
    if anchors is None:
        anchors = np.full(n_instances, NO_ANCHOR, dtype=np.int32)
    if others is None:
        others = np.empty((0, 2), dtype=np.int32), np.empty(0, dtype=np.int64)
    groups = Groups.of(links, others, reach, sizes, n_neighbors, anchors, least_evidence)
    if joined is not None:
        join_from_start(groups, joined)
    places = np.full((get_num_threads(), n_instances), -1, dtype=np.int32)
    alive = np.flatnonzero(groups.parents == np.arange(n_instances))
    _look_around(groups, alive, 0, places)
    merges: list[NDArray[np.int32]] = []
    evidence: list[NDArray[np.float64]] = []
    looking = alive
    while len(merged := _mutual_bests(looking, groups, len(merges) + 1)):
        merges.append(merged)
        evidence.append(groups.standings["evidence"][merged[:, 0]])
        join_pairs(groups, merged)
        survivors = merged[:, 0].copy()
        _look_around(groups, survivors, len(merges), places)
        is_changed = np.zeros(n_instances, dtype=np.bool_)
        is_changed[survivors] = True
        _tell_neighbors(groups, survivors, len(merges), places, is_changed)
        looking = np.flatnonzero(is_changed)
    return Agglomeration(
        groups.parents,
        np.concatenate([np.empty((0, 2), dtype=np.int32), *merges]),
        np.concatenate([np.empty(0), *evidence]),
        len(merges),
    )


@njit(cache=True)
def _mutual_bests(looking: NDArray[np.int64], groups: Groups, n_round: int) -> NDArray[np.int32]:
    """Pairs (M, 2) that are each other's best, the smaller id first, by the first to look."""
    standings = groups.standings
    merged = np.empty((len(looking), 2), dtype=np.int32)
    n_merged = 0
    for group in looking:
        partner = standings[group].partner
        if partner < 0 or standings[partner].partner != group:
            continue
        if standings[group].round == n_round:
            continue
        merged[n_merged, 0], merged[n_merged, 1] = min(group, partner), max(group, partner)
        standings[group].round = n_round
        standings[partner].round = n_round
        n_merged += 1
    return merged[:n_merged]


@njit(parallel=True, nogil=True, cache=True)
def _look_around(
    groups: Groups,
    which: NDArray[np.int64] | NDArray[np.int32],
    n_round: int,
    places: NDArray[np.int32],
) -> None:
    """Find the best partners of some groups anew."""
    for place in prange(len(which)):
        _look(groups, which[place], n_round, places[get_thread_id()])


@njit(cache=True)
def _look(groups: Groups, group: int, n_round: int, place_of: NDArray[np.int32]) -> None:
    compact(groups, group, place_of)
    partner, evidence = _best_partner(groups, group)
    standing = groups.standings[group]
    standing.partner = partner
    standing.evidence = evidence
    standing.round = n_round


@njit(cache=True)
def _have_two_anchors(first: int, second: int) -> bool:
    return first >= 0 and second >= 0 and first != second


@njit(cache=True)
def _best_partner(groups: Groups, group: int) -> tuple[int, float]:
    """Partner with the most evidence above the least, the smallest id among equals; or −1."""
    sizes, slots, anchors, n_neighbors = (
        groups.sizes, groups.slots, groups.anchors, groups.n_neighbors,
    )  # fmt: skip
    starts, ends, next_row = groups.starts, groups.ends, groups.next_row
    best, most = -1, groups.least_evidence
    row = group
    while row >= 0:
        slot = starts[row]
        while slot < ends[row]:
            partner, total, n_links, slot = read_entry(slots, slot)
            if _have_two_anchors(anchors[group], anchors[partner]):
                continue
            evidence = mean_evidence(total, n_links, sizes[group], sizes[partner], n_neighbors)
            if evidence > most or (evidence == most and best >= 0 and partner < best):
                best, most = partner, evidence
        row = next_row[row]
    return best, most


@njit(parallel=True, nogil=True, cache=True)
def _tell_neighbors(
    groups: Groups,
    survivors: NDArray[np.int32],
    n_round: int,
    places: NDArray[np.int32],
    is_changed: NDArray[np.bool_],
) -> None:
    """Let the neighbours of merged groups know, a share of the ids each thread."""
    n_shares = 1
    while 2 * n_shares <= len(places):
        n_shares *= 2
    for share in prange(n_shares):
        _tell_share(groups, survivors, n_round, places[share], share, n_shares - 1, is_changed)


@njit(nogil=True, cache=True)
def _tell_share(
    groups: Groups,
    survivors: NDArray[np.int32],
    n_round: int,
    place_of: NDArray[np.int32],
    share: int,
    mask: int,
    is_changed: NDArray[np.bool_],
) -> None:
    """Tell the neighbours whose last bits are those of the share.

    A neighbour's best is what it was, the merged group, or, if that lost
    evidence, unknown, so that it looks around again.
    """
    parents, sizes, standings = groups.parents, groups.sizes, groups.standings
    starts, ends, next_row, slots = groups.starts, groups.ends, groups.next_row, groups.slots
    anchors, n_neighbors = groups.anchors, groups.n_neighbors
    for group in survivors:
        row = group
        while row >= 0:
            slot = starts[row]
            while slot < ends[row]:
                neighbor, total, n_links, slot = read_entry(slots, slot)
                if neighbor & mask != share or standings[neighbor].round == n_round:
                    continue
                evidence = mean_evidence(total, n_links, sizes[group], sizes[neighbor], n_neighbors)
                if _have_two_anchors(anchors[group], anchors[neighbor]):
                    evidence = -np.inf
                most = standings[neighbor].evidence
                current = standings[neighbor].partner
                if current >= 0:
                    current = parents[current]
                if evidence > most or (evidence == most and 0 <= group <= current):
                    standings[neighbor].partner = group
                    standings[neighbor].evidence = evidence
                    is_changed[neighbor] = True
                elif current == group:
                    _look(groups, neighbor, n_round, place_of)
                    is_changed[neighbor] = True
            row = next_row[row]
