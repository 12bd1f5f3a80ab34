"""The layers of a LinkGCN: input norm, edge attention and graph convolution.

Source: L-GCN (arXiv 1903.11306), section 3.3.

Two identities keep the work small without changing the numbers. The first layer
is linear in the residual x_q − x_p before its ReLU, so features are multiplied by
its matrices once per *distinct* instance, then gathered and subtracted. And a layer
computes only the nodes that the layers after it read (`NeededNodes`).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facelink.errors import InputError
from facelink.models.aggregators import SparseAdjacency, aggregate, softmax_per_row, take_rows
from facelink.subgraphs import NeededNodes

_NORM_EPS = 1e-5
_NORM_MOMENTUM = 0.1
ATTENTION_SLOPE = 0.2
"""Of the leaky ReLU in the attention's hidden layer."""


@dataclass(frozen=True)
class LayerSize:
    """What a layer computes: the first `n_rows` nodes, which have the first `n_edges` edges.

    It reads the first `n_inputs` nodes.
    """

    n_inputs: int
    n_rows: int
    n_edges: int


@dataclass(frozen=True, eq=False)
class LinkInput:
    """A batch of subgraphs with the features it needs, on one device.

    U instances, M nodes in the order of need, P pivots.

    Parameters
    ----------
    features : float32 (U, D)
        Features of the batch's distinct instances, or of the whole collection.
    nodes : int64 (M,)
        Row of `features` of each node.
    pivots : int64 (P,)
        Row of `features` of each pivot.
    owners : int64 (M,)
        Row of `pivots` of each node.
    adjacency
        Edges between the nodes.
    n_rows : tuple of int (layers + 1,)
        As in `NeededNodes`; the last is the number of nodes that are classified.
    n_edges : tuple of int (layers + 1,)
        Directed edges of these first rows.
    """

    features: Tensor
    nodes: Tensor
    pivots: Tensor
    owners: Tensor
    adjacency: SparseAdjacency
    n_rows: tuple[int, ...]
    n_edges: tuple[int, ...]

    def size(self, layer: int) -> LayerSize:
        """What a layer computes; layers count from 1."""
        return LayerSize(self.n_rows[layer - 1], self.n_rows[layer], self.n_edges[layer])

    @classmethod
    def from_needed(
        cls, needed: NeededNodes, features: NDArray[np.float32], device: torch.device | str = "cpu"
    ) -> "LinkInput":
        """Gather what a batch needs from the features (N, D) of the whole collection."""
        instances, positions = np.unique(
            np.concatenate((needed.pivots, needed.nodes)), return_inverse=True
        )
        rows = np.ascontiguousarray(features[instances], dtype=np.float32)
        n_pivots = len(needed.pivots)
        return cls._of(
            needed, torch.from_numpy(rows).to(device), positions[n_pivots:], positions[:n_pivots]
        )

    @classmethod
    def in_collection(cls, needed: NeededNodes, features: Tensor) -> "LinkInput":
        """Point into the features (N, D) of the whole collection, which are on the device."""
        return cls._of(needed, features, needed.nodes, needed.pivots)

    @classmethod
    def _of(
        cls,
        needed: NeededNodes,
        features: Tensor,
        nodes: NDArray[np.integer],
        pivots: NDArray[np.integer],
    ) -> "LinkInput":
        def on_device(array: NDArray[np.integer]) -> Tensor:
            return torch.from_numpy(array.astype(np.int64)).to(features.device)

        return cls(
            features=features,
            nodes=on_device(nodes),
            pivots=on_device(pivots),
            owners=on_device(needed.owners),
            adjacency=SparseAdjacency.from_edges(needed.indptr, needed.columns, features.device),
            n_rows=needed.n_rows,
            n_edges=tuple(int(needed.indptr[n]) for n in needed.n_rows),
        )


class ResidualNorm(nn.Module):
    """Batch norm of the residuals x_q − x_p without affine parameters.

    Gives the scale s and shift t with which a residual r becomes r·s − t.
    In training both come from all nodes of the batch, real nodes only.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))

    def forward(self, inputs: LinkInput) -> tuple[Tensor, Tensor]:
        """Scale and shift, float32 (D,) each."""
        if self.training:
            mean, variance = self._batch_statistics(inputs)
        else:
            mean, variance = self.running_mean, self.running_var
        return self.scale_and_shift(mean, variance)

    @staticmethod
    def scale_and_shift(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift that give residuals of this mean and variance 0 and 1."""
        scale = torch.rsqrt(variance + _NORM_EPS)
        return scale, mean * scale

    @torch.no_grad()
    def _batch_statistics(self, inputs: LinkInput) -> tuple[Tensor, Tensor]:
        features = inputs.features
        residuals = features[inputs.nodes] - features[inputs.pivots][inputs.owners]
        n_nodes = len(residuals)
        if n_nodes < 2:
            raise InputError(f"a training batch needs at least 2 nodes, got {n_nodes}.")
        variance, mean = torch.var_mean(residuals, dim=0, correction=0)
        unbiased = variance * (n_nodes / (n_nodes - 1))
        self.running_mean.lerp_(mean, _NORM_MOMENTUM)
        self.running_var.lerp_(unbiased, _NORM_MOMENTUM)
        return mean, variance


class LayerValues(Protocol):
    """What a graph convolution reads: node values, to be multiplied by its matrices."""

    def times(self, matrix: str, n_rows: int) -> Tensor:
        """First rows of X W for the layer's matrix W of this name."""

    def aggregated_times(
        self, matrix: str, weights: Tensor, adjacency: SparseAdjacency, n_rows: int
    ) -> Tensor:
        """First rows of G X W; `weights` (e,) are the edges' of these rows."""


@dataclass(frozen=True, eq=False)
class HiddenValues:
    """Values (m, d_in) of the layer before, and the layer's matrices."""

    values: Tensor
    matrices: dict[str, Tensor]

    def times(self, matrix: str, n_rows: int) -> Tensor:
        """First rows of X W."""
        return self.values[:n_rows] @ self.matrices[matrix]

    def aggregated_times(
        self, matrix: str, weights: Tensor, adjacency: SparseAdjacency, n_rows: int
    ) -> Tensor:
        """First rows of (G X) W."""
        return aggregate(self.values, weights, adjacency, n_rows) @ self.matrices[matrix]


@dataclass(frozen=True, eq=False)
class ProjectedFeatures:
    """Features times the first layer's matrices, once per instance rather than per node.

    Parameters
    ----------
    tables
        For each matrix W of the first layer, x·s W for every row of the
        features, (U, d), where s is the input norm's scale.
    shifts
        For each of them, t W, (d,), where t is the input norm's shift.
    """

    tables: dict[str, Tensor]
    shifts: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Residuals:
    """Normalised residuals (x_q − x_p)·s − t of a batch's nodes, already projected."""

    projected: ProjectedFeatures
    inputs: LinkInput

    def times(self, matrix: str, n_rows: int) -> Tensor:
        """First rows of X W."""
        table = self.projected.tables[matrix]
        pivots = take_rows(table, self.inputs.pivots) + self.projected.shifts[matrix]
        own = take_rows(table, self.inputs.nodes[:n_rows])
        return own - take_rows(pivots, self.inputs.owners[:n_rows])

    def aggregated_times(
        self, matrix: str, weights: Tensor, adjacency: SparseAdjacency, n_rows: int
    ) -> Tensor:
        """First rows of G (X W)."""
        return aggregate(self.times(matrix, self.inputs.n_rows[0]), weights, adjacency, n_rows)


class EdgeAttention(nn.Module):
    """Edge weights of the attention aggregator: softmax of a 2-layer MLP on both ends' values.

    The hidden layer's weight is (2·d_in, hidden), the first half for the node
    and the second for its neighbour. A bias on the score would cancel in the
    softmax and is left out.
    """

    def __init__(self, in_width: int, hidden_width: int) -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(torch.empty(2 * in_width, hidden_width))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden_width))
        self.score_weight = nn.Parameter(torch.empty(hidden_width, 1))
        nn.init.xavier_uniform_(self.hidden_weight)
        nn.init.xavier_uniform_(self.score_weight)

    def forward(
        self,
        own: Tensor,
        neighbors: Tensor,
        adjacency: SparseAdjacency,
        n_edges: int | None = None,
    ) -> Tensor:
        """Weight of each of the first (all) edges, (n_edges,), from the hidden layer's halves."""
        of_row = take_rows(own, adjacency.rows[:n_edges])
        of_column = take_rows(neighbors, adjacency.columns[:n_edges])
        hidden = functional.leaky_relu(of_row + of_column + self.hidden_bias, ATTENTION_SLOPE)
        return softmax_per_row((hidden @ self.score_weight)[:, 0], adjacency)


class GraphConv(nn.Module):
    """One graph convolution Y = ReLU([X ‖ GX] W + b) (paper, equation 2).

    `weight` is (2·d_in, d_out): the first half for the node itself, the second
    for the aggregated neighbours.

    Parameters
    ----------
    in_width, out_width
        d_in and d_out.
    attention_width
        Hidden width of the attention aggregator; None for fixed edge weights.
    """

    def __init__(self, in_width: int, out_width: int, attention_width: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * in_width, out_width))
        self.bias = nn.Parameter(torch.zeros(out_width))
        nn.init.xavier_uniform_(self.weight)
        self.attention = EdgeAttention(in_width, attention_width) if attention_width else None

    def matrices(self) -> dict[str, Tensor]:
        """The matrices (d_in, d) that the layer's input is multiplied by."""
        own, neighbors = self.weight.chunk(2)
        matrices = {"own": own, "neighbors": neighbors}
        if self.attention is not None:
            halves = self.attention.hidden_weight.chunk(2)
            matrices["attention_own"], matrices["attention_neighbors"] = halves
        return matrices

    def forward(
        self,
        values: LayerValues,
        fixed_weights: Tensor,
        adjacency: SparseAdjacency,
        size: LayerSize,
    ) -> Tensor:
        """Values of the nodes that are needed of this layer, (n_rows, d_out).

        Parameters
        ----------
        values
            The layer's input.
        fixed_weights : float32 (E,)
            Edge weights of the mean and weighted aggregators; attention does
            not read them.
        adjacency
            Edges between the nodes.
        size
            What this layer computes.
        """
        edge_weights = fixed_weights[: size.n_edges]
        if self.attention is not None:
            edge_weights = self.attention(
                values.times("attention_own", size.n_rows),
                values.times("attention_neighbors", size.n_inputs),
                adjacency,
                size.n_edges,
            )
        aggregated = values.aggregated_times("neighbors", edge_weights, adjacency, size.n_rows)
        return functional.relu(values.times("own", size.n_rows) + aggregated + self.bias)
