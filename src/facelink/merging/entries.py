"""What two groups' links say, in as few bytes as it takes: the entries of agglomeration.

Entries are what takes memory, two for each link. The entry of one link is one slot of eight
bytes: (partner, log-odds). That of several links is two: (−1 − partner, links), and the low and
the high half of the 64-bit sum of log-odds. Links that combine free at least the slots that
their common entry needs, so that it stays in the rows of those that it is made of.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LOW_HALF = 0xFFFFFFFF


@njit(nogil=True, cache=True)
def n_slots_of(total: int, n_links: int) -> int:
    """Slots of an entry; one link that something blocks or burdens takes two as well."""
    return 1 if n_links == 1 and -_LOW_HALF < 2 * total < _LOW_HALF else 2


@njit(nogil=True, cache=True)
def write_entry(slots: NDArray[np.int32], slot: int, partner: int, total: int, n_links: int) -> int:
    """Write an entry; returns the slot after it."""
    if n_slots_of(total, n_links) == 1:
        slots[slot, 0], slots[slot, 1] = partner, total
        return slot + 1
    slots[slot, 0], slots[slot, 1] = -1 - partner, n_links
    slots[slot + 1, 0], slots[slot + 1, 1] = np.int32(total & _LOW_HALF), total >> 32
    return slot + 2


@njit(nogil=True, cache=True)
def read_entry(slots: NDArray[np.int32], slot: int) -> tuple[int, int, int, int]:
    """Partner, sum of log-odds and number of links of an entry, and the slot after it."""
    partner, value = slots[slot, 0], slots[slot, 1]
    if partner >= 0:
        return partner, value, 1, slot + 1
    total = (slots[slot + 1, 1] << 32) | (slots[slot + 1, 0] & _LOW_HALF)
    return -1 - partner, total, value, slot + 2


@njit(nogil=True, cache=True)
def row_starts(
    pairs: NDArray[np.int32], others: NDArray[np.int32], reach: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Starts of the rows: a slot for each link, two for each other pair, and one to spare.

    An entry of two slots may leave the last slot of a row empty.
    """
    n_instances = len(reach)
    starts = np.ones(n_instances + 1, dtype=np.int64)
    starts[0] = 0
    for pair in range(len(pairs)):
        first, second = pairs[pair, 0], pairs[pair, 1]
        if reach[first] == reach[second]:
            starts[first + 1] += 1
            starts[second + 1] += 1
    for pair in range(len(others)):
        first, second = others[pair, 0], others[pair, 1]
        if reach[first] == reach[second]:
            starts[first + 1] += 2
            starts[second + 1] += 2
    for instance in range(n_instances):
        starts[instance + 1] += starts[instance]
    return starts


@njit(nogil=True, cache=True)
def fill_entries(
    pairs: NDArray[np.int32],
    totals: NDArray[np.integer],
    n_links: int,
    reach: NDArray[np.integer],
    ends: NDArray[np.int64],
    slots: NDArray[np.int32],
) -> None:
    """Append an entry of so many links to the rows of both ends of each pair."""
    for pair in range(len(pairs)):
        first, second = pairs[pair, 0], pairs[pair, 1]
        if reach[first] == reach[second]:
            ends[first] = write_entry(slots, ends[first], second, totals[pair], n_links)
            ends[second] = write_entry(slots, ends[second], first, totals[pair], n_links)
