"""Evidence between whole clusters: which of them could be one person."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from facelink.blocks import BLOCK
from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.evidence import log_odds_units, mean_evidence
from facelink.merging.rows import place_type


@dataclass(frozen=True, eq=False)
class ClusterPairs:
    """Pairs of clusters that links connect, those with the most evidence first.

    Parameters
    ----------
    pairs : int64 (P, 2)
        Labels, the smaller first; equal evidence is ordered by label.
    evidence : float64 (P,)
        Mean log-odds that the two are one person.
    n_links : int64 (P,)
        Links between the two.
    """

    pairs: NDArray[np.int64]
    evidence: NDArray[np.float64]
    n_links: NDArray[np.int64]


def merge_evidence(links: Links, labels: ArrayLike, n_neighbors: int) -> ClusterPairs:
    """Evidence that pairs of clusters are one person each: suggestions to merge.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances, such as `LikelihoodMergeResult.links`.
    labels : integer (N,)
        Clusters, numbered from 0.
    n_neighbors : int
        Neighbours k that were judged for each instance.

    Returns
    -------
    ClusterPairs
        Every pair of clusters with a link between them. Memory linear in the
        links.

    Raises
    ------
    InputError
        If there are not N labels, or one is negative.
    """
    groups = checked_labels(links, labels)
    found = list(evidence_by_block(LinksBetween.of(links, groups), groups, n_neighbors))
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(one.pairs for one in found)])
    evidence = np.concatenate([np.empty(0), *(one.evidence for one in found)])
    n_links = np.concatenate([np.empty(0, dtype=np.int64), *(one.n_links for one in found)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -evidence))
    return ClusterPairs(pairs[order], evidence[order], n_links[order])


def evidence_by_block(
    between: "LinksBetween", labels: NDArray[np.int64], n_neighbors: int
) -> Iterator[ClusterPairs]:
    """Yield what `merge_evidence` finds, a block of clusters at a time, in no particular order."""
    sizes = np.bincount(labels, minlength=1)
    for sums in between.sums():
        evidence = _evidence_of_pairs(sums.pairs, sums.totals, sums.n_links, sizes, n_neighbors)
        yield ClusterPairs(sums.pairs, evidence, sums.n_links)


def checked_labels(links: Links, labels: ArrayLike) -> NDArray[np.int64]:
    """Labels of these links as int64 (N,), or `InputError`."""
    groups = np.asarray(labels)
    if groups.shape != (links.n_instances,):
        raise InputError(
            f"labels of shape {groups.shape} for links between {links.n_instances} instances; "
            "give the labels that were merged from these links."
        )
    if len(groups) and groups.min() < 0:
        raise InputError(f"label {groups.min()}; clusters are numbered from 0.")
    return groups.astype(np.int64)


@njit(cache=True)
def _evidence_of_pairs(
    pairs: NDArray[np.int64],
    totals: NDArray[np.int64],
    n_links: NDArray[np.int64],
    sizes: NDArray[np.int64],
    n_neighbors: int,
) -> NDArray[np.float64]:
    evidence = np.empty(len(pairs))
    for pair in range(len(pairs)):
        evidence[pair] = mean_evidence(
            totals[pair], n_links[pair], sizes[pairs[pair, 0]], sizes[pairs[pair, 1]], n_neighbors
        )
    return evidence


class Sums(NamedTuple):
    """The links between pairs of clusters, summed.

    Parameters
    ----------
    links : integer (B,)
        Places of the links.
    place : int64 (B,)
        Which pair of clusters each of them is between.
    pairs : int64 (P, 2)
        Labels, the smaller first.
    totals : int64 (P,)
        Sum of the log-odds in units.
    n_links : int64 (P,)
        Number of links.
    """

    links: NDArray[np.integer]
    place: NDArray[np.int64]
    pairs: NDArray[np.int64]
    totals: NDArray[np.int64]
    n_links: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LinksBetween:
    """Links between different clusters, by the smaller of the two labels.

    Parameters
    ----------
    source : Links
        All links.
    labels : int64 (N,)
        Clusters, numbered from 0.
    starts : int64 (G + 1,)
        Links of cluster g and those with greater labels:
        ``links[starts[g] : starts[g + 1]]``.
    links : integer (B,)
        Places in `source`: 4 bytes for each link between clusters.
    n_leaving : int64 (G,)
        Links between each cluster and any other.
    """

    source: Links
    labels: NDArray[np.int64]
    starts: NDArray[np.int64]
    links: NDArray[np.integer]
    n_leaving: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        links: Links,
        labels: NDArray[np.int64],
        takes_part: NDArray[np.bool_] | None = None,
    ) -> "LinksBetween":
        """Find the links between clusters, or between those (G,) that take part."""
        n_clusters = int(labels.max(initial=-1)) + 1
        if takes_part is None:
            takes_part = np.ones(n_clusters, dtype=np.bool_)
        starts, n_leaving = _count_between(links.pairs, labels, takes_part, n_clusters)
        places = np.empty(starts[-1], dtype=place_type(len(links)))
        _list_between(links.pairs, labels, takes_part, starts[:-1].copy(), places)
        return cls(links, labels, starts, places, n_leaving)

    def sums(self) -> Iterator[Sums]:
        """Sum the links between every two clusters, about `BLOCK` links at a time."""
        place_of = np.full(len(self.starts) - 1, -1, dtype=np.int64)
        first = 0
        while self.starts[first] < len(self.links):
            last = int(np.searchsorted(self.starts, self.starts[first] + BLOCK, side="right")) - 1
            last = max(last, first + 1)
            begin, end = self.starts[first], self.starts[last]
            links = self.links[begin:end]
            yield Sums(
                links,
                *_sum_between(
                    first,
                    self.starts[first : last + 1] - begin,
                    links,
                    log_odds_units(self.source.likelihoods[links]),
                    self.source.pairs,
                    self.labels,
                    place_of,
                ),
            )
            first = last


@njit(nogil=True, cache=True)
def _count_between(
    pairs: NDArray[np.int32],
    labels: NDArray[np.int64],
    takes_part: NDArray[np.bool_],
    n_clusters: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts of the rows of `LinksBetween`, and the links that leave each cluster."""
    starts = np.zeros(n_clusters + 1, dtype=np.int64)
    n_leaving = np.zeros(n_clusters, dtype=np.int64)
    for pair in range(len(pairs)):
        first, second = labels[pairs[pair, 0]], labels[pairs[pair, 1]]
        if first != second and takes_part[first] and takes_part[second]:
            starts[min(first, second) + 1] += 1
            n_leaving[first] += 1
            n_leaving[second] += 1
    return np.cumsum(starts), n_leaving


@njit(nogil=True, cache=True)
def _list_between(
    pairs: NDArray[np.int32],
    labels: NDArray[np.int64],
    takes_part: NDArray[np.bool_],
    ends: NDArray[np.int64],
    links: NDArray[np.integer],
) -> None:
    for pair in range(len(pairs)):
        first, second = labels[pairs[pair, 0]], labels[pairs[pair, 1]]
        if first != second and takes_part[first] and takes_part[second]:
            smaller = min(first, second)
            links[ends[smaller]] = pair
            ends[smaller] += 1


@njit(nogil=True, cache=True)
def _sum_between(
    first_cluster: int,
    starts: NDArray[np.int64],
    links: NDArray[np.integer],
    log_odds: NDArray[np.int32],
    pairs: NDArray[np.int32],
    labels: NDArray[np.int64],
    place_of: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Place of every link, pairs of clusters, sums; `place_of` is −1 before and after."""
    place = np.empty(len(links), dtype=np.int64)
    found = np.empty((len(links), 2), dtype=np.int64)
    totals = np.zeros(len(links), dtype=np.int64)
    n_links = np.zeros(len(links), dtype=np.int64)
    n_found = 0
    for row in range(len(starts) - 1):
        cluster, n_before = first_cluster + row, n_found
        for at in range(starts[row], starts[row + 1]):
            one, other = labels[pairs[links[at], 0]], labels[pairs[links[at], 1]]
            partner = max(one, other)
            if place_of[partner] < 0:
                place_of[partner] = n_found
                found[n_found, 0], found[n_found, 1] = cluster, partner
                n_found += 1
            place[at] = place_of[partner]
            totals[place[at]] += log_odds[at]
            n_links[place[at]] += 1
        place_of[found[n_before:n_found, 1]] = -1
    return place, found[:n_found], totals[:n_found], n_links[:n_found]
