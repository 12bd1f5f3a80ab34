"""Pairs that a person has decided on: one person for certain, or two."""

from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelink.errors import InputError
from facelink.merging.agglomeration import NO_ANCHOR
from facelink.merging.components import connected_components


@dataclass(frozen=True, eq=False)
class Constraints:
    """Pairs of instances that must or must not share a cluster; they do not contradict.

    Parameters
    ----------
    must_link : int32 (M, 2)
        Pairs of one person.
    cannot_link : int32 (C, 2)
        Pairs of two people.
    anchors : int32 (N,), optional
        Clusters never hold instances of two anchors; −1 is none. All
        instances that must-links join have the same.
    """

    must_link: NDArray[np.int32]
    cannot_link: NDArray[np.int32]
    anchors: NDArray[np.int32] | None = None

    @classmethod
    def checked(
        cls,
        n_instances: int,
        must_link: ArrayLike | None,
        cannot_link: ArrayLike | None,
        anchors: NDArray[np.int32] | None = None,
    ) -> Self:
        """Read pairs of instance ids and check that all of them can be honoured.

        Parameters
        ----------
        n_instances : int
            Number of instances N.
        must_link, cannot_link : integer (M, 2) and (C, 2), optional
            Ids from 0 to N − 1, in any order; repeated pairs do no harm.
        anchors : int32 (N,), optional
            As stored, but where must-links join instances, one of them having
            the anchor is enough.

        Raises
        ------
        InputError
            If ids are out of range, or a chain of must-links joins the two
            ends of a cannot-link or two anchors: the message names the cycle.
        """
        must = _as_pairs("must_link", must_link, n_instances)
        cannot = _as_pairs("cannot_link", cannot_link, n_instances)
        people = connected_components(n_instances, must)
        broken = np.flatnonzero(people[cannot[:, 0]] == people[cannot[:, 1]])
        if len(broken):
            first, second = (int(instance) for instance in cannot[broken[0]])
            chain = " – ".join(str(instance) for instance in _shortest_chain(must, first, second))
            raise InputError(
                f"cannot_link ({first}, {second}) contradicts must_link, which joins them through "
                f"{chain}; remove one pair of this cycle."
            )
        return cls(must, cannot, None if anchors is None else _spread(anchors, people))


def _spread(anchors: NDArray[np.int32], people: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give everyone whom must-links join the anchor that one of them has."""
    of_people = np.full(len(people), NO_ANCHOR, dtype=np.int32)
    np.maximum.at(of_people, people, anchors)
    spread: NDArray[np.int32] = of_people[people]
    broken = np.flatnonzero((anchors != NO_ANCHOR) & (anchors != spread))
    if len(broken):
        raise InputError(
            f"must_link joins instance {broken[0]} of the fixed group {anchors[broken[0]]} to the "
            f"fixed group {spread[broken[0]]}; remove that pair, or make the two one group."
        )
    return spread


def _as_pairs(name: str, given: ArrayLike | None, n_instances: int) -> NDArray[np.int32]:
    if given is None or np.size(given) == 0:
        return np.empty((0, 2), dtype=np.int32)
    pairs = np.asarray(given)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InputError(
            f"{name} needs whole numbers of shape (pairs, 2), got {pairs.dtype} {pairs.shape}; "
            "give one row of two instance ids for each pair."
        )
    if pairs.min() < 0 or pairs.max() >= n_instances:
        raise InputError(
            f"{name} names instances from {pairs.min()} to {pairs.max()}, but there are "
            f"{n_instances}: ids must run from 0 to {n_instances - 1}."
        )
    return pairs.astype(np.int32)


def _shortest_chain(pairs: NDArray[np.int32], start: int, end: int) -> list[int]:
    """Instances on the way from `start` to `end` along the pairs that join them."""
    partners: dict[int, list[int]] = {}
    for first, second in pairs.tolist():
        partners.setdefault(first, []).append(second)
        partners.setdefault(second, []).append(first)
    came_from = {end: end}
    queue = deque([end])
    while start not in came_from:
        instance = queue.popleft()
        for partner in sorted(partners[instance]):
            if partner not in came_from:
                came_from[partner] = instance
                queue.append(partner)
    chain = [start]
    while chain[-1] != end:
        chain.append(came_from[chain[-1]])
    return chain
