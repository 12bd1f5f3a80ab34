"""Two faces in one photograph are rarely one person: soft evidence, its weight from the album.

Mirrors, collages and photographs of photographs exist, so this forbids nothing. It is a term that
is added to the log-odds of two groups that have faces in one photograph.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from facelink.links import Links
from facelink.merging.evidence import UNITS

TYPICAL_LOG_ODDS = -2.0
"""Before an album has shown anything: two similar faces in one photograph are one person about a
seventh as likely as two from two photographs."""

N_IMAGINED = 20
"""Imagined pairs, even odds without the term, that say that the typical term is right."""

_LOWEST = -6.0
_CERTAIN = 1e-4


@dataclass(frozen=True, eq=False)
class InOnePhotograph:
    """Pairs of faces that share a photograph, and what that says.

    Parameters
    ----------
    pairs : int32 (T, 2)
        Faces, the smaller first.
    log_odds : float
        Added to the evidence that two groups are one person; at most 0.
    """

    pairs: NDArray[np.int32]
    log_odds: float = TYPICAL_LOG_ODDS

    @classmethod
    def of(cls, photos: NDArray[np.int64]) -> "InOnePhotograph":
        """List all pairs of faces in one photograph.

        Parameters
        ----------
        photos : int64 (N,)
            Photograph of each face; −1 for one without.
        """
        order = np.argsort(photos, kind="stable")
        order = order[photos[order] >= 0]
        found = []
        shift = 1
        while len(order) > shift:
            together = photos[order[:-shift]] == photos[order[shift:]]
            if not together.any():
                break
            found.append(np.stack([order[:-shift][together], order[shift:][together]], axis=1))
            shift += 1
        pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
        return cls(np.sort(pairs, axis=1).astype(np.int32))

    def entries(
        self, labels: NDArray[np.int64], n_neighbors: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Entries for `agglomerate`: one for each two groups with faces in one photograph.

        Its total moves the mean log-odds of the two by `log_odds`. As they
        grow by faces of other photographs, it counts for less.

        Parameters
        ----------
        labels : int64 (N,)
            Groups that agglomeration starts from.
        n_neighbors : int
            Neighbours k that each face lists.

        Returns
        -------
        pairs : int32 (E, 2)
            One pair of faces for each two groups.
        totals : int64 (E,)
            Log-odds in units.
        """
        ends = np.sort(labels[self.pairs], axis=1)
        _, first = np.unique(ends @ [len(labels), 1], return_index=True)
        first = first[ends[first, 0] != ends[first, 1]]
        sizes = np.bincount(labels, minlength=1)[ends[first]].astype(np.float64)
        expected = sizes.prod(axis=1) * np.minimum(1, n_neighbors / sizes.sum(axis=1))
        return self.pairs[first], np.rint(self.log_odds * UNITS * expected).astype(np.int64)

    def between(
        self, labels: NDArray[np.int64], label_pairs: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Term of each pair of groups, (P,): `log_odds` where they share a photograph, else 0.

        Parameters
        ----------
        labels : int64 (N,)
            Group of each face.
        label_pairs : int64 (P, 2)
            Pairs of groups, the smaller label first.
        """
        weights = [len(labels), 1]
        together = np.isin(label_pairs @ weights, np.sort(labels[self.pairs], axis=1) @ weights)
        return np.where(together, self.log_odds, 0.0)

    def fitted(self, links: Links, labels: NDArray[np.int64]) -> "InOnePhotograph":
        """Weigh the term anew by the links between faces of one photograph.

        A link counts if both of its faces belong to groups of at least three,
        so that many other links decided whether they are one person. The
        greatest-likelihood term is taken, with `N_IMAGINED` links for the
        typical one.

        Parameters
        ----------
        links : Links
            Judged pairs of N faces.
        labels : int64 (N,)
            Groups.
        """
        weights = [links.n_instances, 1]
        together = np.isin(links.pairs @ weights, self.pairs @ weights)
        witnessed = (np.bincount(labels, minlength=1)[labels] >= 3)[links.pairs].all(axis=1)
        pairs = links.pairs[together & witnessed]
        is_same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
        likelihoods = links.likelihoods[together & witnessed].astype(np.float64)
        without = logit(likelihoods.clip(_CERTAIN, 1 - _CERTAIN))
        imagined = N_IMAGINED * expit(TYPICAL_LOG_ODDS)

        def surplus(term: float) -> float:
            expected = expit(without + term).sum() + N_IMAGINED * expit(term)
            return float(is_same.sum() + imagined - expected)

        if surplus(0.0) >= 0:
            return InOnePhotograph(self.pairs, 0.0)
        if surplus(_LOWEST) <= 0:
            return InOnePhotograph(self.pairs, _LOWEST)
        return InOnePhotograph(self.pairs, float(brentq(surplus, _LOWEST, 0.0)))
