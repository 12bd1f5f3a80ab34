"""The matrices G of the paper's aggregators (arXiv 1903.11306, section 3.3), in slow loops.

Each takes a symmetric 0/1 adjacency (n, n) and gives a float64 (n, n) matrix
whose rows are zero for nodes without edges.
"""

import math

import numpy as np


def mean_matrix(adjacency):
    """D⁻¹ A."""
    result = np.zeros_like(adjacency, dtype=np.float64)
    for i, row in enumerate(adjacency):
        for j, edge in enumerate(row):
            if edge:
                result[i, j] = 1 / sum(row)
    return result


def symmetric_matrix(adjacency):
    """D^-½ A D^-½."""
    result = np.zeros_like(adjacency, dtype=np.float64)
    for i, row in enumerate(adjacency):
        for j, edge in enumerate(row):
            if edge:
                result[i, j] = 1 / math.sqrt(sum(row) * sum(adjacency[j]))
    return result


def softmax_matrix(adjacency, score):
    """Softmax of score(i, j) over the edges of each row."""
    result = np.zeros_like(adjacency, dtype=np.float64)
    for i, row in enumerate(adjacency):
        exponentials = {j: math.exp(score(i, j)) for j, edge in enumerate(row) if edge}
        for j, value in exponentials.items():
            result[i, j] = value / sum(exponentials.values())
    return result


def weighted_matrix(adjacency, features):
    """Softmax of the cosines between the nodes' features, which are unit vectors."""
    return softmax_matrix(
        adjacency,
        lambda i, j: math.fsum(
            float(a) * float(b) for a, b in zip(features[i], features[j], strict=True)
        ),
    )


def attention_matrix(adjacency, values, hidden_weight, hidden_bias, score_weight, slope=0.2):
    """Softmax of MLP([x_i ‖ x_j]): a hidden layer with leaky ReLU, then one output."""

    def score(i, j):
        hidden = np.concatenate([values[i], values[j]]) @ hidden_weight + hidden_bias
        active = [value if value > 0 else slope * value for value in hidden]
        return float(np.dot(active, score_weight[:, 0]))

    return softmax_matrix(adjacency, score)
