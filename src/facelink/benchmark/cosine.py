"""Plain cosine links in their strongest form: cut where it suits the test labels best.

Nobody who groups their own photographs can choose a threshold this way; a method that
needs no labels and still does better has gained something that thresholds cannot give.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from facelink.links import Links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import group_ids

_NOT_SCORED = -1


@dataclass(frozen=True, eq=False)
class BestThreshold:
    """The threshold that the test labels like best, and what it and its rivals reach.

    Parameters
    ----------
    threshold : float
        Likelihood in [0, 1] at which the mean of pairwise F and BCubed F is greatest.
    labels : int64 (N,)
        Connected components of the links from this likelihood on.
    best_pairwise_f, best_bcubed_f : float
        The greatest value of each over all thresholds compared, in [0, 1]: each may
        be reached at a threshold of its own.
    """

    threshold: float
    labels: NDArray[np.int64]
    best_pairwise_f: float
    best_bcubed_f: float


def best_threshold(
    links: Links, labels_true: NDArray[np.int64], n_scored: int | None = None
) -> BestThreshold:
    """Cut links at the threshold that suits the true labels best, of all that there are.

    While the threshold falls, only the links that join two components change the
    result: a maximum spanning forest. Both F are carried along from one of these at
    most N − 1 links to the next, so that no threshold is left out, for embedders whose
    cosines are spread widely or hardly at all.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    labels_true : int64 (N,)
        True identities; −1 is one of its own.
    n_scored : int, optional
        Only the first so many instances are scored; by default all.

    Returns
    -------
    BestThreshold
        Of thresholds that are equally good, the highest. Time N log² N.
    """
    forest = spanning_forest(links)
    order = np.argsort(-forest.likelihoods, kind="stable")
    heights = np.append(np.float32(1), forest.likelihoods[order])
    identities = group_ids(labels_true, "labels_true")
    if n_scored is not None:
        identities[n_scored:] = _NOT_SCORED
    pairwise, bcubed = _scores_while_falling(forest.pairs[order], identities)
    is_cut = np.append(heights[:-1] != heights[1:], True)  # equal links are cut together
    thresholds, pairwise, bcubed = heights[is_cut], pairwise[is_cut], bcubed[is_cut]
    best = float(thresholds[np.argmax(pairwise + bcubed)])
    return BestThreshold(
        best,
        merge_threshold(forest, best).labels,
        float(pairwise.max()),
        float(bcubed.max()),
    )


@njit(cache=True)
def _scores_while_falling(
    pairs: NDArray[np.int32], identities: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pairwise F and BCubed F without links, then after each pair of a forest is joined.

    Of the cells (identity, cluster) only the counts are kept. When two clusters join, the
    members of the one with fewer move one by one, each an O(1) change of all sums.
    """
    n_instances = len(identities)
    roots = np.arange(n_instances)
    next_member = np.full(n_instances, -1)
    last_member = np.arange(n_instances)
    n_members = np.ones(n_instances, dtype=np.int64)
    is_scored = identities != _NOT_SCORED
    sizes = is_scored.astype(np.int64)  # of clusters, scored members only
    squares = sizes.copy()  # of a cluster: sum of its squared counts of each identity
    identity_sizes = np.zeros(n_instances, dtype=np.int64)
    counts = {np.int64(-1): np.int64(0)}  # of the cell: cluster · N + identity
    for instance in range(n_instances):
        if is_scored[instance]:
            identity_sizes[identities[instance]] += 1
            counts[instance * n_instances + identities[instance]] = np.int64(1)
    n = sizes.sum()
    together = right = np.int64(0)
    of_one_person = (identity_sizes * (identity_sizes - 1)).sum() // 2
    precision_sum, recall_sum = float(n), 0.0
    for instance in range(n_instances):
        if is_scored[instance]:
            recall_sum += 1 / identity_sizes[identities[instance]]
    pairwise, bcubed = np.empty(len(pairs) + 1), np.empty(len(pairs) + 1)
    for step in range(len(pairs) + 1):
        if step > 0:
            larger, smaller = roots[pairs[step - 1, 0]], roots[pairs[step - 1, 1]]
            if n_members[larger] < n_members[smaller]:
                larger, smaller = smaller, larger
            together += sizes[larger] * sizes[smaller]
            precision_sum -= squares[larger] / max(1, sizes[larger])
            precision_sum -= squares[smaller] / max(1, sizes[smaller])
            squares[larger] += squares[smaller]
            member = smaller
            while member >= 0:
                if is_scored[member]:
                    identity = identities[member]
                    here = larger * n_instances + identity
                    there = smaller * n_instances + identity
                    gained = counts.get(here, np.int64(0)) - (counts[there] - 1)
                    counts[here] = counts.get(here, np.int64(0)) + 1
                    counts[there] -= 1
                    right += gained
                    squares[larger] += 2 * gained
                    recall_sum += 2 * gained / identity_sizes[identity]
                roots[member] = larger
                member = next_member[member]
            next_member[last_member[larger]] = smaller
            last_member[larger] = last_member[smaller]
            n_members[larger] += n_members[smaller]
            sizes[larger] += sizes[smaller]
            precision_sum += squares[larger] / max(1, sizes[larger])
        pairwise[step] = _f_measure(
            right / together if together else 1.0, right / of_one_person if of_one_person else 1.0
        )
        bcubed[step] = _f_measure(precision_sum / n, recall_sum / n)
    return pairwise, bcubed


@njit(cache=True)
def _f_measure(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total > 0 else 0.0


def spanning_forest(links: Links) -> Links:
    """Keep a maximum spanning forest: at any threshold its components are those of all links.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances, no pair twice.

    Returns
    -------
    Links
        At most N − 1 of them, marked as seen from both sides.
    """
    n = links.n_instances
    costs = 2 - links.likelihoods.astype(np.float64)  # above 0: a stored 0 is no edge to scipy
    tree = minimum_spanning_tree(coo_matrix((costs, tuple(links.pairs.T)), shape=(n, n))).tocoo()
    pairs = np.stack([tree.row, tree.col], axis=1).astype(np.int32)
    return Links(
        np.sort(pairs, axis=1),
        (2 - tree.data).astype(np.float32),
        np.zeros(len(pairs), dtype=np.bool_),
        n,
        links.n_neighbors,
    )
