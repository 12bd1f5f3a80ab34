import numpy as np
import pytest

from facelink.errors import InputError
from facelink.merging.components import connected_components, largest_nested_components
from tests.reference import merging as reference


def pairs_of(*pairs):
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def nested(n_instances, triples, n_graphs, max_size):
    pairs = pairs_of(*(triple[:2] for triple in triples))
    counts = np.array([triple[2] for triple in triples], dtype=np.int64)
    labels, n_needed = largest_nested_components(n_instances, pairs, counts, n_graphs, max_size)
    return labels.tolist(), n_needed


class TestConnectedComponents:
    def test_numbered_by_smallest_instance(self):
        labels = connected_components(6, pairs_of((4, 5), (0, 3), (3, 2)))
        assert labels.dtype == np.int64
        assert labels.tolist() == [0, 1, 0, 0, 2, 2]

    def test_without_pairs_everyone_is_alone(self):
        assert connected_components(3, pairs_of()).tolist() == [0, 1, 2]

    def test_no_instances(self):
        assert connected_components(0, pairs_of()).shape == (0,)

    def test_repeated_pairs_and_self_pairs_do_no_harm(self):
        labels = connected_components(3, pairs_of((0, 1), (1, 0), (2, 2), (0, 1)))
        assert labels.tolist() == [0, 0, 1]

    def test_long_chain_in_the_worst_order(self):
        # Pairs from the far end build the deepest trees a naive union-find can get.
        chain = pairs_of(*((i, i + 1) for i in reversed(range(20_000))))
        assert not connected_components(20_001, chain).any()

    def test_matches_breadth_first_search(self):
        rng = np.random.default_rng(0)
        pairs = rng.integers(0, 60, size=(45, 2)).astype(np.int32)
        labels = connected_components(60, pairs)
        clusters = {frozenset(np.flatnonzero(labels == label)) for label in set(labels)}
        assert clusters == reference.components(60, pairs.tolist())

    @pytest.mark.parametrize("bad", [(0, 3), (-1, 2)])
    def test_ids_out_of_range(self, bad):
        with pytest.raises(InputError, match="ids must run from 0 to 2"):
            connected_components(3, pairs_of(bad))

    def test_ids_above_float32_are_not_rounded(self):
        # Trap 9: 2²⁴ + 1 is the first id that float32 cannot hold.
        first = 2**24
        labels = connected_components(first + 4, pairs_of((first, first + 2), (first + 1, 0)))
        assert labels[first + 1] == labels[0] == 0
        assert labels[first] == labels[first + 2] == first
        assert labels[first + 3] == first + 1


class TestLargestNestedComponents:
    # Two pairs joined by a link that only the first graph holds.
    DUMBBELL = ((0, 1, 3), (2, 3, 3), (1, 2, 1))

    def test_the_first_graph_wins_where_it_fits(self):
        assert nested(4, self.DUMBBELL, n_graphs=3, max_size=4) == ([0, 0, 0, 0], 1)

    def test_a_later_graph_where_the_first_does_not_fit(self):
        assert nested(4, self.DUMBBELL, n_graphs=3, max_size=3) == ([0, 0, 1, 1], 2)

    def test_the_last_graph_where_none_fits(self):
        assert nested(4, self.DUMBBELL, n_graphs=3, max_size=1) == ([0, 0, 1, 1], 2)

    def test_pairs_in_no_graph_join_nothing(self):
        assert nested(3, [(0, 1, 0), (1, 2, 1)], n_graphs=1, max_size=3) == ([0, 1, 1], 1)

    def test_components_fit_independently_of_each_other(self):
        triples = [(0, 1, 1), (2, 3, 1), (3, 4, 2)]
        assert nested(5, triples, n_graphs=2, max_size=2) == ([0, 0, 1, 2, 2], 2)

    def test_no_pairs(self):
        assert nested(2, [], n_graphs=2, max_size=1) == ([0, 1], 1)

    def test_no_instances(self):
        assert nested(0, [], n_graphs=1, max_size=1) == ([], 1)

    def test_more_graphs_than_two_bytes_count(self):
        n_graphs = 200_000
        triples = [(0, 1, n_graphs), (1, 2, 70_000), (2, 3, n_graphs - 1)]
        assert nested(4, triples, n_graphs, max_size=2) == ([0, 0, 1, 1], 70_001)

    def test_ids_out_of_range(self):
        with pytest.raises(InputError, match="from 0 to 7, but there are 3"):
            nested(3, [(0, 7, 1)], n_graphs=1, max_size=1)
