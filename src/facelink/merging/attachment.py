"""Groups whose links lead to one other group more than anywhere else come to it.

A blurred photograph of someone has unlikely links, but most of them lead to
that one person; a stranger's scatter over many groups. The log-odds of this
majority are evidence that the likelihoods of single links cannot show, since
each of them was judged without knowing the groups.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facelink.links import Links
from facelink.merging.agglomeration import NO_ANCHOR
from facelink.merging.cluster_pairs import ClusterPairs, LinksBetween, evidence_by_block
from facelink.merging.components import connected_components
from facelink.merging.constraints import Constraints
from facelink.merging.evidence import MAX_LOG_ODDS
from facelink.merging.photographs import InOnePhotograph

MAJORITY_WEIGHT = 1.5
"""Weight of the majority's log-odds beside the mean log-odds of the links.

From 0.5 to 2 the training sets gain steadily where nearly everyone is someone
(pins: 0.2 to 0.7 points of F) and lose as steadily where strangers are many
(at most 0.4); 1.5 has most of the gain, and joins fragments far above k.
"""

IMAGINED_LINKS = 2
"""Links to elsewhere that each group is given: a handful of links makes no majority."""

MAX_ROUNDS = 3
"""Rounds of attachment: a group that came may bring others, but not without end."""


def attach_groups(
    links: Links,
    labels: NDArray[np.int64],
    n_neighbors: int,
    constraints: Constraints,
    *,
    stays: NDArray[np.bool_] | None = None,
    in_one_photo: InOnePhotograph | None = None,
) -> NDArray[np.int64]:
    """Attach groups to larger ones that the majority of their links lead to.

    Parameters
    ----------
    links : Links
        Judged pairs of N instances.
    labels : int64 (N,)
        Groups, consecutive from 0, numbered by their smallest instance.
    n_neighbors : int
        Neighbours k that were judged for each instance.
    constraints : Constraints
        Pairs that must not be joined stay apart.
    stays : bool (N,), optional
        Instances whose groups others may come to, but that do not come to
        another.
    in_one_photo : InOnePhotograph, optional
        Evidence against groups with faces in one photograph.

    Returns
    -------
    int64 (N,)
        Labels of the same kind, of as many groups or fewer.
    """
    for _ in range(MAX_ROUNDS):
        anchors = _anchors_of_groups(labels, constraints.anchors)
        blocked = np.sort(labels[constraints.cannot_link], axis=1)
        proposals = _proposals(links, labels, n_neighbors, blocked, anchors, in_one_photo)
        if stays is not None:
            proposals = proposals[~np.isin(proposals[:, 0], labels[stays])]
        if len(proposals) == 0:
            break
        joined = _without_conflicts(proposals, labels[constraints.cannot_link], anchors)
        group_labels = connected_components(int(labels.max()) + 1, joined)
        labels = group_labels[labels]
    return labels


def _anchors_of_groups(
    labels: NDArray[np.int64], anchors: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    of_groups = np.full(labels.max(initial=-1) + 1, NO_ANCHOR, dtype=np.int32)
    if anchors is not None:
        np.maximum.at(of_groups, labels, anchors)
    return of_groups


def _proposals(
    links: Links,
    labels: NDArray[np.int64],
    n_neighbors: int,
    blocked: NDArray[np.int64],
    anchors: NDArray[np.int32],
    in_one_photo: InOnePhotograph | None,
) -> NDArray[np.int32]:
    """(Smaller, larger) labels: for each group the best larger one, most evidence first."""
    between = LinksBetween.of(links, labels)
    sizes = np.bincount(labels, minlength=1)
    found = [np.empty((3, 0))]
    for pairs in evidence_by_block(between, labels, n_neighbors):
        one_photo = 0.0 if in_one_photo is None else in_one_photo.between(labels, pairs.pairs)
        with_photos = replace(pairs, evidence=pairs.evidence + one_photo)
        found.append(_candidates(with_photos, sizes, between.n_leaving, blocked, anchors))
    smaller, larger, evidence = np.concatenate(found, axis=1)
    order = np.lexsort((larger, smaller, -evidence))
    best = order[np.sort(np.unique(smaller[order], return_index=True)[1])]
    return np.stack([smaller[best], larger[best]], axis=1).astype(np.int32)


def _candidates(
    between: ClusterPairs,
    sizes: NDArray[np.int64],
    n_leaving: NDArray[np.int64],
    blocked: NDArray[np.int64],
    anchors: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Smaller groups, larger ones that they may come to, and the evidence for it, (3, C).

    Of two groups of one size that with more links to others counts as the
    larger, of two such that with the smaller label.
    """
    first, second = between.pairs.T
    first_is_larger = (sizes[first] > sizes[second]) | (
        (sizes[first] == sizes[second]) & (n_leaving[first] >= n_leaving[second])
    )
    smaller = np.where(first_is_larger, second, first)
    larger = np.where(first_is_larger, first, second)
    majority = _majority_log_odds(
        between.n_links, n_leaving[smaller], sizes[larger], sizes.sum() - sizes[smaller]
    )
    evidence = between.evidence + MAJORITY_WEIGHT * majority
    is_blocked = np.isin(between.pairs @ [len(sizes), 1], blocked @ [len(sizes), 1])
    is_anchored = (anchors[first] != NO_ANCHOR) & (anchors[second] != NO_ANCHOR)
    is_blocked |= is_anchored & (anchors[first] != anchors[second])
    found = (evidence > 0) & ~is_blocked
    return np.stack([smaller[found], larger[found], evidence[found]])


def _majority_log_odds(
    n_links: NDArray[np.int64],
    n_leaving: NDArray[np.int64],
    size: NDArray[np.int64],
    n_others: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Log-odds that a link leads to one group rather than elsewhere, at least 0.

    Where the group holds most of the others anyway, the odds that as many links
    would have if they led to the others by chance are deducted: in a collection
    of two people, all links that leave one lead to the other.
    """
    by_chance = n_leaving * (size / n_others)
    odds = n_links / (n_leaving - n_links + IMAGINED_LINKS)
    odds_by_chance = by_chance / (n_leaving - by_chance + IMAGINED_LINKS)
    log_odds: NDArray[np.float64] = np.log(odds) - np.log(np.maximum(1, odds_by_chance))
    return np.clip(log_odds, 0, MAX_LOG_ODDS)


def _without_conflicts(
    proposals: NDArray[np.int32], blocked: NDArray[np.int64], anchors: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Leave out proposals that would join two blocked groups with those before them."""
    if len(blocked) == 0 and (anchors == NO_ANCHOR).all():
        return proposals
    anchor_of = dict(enumerate(anchors.tolist()))
    group_of: dict[int, int] = {}
    members: dict[int, set[int]] = {}
    opponents: dict[int, set[int]] = {}
    for one, other in blocked.tolist():
        opponents.setdefault(one, set()).add(other)
        opponents.setdefault(other, set()).add(one)
    kept = []
    for proposal in proposals.tolist():
        first, second = (group_of.setdefault(label, label) for label in proposal)
        mine, theirs = members.setdefault(first, {first}), members.setdefault(second, {second})
        if any(opponents.get(label, set()) & theirs for label in mine):
            continue
        anchor = max(anchor_of[first], anchor_of[second])
        if NO_ANCHOR < min(anchor_of[first], anchor_of[second]) < anchor:
            continue
        kept.append(proposal)
        if first != second:
            anchor_of[second] = anchor
            theirs |= mine
            group_of.update(dict.fromkeys(mine, second))
    return np.array(kept, dtype=np.int32).reshape(-1, 2)
