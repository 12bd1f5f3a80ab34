"""What the context model trains on: pivots of several collections in one batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCNConfig
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBatch, SubgraphBuilder
from facelink.training.face_sets import FaceSet

PIVOTS_PER_PART = 16
"""Pivots of one collection that stay together."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some pivots of one collection: M nodes, E directed edges.

    Parameters
    ----------
    features : float32 (M, F)
        Context features.
    is_linked : bool (M,)
        Whether node and pivot are one person.
    similarities : float32 (M,)
        Cosine of node and pivot.
    indptr : int64 (M + 1,)
        CSR row starts of the edges.
    columns : int32 (E,)
        CSR columns.
    k : int
        Neighbours judged per pivot.
    """

    features: NDArray[np.float32]
    is_linked: NDArray[np.bool_]
    similarities: NDArray[np.float32]
    indptr: NDArray[np.int64]
    columns: NDArray[np.int32]
    k: int

    def __len__(self) -> int:
        return len(self.is_linked)


@dataclass(frozen=True, eq=False)
class Batch:
    """Several parts as one input of the model: features (M, F), classes and weights (M,)."""

    features: Tensor
    adjacency: SparseAdjacency
    is_linked: Tensor
    weights: Tensor

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Batch":
        """Put parts side by side; a node weighs 1 / √k, so that wide contexts do not decide."""
        adjacency = SparseAdjacency.from_edges(*_side_by_side(parts))
        weights = np.concatenate([np.full(len(part), part.k**-0.5, np.float32) for part in parts])
        is_linked = np.concatenate([part.is_linked for part in parts])
        return cls(
            torch.from_numpy(np.concatenate([part.features for part in parts])),
            adjacency,
            torch.from_numpy(is_linked.astype(np.float32)),
            torch.from_numpy(weights),
        )


def parts_of(
    faces: FaceSet, k: int, n_pivots: int, config: ContextGCNConfig, random: np.random.Generator
) -> Iterator[Part]:
    """Search the neighbours and describe random pivots of a collection.

    Parameters
    ----------
    faces
        At least 2 faces.
    k
        Neighbours to judge, fewer than there are faces.
    n_pivots
        At most so many pivots.
    config
        The model's, for the subgraphs.
    random
        Decides the pivots.
    """
    graph = find_neighbors(faces.features, k)
    context = ContextFeatures(graph, k, ImpostorStatistics.of(faces.features))
    builder = SubgraphBuilder(graph, config.subgraphs_at(k))
    pivots = random.permutation(len(faces))[:n_pivots]
    for start in range(0, len(pivots), PIVOTS_PER_PART):
        batch = builder.build(pivots[start : start + PIVOTS_PER_PART])
        yield Part(
            # of an exact search nobody misses a neighbour
            features=context.of(batch.pivots).reshape(len(batch.nodes), -1),
            is_linked=_is_linked(batch, faces),
            similarities=graph.similarities[batch.pivots, :k].ravel(),
            indptr=batch.indptr,
            columns=batch.columns,
            k=k,
        )


def _is_linked(batch: SubgraphBatch, faces: FaceSet) -> NDArray[np.bool_]:
    linked: NDArray[np.bool_] = (
        faces.labels[batch.nodes] == faces.labels[batch.pivots][batch.owners]
    )
    return linked


def _side_by_side(parts: Sequence[Part]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Row starts and columns of the block-diagonal graph."""
    first_nodes = np.cumsum([0] + [len(part) for part in parts])
    first_edges = np.cumsum([0] + [len(part.columns) for part in parts])
    starts = [part.indptr[:-1] + edge for part, edge in zip(parts, first_edges, strict=False)]
    columns = [
        part.columns + np.int32(node) for part, node in zip(parts, first_nodes, strict=False)
    ]
    return np.concatenate([*starts, first_edges[-1:]]), np.concatenate(columns)
