"""Aggregators: the rows of G = g(X, A) that average a node's neighbours.

Source: L-GCN (arXiv 1903.11306), section 3.3. Y = σ([X ‖ GX] W), where every
row of G sums to 1 over the node's edges, or is all zeros for a node without
edges. G is never formed densely: it is a weight for each directed edge of a
`SparseAdjacency`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

from facelink.subgraphs import SubgraphBatch

Aggregator = Literal["mean", "weighted", "attention"]
MeanNormalization = Literal["row", "symmetric"]

_EDGE_BLOCK_BYTES = 64 * 2**20
"""Gathered rows per step where a product over edges is made by gathering, in bytes."""


@dataclass(frozen=True, eq=False)
class SparseAdjacency:
    """The edges of a `SubgraphBatch` on a device: M nodes, E directed edges.

    Parameters
    ----------
    indptr : int64 (M + 1,)
        CSR row starts.
    columns : int64 (E,)
        Neighbour of each edge.
    rows : int64 (E,)
        Node of each edge, so that edge e joins ``rows[e]`` and ``columns[e]``.
    reverse : int64 (E,)
        Position of the opposite edge (j, i) of each edge (i, j).
    """

    indptr: Tensor
    columns: Tensor
    rows: Tensor
    reverse: Tensor

    @classmethod
    def from_batch(cls, batch: SubgraphBatch, device: torch.device) -> "SparseAdjacency":
        """Copy the edges of a batch to a device."""
        degrees = np.diff(batch.indptr)
        rows = np.repeat(np.arange(len(degrees)), degrees)
        arrays = (
            batch.indptr,
            batch.columns.astype(np.int64),
            rows,
            _reverse_edges(batch.indptr, batch.columns),
        )
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    @property
    def n_nodes(self) -> int:
        """Number of nodes M."""
        return len(self.indptr) - 1

    @property
    def degrees(self) -> Tensor:
        """Number of edges of each node, int64 (M,)."""
        return self.indptr.diff()


def mean_weights(adjacency: SparseAdjacency, normalization: MeanNormalization) -> Tensor:
    """Weights of the mean aggregator, float32 (E,).

    ``"row"`` is D⁻¹A, whose rows sum to 1 as the text of the paper says and as
    the authors' code does; ``"symmetric"`` is D^-½ A D^-½, as the paper prints.
    """
    inverse = adjacency.degrees.clamp(min=1).to(torch.float32).reciprocal()
    if normalization == "row":
        return inverse[adjacency.rows]
    root = inverse.sqrt()
    return root[adjacency.rows] * root[adjacency.columns]


def cosine_weights(adjacency: SparseAdjacency, features: Tensor, instances: Tensor) -> Tensor:
    """Weights of the weighted aggregator: softmax of cosine similarities per row, float32 (E,).

    Parameters
    ----------
    adjacency
        Edges between M nodes.
    features : float32 (U, D)
        L2-normalised rows.
    instances : int64 (M,)
        Row of `features` of each node.
    """
    similarities = torch.empty(len(adjacency.rows), dtype=torch.float32, device=features.device)
    for edges in _edge_blocks(len(similarities), features.shape[1]):
        first = features[instances[adjacency.rows[edges]]]
        second = features[instances[adjacency.columns[edges]]]
        similarities[edges] = (first * second).sum(dim=1)
    return softmax_per_row(similarities, adjacency)


def softmax_per_row(scores: Tensor, adjacency: SparseAdjacency) -> Tensor:
    """Softmax of edge scores over the edges of each node; differentiable; float (E,).

    Scores of half precision are summed, and returned, as float32.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    rows, n = adjacency.rows, adjacency.n_nodes
    highest = scores.new_full((n,), -torch.inf)
    highest = highest.scatter_reduce(0, rows, scores.detach(), reduce="amax")
    exponentials = (scores - highest[rows]).exp()
    totals = scores.new_zeros(n).index_add(0, rows, exponentials)
    return exponentials / take_rows(totals, rows)


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Rows of `values`, some of them several times; differentiable.

    The gradient of ``values[rows]`` is summed by all threads at once, in an
    order that changes from run to run; this one's order is fixed on the CPU.
    """
    return values.index_select(0, rows)


def aggregate(values: Tensor, weights: Tensor, adjacency: SparseAdjacency) -> Tensor:
    """Multiply by G: sum each node's neighbours' values with the edges' weights.

    Parameters
    ----------
    values : float (M, d)
        One row per node.
    weights : float (E,)
        One weight per directed edge.

    Returns
    -------
    Tensor (M, d)
        Zeros for nodes without edges. Differentiable in both arguments.
    """
    result: Tensor = _Aggregate.apply(values, weights, adjacency)  # type: ignore[no-untyped-call]
    return result


class _Aggregate(torch.autograd.Function):
    """Sparse matrix product on a symmetric structure, whose transpose is a reindexing."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, adjacency: SparseAdjacency) -> Tensor:
        ctx.save_for_backward(values, weights)
        ctx.adjacency = adjacency
        return _sparse_product(values, weights, adjacency)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, weights = ctx.saved_tensors
        adjacency, gradient = ctx.adjacency, gradients[0]
        for_values = for_weights = None
        if ctx.needs_input_grad[0]:
            for_values = _sparse_product(gradient, weights[adjacency.reverse], adjacency)
        if ctx.needs_input_grad[1]:
            for_weights = _edge_products(gradient, values, adjacency)
        return for_values, for_weights, None


def _sparse_product(values: Tensor, weights: Tensor, adjacency: SparseAdjacency) -> Tensor:
    if values.device.type != "cpu":
        return _sparse_product_by_scatter(values, weights, adjacency)
    product = torch.empty(values.shape, dtype=torch.float32)
    _sparse_product_kernel(
        adjacency.indptr.numpy(),
        adjacency.columns.numpy(),
        weights.detach().float().contiguous().numpy(),
        values.detach().float().contiguous().numpy(),
        product.numpy(),
    )
    return product.to(values.dtype)


def _edge_products(gradient: Tensor, values: Tensor, adjacency: SparseAdjacency) -> Tensor:
    """Dot product of the gradient at each edge's row with the values at its column, (E,)."""
    if values.device.type != "cpu":
        return _edge_products_by_gather(gradient, values, adjacency)
    products = torch.empty(len(adjacency.rows), dtype=torch.float32)
    _edge_products_kernel(
        adjacency.indptr.numpy(),
        adjacency.columns.numpy(),
        gradient.float().contiguous().numpy(),
        values.detach().float().contiguous().numpy(),
        products.numpy(),
    )
    return products


def _edge_blocks(n_edges: int, width: int) -> list[slice]:
    block = max(1, _EDGE_BLOCK_BYTES // (4 * width))
    return [slice(start, start + block) for start in range(0, n_edges, block)]


def _sparse_product_by_scatter(
    values: Tensor, weights: Tensor, adjacency: SparseAdjacency
) -> Tensor:
    product = torch.zeros_like(values)
    for edges in _edge_blocks(len(weights), values.shape[1]):
        messages = values[adjacency.columns[edges]] * weights[edges, None].to(values.dtype)
        product.index_add_(0, adjacency.rows[edges], messages)
    return product


def _edge_products_by_gather(
    gradient: Tensor, values: Tensor, adjacency: SparseAdjacency
) -> Tensor:
    blocks = _edge_blocks(len(adjacency.rows), values.shape[1])
    products = [
        (gradient[adjacency.rows[edges]] * values[adjacency.columns[edges]]).sum(dim=1)
        for edges in blocks
    ]
    return torch.cat(products).float() if products else gradient.new_empty(0)


@njit(cache=True)
def _reverse_edges(indptr: NDArray[np.int64], columns: NDArray[np.int32]) -> NDArray[np.int64]:
    """Position of (j, i) for each edge (i, j); columns ascend, so one sweep fills each row."""
    cursor = indptr[:-1].copy()
    reverse = np.empty(len(columns), dtype=np.int64)
    for row in range(len(indptr) - 1):
        for edge in range(indptr[row], indptr[row + 1]):
            reverse[edge] = cursor[columns[edge]]
            cursor[columns[edge]] += 1
    return reverse


@njit(parallel=True, nogil=True, cache=True)
def _sparse_product_kernel(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    weights: NDArray[np.float32],
    values: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    for row in prange(len(indptr) - 1):
        product[row] = 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            weight, neighbor = weights[edge], columns[edge]
            for column in range(values.shape[1]):
                product[row, column] += weight * values[neighbor, column]


@njit(parallel=True, nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _edge_products_kernel(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    gradient: NDArray[np.float32],
    values: NDArray[np.float32],
    products: NDArray[np.float32],
) -> None:
    for row in prange(len(indptr) - 1):
        for edge in range(indptr[row], indptr[row + 1]):
            neighbor = columns[edge]
            total = np.float32(0.0)
            for column in range(values.shape[1]):
                total += gradient[row, column] * values[neighbor, column]
            products[edge] = total
