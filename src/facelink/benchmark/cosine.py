"""Plain cosine links in their strongest form: cut where it suits the test labels best.

Nobody who groups their own photographs can choose a threshold this way; a method that
needs no labels and still does better has gained something that thresholds cannot give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from facelink.links import Links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import bcubed_scores, pairwise_scores

_N_THRESHOLDS = 200
"""Thresholds compared: neighbouring ones differ by at most a 200th of all merges."""


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
    """Cut links at the threshold that suits the true labels best.

    Only the links that join two components while the threshold falls change the
    result: a maximum spanning forest. The thresholds compared are spread evenly over
    these at most N − 1 links, so that they are dense wherever merges happen, and
    cosines of any embedder, centred or not, are searched equally finely.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    labels_true : int64 (N,)
        True identities.
    n_scored : int, optional
        Only the first so many instances are scored; by default all.

    Returns
    -------
    BestThreshold
        Of thresholds that are equally good, the lowest.
    """
    forest = spanning_forest(links)
    values = np.sort(forest.likelihoods)
    places = np.linspace(0, len(values) - 1, min(len(values), _N_THRESHOLDS)).round()
    thresholds = np.unique(np.append(values[places.astype(np.int64)], np.float32(1)))
    scored = slice(n_scored)
    found = [merge_threshold(forest, float(threshold)).labels for threshold in thresholds]
    pairwise = np.array(
        [pairwise_scores(labels_true[scored], each[scored]).fscore for each in found]
    )
    bcubed = np.array([bcubed_scores(labels_true[scored], each[scored]).fscore for each in found])
    best = int(np.argmax(pairwise + bcubed))
    return BestThreshold(
        float(thresholds[best]), found[best], float(pairwise.max()), float(bcubed.max())
    )


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
