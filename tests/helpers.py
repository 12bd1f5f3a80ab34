"""Small seeded inputs that several tests share."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.subgraphs import SubgraphSettings
from tests.reference.link_gcn import subgraph_logits
from tests.reference.subgraphs import pivot_adjacency, pivot_nodes

AGGREGATORS = ("mean", "symmetric", "weighted", "attention")
"""The aggregators, the mean in both of its normalisations."""


def unit_rows(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to length 1, float32."""
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def clustered_features(
    n_people: int, faces_each: int, n_features: int, seed: int = 0, spread: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors around one centre per person, in shuffled order, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(n_people), faces_each))
    centres = unit_rows(random.normal(size=(n_people, n_features)))
    noise = unit_rows(random.normal(size=(len(labels), n_features)))
    return unit_rows(centres[labels] + spread * noise), labels


def graph_from_lists(lists: list[list[int]], width: int | None = None) -> NeighborGraph:
    """A graph with these neighbours, in this order, at falling similarities."""
    width = width or max(map(len, lists), default=0)
    indices = np.full((len(lists), width), MISSING, dtype=np.int32)
    similarities = np.full(indices.shape, -np.inf, dtype=np.float32)
    for row, neighbors in enumerate(lists):
        indices[row, : len(neighbors)] = neighbors
        similarities[row, : len(neighbors)] = np.linspace(0.9, 0.1, len(neighbors))
    return NeighborGraph(indices, similarities)


def random_graph(
    n_instances: int, width: int, seed: int = 0, missing_share: float = 0.0, n_hubs: int = 0
) -> NeighborGraph:
    """A graph of random neighbours; each row loses its last ones with some chance.

    Hubs, the first ids, are the nearest neighbours of every second row.
    """
    random = np.random.default_rng(seed)
    lists = []
    for row in range(n_instances):
        hubs = range(n_hubs if row % 2 else 0)
        others = [i for i in random.permutation(n_instances) if i not in hubs]
        kept = random.binomial(width, 1 - missing_share)
        lists.append([int(i) for i in (*hubs, *others) if i != row][:kept])
    return graph_from_lists(lists, width)


def neighbor_lists(graph: NeighborGraph) -> list[list[int]]:
    """The neighbours of each instance as plain lists, without the missing ones."""
    return [[int(i) for i in row if i != MISSING] for row in graph.indices]


def random_model(
    aggregator: str, n_features: int, settings: SubgraphSettings, seed: int = 0
) -> LinkGCN:
    """A small network in eval mode with nothing left at its initial value."""
    config = LinkGCNConfig(
        n_features,
        (24, 12),
        aggregator="mean" if aggregator == "symmetric" else aggregator,
        mean_normalization="symmetric" if aggregator == "symmetric" else "row",
        attention_width=5,
        subgraphs=settings,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = LinkGCN(config).eval()
        for name, value in model.state_dict().items():
            if value.ndim == 1:
                value += 0.2 * torch.randn(value.shape)
            if name == "input_norm.running_var":
                value.uniform_(0.05, 0.5)
    return model


def dense_logits(
    model: LinkGCN,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    settings: SubgraphSettings,
    pivots: Iterable[int],
    state: dict[str, Tensor] | None = None,
) -> Tensor:
    """Logits of these pivots' 1-hop nodes by the slow references, from a model's weights."""
    state = state or {name: value.double() for name, value in model.state_dict().items()}
    config = model.config
    is_symmetric = config.aggregator == "mean" and config.mean_normalization == "symmetric"
    aggregator = "symmetric" if is_symmetric else config.aggregator
    lists, wide = neighbor_lists(graph), torch.from_numpy(features).double()
    logits = []
    for pivot in pivots:
        reached = pivot_nodes(lists, pivot, settings.k_at_hop, settings.include_pivot)
        nodes = [node for node, _ in reached]
        adjacency = torch.from_numpy(pivot_adjacency(lists, nodes, settings.n_edge_neighbors))
        n_one_hop = sum(hop == 1 for _, hop in reached)
        logits.append(
            subgraph_logits(state, wide[nodes], wide[pivot], adjacency, n_one_hop, aggregator)
        )
    return torch.cat(logits)


def members_of(cells, cell):
    """Members of one cell, or part, of a `CellIndex`."""
    return cells.members[cells.starts[cell] : cells.starts[cell + 1]]
