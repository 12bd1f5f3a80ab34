"""Centres of cells: found by k-means, and ranked by their nearness to an instance.

Products of matrices round by the sizes of their blocks. Where that could decide, the cosine is
taken again by the product whose rounding does not depend on them: the same cells, whatever the
number of threads and the sizes of the blocks.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.neighbors.blocks import run_in_blocks
from facelink.neighbors.exact import ROUNDING, STRIDE, cosine, maximum

_TRAINING_ROUNDS = 10

_RANKING_BLOCK = 1_024
"""Instances compared with all centres at a time: 9,000 centres make 36 MiB of products."""

_THREAD_BLOCK = 65_536


def train_centers(
    features: NDArray[np.float32], n_centers: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Find centres by spherical k-means.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    n_centers
        C, from 1 to N.
    random
        Draws the rows that are the first centres.

    Returns
    -------
    float32 (C, D)
        L2-normalised. A centre that is nearest to no row stays as it was.
    """
    centers = features[np.sort(random.permutation(len(features))[:n_centers])]
    everyone = np.arange(len(features))
    for _ in range(_TRAINING_ROUNDS):
        nearest = nearest_centers(features, centers, everyone, 1)[:, 0]
        sums = _sums(features, nearest, n_centers)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        has_direction = lengths[:, 0] > 0
        centers[has_direction] = sums[has_direction] / lengths[has_direction]
    return centers


def nearest_centers(
    features: NDArray[np.float32],
    centers: NDArray[np.float32],
    instances: NDArray[np.int64],
    n_centers: int,
) -> NDArray[np.int32]:
    """Return the nearest centres of some instances.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows; may be memory-mapped.
    centers : float32 (C, D)
        L2-normalised rows.
    instances : int64 (S,)
        Those to find centres for.
    n_centers
        How many for each, from 1 to C.

    Returns
    -------
    int32 (S, n_centers)
        Ascending in each row; of equally near centres the first ones.
    """
    chosen = np.empty((len(instances), n_centers), dtype=np.int32)

    def rank(block: slice) -> None:
        choose_nearest(features, centers, instances[block], chosen[block])

    run_in_blocks(rank, len(instances), _THREAD_BLOCK)
    return chosen


def choose_nearest(
    features: NDArray[np.float32],
    centers: NDArray[np.float32],
    instances: NDArray[np.int64],
    chosen: NDArray[np.int32],
) -> None:
    """Fill in the nearest centres as `nearest_centers` does, on one thread."""
    for start in range(0, len(instances), _RANKING_BLOCK):
        block = slice(start, start + _RANKING_BLOCK)
        rows = features[instances[block]]
        _choose(rows, centers, rows @ centers.T, chosen[block])


@njit(nogil=True, cache=True)
def _choose(
    rows: NDArray[np.float32],
    centers: NDArray[np.float32],
    products: NDArray[np.float32],
    chosen: NDArray[np.int32],
) -> None:
    n_wanted = chosen.shape[1]
    for row in range(len(rows)):
        near = _at_least(products[row], _nth_greatest(products[row], n_wanted) - ROUNDING)
        if len(near) > n_wanted:
            farness = np.empty(len(near), dtype=np.float32)
            for place in range(len(near)):
                farness[place] = -cosine(rows[row], centers[near[place]])
            order = np.argsort(farness, kind="mergesort")
            near = np.sort(near[order[:n_wanted]])
        chosen[row] = near


@njit(nogil=True, cache=True)
def _nth_greatest(values: NDArray[np.float32], n: int) -> np.float32:
    """Return the n-th greatest value; n is small."""
    greatest = np.full(n, -np.inf, dtype=np.float32)  # in descending order
    for start in range(0, len(values), STRIDE):
        some = values[start : start + STRIDE]
        if maximum(some) <= greatest[-1]:
            continue
        for value in some:
            if value > greatest[-1]:
                place = n - 1
                while place > 0 and greatest[place - 1] < value:
                    greatest[place] = greatest[place - 1]
                    place -= 1
                greatest[place] = value
    nth: np.float32 = greatest[-1]
    return nth


@njit(nogil=True, cache=True)
def _at_least(values: NDArray[np.float32], least: np.float32) -> NDArray[np.int32]:
    """Places of the values that are not below some value."""
    places = np.empty(len(values), dtype=np.int32)
    n_found = 0
    for start in range(0, len(values), STRIDE):
        some = values[start : start + STRIDE]
        if maximum(some) < least:
            continue
        for place in range(len(some)):
            if some[place] >= least:
                places[n_found] = start + place
                n_found += 1
    return places[:n_found]


@njit(nogil=True, cache=True)
def _sums(
    features: NDArray[np.float32], nearest: NDArray[np.int32], n_centers: int
) -> NDArray[np.float64]:
    """Sum of each centre's rows, in the order of the rows."""
    sums = np.zeros((n_centers, features.shape[1]), dtype=np.float64)
    for row in range(len(features)):
        for column in range(features.shape[1]):
            sums[nearest[row], column] += features[row, column]
    return sums
