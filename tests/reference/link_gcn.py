"""The paper's network on dense matrices in float64, and the authors' network, re-stated by us.

Everything is torch without any sparse step, so that autograd gives reference
gradients. `state` maps a tensor's name to its value.
"""

import numpy as np
import torch

NORM_EPS = 1e-5
ATTENTION_SLOPE = 0.2


def normalized(residuals, mean, variance):
    """Batch norm without affine parameters."""
    return (residuals - mean) / torch.sqrt(variance + NORM_EPS)


def row_normalized(weights):
    """Each row divided by its sum; rows of zeros stay."""
    totals = weights.sum(dim=1, keepdim=True)
    return weights / torch.where(totals == 0, torch.ones_like(totals), totals)


def softmax_of_edges(scores, adjacency):
    """Softmax over the edges of each row, zero elsewhere."""
    return row_normalized(torch.exp(scores) * adjacency)


def aggregation(state, layer, values, features, adjacency, aggregator):
    """G of a layer (n, n), from the layer's input, the nodes' features and their edges."""
    if aggregator == "mean":
        return row_normalized(adjacency)
    if aggregator == "symmetric":
        degrees = adjacency.sum(dim=1).clamp(min=1)
        return adjacency / torch.sqrt(degrees[:, None] * degrees[None, :])
    if aggregator == "weighted":
        return softmax_of_edges(features @ features.T, adjacency)
    n = len(values)
    pairs = torch.cat(
        [values[:, None, :].expand(n, n, -1), values[None, :, :].expand(n, n, -1)], dim=2
    )
    hidden = pairs @ state[f"convs.{layer}.attention.hidden_weight"]
    hidden = hidden + state[f"convs.{layer}.attention.hidden_bias"]
    active = torch.where(hidden > 0, hidden, ATTENTION_SLOPE * hidden)
    scores = (active @ state[f"convs.{layer}.attention.score_weight"])[:, :, 0]
    return softmax_of_edges(scores, adjacency)


def classify(state, values):
    """Linear, PReLU, Linear."""
    hidden = values @ state["classifier.0.weight"].T + state["classifier.0.bias"]
    hidden = torch.where(hidden > 0, hidden, state["classifier.1.weight"] * hidden)
    return hidden @ state["classifier.2.weight"].T + state["classifier.2.bias"]


def subgraph_logits(state, features, pivot_features, adjacency, n_one_hop, aggregator):
    """Logits (n_one_hop, 2) of one subgraph in eval mode.

    `features` (n, D) are those of the nodes, the 1-hop nodes first;
    Y = ReLU([X ‖ GX] W + b) four times, or as often as `state` has layers.
    """
    values = normalized(
        features - pivot_features, state["input_norm.running_mean"], state["input_norm.running_var"]
    )
    layer = 0
    while f"convs.{layer}.weight" in state:
        g = aggregation(state, layer, values, features, adjacency, aggregator)
        both = torch.cat([values, g @ values], dim=1)
        values = torch.relu(both @ state[f"convs.{layer}.weight"] + state[f"convs.{layer}.bias"])
        layer += 1
    return classify(state, values[:n_one_hop])


def authors_scores(checkpoint, features, neighbors, pivot, k_at_hop, n_edge_neighbors):
    """Softmax scores (n_one_hop, 2) of the authors' network for one pivot, from its checkpoint.

    As their code does it: the pivot is a node, the nodes are padded to a fixed
    number with zero rows and edges, and A is divided by its row sums. Their
    input norm sees the padding only while training.
    """
    one_hop = list(neighbors[pivot][: k_at_hop[0]])
    nodes = [*one_hop]
    for instance in one_hop:
        nodes += [other for other in neighbors[instance][: k_at_hop[1]] if other not in nodes]
    nodes = [node for node in nodes if node != pivot] + [pivot]
    size = k_at_hop[0] * (k_at_hop[1] + 1) + 1
    x = np.zeros((size, features.shape[1]))
    a = np.zeros((size, size))
    for i, node in enumerate(nodes):
        x[i] = features[node].astype(np.float64) - features[pivot].astype(np.float64)
        for other in neighbors[node][:n_edge_neighbors]:
            if other in nodes:
                a[i, nodes.index(other)] = a[nodes.index(other), i] = 1
    a = row_normalized(torch.from_numpy(a))
    state = {name: tensor.double() for name, tensor in checkpoint.items()}
    x = normalized(torch.from_numpy(x), state["bn0.running_mean"], state["bn0.running_var"])
    for layer in (1, 2, 3, 4):
        both = torch.cat([x, a @ x], dim=1)
        x = torch.relu(both @ state[f"conv{layer}.weight"] + state[f"conv{layer}.bias"])
    return torch.softmax(classify(state, x[: len(one_hop)]), dim=1)
