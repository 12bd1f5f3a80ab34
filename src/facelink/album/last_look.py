"""What the last update saw: the next one looks again only where something is different."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.merging.placing import Learned

UNSETTLED = -2
"""Person of a face whose place the last update changed, or which it did not see."""


@dataclass(frozen=True, eq=False)
class LastLook:
    """Where the faces of a neighbourhood were when an update last looked at them, in its order.

    Parameters
    ----------
    people : int64 (N,)
        Person of each face; −1 for none, −2 for one to look at again.
    is_named, is_set_aside : bool (N,)
        Faces of people with names, and those that the user did not want placed.
    same, different : int64 (M, 2) and (C, 2)
        Faces that were one person, or two, by their rows of the feature file.
    learned : Learned
        What the likelihoods were merged by.
    n_when_learned : int
        Faces there were when that was found out.
    with_photo_evidence : bool
        Whether two faces in one photograph counted as evidence.

    Raises
    ------
    InputError
        If an array is of another dtype or shape.
    """

    people: NDArray[np.int64]
    is_named: NDArray[np.bool_]
    is_set_aside: NDArray[np.bool_]
    same: NDArray[np.int64]
    different: NDArray[np.int64]
    learned: Learned
    n_when_learned: int
    with_photo_evidence: bool

    def __post_init__(self) -> None:
        n = self.people.size
        expected = {
            "people": (np.int64, (n,)),
            "is_named": (np.bool_, (n,)),
            "is_set_aside": (np.bool_, (n,)),
            "same": (np.int64, (len(self.same), 2)),
            "different": (np.int64, (len(self.different), 2)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise InputError(
                    f"a last look needs its {name} as {np.dtype(dtype)} of shape {shape}, got "
                    f"{array.dtype} {array.shape}."
                )

    def without(self, rows: NDArray[np.int64], gone: NDArray[np.bool_]) -> Self:
        """Return the same without some faces; those who had to do with them are unsettled.

        Parameters
        ----------
        rows : int64 (N,)
            Rows of the faces in the feature file.
        gone : bool (N,)
            Those to leave out.
        """
        was_with = np.isin(self.people, np.unique(self.people[gone & (self.people >= 0)]))
        same, parted_same = _pairs_without(self.same, rows[gone])
        different, parted_different = _pairs_without(self.different, rows[gone])
        was_with |= np.isin(rows, np.concatenate([parted_same, parted_different]))
        return replace(
            self,
            people=np.where(was_with, UNSETTLED, self.people)[~gone],
            is_named=self.is_named[~gone],
            is_set_aside=self.is_set_aside[~gone],
            same=same,
            different=different,
        )

    def with_more(self, n: int) -> Self:
        """Return the same with so many faces after the others that no update saw."""
        none = np.zeros(n, dtype=np.bool_)
        return replace(
            self,
            people=np.concatenate([self.people, np.full(n, UNSETTLED)]),
            is_named=np.concatenate([self.is_named, none]),
            is_set_aside=np.concatenate([self.is_set_aside, none]),
        )


def _pairs_without(
    pairs: NDArray[np.int64], gone: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that name none of those gone, (P, 2), and whom the others name, (2 Q,)."""
    is_parted = np.isin(pairs, gone).any(axis=1)
    return pairs[~is_parted], pairs[is_parted].reshape(-1)
