import numpy as np

from facelink.neighbors.graph import MISSING
from facelink.neighbors.search import find_neighbors
from facelink.neighbors.shrinking import without_instances
from tests.helpers import clustered_features

K = 8
FEATURES, _ = clustered_features(n_people=10, faces_each=6, n_features=16, spread=0.5)


def test_who_is_gone_is_in_no_list_and_the_others_stay_in_their_order():
    graph = find_neighbors(FEATURES, K, "exact")
    is_kept = np.arange(60) % 7 != 3
    number = np.cumsum(is_kept) - 1
    fewer, columns = without_instances(graph, is_kept)
    for row, before in enumerate(np.flatnonzero(is_kept)):
        stay = [place for place in range(K) if is_kept[graph.indices[before, place]]]
        left = slice(0, len(stay))
        np.testing.assert_array_equal(fewer.indices[row, left], number[graph.indices[before, stay]])
        np.testing.assert_array_equal(
            fewer.similarities[row, left], graph.similarities[before, stay]
        )
        np.testing.assert_array_equal(columns[row, left], stay)
        assert (fewer.indices[row, len(stay) :] == MISSING).all()
        assert np.isneginf(fewer.similarities[row, len(stay) :]).all()
    assert (fewer.indices == MISSING).any()


def test_a_graph_that_loses_nobody_is_as_it_was():
    graph = find_neighbors(FEATURES, K, "exact")
    same, _ = without_instances(graph, np.ones(60, dtype=bool))
    np.testing.assert_array_equal(same.indices, graph.indices)
    np.testing.assert_array_equal(same.similarities, graph.similarities)


def test_lists_that_were_short_already_stay_so():
    graph = find_neighbors(FEATURES, K, "exact")
    once, _ = without_instances(graph, np.arange(60) != 5)
    twice, _ = without_instances(once, np.arange(59) != 20)
    both, _ = without_instances(graph, ~np.isin(np.arange(60), [5, 21]))
    np.testing.assert_array_equal(twice.indices, both.indices)
