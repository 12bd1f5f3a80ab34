"""Evidence between whole clusters: which of them could be one person."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.evidence import log_odds_units, mean_evidence


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
    sizes = np.bincount(groups, minlength=1)
    ends = np.sort(groups[links.pairs], axis=1)
    between = ends[:, 0] != ends[:, 1]
    keys, place = np.unique(ends[between] @ [len(sizes), 1], return_inverse=True)
    # Sums of whole numbers below 2⁵³: exact in float64.
    units = log_odds_units(links.likelihoods[between])
    totals = np.bincount(place, weights=units, minlength=len(keys)).astype(np.int64)
    n_links = np.bincount(place, minlength=len(keys))
    pairs = np.stack(np.divmod(keys, len(sizes)), axis=1).astype(np.int64)
    evidence = _evidence_of_pairs(pairs, totals, n_links, sizes, n_neighbors)
    order = np.argsort(-evidence, kind="stable")
    return ClusterPairs(pairs[order], evidence[order], n_links[order])


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
