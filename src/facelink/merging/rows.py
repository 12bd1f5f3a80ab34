"""The links of each instance, listed once and shared by whoever walks along them."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def link_ends(
    n_instances: int, pairs: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the other end of every pair of each instance (compressed sparse rows).

    Parameters
    ----------
    n_instances : int
        Number of instances N.
    pairs : int32 (P, 2)
        Instance ids from 0 to N − 1.

    Returns
    -------
    starts : int64 (N + 1,)
        Row of instance i: ``ends[starts[i] : starts[i + 1]]``.
    ends : int64 (2 P,)
        2 · pair + side: the other end is ``pairs[end // 2, end % 2]``. Each
        row is in the order of the pairs.
    """
    starts = np.zeros(n_instances + 1, dtype=np.int64)
    for pair in range(len(pairs)):
        starts[pairs[pair, 0] + 1] += 1
        starts[pairs[pair, 1] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    ends = np.empty(2 * len(pairs), dtype=np.int64)
    for pair in range(len(pairs)):
        for side in range(2):
            instance = pairs[pair, side]
            ends[filled[instance]] = 2 * pair + 1 - side
            filled[instance] += 1
    return starts, ends
