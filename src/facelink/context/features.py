"""Context features: what a neighbour graph says about a pivot and each of its neighbours.

Nothing here depends on the embedder but cosine similarities, and those are
compared with the collection's own impostors or with the two instances' own lists.

Sources: shared and reciprocal neighbours carry much of the gain of Ada-NETS,
FC-ES and others that re-weight neighbour lists; the selection here is our own.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from facelink.context.impostors import ImpostorStatistics
from facelink.context.lists import (
    Collection,
    Profiles,
    describe_collection,
    list_depths,
    list_profiles,
)
from facelink.context.names import FEATURE_NAMES
from facelink.context.pairs import describe_pairs
from facelink.errors import InputError
from facelink.neighbors.graph import NeighborGraph


@dataclass(frozen=True, eq=False)
class ContextFeatures:
    """Computes the context features of any pivots of a collection.

    Parameters
    ----------
    graph
        Nearest neighbours of every instance.
    k
        Neighbours that make up the context, from 1 to the graph's width.
    impostors
        Statistics of the same collection.

    Raises
    ------
    InputError
        If the graph is narrower than k.
    """

    graph: NeighborGraph
    k: int
    impostors: ImpostorStatistics
    _depths: NDArray[np.int64] = field(init=False, repr=False)
    _profiles: Profiles = field(init=False, repr=False)
    _collection: Collection = field(init=False, repr=False)
    _positions: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.graph.require((self.k,), 1)
        profiles = list_profiles(self.graph, self.k, self.impostors)
        collection = describe_collection(self.k, profiles, self.impostors)
        n = self.graph.n_instances
        object.__setattr__(self, "_depths", list_depths(self.k))
        object.__setattr__(self, "_profiles", profiles)
        object.__setattr__(self, "_collection", collection)
        object.__setattr__(self, "_positions", np.full((get_num_threads(), n), -1, dtype=np.int32))

    def of(self, pivots: NDArray[np.integer]) -> NDArray[np.float32]:
        """Describe each pivot's k nearest neighbours.

        Parameters
        ----------
        pivots : integer (P,)
            Instance ids.

        Returns
        -------
        float32 (P, k, F)
            In the order of the graph and of `names.FEATURE_NAMES`; zeros where
            the neighbour is missing.

        Raises
        ------
        InputError
            If a pivot is not an instance of the graph.

        Notes
        -----
        About k² steps for each pivot. Not to be called from two threads at
        once on one object: the position arrays are shared.
        """
        n = self.graph.n_instances
        if len(pivots) and not 0 <= min(pivots) <= max(pivots) < n:
            raise InputError(
                f"pivots from {min(pivots)} to {max(pivots)}; instance ids run from 0 to {n - 1}."
            )
        described = np.zeros((len(pivots), self.k, len(FEATURE_NAMES)), dtype=np.float32)
        describe_pairs(
            self.graph.indices,
            self.graph.similarities,
            np.asarray(pivots, dtype=np.int32),
            self._depths,
            self._profiles,
            self._collection,
            self._positions,
            described,
        )
        return described
