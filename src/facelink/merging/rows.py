"""The links of each instance, listed once and shared by whoever walks along them."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_N_UINT32 = 1 << 32


def links_of_instances(
    n_instances: int, pairs: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    """List the pairs of each instance (compressed sparse rows).

    Parameters
    ----------
    n_instances : int
        Number of instances N.
    pairs : int32 (P, 2)
        Different instances, ids from 0 to N − 1.

    Returns
    -------
    starts : int64 (N + 1,)
        Row of instance i: ``links[starts[i] : starts[i + 1]]``.
    links : uint32 (2 P,), or int64 for more than 2³² pairs
        Places in `pairs`, ascending in each row.
    """
    starts = _row_starts(n_instances, pairs)
    links = np.empty(2 * len(pairs), dtype=place_type(len(pairs)))
    _fill_rows(pairs, starts[:-1].copy(), links)
    return starts, links


def place_type(length: int) -> type[np.uint32 | np.int64]:
    """Type that holds the places of an array of this length."""
    return np.uint32 if length <= _N_UINT32 else np.int64


@njit(nogil=True, cache=True)
def other_end(pairs: NDArray[np.int32], pair: int, instance: int) -> int:
    """Whom a pair joins the instance with."""
    end: int = pairs[pair, 1] if pairs[pair, 0] == instance else pairs[pair, 0]
    return end


@njit(nogil=True, cache=True)
def _row_starts(n_instances: int, pairs: NDArray[np.int32]) -> NDArray[np.int64]:
    starts = np.zeros(n_instances + 1, dtype=np.int64)
    for pair in range(len(pairs)):
        starts[pairs[pair, 0] + 1] += 1
        starts[pairs[pair, 1] + 1] += 1
    return np.cumsum(starts)


@njit(nogil=True, cache=True)
def _fill_rows(
    pairs: NDArray[np.int32], filled: NDArray[np.int64], links: NDArray[np.integer]
) -> None:
    for pair in range(len(pairs)):
        for side in range(2):
            instance = pairs[pair, side]
            links[filled[instance]] = pair
            filled[instance] += 1
