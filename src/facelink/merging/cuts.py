"""The weakest seam of a cluster: where it may hold two people."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.agglomeration import agglomerate
from facelink.merging.cluster_pairs import checked_labels
from facelink.merging.evidence import log_odds_units, mean_evidence
from facelink.merging.rows import links_of_instances, other_end


@dataclass(frozen=True, eq=False)
class ClusterCut:
    """One cluster in two parts.

    Parameters
    ----------
    part : int64 (S,)
        Instances of the smaller part, ascending; of two equal ones that
        without the smallest instance.
    evidence : float
        Mean log-odds that both parts are one person: the lower, the more
        doubtful the cluster.
    """

    part: NDArray[np.int64]
    evidence: float


def weakest_cut(
    links: Links, labels: ArrayLike, label: int, n_neighbors: int, *, min_part: int = 1
) -> ClusterCut | None:
    """Find where a cluster falls apart most easily: a suggestion to split.

    The cluster is agglomerated anew, down to one group whatever the evidence.
    The cut takes out one of the groups on the way: the one with the least
    evidence of belonging to the rest.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances, such as `LikelihoodMergeResult.links`.
    labels : integer (N,)
        Clusters, numbered from 0.
    label : int
        The cluster.
    n_neighbors : int
        Neighbours k that were judged for each instance.
    min_part : int
        Least number of instances of either part, at least 1.

    Returns
    -------
    ClusterCut or None
        None if no group on the way leaves two parts of this size.

    Raises
    ------
    InputError
        If there are not N labels, no instance has this label, or `min_part`
        is below 1.
    """
    groups = checked_labels(links, labels)
    members = np.flatnonzero(groups == label)
    if len(members) == 0:
        raise InputError(f"no instance has label {label}; labels run from 0 to {groups.max()}.")
    if min_part < 1:
        raise InputError(f"min_part={min_part}; a part has at least 1 instance.")
    within = (groups[links.pairs] == label).all(axis=1)
    pairs = np.searchsorted(members, links.pairs[within]).astype(np.int32)
    likelihoods = links.likelihoods[within]
    merges = _merge_tree(len(members), pairs, likelihoods, n_neighbors)
    log_odds = log_odds_units(likelihoods).astype(np.int64)
    evidence, sizes = _cut_evidence(
        *links_of_instances(len(members), pairs), pairs, log_odds, merges, n_neighbors
    )
    allowed = np.flatnonzero((sizes >= min_part) & (len(members) - sizes >= min_part))
    if len(allowed) == 0:
        return None
    cut = allowed[np.argmin(evidence[allowed])]
    part = _appended_group(merges, int(cut))
    rest = np.setdiff1d(np.arange(len(members)), part)
    smaller = min(part, rest, key=lambda side: (len(side), -side[0]))
    return ClusterCut(members[smaller], float(evidence[cut]))


def _merge_tree(
    n_instances: int, pairs: NDArray[np.int32], likelihoods: NDArray[np.float32], n_neighbors: int
) -> NDArray[np.int32]:
    """Merges, int32 (N − 1, 2), that make one group of all; pieces without links come last."""
    everyone = np.zeros(n_instances, dtype=np.int32)
    tree = agglomerate(everyone, (pairs, likelihoods), n_neighbors, least_evidence=-np.inf)
    pieces = np.unique(tree.roots)
    last = np.stack([np.zeros(len(pieces) - 1, dtype=np.int32), pieces[1:]], axis=1)
    return np.concatenate([tree.merges, last]).astype(np.int32)


def _appended_group(merges: NDArray[np.int32], cut: int) -> NDArray[np.int64]:
    """Instances, ascending, of the second group of merge number `cut`."""
    members = {int(merges[cut, 1])}
    for first, second in merges[:cut][::-1].tolist():
        if first in members:
            members.add(second)
    return np.array(sorted(members), dtype=np.int64)


@njit(cache=True)
def _cut_evidence(
    starts: NDArray[np.int64],
    links: NDArray[np.integer],
    pairs: NDArray[np.int32],
    log_odds: NDArray[np.int64],
    merges: NDArray[np.int32],
    n_neighbors: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each merge, the evidence between its second group and all the rest, and its size.

    A group's links to the rest are all of its members' links less those
    within it, which each merge adds to by the links between its two groups.
    """
    n_instances = len(starts) - 1
    groups = np.arange(n_instances)
    next_member = np.full(n_instances, -1, dtype=np.int64)
    last_member = np.arange(n_instances)
    sizes = np.ones(n_instances, dtype=np.int64)
    totals = np.zeros(n_instances, dtype=np.int64)  # of the links that leave each group
    counts = np.zeros(n_instances, dtype=np.int64)
    for instance in range(n_instances):
        for link in links[starts[instance] : starts[instance + 1]]:
            totals[instance] += log_odds[link]
            counts[instance] += 1
    evidence = np.empty(len(merges))
    part_sizes = np.empty(len(merges), dtype=np.int64)
    for merge in range(len(merges)):
        first, second = merges[merge]
        part_sizes[merge] = sizes[second]
        evidence[merge] = mean_evidence(
            totals[second], counts[second], sizes[second], n_instances - sizes[second], n_neighbors
        )
        between, n_between = 0, 0
        member = second
        while member >= 0:
            for link in links[starts[member] : starts[member + 1]]:
                if groups[other_end(pairs, link, member)] == first:
                    between += log_odds[link]
                    n_between += 1
            member = next_member[member]
        member = second
        while member >= 0:
            groups[member] = first
            member = next_member[member]
        totals[first] += totals[second] - 2 * between
        counts[first] += counts[second] - 2 * n_between
        sizes[first] += sizes[second]
        next_member[last_member[first]] = second
        last_member[first] = last_member[second]
    return evidence, part_sizes
