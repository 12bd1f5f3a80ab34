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

Aggregator = Literal["mean", "weighted", "attention"]
MeanNormalization = Literal["row", "symmetric"]

_EDGE_BLOCK_BYTES = 64 * 2**20
"""Gathered rows per step where a product over edges is made by gathering, in bytes."""


@dataclass(frozen=True, eq=False)
class SparseAdjacency:
    """The edges of `NeededNodes` on a device: M nodes, E directed edges.

    A layer that computes the first n rows only reads the edges of these rows, which
    are the first ones, too; functions that take edge weights take so many rows and
    edges as the weights have.

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
    def from_edges(
        cls,
        indptr: NDArray[np.int64],
        columns: NDArray[np.int32],
        device: torch.device | str = "cpu",
    ) -> "SparseAdjacency":
        """Copy a symmetric CSR structure, columns ascending within each row, to a device."""
        degrees = np.diff(indptr)
        rows = np.repeat(np.arange(len(degrees)), degrees)
        arrays = (indptr, columns.astype(np.int64), rows, _reverse_edges(indptr, columns))
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
    if features.device.type == "cpu":
        similarities = torch.empty(len(adjacency.rows), dtype=torch.float32)
        edge_similarities(
            adjacency.indptr.numpy(),
            adjacency.columns.numpy(),
            features.numpy(),
            instances.numpy(),
            similarities.numpy(),
        )
    else:
        similarities = _edge_similarities_by_gather(adjacency, features, instances)
    return softmax_per_row(similarities, adjacency)


def softmax_per_row(scores: Tensor, adjacency: SparseAdjacency) -> Tensor:
    """Softmax of the first edges' scores over the edges of each node; differentiable.

    Scores of half precision are summed, and returned, as float32.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    rows, n = adjacency.rows[: len(scores)], adjacency.n_nodes
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


def aggregate(
    values: Tensor, weights: Tensor, adjacency: SparseAdjacency, n_rows: int | None = None
) -> Tensor:
    """Multiply by the first rows of G: sum each node's neighbours' values, weighted.

    Parameters
    ----------
    values : float (m, d)
        One row per node, of all that the first `n_rows` nodes have as neighbours.
    weights : float (e,)
        One weight per directed edge of the first `n_rows` nodes.
    n_rows
        Nodes to compute; by default all M.

    Returns
    -------
    Tensor (n_rows, d)
        Zeros for nodes without edges. Differentiable in values and weights.
    """
    n_rows = adjacency.n_nodes if n_rows is None else n_rows
    result: Tensor = _Aggregate.apply(  # type: ignore[no-untyped-call]
        values, weights, adjacency, n_rows
    )
    return result


class _Aggregate(torch.autograd.Function):
    """Sparse matrix product on a symmetric structure, whose transpose is a reindexing."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weights: Tensor, adjacency: SparseAdjacency, n_rows: int
    ) -> Tensor:
        ctx.save_for_backward(values, weights)
        ctx.adjacency = adjacency
        return _sparse_product(values, weights, adjacency, n_rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, weights = ctx.saved_tensors
        adjacency, gradient = ctx.adjacency, gradients[0]
        for_values = for_weights = None
        if ctx.needs_input_grad[0]:
            for_values = _transposed_product(gradient, weights, adjacency, len(values))
        if ctx.needs_input_grad[1]:
            for_weights = _edge_products(gradient, values, adjacency, len(weights))
        return for_values, for_weights, None, None


def _sparse_product(
    values: Tensor, weights: Tensor, adjacency: SparseAdjacency, n_rows: int
) -> Tensor:
    if values.device.type != "cpu":
        edges = slice(len(weights))
        return _scatter(values, weights, adjacency.columns[edges], adjacency.rows[edges], n_rows)
    product = torch.empty((n_rows, values.shape[1]), dtype=torch.float32)
    _sparse_product_kernel(
        adjacency.indptr.numpy(),
        adjacency.columns.numpy(),
        _as_array(weights),
        _as_array(values),
        product.numpy(),
    )
    return product.to(values.dtype)


def _transposed_product(
    gradient: Tensor, weights: Tensor, adjacency: SparseAdjacency, n_values: int
) -> Tensor:
    if gradient.device.type != "cpu":
        edges = slice(len(weights))
        return _scatter(
            gradient, weights, adjacency.rows[edges], adjacency.columns[edges], n_values
        )
    product = torch.empty((n_values, gradient.shape[1]), dtype=torch.float32)
    _transposed_product_kernel(
        adjacency.indptr.numpy(),
        adjacency.columns.numpy(),
        adjacency.reverse.numpy(),
        _as_array(weights),
        _as_array(gradient),
        product.numpy(),
    )
    return product.to(gradient.dtype)


def _edge_products(
    gradient: Tensor, values: Tensor, adjacency: SparseAdjacency, n_edges: int
) -> Tensor:
    """Dot product of the gradient at each edge's row with the values at its column, (e,)."""
    if values.device.type != "cpu":
        return _edge_products_by_gather(gradient, values, adjacency, n_edges)
    products = torch.empty(n_edges, dtype=torch.float32)
    _edge_products_kernel(
        adjacency.indptr.numpy(),
        adjacency.columns.numpy(),
        _as_array(gradient),
        _as_array(values),
        products.numpy(),
    )
    return products


def _as_array(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().float().contiguous().numpy()
    return array


def _edge_blocks(n_edges: int, width: int) -> list[slice]:
    block = max(1, _EDGE_BLOCK_BYTES // (4 * width))
    return [slice(start, min(n_edges, start + block)) for start in range(0, n_edges, block)]


def _scatter(
    values: Tensor, weights: Tensor, sources: Tensor, targets: Tensor, n_targets: int
) -> Tensor:
    """Sum weighted rows of `values` into the rows that each edge points to."""
    product = values.new_zeros((n_targets, values.shape[1]))
    for edges in _edge_blocks(len(weights), values.shape[1]):
        messages = values[sources[edges]] * weights[edges, None].to(values.dtype)
        product.index_add_(0, targets[edges], messages)
    return product


def _edge_products_by_gather(
    gradient: Tensor, values: Tensor, adjacency: SparseAdjacency, n_edges: int
) -> Tensor:
    products = [
        (gradient[adjacency.rows[edges]] * values[adjacency.columns[edges]]).sum(dim=1)
        for edges in _edge_blocks(n_edges, values.shape[1])
    ]
    return torch.cat(products).float() if products else gradient.new_empty(0)


def _edge_similarities_by_gather(
    adjacency: SparseAdjacency, features: Tensor, instances: Tensor
) -> Tensor:
    similarities = torch.empty(len(adjacency.rows), dtype=torch.float32, device=features.device)
    for edges in _edge_blocks(len(similarities), features.shape[1]):
        first = features[instances[adjacency.rows[edges]]]
        second = features[instances[adjacency.columns[edges]]]
        similarities[edges] = (first * second).sum(dim=1)
    return similarities


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


@njit(parallel=True, nogil=True, cache=True, fastmath={"reassoc", "contract"})
def edge_similarities(
    indptr: NDArray[np.int64],
    columns: NDArray[np.integer],
    features: NDArray[np.float32],
    instances: NDArray[np.integer],
    similarities: NDArray[np.float32],
) -> None:
    """Write the cosine similarity of both ends of each edge; see `cosine_weights`."""
    for row in prange(len(indptr) - 1):
        own = instances[row]
        for edge in range(indptr[row], indptr[row + 1]):
            other = instances[columns[edge]]
            total = np.float32(0.0)
            for column in range(features.shape[1]):
                total += features[own, column] * features[other, column]
            similarities[edge] = total


@njit(parallel=True, nogil=True, cache=True)
def _sparse_product_kernel(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    weights: NDArray[np.float32],
    values: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    for row in prange(len(product)):
        product[row] = 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            weight, neighbor = weights[edge], columns[edge]
            for column in range(values.shape[1]):
                product[row, column] += weight * values[neighbor, column]


@njit(parallel=True, nogil=True, cache=True)
def _transposed_product_kernel(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    reverse: NDArray[np.int64],
    weights: NDArray[np.float32],
    gradient: NDArray[np.float32],
    product: NDArray[np.float32],
) -> None:
    """Each row collects from its neighbours among the first, by its edges turned round."""
    for row in prange(len(product)):
        product[row] = 0.0
        for edge in range(indptr[row], indptr[row + 1]):
            neighbor = columns[edge]
            if neighbor >= len(gradient):
                break  # columns ascend
            weight = weights[reverse[edge]]
            for column in range(gradient.shape[1]):
                product[row, column] += weight * gradient[neighbor, column]


@njit(parallel=True, nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _edge_products_kernel(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    gradient: NDArray[np.float32],
    values: NDArray[np.float32],
    products: NDArray[np.float32],
) -> None:
    for row in prange(len(gradient)):
        for edge in range(indptr[row], indptr[row + 1]):
            neighbor = columns[edge]
            total = np.float32(0.0)
            for column in range(values.shape[1]):
                total += gradient[row, column] * values[neighbor, column]
            products[edge] = total
