"""Impostor statistics: how similar two random instances of a collection are.

Different embedders put strangers at different cosines, with different spreads;
some are not even centred. Random pairs measure both, because nearly all of
them are strangers. Their upper tail is not used: with two dozen people, one
random pair in 24 is of one person.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from facelink.errors import InputError

_N_PAIRS = 200_000
"""Random pairs: the median is then known to about 1 % of the spread."""

_BLOCK = 16_384
"""Pairs multiplied at a time."""

_UPPER_QUANTILES = (0.6, 0.7, 0.8, 0.85)
"""Where the spread is measured: same-person pairs rarely reach below them."""

_PRIOR_MEDIAN, _PRIOR_SPREAD = 0.05, 0.1
"""Typical for face embedders; what a collection of two or three faces falls back on."""

_PRIOR_PAIRS = 30
"""Weight of the prior, in pairs."""

_LEAST_SPREAD = 1e-3
"""Exact duplicates alone have no spread at all."""


@dataclass(frozen=True)
class ImpostorStatistics:
    """Distribution of the cosine of random pairs of a collection.

    Parameters
    ----------
    median : float
        Median cosine, in [−1, 1].
    spread : float
        Standard deviation of the normal distribution that has the same upper
        quantiles above the median; at least 0.001.

    Raises
    ------
    InputError
        If the median lies outside [−1, 1] or the spread is not positive.
    """

    median: float
    spread: float

    def __post_init__(self) -> None:
        if not -1 <= self.median <= 1:
            raise InputError(f"impostor median {self.median}; a cosine lies in [−1, 1].")
        if not self.spread > 0:
            raise InputError(f"impostor spread {self.spread}; it must be above 0.")

    @classmethod
    def of(cls, features: NDArray[np.float32], *, seed: int = 0) -> "ImpostorStatistics":
        """Measure random pairs of these features.

        Parameters
        ----------
        features : float32 (N, D)
            L2-normalised rows; may be memory-mapped.
        seed
            Seeds the choice of pairs: the same features give the same result.

        Notes
        -----
        Small collections are compared in full, and the fewer pairs there are,
        the more a typical embedder's statistics weigh.
        """
        first, second = _pairs(len(features), np.random.default_rng(seed))
        if len(first) == 0:
            return cls(_PRIOR_MEDIAN, _PRIOR_SPREAD)
        cosines = _cosines(features, first, second)
        median = float(np.median(cosines))
        quantiles = np.quantile(cosines, _UPPER_QUANTILES) - median
        normal = ndtri(np.array(_UPPER_QUANTILES))
        spread = float(quantiles @ normal / (normal @ normal))
        trust = len(cosines) / (len(cosines) + _PRIOR_PAIRS)
        return cls(
            float(np.clip(trust * median + (1 - trust) * _PRIOR_MEDIAN, -1, 1)),
            max(trust * spread + (1 - trust) * _PRIOR_SPREAD, _LEAST_SPREAD),
        )


def _pairs(n: int, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of different instances, or random ones where there are too many."""
    if n * (n - 1) // 2 <= _N_PAIRS:
        first, second = np.triu_indices(n, 1)
        return first, second
    first = random.integers(0, n, size=_N_PAIRS)
    second = (first + random.integers(1, n, size=_N_PAIRS)) % n
    return first, second


def _cosines(
    features: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float32]:
    cosines = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosines[block] = np.einsum("ij,ij->i", features[first[block]], features[second[block]])
    return cosines.clip(-1, 1)
