import numpy as np
import pytest

from facelink.subgraphs import SubgraphBuilder, SubgraphSettings, order_by_need
from tests.helpers import random_graph

N = 60
GRAPHS = {
    "plain": random_graph(N, 8),
    "hubs and isolated nodes": random_graph(N, 8, missing_share=0.4, n_hubs=2),
}
PIVOTS = [3, 0, 59, 3]


@pytest.fixture(params=GRAPHS)
def graph(request):
    return GRAPHS[request.param]


@pytest.fixture(
    params=[
        SubgraphSettings((8,), 2),
        SubgraphSettings((4, 3), 1),
        SubgraphSettings((3, 2, 2), 2, include_pivot=True),
    ],
    ids=lambda settings: f"{settings.k_at_hop} u={settings.n_edge_neighbors}",
)
def batch(graph, request):
    return SubgraphBuilder(graph, request.param).build(PIVOTS)


def distances(batch):
    """Edges between each node and the nearest 1-hop node of its subgraph, by plain search."""
    distance = np.full(len(batch.nodes), len(batch.nodes))
    distance[batch.one_hop_rows] = 0
    for _ in range(len(batch.nodes)):
        for row in range(len(batch.nodes)):
            neighbors = batch.columns[batch.indptr[row] : batch.indptr[row + 1]]
            if len(neighbors):
                distance[row] = min(distance[row], distance[neighbors].min() + 1)
    return distance


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_each_layer_computes_the_nodes_within_the_edges_that_are_left(batch, n_layers):
    needed = order_by_need(batch, n_layers)
    reach = distances(batch)
    assert needed.n_rows == tuple(
        int((reach <= n_layers - layer).sum()) for layer in range(n_layers + 1)
    )


def test_one_hop_nodes_come_first_in_their_own_order(batch):
    needed = order_by_need(batch, 2)
    n_one_hop = needed.n_rows[-1]
    np.testing.assert_array_equal(needed.nodes[:n_one_hop], batch.nodes[batch.one_hop_rows])
    np.testing.assert_array_equal(needed.owners[:n_one_hop], batch.owners[batch.one_hop_rows])


def edges(owners, nodes, indptr, columns):
    """Edges as pairs of (subgraph, instance)."""
    rows = np.repeat(np.arange(len(nodes)), np.diff(indptr))
    return sorted(zip(owners[rows], nodes[rows], nodes[columns], strict=True))


def test_nodes_and_edges_are_those_of_the_batch(batch):
    needed = order_by_need(batch, 3)
    np.testing.assert_array_equal(needed.pivots, batch.pivots)
    assert sorted(zip(needed.owners, needed.nodes, strict=True)) == sorted(
        zip(batch.owners, batch.nodes, strict=True)
    )
    assert edges(needed.owners, needed.nodes, needed.indptr, needed.columns) == edges(
        batch.owners, batch.nodes, batch.indptr, batch.columns
    )


def test_columns_ascend_within_each_row(batch):
    needed = order_by_need(batch, 3)
    for start, stop in zip(needed.indptr[:-1], needed.indptr[1:], strict=True):
        assert (np.diff(needed.columns[start:stop]) > 0).all()


def test_what_a_layer_computes_has_all_its_neighbours_in_the_layer_before(batch):
    needed = order_by_need(batch, 4)
    for before, after in zip(needed.n_rows[:-1], needed.n_rows[1:], strict=True):
        assert needed.columns[: needed.indptr[after]].max(initial=0) < max(1, before)


def test_the_order_within_a_subgraph_does_not_depend_on_the_others(graph):
    builder = SubgraphBuilder(graph, SubgraphSettings((4, 3), 2))
    together = order_by_need(builder.build(PIVOTS), 3)
    for position, pivot in enumerate(PIVOTS):
        alone = order_by_need(builder.build([pivot]), 3)
        np.testing.assert_array_equal(together.nodes[together.owners == position], alone.nodes)


def test_no_pivots(graph):
    needed = order_by_need(SubgraphBuilder(graph, SubgraphSettings((4, 3), 2)).build([]), 2)
    assert needed.n_rows == (0, 0, 0)
    assert needed.indptr.tolist() == [0]
