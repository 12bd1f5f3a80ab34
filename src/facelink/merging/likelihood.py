"""Merging by likelihood: groups follow from the links, without threshold, size cap or number."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.blocks import blocks
from facelink.calibration import N_BINS, Calibration, count_binned, fit_binned
from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.agglomeration import NO_ANCHOR, agglomerate
from facelink.merging.attachment import attach_groups
from facelink.merging.cluster_pairs import LinksBetween
from facelink.merging.constraints import Constraints
from facelink.merging.evidence import BLOCKED
from facelink.merging.membership import Membership, judge_membership
from facelink.merging.parts import Each, GroupEvidence, LikelyGroups, likely_groups

ESTABLISHED = 3
"""Faces of a group whose members confirm each other: the smallest with more than one witness."""

N_REFITS = 2
"""Rounds of calibration on the groups found so far; the training sets gain little from a third,
and mixed ones lose."""

N_IMAGINED = 100
"""Imagined links at either side that say that the likelihoods are right: a few dozen links
between a few faces change little, the thousands of a real collection decide."""


@dataclass(frozen=True, eq=False)
class LikelihoodMergeResult:
    """Clusters, how sure each face's place is, and what the links turned out to mean.

    Parameters
    ----------
    labels : int64 (N,)
        Cluster of each instance: consecutive from 0, numbered by the smallest
        instance id of each cluster. An instance alone keeps a label of its own.
    membership : Membership
        Confidence, outlier score and runner-up cluster of each instance.
    links : Links
        The links as they were judged in the last round: their likelihoods
        calibrated on the groups of the round before. Evidence for merge and
        split suggestions comes from these.
    calibration : Calibration
        What the last round applied to links with established groups.
    n_rounds : int
        Rounds of merging in the last agglomeration.
    """

    labels: NDArray[np.int64]
    membership: Membership
    links: Links
    calibration: Calibration
    n_rounds: int

    @property
    def n_clusters(self) -> int:
        """Number of clusters, singletons included."""
        return int(self.labels.max(initial=-1)) + 1


def merge_by_likelihood(
    links: Links,
    n_neighbors: int | None = None,
    *,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    self_calibrate: bool = True,
    each: Each = map,
) -> LikelihoodMergeResult:
    """Merge the groups with the most evidence of being one person while it is positive.

    Not from the paper. Maximum-likelihood grouping (correlation clustering)
    by greedy agglomeration; `evidence.mean_evidence` says what counts for and
    against two groups.

    Likelihoods that are calibrated on average can still be shifted on a new
    collection. Its own groups show it: within and between groups of at least
    three, most pairs are decided by many links together, so a link's own
    likelihood can be checked against them. Each further round fits a
    temperature and a bias to that and merges anew. Links between two faces
    that belong to no such group have no witnesses; their likelihood is only
    ever lowered, so that what is true of people with many photographs never
    joins strangers.

    At last, groups come to the larger one that most of their links lead to
    (`attachment`): hard faces, and fragments of people far above k.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    n_neighbors : int, optional
        Neighbours k that were judged for each instance, at least 1. By
        default the number that the links carry.
    must_link, cannot_link : integer (M, 2) and (C, 2), optional
        Pairs of instances that are one person for certain, or two: infinite
        evidence, honoured exactly.
    self_calibrate : bool
        Fit the likelihoods to the groups and merge again; without it they are
        taken at their word.
    each : callable
        Solves parts of the collection, as for `likely_groups`: `map`, or its
        like on other machines.

    Returns
    -------
    LikelihoodMergeResult
        Independent of the order of the links and constraints. Memory linear
        in the links.

    Raises
    ------
    InputError
        If `n_neighbors` is below 1 or unknown, constraints name instances that do not
        exist, or they contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = np.array([[0, 1], [1, 2], [0, 2], [2, 3]], dtype=np.int32)
    >>> likelihoods = np.array([0.9, 0.8, 0.4, 0.6], dtype=np.float32)
    >>> links = Links(pairs, likelihoods, np.zeros(4, dtype=bool), n_instances=4)
    >>> merge_by_likelihood(links, n_neighbors=3).labels.tolist()
    [0, 0, 0, 1]
    >>> merge_by_likelihood(links, n_neighbors=3, cannot_link=[[0, 1]]).labels.tolist()
    [0, 1, 1, 2]
    """
    n_neighbors = links.n_neighbors if n_neighbors is None else n_neighbors
    if n_neighbors is None or n_neighbors < 1:
        raise InputError(
            f"n_neighbors={n_neighbors}; give the number of neighbours that were judged for each "
            "instance, at least 1."
        )
    constraints = Constraints.checked(links.n_instances, must_link, cannot_link)
    judged, calibration = links, Calibration()
    found = group_links(judged, n_neighbors, constraints, each=each)
    for _ in range(N_REFITS if self_calibrate else 0):
        labels = consecutive_labels(found.roots)
        calibration = fit_to_groups(links, labels)
        judged = recalibrated(links, labels, calibration)
        found = group_links(judged, n_neighbors, constraints, each=each)
    labels = attach_groups(judged, consecutive_labels(found.roots), n_neighbors, constraints)
    return LikelihoodMergeResult(
        labels,
        judge_membership(judged, labels, n_neighbors, constraints.cannot_link),
        judged,
        calibration,
        found.n_rounds,
    )


def consecutive_labels(roots: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number groups, given by the smallest instance of each, consecutively in that order."""
    labels: NDArray[np.int64] = np.unique(roots, return_inverse=True)[1].astype(np.int64)
    return labels


def group_links(
    links: Links,
    n_neighbors: int,
    constraints: Constraints,
    more: tuple[NDArray[np.int32], NDArray[np.int64]] | None = None,
    *,
    each: Each = map,
) -> LikelyGroups:
    """Agglomerate along the links within reach: likely groups first, then all that have evidence.

    Groups that no chain of positive links connects never get positive
    evidence, so the links between them are left out, which changes nothing.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    n_neighbors : int
        Neighbours k that were judged for each instance.
    constraints : Constraints
        Pairs that are one person for certain, or two.
    more : int32 (E, 2) and int64 (E,), optional
        Pairs with further log-odds, at most 0, in units, that no link stands for.
    each : callable
        As for `likely_groups`.
    """
    others = constraints.cannot_link, np.full(len(constraints.cannot_link), BLOCKED)
    if more is not None:
        others = np.concatenate([others[0], more[0]]), np.concatenate([others[1], more[1]])
    anchors = constraints.anchors
    if anchors is None:
        anchors = np.full(links.n_instances, NO_ANCHOR, dtype=np.int32)
    evidence = GroupEvidence(
        links.pairs, links.likelihoods, *others, constraints.must_link, anchors, n_neighbors
    )
    likely = likely_groups(evidence, each=each)
    found = agglomerate(
        evidence.reach(0),
        (links.pairs, links.likelihoods),
        n_neighbors,
        others=others,
        joined=_as_pairs(likely.roots),
        anchors=anchors,
    )
    return LikelyGroups(found.roots, likely.n_rounds + found.n_rounds)


def _as_pairs(roots: NDArray[np.int32]) -> NDArray[np.int32]:
    """Pairs (J, 2) of each instance that is not the root of its group, and that root."""
    members = np.flatnonzero(roots != np.arange(len(roots))).astype(np.int32)
    return np.stack([roots[members], members], axis=1)


def fit_to_groups(links: Links, labels: NDArray[np.int64]) -> Calibration:
    """Calibrate on the links whose two ends both belong to established groups.

    Groups that stay apart although their links speak for one person, because
    expected pairs are missing, may be fragments of one: their links are no
    example of either kind.
    """
    takes_part = np.bincount(labels, minlength=1) >= ESTABLISHED
    counts = np.zeros((2, N_BINS))
    for block in blocks(len(links)):
        first, second = labels[links.pairs[block]].T
        within = links.likelihoods[block][(first == second) & takes_part[first]]
        counts += count_binned(within, np.ones(len(within), dtype=np.bool_))
    for sums in LinksBetween.of(links, labels, takes_part).sums():
        apart = links.likelihoods[sums.links[(sums.totals <= 0)[sums.place]]]
        counts += count_binned(apart, np.zeros(len(apart), dtype=np.bool_))
    return fit_binned(*counts, n_imagined=N_IMAGINED) if counts.any() else Calibration()


def recalibrated(links: Links, labels: NDArray[np.int64], calibration: Calibration) -> Links:
    """Apply the calibration; where neither end is established, only to lower a likelihood."""
    is_established = (np.bincount(labels, minlength=1) >= ESTABLISHED)[labels]
    likelihoods = calibration.apply(links.likelihoods)
    for block in blocks(len(links)):
        alone = ~is_established[links.pairs[block]].any(axis=1)
        likelihoods[block][alone] = np.minimum(
            likelihoods[block][alone], links.likelihoods[block][alone]
        )
    return replace(links, likelihoods=likelihoods)
