"""Greedy agglomeration of groups while their evidence is positive: one compiled loop.

Source: greedy additive edge contraction for correlation clustering (Bailoni et
al., GASP, arXiv 1906.11713), with average linkage. Instead of one pair at a time, a round merges
every two groups that are each other's best; the rounds do not depend on the
order of links, and equal evidence goes to the group with the smaller id.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.merging.components import find_root
from facelink.merging.evidence import added, mean_evidence
from facelink.merging.rows import link_ends


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
    n_instances: int,
    pairs: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
    n_neighbors: int,
    *,
    joined: NDArray[np.int32],
    least_evidence: float = 0.0,
) -> Agglomeration:
    """Merge groups that are each other's best until no pair has enough evidence.

    Parameters
    ----------
    n_instances : int
        Number of instances N.
    pairs : int32 (P, 2)
        Different instances, in any order; a pair may come several times.
    totals : int64 (P,)
        Log-odds of the pair in units, or `BLOCKED`.
    counts : int32 (P,)
        Links that the pair stands for; 0 where it only blocks.
    n_neighbors : int
        Neighbours k that each instance lists.
    joined : int32 (J, 2)
        Instances that are in one group from the start.
    least_evidence : float
        Groups merge above this mean log-odds; −inf merges whatever has links.

    Returns
    -------
    Agglomeration
        Memory 32 bytes per pair; time nearly linear in the pairs.
    """
    starts, ends = link_ends(n_instances, pairs)
    pair_of = ends // 2
    roots, merges, evidence, n_rounds = _agglomerate(
        starts, pairs.ravel()[ends], totals[pair_of], counts[pair_of], n_neighbors, joined,
        least_evidence,
    )  # fmt: skip
    return Agglomeration(roots, merges, evidence, n_rounds)


@njit(cache=True)
def _join(
    first: int,
    second: int,
    parents: NDArray[np.int32],
    sizes: NDArray[np.int32],
    next_row: NDArray[np.int32],
    last_row: NDArray[np.int32],
) -> None:
    """Make the group `second` part of the group `first`: its chain of rows is appended."""
    parents[second] = first
    sizes[first] += sizes[second]
    next_row[last_row[first]] = second
    last_row[first] = last_row[second]


@njit(cache=True)
def _compact(
    group: int,
    parents: NDArray[np.int32],
    next_row: NDArray[np.int32],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    partners: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
    place_of: NDArray[np.int64],
) -> None:
    """Combine a group's entries with the same partner group, in place.

    A group's entries lie in the rows of its members, chained by `next_row`.
    What is written never overtakes what is read. `place_of` is −1 everywhere,
    before and after.
    """
    write_row = group
    write = starts[group]
    row = group
    while row >= 0:
        for read in range(starts[row], ends[row]):
            partner = find_root(parents, partners[read])
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


@njit(cache=True)
def _best_partner(
    group: int,
    sizes: NDArray[np.int32],
    next_row: NDArray[np.int32],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    partners: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
    n_neighbors: int,
    least_evidence: float,
) -> tuple[int, float]:
    """Partner with the most evidence above the least, the smallest id among equals; or −1."""
    best, most = -1, least_evidence
    row = group
    while row >= 0:
        for entry in range(starts[row], ends[row]):
            partner = partners[entry]
            evidence = mean_evidence(
                totals[entry], counts[entry], sizes[group], sizes[partner], n_neighbors
            )
            if evidence > most or (evidence == most and best >= 0 and partner < best):
                best, most = partner, evidence
        row = next_row[row]
    return best, most


@njit(cache=True)
def _agglomerate(
    starts: NDArray[np.int64],
    partners: NDArray[np.int32],
    totals: NDArray[np.int64],
    counts: NDArray[np.int32],
    n_neighbors: int,
    joined: NDArray[np.int32],
    least_evidence: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], int]:
    n_instances = len(starts) - 1
    parents = np.arange(n_instances).astype(np.int32)
    sizes = np.ones(n_instances, dtype=np.int32)
    next_row = np.full(n_instances, -1, dtype=np.int32)
    last_row = np.arange(n_instances).astype(np.int32)
    ends = starts[1:].copy()
    place_of = np.full(n_instances, -1, dtype=np.int64)
    best = np.full(n_instances, -1, dtype=np.int32)
    most = np.full(n_instances, least_evidence)
    round_of = np.zeros(n_instances, dtype=np.int32)  # last round that merged or re-read a group
    merges = np.empty((max(n_instances - 1, 0), 2), dtype=np.int32)
    evidence_of_merge = np.empty(max(n_instances - 1, 0))
    n_merges = 0
    n_rounds = 0

    for pair in range(len(joined)):
        first, second = find_root(parents, joined[pair, 0]), find_root(parents, joined[pair, 1])
        if first != second:
            _join(min(first, second), max(first, second), parents, sizes, next_row, last_row)
    for instance in range(n_instances):
        if parents[instance] == instance:
            _compact(instance, parents, next_row, starts, ends, partners, totals, counts, place_of)
            best[instance], most[instance] = _best_partner(
                instance, sizes, next_row, starts, ends, partners, totals, counts, n_neighbors,
                least_evidence,
            )  # fmt: skip
    changed = np.arange(n_instances).astype(np.int32)
    while True:
        first_merge = n_merges
        for group in changed:
            partner = best[group]
            if partner < 0 or best[partner] != group or round_of[group] > n_rounds:
                continue
            merges[n_merges, 0], merges[n_merges, 1] = min(group, partner), max(group, partner)
            evidence_of_merge[n_merges] = most[group]
            round_of[group] = round_of[partner] = n_rounds + 1
            n_merges += 1
        if n_merges == first_merge:
            break
        n_rounds += 1
        for merge in range(first_merge, n_merges):
            _join(merges[merge, 0], merges[merge, 1], parents, sizes, next_row, last_row)
        next_changed = [merges[merge, 0] for merge in range(first_merge, n_merges)]
        for group in next_changed:
            _compact(group, parents, next_row, starts, ends, partners, totals, counts, place_of)
            best[group], most[group] = _best_partner(
                group, sizes, next_row, starts, ends, partners, totals, counts, n_neighbors,
                least_evidence,
            )  # fmt: skip
        # A neighbour's best is what it was, the merged group, or, if that lost evidence, unknown.
        for merge in range(first_merge, n_merges):
            group = merges[merge, 0]
            row = group
            while row >= 0:
                for entry in range(starts[row], ends[row]):
                    neighbor = partners[entry]
                    if round_of[neighbor] == n_rounds:
                        continue
                    evidence = mean_evidence(
                        totals[entry], counts[entry], sizes[group], sizes[neighbor], n_neighbors
                    )
                    current = int(best[neighbor])
                    if current >= 0:
                        current = find_root(parents, current)
                    is_better = evidence > most[neighbor] or (
                        evidence == most[neighbor] and 0 <= group <= current
                    )
                    if is_better:
                        best[neighbor], most[neighbor] = group, evidence
                        next_changed.append(neighbor)
                    elif current == group:
                        round_of[neighbor] = n_rounds
                        _compact(
                            neighbor, parents, next_row, starts, ends, partners, totals, counts,
                            place_of,
                        )  # fmt: skip
                        best[neighbor], most[neighbor] = _best_partner(
                            neighbor, sizes, next_row, starts, ends, partners, totals, counts,
                            n_neighbors, least_evidence,
                        )  # fmt: skip
                        next_changed.append(neighbor)
                row = next_row[row]
        changed = np.unique(np.array(next_changed)).astype(np.int32)
    roots = np.empty(n_instances, dtype=np.int32)
    for instance in range(n_instances):
        roots[instance] = find_root(parents, instance)
    return roots, merges[:n_merges], evidence_of_merge[:n_merges], n_rounds
