import numba
import numpy as np
import pytest

from facelink.errors import InputError
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from tests.helpers import clustered_features, graph_from_lists, neighbor_lists, random_graph
from tests.reference.subgraphs import pivot_adjacency, pivot_nodes

FLOAT32_EXACT_IDS = 2**24
"""Above this id a float32 skips whole numbers."""


def duplicates_graph():
    """Three people whose faces are all exact copies, so that every order is by id."""
    features, _ = clustered_features(n_people=3, faces_each=6, n_features=8, spread=0.0)
    return find_neighbors(features, 10, "exact")


GRAPHS = {
    "plain": random_graph(40, 8),
    "small": random_graph(9, 8),
    "hubs": random_graph(40, 8, n_hubs=3),
    "missing": random_graph(40, 8, missing_share=0.4),
    "mostly missing": random_graph(40, 8, missing_share=0.9),
    "duplicates": duplicates_graph(),
    "clustered": find_neighbors(clustered_features(6, 8, 12)[0], 8, "exact"),
}


def assert_same_batch(left, right):
    for name in ("pivots", "node_offsets", "n_one_hop", "nodes", "hops", "indptr", "columns"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


class TestAgainstTheReference:
    @pytest.mark.parametrize("include_pivot", [False, True])
    @pytest.mark.parametrize(
        ("k_at_hop", "n_edge_neighbors"),
        [((8,), 3), ((8, 3), 3), ((8, 5), 1), ((6, 4, 2), 4), ((3, 2, 6), 8), ((1, 1, 1), 1)],
    )
    @pytest.mark.parametrize("name", GRAPHS)
    def test_nodes_hops_and_edges(self, name, k_at_hop, n_edge_neighbors, include_pivot):
        graph, settings = GRAPHS[name], SubgraphSettings(k_at_hop, n_edge_neighbors, include_pivot)
        lists = neighbor_lists(graph)
        batch = SubgraphBuilder(graph, settings).build(np.arange(graph.n_instances))
        for pivot, subgraph in enumerate(batch):
            expected = pivot_nodes(lists, pivot, k_at_hop, include_pivot)
            nodes = [node for node, _ in expected]
            assert subgraph.pivot == pivot
            assert subgraph.nodes.tolist() == nodes
            assert subgraph.hops.tolist() == [hop for _, hop in expected]
            assert batch.n_one_hop[pivot] == min(k_at_hop[0], len(lists[pivot]))
            np.testing.assert_array_equal(
                subgraph.adjacency.toarray(), pivot_adjacency(lists, nodes, n_edge_neighbors)
            )


class TestPivot:
    def test_it_is_no_node_of_its_own_subgraph_as_in_the_paper(self):
        batch = SubgraphBuilder(GRAPHS["plain"], SubgraphSettings((8, 3), 3)).build(range(40))
        assert all(subgraph.pivot not in subgraph.nodes for subgraph in batch)

    def test_it_is_the_last_node_where_it_is_included_as_in_the_authors_code(self):
        settings = SubgraphSettings((8, 3), 3, include_pivot=True)
        for subgraph in SubgraphBuilder(GRAPHS["plain"], settings).build(range(40)):
            assert subgraph.nodes.tolist().index(subgraph.pivot) == len(subgraph.nodes) - 1
            assert subgraph.hops[-1] == 0

    def test_exact_duplicates_never_make_it_its_own_neighbour(self):
        batch = SubgraphBuilder(GRAPHS["duplicates"], SubgraphSettings((5, 2), 2)).build(range(18))
        assert all(subgraph.pivot not in subgraph.nodes for subgraph in batch)


def test_a_node_without_edges_is_kept_without_any():
    """u < k2: nodes of hop 2 may be listed by nobody's u nearest, and list nobody (trap 3)."""
    graph = graph_from_lists([[1, 2], [3, 2], [3, 1], [4, 0], [5, 0], [4, 0]])
    subgraph = SubgraphBuilder(graph, SubgraphSettings((1, 2), 1)).build([0])[0]
    assert subgraph.nodes.tolist() == [1, 3, 2]
    np.testing.assert_array_equal(subgraph.adjacency.sum(axis=1), [[1], [2], [1]])
    lone = SubgraphBuilder(graph, SubgraphSettings((2,), 1)).build([3])[0]
    assert lone.nodes.tolist() == [4, 0]
    assert lone.adjacency.nnz == 0


def test_a_pivot_without_neighbours_has_an_empty_subgraph():
    builder = SubgraphBuilder(graph_from_lists([[1], [0], []]), SubgraphSettings((1,), 1))
    batch = builder.build([2, 0])
    assert batch.node_offsets.tolist() == [0, 0, 1]
    assert batch.n_one_hop.tolist() == [0, 1]
    assert len(batch[0].nodes) == 0


class TestBatch:
    @pytest.fixture
    def batch(self):
        graph = random_graph(60, 8, missing_share=0.2, n_hubs=2)
        return SubgraphBuilder(graph, SubgraphSettings((7, 4), 5)).build([3, 0, 59, 3])

    def test_edges_stay_within_a_subgraph_and_come_in_both_directions(self, batch):
        rows = np.repeat(np.arange(len(batch.nodes)), np.diff(batch.indptr))
        assert (batch.owners[rows] == batch.owners[batch.columns]).all()
        edges = set(zip(rows.tolist(), batch.columns.tolist(), strict=True))
        assert len(edges) == len(batch.columns)
        assert edges == {(j, i) for i, j in edges}
        assert not any(i == j for i, j in edges)

    def test_columns_ascend_within_each_row(self, batch):
        for start, stop in zip(batch.indptr[:-1], batch.indptr[1:], strict=True):
            assert (np.diff(batch.columns[start:stop]) > 0).all()

    def test_one_hop_rows_name_the_nearest_first_pivot_by_pivot(self, batch):
        owners, hops = batch.owners, batch.hops
        np.testing.assert_array_equal(batch.one_hop_rows, np.flatnonzero(hops == 1))
        assert (np.diff(owners[batch.one_hop_rows]) >= 0).all()

    def test_owners_follow_the_offsets(self, batch):
        np.testing.assert_array_equal(np.bincount(batch.owners), np.diff(batch.node_offsets))

    def test_dtypes_are_those_of_the_docstring(self, batch):
        assert batch.pivots.dtype == batch.nodes.dtype == batch.columns.dtype == np.int32
        assert batch.node_offsets.dtype == batch.indptr.dtype == np.int64
        assert batch.owners.dtype == batch.one_hop_rows.dtype == np.int64
        assert (batch.n_one_hop.dtype, batch.hops.dtype) == (np.int32, np.int8)

    def test_a_negative_position_counts_from_the_end(self, batch):
        np.testing.assert_array_equal(batch[-1].nodes, batch[3].nodes)
        assert batch[-4].pivot == 3

    def test_a_position_outside_is_an_index_error(self, batch):
        with pytest.raises(IndexError, match="out of range"):
            batch[4]

    def test_iteration_gives_every_subgraph_once(self, batch):
        assert [subgraph.pivot for subgraph in batch] == [3, 0, 59, 3]

    def test_a_subgraph_does_not_depend_on_what_else_is_in_the_batch(self, batch):
        graph = random_graph(60, 8, missing_share=0.2, n_hubs=2)
        builder = SubgraphBuilder(graph, SubgraphSettings((7, 4), 5))
        for subgraph in batch:
            alone = builder.build([subgraph.pivot])[0]
            np.testing.assert_array_equal(alone.nodes, subgraph.nodes)
            assert (alone.adjacency != subgraph.adjacency).nnz == 0


class TestBuilder:
    def test_no_pivots_give_an_empty_batch(self):
        batch = SubgraphBuilder(GRAPHS["plain"], SubgraphSettings((8, 3), 3)).build([])
        assert len(batch) == 0
        assert batch.node_offsets.tolist() == batch.indptr.tolist() == [0]
        assert len(batch.one_hop_rows) == 0

    def test_a_second_call_gives_the_same_batch(self):
        builder = SubgraphBuilder(GRAPHS["hubs"], SubgraphSettings((8, 3), 3, include_pivot=True))
        assert_same_batch(builder.build([5, 1, 9]), builder.build([5, 1, 9]))

    def test_the_number_of_threads_does_not_matter(self, two_numba_threads):
        settings = SubgraphSettings((8, 3, 2), 3)
        in_two = SubgraphBuilder(GRAPHS["hubs"], settings)
        batch = in_two.build(range(40))
        numba.set_num_threads(1)
        assert_same_batch(in_two.build(range(40)), batch)
        assert_same_batch(SubgraphBuilder(GRAPHS["hubs"], settings).build(range(40)), batch)

    @pytest.mark.parametrize(
        ("pivots", "message"),
        [
            ([0, 40], "pivot 40 is not an instance .*ids run from 0 to 39"),
            ([-1, 3], "pivot -1 is not"),
            (np.array([2**32]), "pivot 4294967296 is not"),
            ([0.5], r"got float64 of shape \(1,\)"),
            ([[1, 2]], r"of shape \(1, 2\)"),
        ],
    )
    def test_a_pivot_that_is_no_instance_is_refused(self, pivots, message):
        builder = SubgraphBuilder(GRAPHS["plain"], SubgraphSettings((8, 3), 3))
        with pytest.raises(InputError, match=message):
            builder.build(pivots)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (SubgraphSettings((9, 3), 3), r"k_at_hop\[0\]=9 but the graph stores K=8 .*--k 9"),
            (SubgraphSettings((8, 9), 3), r"k_at_hop\[1\]=9 but the graph stores K=8"),
            (SubgraphSettings((8, 3), 9), "n_edge_neighbors=9 .*or lower n_edge_neighbors"),
        ],
    )
    def test_a_graph_that_is_too_narrow_is_refused_with_what_to_do(self, settings, message):
        with pytest.raises(InputError, match=message):
            SubgraphBuilder(GRAPHS["plain"], settings)

    def test_a_wider_graph_is_cut_to_k1(self):
        batch = SubgraphBuilder(GRAPHS["plain"], SubgraphSettings((3, 2), 2)).build(range(40))
        assert (batch.n_one_hop == 3).all()

    @pytest.mark.slow
    def test_large_ids_stay_exact(self):
        """Ids above 2^24, which float32 cannot tell apart (trap 9)."""
        n = FLOAT32_EXACT_IDS + 8
        indices = np.arange(n, dtype=np.int32)[:, None] ^ 1
        graph = NeighborGraph(indices, np.full((n, 1), 0.5, dtype=np.float32))
        batch = SubgraphBuilder(graph, SubgraphSettings((1, 1), 1)).build([n - 1, n - 2, n - 3])
        assert batch.nodes.tolist() == [n - 2, n - 1, n - 4]
        assert batch.pivots.tolist() == [n - 1, n - 2, n - 3]


class TestSettings:
    def test_the_defaults_are_those_the_paper_tests_with(self):
        assert SubgraphSettings() == SubgraphSettings((80, 5), 5, include_pivot=False)

    def test_lists_and_numpy_counts_become_plain(self):
        settings = SubgraphSettings([np.int64(8), 3], np.int32(4))
        assert settings == SubgraphSettings((8, 3), 4)
        assert all(type(count) is int for count in (*settings.k_at_hop, settings.n_edge_neighbors))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"k_at_hop": ()}, r"k_at_hop=\(\); give at least one hop"),
            ({"k_at_hop": (8, 0)}, r"k_at_hop=\(8, 0\)"),
            ({"include_pivot": -479}, "include_pivot=-479; give True or False"),
            ({"include_pivot": None}, "include_pivot=None"),
            ({"k_at_hop": (8, 2.5)}, r"k_at_hop=\(8, 2\.5\).*whole number"),
            ({"k_at_hop": "80"}, "whole number of at least 1"),
            ({"n_edge_neighbors": 0}, "n_edge_neighbors=0; give a whole number"),
            ({"n_edge_neighbors": 2.5}, "n_edge_neighbors=2.5"),
        ],
    )
    def test_a_count_that_is_none_is_refused(self, values, message):
        with pytest.raises(InputError, match=message):
            SubgraphSettings(**values)

    @pytest.mark.parametrize(
        ("settings", "width", "max_nodes"),
        [
            (SubgraphSettings((8,), 3), 8, 8),
            (SubgraphSettings((2, 3), 4), 4, 2 + 6),
            (SubgraphSettings((2, 3, 9), 4, include_pivot=True), 9, 2 + 6 + 54 + 1),
        ],
    )
    def test_the_width_and_the_nodes_that_they_ask_for(self, settings, width, max_nodes):
        assert settings.n_neighbors == width
        assert settings.max_nodes == max_nodes

    def test_they_can_be_cut_to_what_a_small_collection_has(self):
        cut = SubgraphSettings((80, 5), 7, include_pivot=True).limited_to(6)
        assert cut == SubgraphSettings((6, 5), 6, include_pivot=True)


def test_missing_neighbours_are_never_nodes():
    batch = SubgraphBuilder(GRAPHS["mostly missing"], SubgraphSettings((8, 8), 8)).build(range(40))
    assert MISSING not in batch.nodes
