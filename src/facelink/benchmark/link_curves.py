"""How right links are at every threshold: precision and recall of accepted pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError


@dataclass(frozen=True, eq=False)
class LinkCurve:
    """Precision and recall of links at every threshold that makes a difference.

    Parameters
    ----------
    thresholds : float64 (T,)
        Falling; a link is accepted if its score reaches the threshold.
    precision : float64 (T,)
        Share of the accepted links that join two faces of one person, in [0, 1].
    recall : float64 (T,)
        Share of the pairs of one person that are accepted, in [0, 1]; rising.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def fscores(self) -> NDArray[np.float64]:
        """F = 2 · precision · recall / (precision + recall), float64 (T,); 0 where both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1)

    @property
    def best_threshold(self) -> float:
        """Greatest threshold at which F is highest."""
        return float(self.thresholds[np.argmax(self.fscores)])

    @property
    def average_precision(self) -> float:
        """Mean of the precision over the recall, in [0, 1], each step at its own end."""
        return float((np.diff(self.recall, prepend=0) * self.precision).sum())

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall at a threshold; 1 and 0 where it accepts no link."""
        position = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        if position < 0:
            return 1.0, 0.0
        return float(self.precision[position]), float(self.recall[position])


def link_curve(
    scores: NDArray[np.floating], is_same: NDArray[np.bool_], n_same: int | None = None
) -> LinkCurve:
    """Measure links at every threshold.

    Parameters
    ----------
    scores : float (L,)
        Of each link; the greater, the likelier one person.
    is_same : bool (L,)
        Whether its two faces are one person's.
    n_same
        Pairs of one person that recall is a share of: all there are in the
        collection. By default those among the links.

    Raises
    ------
    InputError
        If lengths differ, a score is not a number, no link is of one person,
        or there are more such links than `n_same`.
    """
    if scores.shape != is_same.shape or scores.ndim != 1:
        raise InputError(
            f"link scores of shape {scores.shape} and truths of {is_same.shape}; give one of both "
            "for each link."
        )
    if np.isnan(scores).any():
        raise InputError("a link's score is not a number; leave links out that were not judged.")
    n_found = int(np.count_nonzero(is_same))
    n_same = n_found if n_same is None else n_same
    if n_found == 0 or n_same < n_found:
        raise InputError(
            f"{n_found} of {len(scores)} links are of one person, and n_same={n_same}; a curve "
            "needs at least one such link, and n_same counts all such pairs."
        )
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order].astype(np.float64)
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    n_right = np.cumsum(is_same[order])[is_last]
    n_accepted = np.flatnonzero(is_last) + 1
    return LinkCurve(ordered[is_last], n_right / n_accepted, n_right / n_same)
