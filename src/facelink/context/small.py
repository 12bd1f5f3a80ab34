"""Links of small collections, judged by similarity alone.

Among a few dozen faces everyone is in everyone's list, so that context tells
little more than the similarities do. What a similarity means has to be found
from the same few faces: embedders that are not centred put strangers at 0.8.

Strangers' similarities lie close together, also where half of all pairs are of
one person; those of one person are scattered, since poses, ages and the quality
of photographs differ. In a collection of one person no pair is of strangers,
and where they would be can only be guessed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from facelink.errors import InputError

LARGEST = 200
"""Faces of the largest collection that is measured: all its pairs are compared."""

_COMMON = 0.4
"""Share of the pairs that lie closest together: strangers', unless one person has more than three
quarters of the faces."""

_LEAST_DISTANCE = 1e-3
"""Distances 1 − cosine below it are alike: those of exact and near duplicates."""

_NORMAL_SHARES = (0.2, 0.4, 0.6, 0.7)
"""Shares of the pairs on one side of the median, nearest first, that measure the spread there."""

_CENTRED_MEDIAN, _ONE_PERSON_MEDIAN = 0.6, 0.25
"""Median cosines: below the first a collection of strangers is not from a strongly shifted
embedder, below the second it is not one person's."""

_SCATTER, _CENTRED_SCATTER = 0.024, 0.015
"""Spread times spread of the faces' own levels, both relative to the distance 1 − median, above
which all pairs are one person's: with any embedder, and below `_CENTRED_MEDIAN`. Chosen by looking
at albums of CelebA, Pins and LFW together, also by shifted embedders. Of CelebA and Pins alone 94 %
of one person's albums of 50 faces are above, 78 % of 10 faces, and none of strangers'."""

_OUTER = 0.02
"""Share of the pairs at either end that the range of the similarities leaves out."""

_SKEW, _SHIFT = 1.2, 1.2
"""Range above the median relative to that below it, and distance of the pairs that lie closest
together relative to the median's: at most so much where all pairs are of one kind. Some people
among strangers stretch the range upwards, blurred photographs of one person downwards."""

_GENUINE = 0.5
"""Typical similarity of one person's pairs, from 0 (strangers) to 1 (the same photograph)."""

_PRIOR_STRANGERS, _PRIOR_SPREAD = 0.05, 0.1
"""Cosine of strangers with a typical, centred embedder, and its spread."""

_PRIOR_PAIRS, _SHIFTED_PRIOR_PAIRS, _SHIFTED_MEDIAN = 30, 3, 0.78
"""Weight of the prior beside the collection's own pairs, and beside those whose median is above
what one person's pairs reach with a centred embedder."""

_EVEN, _SLOPE = 0.36, 12.7
"""Similarity, from 0 to 1 as above, of a pair that is as likely as not of one person, and log-odds
per unit of it. By logistic regression on albums drawn from the training sets, which says 0.33; a
little more, chosen by looking at LFW as well, because users rather split a person than join two. No
less than the most similar pair of strangers is expected to reach: in few dimensions some look
alike."""


@dataclass(frozen=True)
class SimilarityScale:
    """What cosine similarities mean in one collection.

    Parameters
    ----------
    strangers : float
        Typical cosine of two people, in [−1, 1).
    even : float
        Similarity of a pair that is as likely as not of one person, from 0,
        that of strangers, to 1, that of the same photograph; positive.
    is_one_person : bool
        Whether all faces, or nearly all, look like one person's, so that
        `strangers` is a guess.

    Raises
    ------
    InputError
        If `strangers` is no cosine below 1, or `even` is not positive.
    """

    strangers: float
    even: float = _EVEN
    is_one_person: bool = False

    def __post_init__(self) -> None:
        if not -1 <= self.strangers < 1:
            raise InputError(f"cosine {self.strangers} of strangers; it lies in [−1, 1).")
        if not self.even > 0:
            raise InputError(f"even similarity {self.even}; it must be above that of strangers, 0.")

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> "SimilarityScale":
        """Measure a small collection.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows.

        Raises
        ------
        InputError
            If there are more than `LARGEST` faces, since all pairs are compared.
        """
        n = len(features)
        if n > LARGEST:
            raise InputError(f"{n} faces; similarity alone judges at most {LARGEST}.")
        if n < 2:
            return cls(_PRIOR_STRANGERS)
        table = np.clip(features @ features.T, -1, 1).astype(np.float64)
        cosines = np.sort(table[np.triu_indices(n, 1)])
        common, median = _common_median(cosines), float(np.median(cosines))
        levels = float(((table.sum(axis=1) - np.diag(table)) / (n - 1)).std())
        is_one_person = _is_one_person(cosines, median, common, levels)
        strangers = max(-1.0, 1 - (1 - median) / (1 - _GENUINE)) if is_one_person else common
        n_imagined = _PRIOR_PAIRS if median < _SHIFTED_MEDIAN else _SHIFTED_PRIOR_PAIRS
        trust = len(cosines) / (len(cosines) + n_imagined)
        strangers = trust * strangers + (1 - trust) * _PRIOR_STRANGERS
        if is_one_person:
            return cls(strangers, is_one_person=True)
        spread = trust * _narrower_spread(cosines, common) + (1 - trust) * _PRIOR_SPREAD
        greatest = float(ndtri(1 - 1 / max(2, len(cosines)))) * spread / (1 - strangers)
        return cls(strangers, max(_EVEN, greatest))

    def likelihoods(self, similarities: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probability in [0, 1] that pairs of these cosines are of one person, float32."""
        relative = (similarities.astype(np.float64) - self.strangers) / (1 - self.strangers)
        likely: NDArray[np.float32] = expit(_SLOPE * (relative - self.even)).astype(np.float32)
        return likely


def _common_median(cosines: NDArray[np.float64]) -> float:
    """Median of the `_COMMON` of the sorted cosines that lie closest together.

    Close means similar distances 1 − cosine in ratio, which a constant offset
    of all features leaves as they are.
    """
    n_common = max(1, round(_COMMON * len(cosines)))
    logs = -np.log(np.maximum(1 - cosines, _LEAST_DISTANCE))
    lengths = logs[n_common - 1 :] - logs[: len(cosines) - n_common + 1]
    start = int(lengths.argmin())
    return float(np.median(cosines[start : start + n_common]))


def _is_one_person(
    cosines: NDArray[np.float64], median: float, common: float, levels: float
) -> bool:
    """Whether all pairs look like one person's: high, of one kind, and scattered."""
    lowest, highest = np.quantile(cosines, [_OUTER, 1 - _OUTER])
    are_of_one_kind = highest - median <= _SKEW * (median - lowest) and 1 - common < _SHIFT * (
        1 - median
    )
    least = _CENTRED_SCATTER if median < _CENTRED_MEDIAN else _SCATTER
    is_scattered = _narrower_spread(cosines, median) * levels > least * (1 - median) ** 2
    return bool(median > _ONE_PERSON_MEDIAN and are_of_one_kind and is_scattered)


def _narrower_spread(cosines: NDArray[np.float64], median: float) -> float:
    """Spread below the median or above it, whichever is less."""
    below, above = median - cosines[cosines < median], cosines[cosines >= median] - median
    return min(_spread(below), _spread(above))


def _spread(deviations: NDArray[np.float64]) -> float:
    """Standard deviation of the normal distribution with the same quantiles; 0 of no pairs."""
    if len(deviations) == 0:
        return 0.0
    shares = np.array(_NORMAL_SHARES)
    normal = ndtri((1 + shares) / 2)
    return float(np.quantile(deviations, shares) @ normal / (normal @ normal))
