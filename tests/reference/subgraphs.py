"""Instance Pivot Subgraphs in slow loops, from the paper (arXiv 1903.11306), section 3.2.

`neighbors` is a list of lists: the nearest neighbours of each instance in the
whole collection, nearest first, without the instance itself.
"""

import numpy as np


def pivot_nodes(neighbors, pivot, k_at_hop, include_pivot=False):
    """Nodes of the pivot's subgraph with the hop each is reached at: a list of (node, hop).

    V_p holds the k_1 nearest neighbours of p, then of each node of hop i−1 the
    k_i nearest that are not in V_p yet. It does not hold p.
    """
    nodes, reached, frontier = [], {pivot}, [pivot]
    for hop, k in enumerate(k_at_hop, start=1):
        new = []
        for source in frontier:
            for neighbor in neighbors[source][:k]:
                if neighbor not in reached:
                    reached.add(neighbor)
                    new.append(neighbor)
        nodes += [(node, hop) for node in new]
        frontier = new
    if include_pivot:
        nodes.append((pivot, 0))
    return nodes


def pivot_adjacency(neighbors, nodes, n_edge_neighbors):
    """Edges among these instances: 1 where either lists the other among its u nearest, (n, n)."""
    adjacency = np.zeros((len(nodes), len(nodes)))
    for i, node in enumerate(nodes):
        for neighbor in neighbors[node][:n_edge_neighbors]:
            for j, other in enumerate(nodes):
                if other == neighbor and i != j:
                    adjacency[i, j] = adjacency[j, i] = 1
    return adjacency


def node_features(features, nodes, pivot):
    """Residuals x_q − x_p, float64 (n, D)."""
    rows = [
        [float(a) - float(b) for a, b in zip(features[node], features[pivot], strict=True)]
        for node in nodes
    ]
    return np.array(rows).reshape(len(nodes), len(features[pivot]))
