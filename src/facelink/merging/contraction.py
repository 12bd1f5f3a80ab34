"""Groups as single nodes: what is left to decide after a level of merging, and nothing else."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.merging.agglomeration import NO_ANCHOR
from facelink.merging.parts import GroupEvidence


@dataclass(frozen=True, eq=False)
class Contraction:
    """Groups of instances, and the evidence between them.

    Parameters
    ----------
    smallest : int32 (G,)
        Smallest instance of each group, ascending: groups are numbered in its order.
    group_of : int32 (N,)
        Group of each instance.
    sizes : int32 (G,)
        Instances of each group.
    evidence : GroupEvidence
        Of the groups; a pair of them comes once for each link between the two.
    """

    smallest: NDArray[np.int32]
    group_of: NDArray[np.int32]
    sizes: NDArray[np.int32]
    evidence: GroupEvidence

    @classmethod
    def of(cls, evidence: GroupEvidence, roots: NDArray[np.int32]) -> "Contraction":
        """Contract each group to a node.

        Parameters
        ----------
        evidence : GroupEvidence
            Of N instances. Those that it joins are in one group, and no group
            holds two anchors.
        roots : int32 (N,)
            Smallest instance of each instance's group.

        Returns
        -------
        Contraction
            12 bytes for each link between groups.
        """
        smallest = np.flatnonzero(roots == np.arange(len(roots), dtype=np.int32)).astype(np.int32)
        group_of = np.searchsorted(smallest, roots).astype(np.int32)
        anchors = np.full(len(smallest), NO_ANCHOR, dtype=np.int32)
        np.maximum.at(anchors, group_of, evidence.anchors)
        pairs, likelihoods = _links_between(group_of, evidence.pairs, evidence.likelihoods)
        others = group_of[evidence.others]
        is_between = others[:, 0] != others[:, 1]
        return cls(
            smallest,
            group_of,
            np.bincount(group_of, minlength=len(smallest)).astype(np.int32),
            GroupEvidence(
                pairs,
                likelihoods,
                others[is_between],
                evidence.totals[is_between],
                np.empty((0, 2), dtype=np.int32),
                anchors,
                evidence.n_neighbors,
            ),
        )

    def roots_of_instances(self, roots: NDArray[np.int32]) -> NDArray[np.int32]:
        """Smallest instance of each instance's group, (N,), after groups merged.

        Parameters
        ----------
        roots : int32 (G,)
            Smallest of the groups that each group is now one with.
        """
        of_instances: NDArray[np.int32] = self.smallest[roots][self.group_of]
        return of_instances


@njit(nogil=True, cache=True)
def _links_between(
    group_of: NDArray[np.int32], pairs: NDArray[np.int32], likelihoods: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Links between different groups, their ends by the numbers of these."""
    n_between = 0
    for pair in range(len(pairs)):
        n_between += group_of[pairs[pair, 0]] != group_of[pairs[pair, 1]]
    between = np.empty((n_between, 2), dtype=np.int32)
    kept = np.empty(n_between, dtype=np.float32)
    write = 0
    for pair in range(len(pairs)):
        first, second = group_of[pairs[pair, 0]], group_of[pairs[pair, 1]]
        if first != second:
            between[write, 0], between[write, 1] = first, second
            kept[write] = likelihoods[pair]
            write += 1
    return between, kept
