"""What a baseline sees of a collection: features, neighbours, and results that a grid shares."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors

N_NEIGHBORS = 80
"""k of the graph that all methods share: that of the paper's tests."""

NEIGHBORS = "neighbours"
"""Stage that finds the shared graph."""

Shared = TypeVar("Shared")


class FaceView:
    """The faces of one collection without their labels.

    Parameters
    ----------
    features : float32 (N, D)
        L2-normalised rows.
    graph
        Their neighbours; searched at first use by default.
    seed
        For whatever a method draws.

    Attributes
    ----------
    seconds : dict
        Wall-clock seconds of each shared stage that was made so far, without
        those of the stages it asked for itself.
    uses_graph : bool
        Whether the shared graph was asked for.
    """

    def __init__(
        self, features: NDArray[np.float32], graph: NeighborGraph | None = None, seed: int = 0
    ) -> None:
        self.features = features
        self.seed = seed
        self.seconds: dict[str, float] = {}
        self._made: dict[str, Any] = {} if graph is None else {NEIGHBORS: graph}
        self.uses_graph = False

    @property
    def n_faces(self) -> int:
        """N."""
        return len(self.features)

    @property
    def graph(self) -> NeighborGraph:
        """The `N_NEIGHBORS` nearest neighbours, or all others of a smaller collection."""
        self.uses_graph = True
        return self.shared(NEIGHBORS, lambda: self._search(min(N_NEIGHBORS, self.n_faces - 1)))

    def graph_of(self, n_neighbors: int) -> NeighborGraph:
        """At least so many neighbours: the shared graph where it is wide enough."""
        if n_neighbors <= N_NEIGHBORS:
            return self.graph
        name = f"{NEIGHBORS} (k={n_neighbors})"
        return self.shared(name, lambda: self._search(n_neighbors))

    def shared(self, name: str, make: Callable[[], Shared]) -> Shared:
        """Return what `make` gave the first time that a stage of this name was asked for."""
        if name not in self._made:
            start, others = time.perf_counter(), sum(self.seconds.values())
            self._made[name] = make()
            nested = sum(self.seconds.values()) - others
            self.seconds[name] = time.perf_counter() - start - nested
        made: Shared = self._made[name]
        return made

    def _search(self, n_neighbors: int) -> NeighborGraph:
        return find_neighbors(self.features, n_neighbors, seed=self.seed)


def edges(graph: NeighborGraph) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Each pair of neighbours once.

    Returns
    -------
    pairs : int32 (L, 2)
        The smaller id first, sorted.
    similarities : float32 (L,)
        Their cosines.
    """
    rows, columns = np.nonzero(graph.indices != MISSING)
    nodes = graph.indices[rows, columns].astype(np.int64)
    codes = np.minimum(rows, nodes) * graph.n_instances + np.maximum(rows, nodes)
    unique, first = np.unique(codes, return_index=True)
    pairs = np.stack(np.divmod(unique, max(graph.n_instances, 1)), axis=1).astype(np.int32)
    return pairs, graph.similarities[rows[first], columns[first]]


def symmetric_matrix(
    n_faces: int, pairs: NDArray[np.int32], values: NDArray[np.floating]
) -> sparse.csr_array:
    """Return the sparse (N, N) float64 matrix with each pair's value in both directions."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    entries = (np.tile(values.astype(np.float64), 2), (both[:, 0], both[:, 1]))
    matrix = sparse.csr_array(entries, shape=(n_faces, n_faces))
    matrix.sort_indices()
    return matrix
