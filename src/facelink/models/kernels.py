"""Compiled loops of `CompiledLinkGCN`, each for one of several threads at once.

Arrays of generic type hold float32, or bfloat16 as its bits in uint16; the table of
projected features float32, or int16.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from facelink.models import aggregators
from facelink.models.layers import ATTENTION_SLOPE
from facelink.models.sixteen_bits import narrowed, widened

edge_similarities = njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})(
    aggregators.edge_similarities.py_func
)
"""`aggregators.edge_similarities` in one thread."""


@njit(nogil=True, cache=True)
def mean_weights(
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    is_symmetric: bool,
    n_rows: int,
    weights: NDArray[np.float32],
) -> None:
    """Write the weights of the first rows' edges; see `aggregators.mean_weights`."""
    for row in range(n_rows):
        degree = np.float32(indptr[row + 1] - indptr[row])
        for edge in range(indptr[row], indptr[row + 1]):
            if is_symmetric:
                column = columns[edge]
                other = np.float32(indptr[column + 1] - indptr[column])
                weights[edge] = np.float32(1) / np.sqrt(degree * other)
            else:
                weights[edge] = np.float32(1) / degree


@njit(nogil=True, cache=True)
def first_values(
    table: NDArray[np.generic],
    steps: NDArray[np.float32],
    nodes: NDArray[np.integer],
    owners: NDArray[np.int32],
    of_pivots: NDArray[np.float32],
    bias: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    edge_weights: NDArray[np.float32],
    n_rows: int,
    width: int,
    values: NDArray[np.generic],
) -> None:
    """ReLU of the first layer: projected residuals of each node and of its neighbours.

    A projected value is an element of the table times its column's step.
    """
    of_neighbors = np.empty(width, dtype=np.float32)
    for row in range(n_rows):
        own, pivot = table[nodes[row]], of_pivots[owners[row]]
        total = np.float32(0.0)
        of_neighbors[:] = np.float32(0.0)
        for edge in range(indptr[row], indptr[row + 1]):
            weight, neighbor = edge_weights[edge], table[nodes[columns[edge]]]
            total += weight
            for column in range(width):
                of_neighbors[column] += weight * np.float32(neighbor[width + column])
        output = values[row]
        for column in range(width):
            other = width + column
            value = np.float32(own[column]) * steps[column] - pivot[column]
            value += of_neighbors[column] * steps[other] - total * pivot[other]
            output[column] = narrowed(max(value + bias[column], np.float32(0.0)), output)


@njit(nogil=True, cache=True)
def aggregate_beside(
    values: NDArray[np.generic],
    width: int,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    edge_weights: NDArray[np.float32],
    n_rows: int,
) -> None:
    """Write G X into the right half of the first rows of [X ‖ G X]."""
    totals = np.empty(width, dtype=np.float32)
    for row in range(n_rows):
        totals[:] = np.float32(0.0)
        for edge in range(indptr[row], indptr[row + 1]):
            weight, neighbor = edge_weights[edge], values[columns[edge]]
            for column in range(width):
                totals[column] += weight * widened(neighbor[column])
        output = values[row]
        for column in range(width):
            output[width + column] = narrowed(totals[column], output)


@njit(nogil=True, cache=True)
def rectify(
    products: NDArray[np.generic],
    bias: NDArray[np.float32],
    n_rows: int,
    values: NDArray[np.generic],
) -> None:
    """Write ReLU of the first rows of products plus bias into the first columns of values."""
    for row in range(n_rows):
        product, output = products[row], values[row]
        for column in range(len(bias)):
            value = max(widened(product[column]) + bias[column], np.float32(0.0))
            output[column] = narrowed(value, output)


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def attention_weights(
    hidden: NDArray[np.generic],
    bias: NDArray[np.float32],
    score_weights: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    n_rows: int,
) -> NDArray[np.float32]:
    """Weight of each edge of the first rows; `hidden` has each node's two halves."""
    weights = np.empty(indptr[n_rows], dtype=np.float32)
    width = len(bias)
    slope = np.float32(ATTENTION_SLOPE)
    for row in range(n_rows):
        for edge in range(indptr[row], indptr[row + 1]):
            neighbor = columns[edge]
            score = np.float32(0.0)
            for column in range(width):
                value = widened(hidden[row, column]) + widened(hidden[neighbor, width + column])
                value += bias[column]
                score += max(value, slope * value) * score_weights[column]
            weights[edge] = score
    softmax_rows(indptr[: n_rows + 1], weights)
    return weights


@njit(nogil=True, cache=True)
def softmax_rows(indptr: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
    """Replace scores by their softmax over the edges of each row."""
    for row in range(len(indptr) - 1):
        first, stop = indptr[row], indptr[row + 1]
        if first == stop:
            continue
        highest = scores[first:stop].max()
        total = np.float32(0.0)
        for edge in range(first, stop):
            scores[edge] = np.exp(scores[edge] - highest)
            total += scores[edge]
        for edge in range(first, stop):
            scores[edge] /= total


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def likelihoods(
    hidden: NDArray[np.generic],
    n_rows: int,
    bias: NDArray[np.float32],
    slope: NDArray[np.float32],
    odds: NDArray[np.float32],
    odds_bias: np.float32,
) -> NDArray[np.float32]:
    """PReLU and the two outputs: softmax of two is the logistic of their difference."""
    likelihoods = np.empty(n_rows, dtype=np.float32)
    for row in range(n_rows):
        log_odds = odds_bias
        for column in range(hidden.shape[1]):
            value = widened(hidden[row, column]) + bias[column]
            log_odds += (value if value > 0 else value * slope[column]) * odds[column]
        likelihoods[row] = 1 / (1 + np.exp(-log_odds))
    return likelihoods
