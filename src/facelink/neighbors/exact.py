"""Candidates put in order by exact products, and the true neighbours of some instances."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import faiss
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from facelink.neighbors.graph import MISSING

N_SPARE_CANDIDATES = 8
"""Candidates beyond k: room for the instance itself and for ties at the k-th place."""

ROUNDING = np.float32(1e-5)
"""More than float32 products of unit vectors differ by the order of their terms."""

STRIDE = 32
"""Similarities that are passed over at once if none is great enough."""

_QUERY_BLOCK = 65_536
_TIE_BLOCK, _TIE_PRODUCTS = 64, 1 << 24
"""Instances compared with all others at a time, and products that makes at most: 64 MiB."""

TO_CHOOSE_BY, TO_CHECK_BY = 1_000, 2_000
"""Instances by whose true neighbours it is chosen how to look, and by which that is checked."""

Propose = Callable[[NDArray[np.int64], int], NDArray[Any]]
"""Instances (S,) and a number n → n candidates of each, int (S, n); −1 where there are fewer."""

Found = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Ids and similarities of the neighbours of some instances, int32 and float32 (S, k)."""


@dataclass(frozen=True, eq=False)
class RecallSample:
    """Some instances, (S,), with their true k nearest neighbours and similarities, (S, k)."""

    instances: NDArray[np.int64]
    neighbors: NDArray[np.int32]
    similarities: NDArray[np.float32]

    @classmethod
    def draw(
        cls, features: NDArray[np.float32], n_neighbors: int, seed: int, size: int = TO_CHOOSE_BY
    ) -> Self:
        """Draw so many instances at most and search their neighbours exactly."""
        n = len(features)
        random = np.random.default_rng(seed)
        instances = random.choice(n, size=min(n, size), replace=False)
        return cls(instances, *search_exactly(features, instances, n_neighbors))

    @classmethod
    def draw_to_choose_and_check(
        cls, features: NDArray[np.float32], n_neighbors: int, seed: int
    ) -> tuple[Self, Self, Self]:
        """Draw up to 3,000 instances: a third to choose something by, others to check it, and all.

        What is chosen suits the instances that it was chosen by better than
        others.
        """
        both = cls.draw(features, n_neighbors, seed, TO_CHOOSE_BY + TO_CHECK_BY)
        n = len(both.instances)
        third = max(1, n * TO_CHOOSE_BY // (TO_CHOOSE_BY + TO_CHECK_BY))
        return both._only(slice(third)), both._only(slice(third, n)), both

    def recall(self, similarities: NDArray[np.float32]) -> float:
        """Share of the found similarities (S, k) that reach the true k nearest neighbours'."""
        return float(self._shares(similarities).mean())

    def surely_found(self, similarities: NDArray[np.float32]) -> float:
        """The recall less its standard error, as instances drawn anew would differ."""
        shares = self._shares(similarities)
        return float(shares.mean() - shares.std() / np.sqrt(len(shares)))

    def _only(self, which: slice) -> Self:
        """Some of the instances."""
        return type(self)(self.instances[which], self.neighbors[which], self.similarities[which])

    def _shares(self, similarities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Share of each instance's neighbours that is found, (S,)."""
        shares: NDArray[np.float64] = (similarities >= self.similarities[:, -1:]).mean(axis=1)
        return shares


def search_exactly(
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    n_neighbors: int,
    propose: Propose | None = None,
) -> Found:
    """Find the true k nearest neighbours of some instances; the features are not copied.

    `propose` gives the most similar rows of all; by default the processor compares them.
    """

    def compare(some: NDArray[np.int64], n_candidates: int) -> NDArray[Any]:
        metric = faiss.METRIC_INNER_PRODUCT
        found: NDArray[Any] = faiss.knn(features[some], features, n_candidates, metric=metric)[1]
        return found

    propose = propose or compare
    indices, similarities, is_cut_in_tie = search_candidates(
        propose, features, instances, n_neighbors
    )
    tied = np.flatnonzero(is_cut_in_tie)
    n_rows = max(1, min(_TIE_BLOCK, _TIE_PRODUCTS // len(features)))
    for start in range(0, len(tied), n_rows):
        rows = tied[start : start + n_rows]
        products = features[instances[rows]] @ features.T
        is_near = products >= similarities[rows, -1:] - ROUNDING
        for row, near in zip(rows, is_near, strict=True):
            one = slice(row, row + 1)
            candidates = np.flatnonzero(near)[None, :]
            order_candidates(features, instances[one], candidates, indices[one], similarities[one])
    return indices, similarities


def search_candidates(
    propose: Propose,
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    n_neighbors: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """Order the proposed candidates: ids and similarities, (S, k), and where others may tie."""
    n_candidates = min(len(features), n_neighbors + 1 + N_SPARE_CANDIDATES)
    indices = np.empty((len(instances), n_neighbors), dtype=np.int32)
    similarities = np.empty(indices.shape, dtype=np.float32)
    is_cut_in_tie = np.zeros(len(instances), dtype=np.bool_)
    for start in range(0, len(instances), _QUERY_BLOCK):
        block = slice(start, start + _QUERY_BLOCK)
        candidates = propose(instances[block], n_candidates)
        is_cut_in_tie[block] = order_candidates(
            features, instances[block], candidates, indices[block], similarities[block]
        )
    return indices, similarities, is_cut_in_tie & (n_candidates < len(features))


@njit(fastmath={"reassoc", "contract", "nsz"}, cache=True, inline="never")
def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> np.float32:
    """Cosine of two unit vectors, rounded the same whichever comes first."""
    total = np.float32(0.0)
    for column in range(first.shape[0]):
        total += first[column] * second[column]
    return min(np.float32(1.0), max(np.float32(-1.0), total))


@njit(fastmath=True, cache=True)
def maximum(values: NDArray[np.float32]) -> np.float32:
    """Return the greatest of some values, none of them NaN; compiled to vector instructions."""
    greatest: np.float32 = values[0]
    for place in range(1, len(values)):
        greatest = max(greatest, values[place])
    return greatest


@njit(nogil=True, cache=True)
def order_keys(
    values: NDArray[np.float32], ids: NDArray[np.int32], keys: NDArray[np.int64]
) -> None:
    """Fill int64 keys that are greater for greater values, and of equal ones for smaller ids.

    The upper half holds the bits of the value, those of a negative one turned
    round, the lower half the id from the end.
    """
    bits = values.view(np.int32)
    for place in range(len(keys)):
        upper = bits[place] if bits[place] >= 0 else bits[place] ^ np.int32(0x7FFFFFFF)
        keys[place] = (np.int64(upper) << 32) + (0x7FFFFFFF - np.int64(ids[place]))


@njit(parallel=True, nogil=True, cache=True)
def order_candidates(
    features: NDArray[np.float32],
    instances: NDArray[np.int64],
    candidates: NDArray[np.int32] | NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Fill the k best of each row's candidates; return where others may be as near as the last."""
    n_rows, n_candidates = candidates.shape
    k = indices.shape[1]
    is_cut_in_tie = np.zeros(n_rows, dtype=np.bool_)
    for row in prange(n_rows):
        instance = instances[row]
        ids = np.empty(n_candidates, dtype=np.int32)
        values = np.empty(n_candidates, dtype=np.float32)
        bits = values.view(np.int32)
        n_kept = 0
        for column in range(n_candidates):
            candidate = candidates[row, column]
            if candidate < 0 or candidate == instance:
                continue
            value = cosine(features[instance], features[candidate])
            values[n_kept] = value + np.float32(0.0)  # makes −0, whose bits are others, 0
            ids[n_kept] = candidate
            n_kept += 1
        keys = np.empty(n_kept, dtype=np.int64)
        order_keys(values, ids, keys)
        keys.sort()
        for column in range(n_kept):
            key = keys[n_kept - 1 - column]
            upper = np.int32(key >> 32)
            bits[column] = upper if upper >= 0 else upper ^ np.int32(0x7FFFFFFF)
            ids[column] = 0x7FFFFFFF - (key & 0x7FFFFFFF)
        for column in range(k):
            if column < n_kept:
                indices[row, column] = ids[column]
                similarities[row, column] = values[column]
            else:
                indices[row, column] = MISSING
                similarities[row, column] = -np.inf
        is_cut_in_tie[row] = n_kept > k and values[n_kept - 1] >= values[k - 1] - ROUNDING
    return is_cut_in_tie
