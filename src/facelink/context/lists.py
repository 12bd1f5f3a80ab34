"""What each instance's own list of neighbours is like, and the collection as a whole."""

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.special import ndtri

from facelink.context.impostors import ImpostorStatistics
from facelink.context.names import OVERLAP_DEPTHS
from facelink.neighbors.graph import MISSING, NeighborGraph

STEP, NEAR, WIDE = 1, 2, 4
"""Which of the depths gaps, close neighbourhoods and wide ones are measured at."""

_STRONG = 2.0
"""z below which a shared neighbour is no evidence."""

_ISOLATED_QUANTILE, _NEAREST_QUANTILE = 0.1, 0.75


class Collection(NamedTuple):
    """Numbers of the whole collection."""

    k: int
    median: float
    spread: float
    expected_nearest: float
    isolated: float
    nearest: float


class Profiles(NamedTuple):
    """What each instance's own list is like, (N,) each."""

    length: NDArray[np.int32]
    nearest: NDArray[np.float32]
    last: NDArray[np.float32]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    near_mean: NDArray[np.float32]
    wide_mean: NDArray[np.float32]
    strength: NDArray[np.float32]
    n_listings: NDArray[np.int32]


def list_depths(k: int) -> NDArray[np.int64]:
    """Lengths of N(p) at `OVERLAP_DEPTHS`: shares of k rounded up, and p itself."""
    return np.array([1 + int(np.ceil(k * share)) for share in OVERLAP_DEPTHS])


def list_profiles(graph: NeighborGraph, k: int, impostors: ImpostorStatistics) -> Profiles:
    """Profile of every instance's first k neighbours; zeros for one without neighbours."""
    table = graph.indices[:, :k], graph.similarities[:, :k]
    columns = _list_profiles(*table, list_depths(k), impostors.median, impostors.spread)
    return Profiles(*columns)


def describe_collection(k: int, profiles: Profiles, impostors: ImpostorStatistics) -> Collection:
    """Numbers of the whole collection, from everyone's profile."""
    n, median, spread = len(profiles.length), impostors.median, impostors.spread
    isolated = float(np.quantile(profiles.last, _ISOLATED_QUANTILE)) - median
    nearest = float(np.quantile(profiles.nearest, _NEAREST_QUANTILE)) - median
    return Collection(
        k=k,
        median=median,
        spread=spread,
        expected_nearest=float(ndtri(1 - 1 / max(4, n))),
        isolated=max(isolated, spread),
        nearest=max(nearest, spread),
    )


@njit(cache=True)
def strength_of(similarity: float, median: float, spread: float) -> float:
    """How much evidence a neighbour is: spreads above `_STRONG` spreads from the median."""
    return max(0.0, (similarity - median) / spread - _STRONG)


@njit(parallel=True, nogil=True, cache=True)
def _list_profiles(
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    depths: NDArray[np.int64],
    median: float,
    spread: float,
) -> tuple[NDArray[np.generic], ...]:
    """Columns of `_Profiles`; zeros for an instance without neighbours."""
    n, k = indices.shape
    length, n_listings = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    nearest, last = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    mean, deviation = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    near_mean, wide_mean = np.zeros(n, dtype=np.float32), np.zeros(n, dtype=np.float32)
    strength = np.zeros(n, dtype=np.float32)
    for row in prange(n):
        total, squares, n_listed = 0.0, 0.0, 0
        for rank in range(k):
            if indices[row, rank] == MISSING:
                break
            similarity = np.float64(similarities[row, rank])
            n_listed += 1
            total += similarity
            squares += similarity * similarity
            strength[row] += strength_of(similarity, median, spread)
            if n_listed <= depths[NEAR]:
                near_mean[row] = total / n_listed
            if n_listed <= depths[WIDE]:
                wide_mean[row] = total / n_listed
        length[row] = n_listed
        if n_listed:
            nearest[row], last[row] = similarities[row, 0], similarities[row, n_listed - 1]
            strength[row] += strength_of(nearest[row], median, spread)
            mean[row] = total / n_listed
            deviation[row] = np.sqrt(max(squares / n_listed - (total / n_listed) ** 2, 0.0))
    for row in range(n):
        for rank in range(length[row]):
            n_listings[indices[row, rank]] += 1
    return length, nearest, last, mean, deviation, near_mean, wide_mean, strength, n_listings
