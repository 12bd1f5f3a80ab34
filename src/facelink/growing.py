"""Links of a collection that grows: only what new faces touch is judged again."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facelink.context.impostors import ImpostorStatistics
from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.link_prediction import CombineDirections, Progress, combine_directions
from facelink.linking import subgraph_settings
from facelink.links import Links
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.growing import complete_lists, extend_graph
from facelink.neighbors.search import find_neighbors
from facelink.neighbors.shrinking import without_instances

REJUDGE_AT = 1.5
"""All pivots are judged again once there are so many times the faces of the last time.

A likelihood also depends on the neighbours' lists, which drift, and on the
collection's impostors, which are measured then. Each face is then judged about
three times in all, however many come.
"""

REBUILD_AT = 2.0
"""Where the collection grows by so much at once, neighbours are searched anew."""


@dataclass(frozen=True, eq=False)
class JudgedNeighbors:
    """Neighbours of every face, and each face's own word on its links.

    Parameters
    ----------
    graph : NeighborGraph
        Of N faces.
    likelihoods : float32 (N, k)
        That a face and its neighbour are one person; NaN where there is none.
    n_when_judged : int
        Faces there were when all were last judged, at least 1.
    is_fresh : bool (N,)
        Faces that the last call judged.
    impostors : ImpostorStatistics
        By which all of them are judged: those of the time when all were.

    Raises
    ------
    InputError
        If the parts do not fit together.
    """

    graph: NeighborGraph
    likelihoods: NDArray[np.float32]
    n_when_judged: int
    is_fresh: NDArray[np.bool_]
    impostors: ImpostorStatistics

    def __post_init__(self) -> None:
        n = self.graph.n_instances
        shape = (n, self.graph.n_neighbors)
        if self.likelihoods.shape != shape or self.is_fresh.shape != (n,):
            raise InputError(
                f"a graph of shape {shape} with likelihoods of {self.likelihoods.shape} and "
                f"{self.is_fresh.shape} marks; judge all links of one graph."
            )

    @classmethod
    def of(
        cls,
        model: ContextGCN,
        features: NDArray[np.float32],
        graph: NeighborGraph,
        *,
        progress: Progress | None = None,
    ) -> Self:
        """Judge everyone's links.

        Parameters
        ----------
        model
            On the device to use.
        features : float32 (N, D)
            L2-normalised rows.
        graph
            Their neighbours, all of which are judged.
        progress
            Called with the number of pivots judged since the last call.
        """
        impostors = ImpostorStatistics.of(features)
        likelihoods = predict_context_likelihoods(
            model, features, graph, graph.n_neighbors, impostors=impostors, progress=progress
        )
        n = graph.n_instances
        return cls(graph, likelihoods, n, np.ones(n, dtype=np.bool_), impostors)

    @property
    def n_instances(self) -> int:
        """Number of faces N."""
        return self.graph.n_instances

    def links(
        self, combine: CombineDirections = "mean", *, of: NDArray[np.bool_] | None = None
    ) -> Links:
        """Every pair once, or every pair with one `of` these faces, by `combine_directions`."""
        return combine_directions(self.graph, self.likelihoods, combine, of=of)

    def with_nobody_fresh(self) -> Self:
        """Return the same, with no face marked as judged lately."""
        return replace(self, is_fresh=np.zeros(self.n_instances, dtype=np.bool_))

    def without(self, gone: NDArray[np.bool_]) -> Self:
        """Return the same without some faces, (N,): lists that they stood in end earlier."""
        if not gone.any():
            return self
        graph, columns = without_instances(self.graph, ~gone)
        likelihoods = np.take_along_axis(self.likelihoods[~gone], columns, axis=1)
        likelihoods[graph.indices == MISSING] = np.nan
        return replace(self, graph=graph, likelihoods=likelihoods, is_fresh=self.is_fresh[~gone])


def find_and_judge(
    model: ContextGCN,
    features: NDArray[np.float32],
    *,
    method: str = "auto",
    progress: Progress | None = None,
) -> JudgedNeighbors:
    """Judge a collection at once: neighbours, then all links.

    Parameters
    ----------
    model
        On the device to use.
    features : float32 (N, D)
        L2-normalised rows of at least two faces.
    method
        As for `find_neighbors`.
    progress
        Called with the number of pivots judged since the last call.
    """
    k = subgraph_settings(model, len(features)).n_neighbors
    graph = find_neighbors(features, k, method)
    return JudgedNeighbors.of(model, features, graph, progress=progress)


def grow_judged(
    judged: JudgedNeighbors,
    model: ContextGCN,
    features: NDArray[np.float32],
    *,
    k_at_hop: tuple[int, ...] | None = None,
    progress: Progress | None = None,
) -> JudgedNeighbors:
    """Add faces: their neighbours and links, and those of the faces whose lists they enter.

    Lists that end early, since faces left them, are searched and judged anew, too.

    Parameters
    ----------
    judged
        The first faces.
    model
        The network that judged them.
    features : float32 (N, D)
        L2-normalised rows of all faces, the old ones first; may be memory-mapped.
    k_at_hop
        As for `subgraph_settings`.
    progress
        Called with the number of pivots judged since the last call.

    Returns
    -------
    JudgedNeighbors
        Of all N; `is_fresh` marks whom this call judged.
    """
    n_old, n = judged.n_instances, len(features)
    is_short = judged.graph.indices[:, -1:].min(axis=1, initial=n_old) == MISSING
    if n == n_old and not is_short.any():
        return judged.with_nobody_fresh()
    k = max(judged.graph.n_neighbors, subgraph_settings(model, n, k_at_hop).n_neighbors)
    k = min(k, n - 1)
    if n >= REBUILD_AT * n_old or k < judged.graph.n_neighbors:
        graph = find_neighbors(features, k)
        return JudgedNeighbors.of(model, features, graph, progress=progress)
    whole = complete_lists(judged.graph, features[:n_old], np.flatnonzero(is_short))
    grown = extend_graph(whole, features, k)
    if n >= REJUDGE_AT * judged.n_when_judged or k > judged.graph.n_neighbors:
        return JudgedNeighbors.of(model, features, grown.graph, progress=progress)
    is_changed = grown.is_changed
    is_changed[:n_old] |= is_short
    pivots = np.flatnonzero(is_changed)
    likelihoods = np.empty((n, k), dtype=np.float32)
    likelihoods[:n_old] = judged.likelihoods
    likelihoods[pivots] = predict_context_likelihoods(
        model, features, grown.graph, k,
        pivots=pivots, impostors=judged.impostors, progress=progress,
    )  # fmt: skip
    return replace(judged, graph=grown.graph, likelihoods=likelihoods, is_fresh=is_changed)
