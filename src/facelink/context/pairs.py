"""The compiled loops behind `ContextFeatures`: every pivot with each of its neighbours.

`facelink.context.names` says what the columns mean.
"""

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.context.lists import NEAR, STEP, WIDE, Collection, Profiles, strength_of
from facelink.context.names import OVERLAP_DEPTHS, first_column

_SIMILARITY = first_column("similarity")
_LISTS = first_column("lists")
_GAPS = first_column("gaps")
_DENSITIES = first_column("densities")
_RANKS = first_column("ranks")
_OVERLAPS = first_column("overlaps")
_WEIGHTED = first_column("weighted_overlaps")
_LINKAGE = first_column("linkage")
_SUPPORT = first_column("support")
_HUBNESS = first_column("hubness")
_SIZE = first_column("size")
_N_DEPTHS = len(OVERLAP_DEPTHS)

_NOT_LISTED = 1.25
"""Rank, relative to k, of a pivot that is not in the node's list."""

_TINY = 1e-6
_SMOOTHING = 0.1
"""Part of the impostor spread that is added to a list's deviation."""


@njit(cache=True)
def _clipped(value: float, lowest: float, highest: float) -> float:
    return min(max(value, lowest), highest)


@njit(parallel=True, nogil=True, cache=True)
def describe_pairs(
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    pivots: NDArray[np.int32],
    depths: NDArray[np.int64],
    profiles: Profiles,
    collection: Collection,
    positions: NDArray[np.int32],
    described: NDArray[np.float32],
) -> None:
    """Fill (P, k, F); each thread has a row of `positions` for the ranks in the pivot's list."""
    n_threads, n_pivots, k = positions.shape[0], len(pivots), collection.k
    for thread in prange(n_threads):
        position = positions[thread]
        n_common_at = np.zeros(k + 2, dtype=np.int32)
        for row in range(n_pivots * thread // n_threads, n_pivots * (thread + 1) // n_threads):
            pivot, features = pivots[row], described[row]
            n_listed = profiles.length[pivot]
            position[pivot] = 0
            for rank in range(n_listed):
                position[indices[pivot, rank]] = rank + 1
            for rank in range(n_listed):
                node = indices[pivot, rank]
                similarity = np.float64(similarities[pivot, rank])
                n_common_at[:] = 0
                n_common_at[rank + 1] = 1  # the node, first in its own list
                back_rank = _compare_lists(
                    indices, similarities, pivot, node, similarity, depths, profiles, collection,
                    position, n_common_at, features, rank,
                )  # fmt: skip
                _describe_similarity(features[rank], similarity, collection)
                _describe_in_lists(features[rank], similarity, pivot, node, profiles, collection)
                step = depths[STEP]
                above = similarities[pivot, max(0, rank - step)] - similarity
                below = similarity - similarities[pivot, min(n_listed - 1, rank + step)]
                features[rank, _GAPS] = _clipped(above / collection.spread, 0.0, 8.0) / 3
                features[rank, _GAPS + 1] = _clipped(below / collection.spread, 0.0, 8.0) / 3
                _describe_ranks(features[rank], rank + 1, back_rank, k)
                _describe_overlaps(features[rank], rank, n_common_at, depths, k)
                features[rank, _SIZE] = np.log(1.0 + k) / np.log(81.0)
            for rank in range(n_listed):
                features[rank, _SUPPORT] /= n_listed
                features[rank, _SUPPORT + 1] /= n_listed
                position[indices[pivot, rank]] = -1
            position[pivot] = -1


@njit(cache=True)
def _compare_lists(
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
    pivot: int,
    node: int,
    similarity: float,
    depths: NDArray[np.int64],
    profiles: Profiles,
    collection: Collection,
    position: NDArray[np.int32],
    n_common_at: NDArray[np.int32],
    features: NDArray[np.float32],
    rank: int,
) -> int:
    """Walk the node's list: overlaps, linkage, and a vote of support per listing.

    Counts the common members by the greater of their two ranks, and returns
    the pivot's rank in the node's list, k + 1 where it is not there.
    """
    k, median, spread = collection.k, collection.median, collection.spread
    near, wide = depths[NEAR], depths[WIDE]
    pivot_nearest, pivot_last = profiles.nearest[pivot], profiles.last[pivot]
    node_nearest, node_last = profiles.nearest[node], profiles.last[node]
    pivot_scale = 1.0 / _list_weight(pivot, profiles)
    node_scale = 1.0 / _list_weight(node, profiles)
    # the node itself is as near to itself as its nearest neighbour
    weight = min((similarity - pivot_last) * pivot_scale, (node_nearest - node_last) * node_scale)
    strength = min(
        strength_of(similarity, median, spread), strength_of(node_nearest, median, spread)
    )
    node_to_near = node_to_wide = pivot_to_near = pivot_to_wide = 0.0
    back_rank = k + 1
    for place in range(profiles.length[node]):
        place_in_pivot = position[indices[node, place]]
        if place_in_pivot < 0:
            continue
        from_node = np.float64(similarities[node, place])
        if place_in_pivot == 0:
            back_rank = place + 1
            from_pivot = np.float64(pivot_nearest)
        else:
            from_pivot = np.float64(similarities[pivot, place_in_pivot - 1])
            features[place_in_pivot - 1, _SUPPORT + 1] += 1
            if place < near:
                features[place_in_pivot - 1, _SUPPORT] += 1
            if place_in_pivot <= near:
                node_to_near += from_node - node_last
            if place_in_pivot <= wide:
                node_to_wide += from_node - node_last
            if place < near:
                pivot_to_near += from_pivot - pivot_last
            if place < wide:
                pivot_to_wide += from_pivot - pivot_last
        n_common_at[max(place_in_pivot, place + 1)] += 1
        weight += min((from_pivot - pivot_last) * pivot_scale, (from_node - node_last) * node_scale)
        strength += min(
            strength_of(from_pivot, median, spread), strength_of(from_node, median, spread)
        )
    all_strength = profiles.strength[pivot] + profiles.strength[node] - strength
    out = features[rank]
    out[_WEIGHTED] = weight
    out[_WEIGHTED + 1] = strength / (all_strength + _TINY)
    n_pivot, n_node = profiles.length[pivot], profiles.length[node]
    node_to_near /= max(1, min(near, n_pivot) - (rank < near))
    node_to_wide /= max(1, min(wide, n_pivot) - (rank < wide))
    pivot_to_near /= max(1, min(near, n_node) - (back_rank <= near))
    pivot_to_wide /= max(1, min(wide, n_node) - (back_rank <= wide))
    out[_LINKAGE] = _linkage(node_last + node_to_near - profiles.near_mean[pivot], spread)
    out[_LINKAGE + 1] = _linkage(node_last + node_to_wide - profiles.wide_mean[pivot], spread)
    out[_LINKAGE + 2] = _linkage(pivot_last + pivot_to_near - similarity, spread)
    out[_LINKAGE + 3] = _linkage(pivot_last + pivot_to_wide - similarity, spread)
    return back_rank


@njit(cache=True)
def _list_weight(instance: int, profiles: Profiles) -> float:
    """Sum of s − s of the last over N(instance)."""
    last = np.float64(profiles.last[instance])
    listed = profiles.length[instance] * (profiles.mean[instance] - last)
    return float(listed + (profiles.nearest[instance] - last) + _TINY)


@njit(cache=True)
def _linkage(difference: float, spread: float) -> float:
    return float(_clipped(difference / spread, -12.0, 6.0) / 5)


@njit(cache=True)
def _describe_similarity(
    out: NDArray[np.float32], similarity: float, collection: Collection
) -> None:
    above = similarity - collection.median
    z = above / collection.spread
    room = 1.0 - collection.median + _TINY
    out[_SIMILARITY] = _clipped(z / 10, -1.0, 3.0)
    out[_SIMILARITY + 1] = _clipped(above / room, -1.0, 1.0)
    out[_SIMILARITY + 2] = _clipped((z - collection.expected_nearest) / 5, -2.0, 2.0)
    out[_SIMILARITY + 3] = _clipped(5 * collection.spread / room, 0.0, 3.0)
    out[_SIMILARITY + 4] = _clipped(above / collection.isolated, -1.0, 4.0)
    out[_SIMILARITY + 5] = _clipped(above / collection.nearest, -1.0, 2.0)


@njit(cache=True)
def _describe_in_lists(
    out: NDArray[np.float32],
    similarity: float,
    pivot: int,
    node: int,
    profiles: Profiles,
    collection: Collection,
) -> None:
    """Both ends' own lists: ranges, deviations, gaps to their ends, densities, hubness."""
    median, spread = collection.median, collection.spread
    log_k = np.log(1.0 + collection.k)
    for end in range(2):
        instance = pivot if end == 0 else node
        nearest, last = profiles.nearest[instance], profiles.last[instance]
        deviation = profiles.deviation[instance] + _SMOOTHING * spread
        density = profiles.near_mean[instance]
        within = (similarity - last) / (nearest - last + _TINY)
        out[_LISTS + end] = _clipped(within, -1.0, 1.0)
        own = (similarity - profiles.mean[instance]) / deviation
        out[_LISTS + 2 + end] = _clipped(own, -3.0, 6.0) / 3
        out[_GAPS + 2 + end] = _clipped((nearest - similarity) / spread, 0.0, 12.0) / 5
        out[_GAPS + 4 + end] = _clipped((similarity - last) / spread, -6.0, 12.0) / 5
        out[_DENSITIES + end] = _clipped((density - median) / spread, -2.0, 15.0) / 10
        out[_DENSITIES + 2 + end] = _clipped((last - median) / spread, -2.0, 15.0) / 10
        out[_HUBNESS + end] = min(2.0, np.log(1.0 + profiles.n_listings[instance]) / log_k)
    difference = profiles.near_mean[node] - profiles.near_mean[pivot]
    out[_DENSITIES + 4] = _clipped(difference / spread, -6.0, 6.0) / 3


@njit(cache=True)
def _describe_ranks(out: NDArray[np.float32], rank: int, back_rank: int, k: int) -> None:
    log_k = np.log(1.0 + k)
    out[_RANKS] = rank / k
    out[_RANKS + 1] = back_rank / k if back_rank <= k else _NOT_LISTED
    out[_RANKS + 2] = np.log(np.float64(rank)) / log_k
    out[_RANKS + 3] = np.log(np.float64(back_rank)) / log_k
    out[_RANKS + 4] = 1.0 if back_rank <= k else 0.0


@njit(cache=True)
def _describe_overlaps(
    out: NDArray[np.float32],
    rank: int,
    n_common_at: NDArray[np.int32],
    depths: NDArray[np.int64],
    k: int,
) -> None:
    n_common, place = 0, 0
    for depth in range(_N_DEPTHS):
        while place < min(depths[depth], k + 1):
            n_common += n_common_at[place]
            place += 1
        out[_OVERLAPS + depth] = n_common / depths[depth]
    reached = rank + 2
    out[_OVERLAPS + _N_DEPTHS] = n_common_at[:reached].sum() / reached
