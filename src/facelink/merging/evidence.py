"""Evidence that two groups of faces are one person, from the likelihoods of the links between them.

The likelihoods of one face's links are not independent: forty links into one
group are forty looks at the same two faces' quality, age and pose, not forty
witnesses. Evidence between two groups is therefore the *mean* log-odds of
their pairs, as if all of them spoke with one voice; its sign is that of the
maximum-likelihood grouping of the pairs (correlation clustering), its size
does not grow with the groups. Pairs that a person of this size would have in
the nearest-neighbour lists, but that are missing there, count against.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.blocks import blocks

MAX_LOG_ODDS = 4.0
"""Log-odds are clipped to ± this (likelihoods 0.018 and 0.982): no link outvotes fifty others."""

MISSING_LOG_ODDS = -1.0
"""Log-odds of a pair that is expected in the neighbour lists and missing (likelihood 0.27).

A missing pair was beaten by k others, which makes it unlikely; but a person's
faces fall into poses and ages, so that its pairs are never spread evenly and
some are missing in the middle of it. On the training sets −0.5 to −1 are
equally good; −2 breaks up people with far more than k faces.
"""

UNITS = 1 << 16
"""Log-odds are summed as whole numbers of 1/65536: exact, so that order never matters."""

BLOCKED = -(1 << 61)
"""Sum of log-odds of two groups that must not be one: stays what it is, whatever is added."""


def log_odds_units(likelihoods: NDArray[np.float32]) -> NDArray[np.int32]:
    """Clipped log-odds of link likelihoods in whole units.

    Parameters
    ----------
    likelihoods : float32 (L,)
        Probabilities in [0, 1].

    Returns
    -------
    int32 (L,)
        ln(p / (1 − p)), clipped to ± `MAX_LOG_ODDS`, in 1/`UNITS`.
    """
    lowest = 1 / (1 + np.exp(MAX_LOG_ODDS))
    units = np.empty(len(likelihoods), dtype=np.int32)
    for block in blocks(len(likelihoods)):
        clipped = np.clip(likelihoods[block].astype(np.float64), lowest, 1 - lowest)
        units[block] = np.rint(np.log(clipped / (1 - clipped)) * UNITS)
    return units


@njit(cache=True)
def added(first: int, second: int) -> int:
    """Sum of two sums of log-odds; blocked if one of them is."""
    if first <= BLOCKED or second <= BLOCKED:
        return BLOCKED
    return first + second


@njit(cache=True)
def mean_evidence(
    total: int, n_links: int, first_size: int, second_size: int, n_neighbors: int
) -> float:
    """Mean log-odds of the pairs between two groups, expected but missing ones included.

    If both groups are one person of s faces and each face lists k neighbours,
    a share of about min(1, k / s) of all pairs is expected to be linked.

    Parameters
    ----------
    total
        Sum of the links' log-odds in units.
    n_links
        Number of links between the groups.
    first_size, second_size
        Faces in the groups.
    n_neighbors
        Neighbours k that each face lists.

    Returns
    -------
    float
        In [−`MAX_LOG_ODDS`, `MAX_LOG_ODDS`]; −inf for blocked groups.
    """
    if total <= BLOCKED:
        return -np.inf
    n_pairs = float(first_size) * float(second_size)
    expected = n_pairs * min(1.0, n_neighbors / float(first_size + second_size))
    missing = max(0.0, expected - n_links)
    evidence: float = (total / UNITS + MISSING_LOG_ODDS * missing) / max(expected, float(n_links))
    return evidence
