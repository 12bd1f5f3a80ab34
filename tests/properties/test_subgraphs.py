import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.models.aggregators import SparseAdjacency, aggregate, mean_weights, softmax_per_row
from facelink.neighbors.graph import NeighborGraph
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from tests.helpers import graph_from_lists, neighbor_lists
from tests.reference.subgraphs import pivot_adjacency, pivot_nodes

WEIGHT_TOLERANCE = 1e-5
"""Float32 sums of at most a dozen weights that add up to 1."""

WIDTH = 6


@st.composite
def graphs(draw):
    """Graphs of any shape: hubs, missing neighbours, instances that nobody lists."""
    n = draw(st.integers(2, 14))
    ids = st.integers(0, n - 1)
    return graph_from_lists(
        [
            draw(st.lists(ids.filter(lambda i, row=row: i != row), max_size=WIDTH, unique=True))
            for row in range(n)
        ],
        WIDTH,
    )


counts = st.integers(1, WIDTH)
subgraph_settings = st.builds(
    SubgraphSettings, st.lists(counts, min_size=1, max_size=4), counts, st.booleans()
)


@settings(deadline=None, max_examples=50)
@given(graphs(), subgraph_settings, st.data())
def test_every_subgraph_is_that_of_the_slow_reference(graph, chosen, data):
    pivots = data.draw(st.lists(st.integers(0, graph.n_instances - 1), max_size=5))
    lists = neighbor_lists(graph)
    batch = SubgraphBuilder(graph, chosen).build(pivots)
    assert len(batch) == len(pivots)
    for subgraph, pivot in zip(batch, pivots, strict=True):
        expected = pivot_nodes(lists, pivot, chosen.k_at_hop, chosen.include_pivot)
        nodes = [node for node, _ in expected]
        assert subgraph.nodes.tolist() == nodes
        assert subgraph.hops.tolist() == [hop for _, hop in expected]
        adjacency = pivot_adjacency(lists, nodes, chosen.n_edge_neighbors)
        np.testing.assert_array_equal(subgraph.adjacency.toarray(), adjacency)


@settings(deadline=None, max_examples=50)
@given(graphs(), subgraph_settings)
def test_rows_of_every_g_sum_to_one_or_zero_and_hold_no_nan(graph, chosen):
    batch = SubgraphBuilder(graph, chosen).build(range(graph.n_instances))
    adjacency = SparseAdjacency.from_edges(batch.indptr, batch.columns, torch.device("cpu"))
    scores = 30 * torch.randn(len(adjacency.rows), generator=torch.Generator().manual_seed(0))
    expected = (adjacency.degrees > 0).float()
    for weights in (mean_weights(adjacency, "row"), softmax_per_row(scores, adjacency)):
        totals = aggregate(torch.ones(adjacency.n_nodes, 1), weights, adjacency)[:, 0]
        torch.testing.assert_close(totals, expected, rtol=0, atol=WEIGHT_TOLERANCE)


@settings(deadline=None, max_examples=50)
@given(graphs(), subgraph_settings, st.randoms(use_true_random=False))
def test_renumbering_the_collection_renumbers_the_subgraphs(graph, chosen, random):
    n = graph.n_instances
    new_id = np.array(random.sample(range(n), n))
    renumbered = np.full_like(graph.indices, -1)
    similarities = np.full_like(graph.similarities, -np.inf)
    for old, row in enumerate(graph.indices):
        renumbered[new_id[old]] = np.where(row >= 0, new_id[row], -1)
        similarities[new_id[old]] = graph.similarities[old]
    other = SubgraphBuilder(NeighborGraph(renumbered, similarities), chosen)
    batch = SubgraphBuilder(graph, chosen).build(range(n))
    for subgraph, moved in zip(batch, other.build(new_id), strict=True):
        np.testing.assert_array_equal(moved.nodes, new_id[subgraph.nodes])
        np.testing.assert_array_equal(moved.hops, subgraph.hops)
        assert (moved.adjacency != subgraph.adjacency).nnz == 0
