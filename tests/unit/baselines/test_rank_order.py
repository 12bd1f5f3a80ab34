import numpy as np
import pytest

from facelink.baselines.rank_order import group_by_rank_order, rank_order_distances
from tests.helpers import graph_from_lists, neighbor_lists, random_graph
from tests.reference.baselines import rank_order_distance
from tests.unit.baselines.helpers import LABELS, easy_view, partition


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_of_the_definition(seed):
    graph = random_graph(25, 6, seed, missing_share=0.2, n_hubs=2)
    lists = neighbor_lists(graph)
    pairs, distances = rank_order_distances(graph)
    assert len(pairs) == sum(map(len, lists))
    wanted = [rank_order_distance(lists, first, second, 6) for first, second in pairs.tolist()]
    np.testing.assert_allclose(distances, wanted, rtol=1e-6)
    assert len(set(wanted)) > 10


def test_faces_first_in_each_others_lists_are_at_distance_0():
    graph = graph_from_lists([[1, 2], [0, 2], [0, 1]])
    assert rank_order_distances(graph)[1].tolist() == [0] * 6


def test_a_greater_distance_only_joins_people_together():
    view = easy_view()
    finer, coarser = (partition(group_by_rank_order(view, value)) for value in (0.1, 2.0))
    assert finer != coarser
    assert all(any(one <= other for other in coarser) for one in finer)


def test_nobody_is_joined_with_strangers_at_a_small_distance():
    groups = partition(group_by_rank_order(easy_view(), 0.1))
    assert max(map(len, groups)) > 1
    assert all(len(set(LABELS[list(group)])) == 1 for group in groups)
