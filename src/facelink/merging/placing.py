"""Merging with groups that are there already: faces join them, start new ones, or stay alone.

The same evidence, agglomeration and attachment as merging everyone at once, started from the groups
that are known. These never lose a face.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.calibration import Calibration
from facelink.errors import InputError
from facelink.links import Links
from facelink.merging.agglomeration import NO_ANCHOR
from facelink.merging.attachment import attach_groups
from facelink.merging.components import connected_components
from facelink.merging.constraints import Constraints
from facelink.merging.likelihood import (
    N_REFITS,
    LikelihoodMergeResult,
    consecutive_labels,
    fit_to_groups,
    group_links,
    recalibrated,
)
from facelink.merging.membership import judge_membership
from facelink.merging.photographs import InOnePhotograph

FREE = -1
"""Group of a face that is in none."""


@dataclass(frozen=True, eq=False)
class KnownGroups:
    """Groups that stand before merging.

    Parameters
    ----------
    groups : int64 (N,)
        Group of each face, any whole number from 0; −1 is none.
    is_fixed : bool (N,)
        Faces of groups that never join another fixed one, such as people with
        names. All faces of a group alike; False where there is none.

    Raises
    ------
    InputError
        If the two differ in length, or a face of no group is fixed.
    """

    groups: NDArray[np.int64]
    is_fixed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.groups.shape != self.is_fixed.shape or self.groups.ndim != 1:
            raise InputError(
                f"groups of shape {self.groups.shape} and marks of {self.is_fixed.shape}; give one "
                "of both for each face."
            )
        if (self.is_fixed & (self.groups == FREE)).any():
            raise InputError("a face of no group is marked as fixed; only groups can be.")

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Faces that are in a group, bool (N,)."""
        is_known: NDArray[np.bool_] = self.groups != FREE
        return is_known

    def pairs(self) -> NDArray[np.int64]:
        """Each group's first face with each other one, (M, 2): what holds it together."""
        members = np.flatnonzero(self.is_known)
        _, first, place = np.unique(self.groups[members], return_index=True, return_inverse=True)
        pairs: NDArray[np.int64] = np.stack([members[first[place]], members], axis=1)
        held: NDArray[np.int64] = pairs[pairs[:, 0] != pairs[:, 1]]
        return held

    def anchors(self) -> NDArray[np.int32]:
        """Number of each face's group where that is fixed, int32 (N,); −1 elsewhere."""
        anchors = np.full(len(self.groups), NO_ANCHOR, dtype=np.int32)
        anchors[self.is_fixed] = np.unique(self.groups[self.is_fixed], return_inverse=True)[1]
        return anchors


@dataclass(frozen=True, eq=False)
class Placing:
    """Groups after merging.

    Parameters
    ----------
    merged : LikelihoodMergeResult
        Labels of all N faces; faces of one known group share theirs.
    in_one_photo : InOnePhotograph
        Faces that share a photograph, and the weight that was found for that.
    """

    merged: LikelihoodMergeResult
    in_one_photo: InOnePhotograph

    @property
    def learned(self) -> "Learned":
        """What the collection told, to merge with again."""
        return Learned(self.merged.calibration, self.in_one_photo.log_odds)


@dataclass(frozen=True)
class Learned:
    """What the groups of a collection say about its links.

    Parameters
    ----------
    calibration : Calibration
        What likelihoods mean.
    photo_log_odds : float
        What two faces in one photograph count for; at most 0.
    """

    calibration: Calibration
    photo_log_odds: float


def merge_into_groups(
    links: Links,
    known: KnownGroups,
    *,
    is_fresh: NDArray[np.bool_] | None = None,
    must_link: ArrayLike | None = None,
    cannot_link: ArrayLike | None = None,
    photos: NDArray[np.int64] | None = None,
    learned: Learned | None = None,
    may_come: NDArray[np.bool_] | None = None,
) -> Placing:
    """Merge by likelihood, starting from known groups.

    A known group keeps its faces. Free faces join groups or each other as in
    `merge_by_likelihood`. Two known groups merge only if a face that was
    judged anew links them and not both are fixed; nothing else brings groups
    together of which nothing new is known. Without known groups the result is
    that of `merge_by_likelihood`.

    Parameters
    ----------
    links : Links
        Judged pairs of N faces, with the number of neighbours.
    known : KnownGroups
        Where faces are already.
    is_fresh : bool (N,), optional
        Faces whose links were judged anew; by default all.
    must_link, cannot_link : integer (M, 2) and (C, 2), optional
        Pairs that are one person for certain, or two.
    photos : int64 (N,), optional
        Photograph of each face, −1 for none: two in one are evidence for two
        people, of a weight that this collection tells. By default not used.
    learned : Learned, optional
        From an earlier merging of the collection, which is not learned anew:
        for links of some of its faces only.
    may_come : bool (N,), optional
        Faces all of whose links are given, which may be attached to groups; by
        default all.

    Returns
    -------
    Placing
        Independent of the order of the links.

    Raises
    ------
    InputError
        If the links do not say how many neighbours were judged, sizes differ,
        or constraints contradict each other, a group or its being fixed.
    """
    if links.n_neighbors is None:
        raise InputError("links without the number of neighbours; judge them with facelink links.")
    if len(known.groups) != links.n_instances:
        raise InputError(
            f"groups of {len(known.groups)} faces for links between {links.n_instances}; give the "
            "group of every face."
        )
    k = links.n_neighbors
    held = known.pairs()
    must = held if must_link is None else np.concatenate([held, _as_pairs(must_link)])
    constraints = Constraints.checked(links.n_instances, must, cannot_link, known.anchors())
    in_one_photo = InOnePhotograph.of(np.full(0, FREE) if photos is None else photos)
    start = labels = connected_components(links.n_instances, constraints.must_link)
    concerned = concerns_new(links, known, is_fresh)
    for _ in range(N_REFITS + 1):
        calibration = learned.calibration if learned else fit_to_groups(links, labels)
        judged, before = recalibrated(links, labels, calibration), labels
        if learned:
            in_one_photo = InOnePhotograph(in_one_photo.pairs, learned.photo_log_odds)
        else:
            in_one_photo = in_one_photo.fitted(judged, labels)
        found = group_links(judged.only(concerned), k, constraints, in_one_photo.entries(start, k))
        labels = consecutive_labels(found.roots)
        if learned and np.array_equal(labels, before):
            break
    labels = attach_groups(
        judged.only(concerned), labels, k, constraints,
        stays=known.is_known if may_come is None else known.is_known | ~may_come,
        in_one_photo=in_one_photo,
    )  # fmt: skip
    membership = judge_membership(judged, labels, k, constraints.cannot_link)
    merged = LikelihoodMergeResult(labels, membership, judged, calibration, found.n_rounds)
    return Placing(merged, in_one_photo)


def _as_pairs(given: ArrayLike) -> NDArray[np.int64]:
    return np.asarray(given, dtype=np.int64).reshape(-1, 2)


def concerns_new(
    links: Links, known: KnownGroups, is_fresh: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Links, (L,), that are not between two known groups of which nothing new is known."""
    concerned = np.ones(len(links), dtype=np.bool_)
    if is_fresh is None:
        return concerned
    one, other = (known.groups[end] for end in links.pairs.T)
    settled = np.flatnonzero((one != FREE) & (other != FREE) & (one != other))
    pairs = links.pairs[settled]
    low, high = (pick(one[settled], other[settled]) for pick in (np.minimum, np.maximum))
    keys = low * (known.groups.max(initial=0) + 1) + high
    news = is_fresh[pairs[:, 0]] | is_fresh[pairs[:, 1]]
    concerned[settled] = np.isin(keys, keys[news])
    return concerned
