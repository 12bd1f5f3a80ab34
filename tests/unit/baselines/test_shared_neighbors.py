import numpy as np
import pytest

from facelink.baselines.shared_neighbors import (
    TEMPERATURE,
    cut_graph,
    edge_probabilities,
    jaccard_overlaps,
    list_weights,
)
from tests.helpers import neighbor_lists, random_graph
from tests.reference.baselines import edge_probability, jaccard

GRAPHS = [random_graph(25, 6, seed, missing_share=0.2, n_hubs=2) for seed in range(3)]


@pytest.mark.parametrize("graph", GRAPHS)
def test_edge_probabilities_and_overlaps_are_those_of_the_definitions(graph):
    lists = neighbor_lists(graph)
    probabilities, overlaps = edge_probabilities(graph), jaccard_overlaps(graph)
    assert probabilities.dtype == overlaps.dtype == np.float32
    for face, row in enumerate(lists):
        cosines = graph.similarities.tolist()
        wanted = [edge_probability(lists, cosines, face, node, TEMPERATURE) for node in row]
        np.testing.assert_allclose(probabilities[face, : len(row)], wanted, rtol=1e-5)
        wanted = [jaccard(lists, face, node) for node in row]
        np.testing.assert_allclose(overlaps[face, : len(row)], wanted, rtol=1e-6)
        assert not overlaps[face, len(row) :].any()
        assert not probabilities[face, len(row) :].any()


@pytest.mark.parametrize("graph", GRAPHS)
def test_weights_of_a_list_sum_to_1(graph):
    np.testing.assert_allclose(list_weights(graph).sum(axis=1), 1, rtol=1e-12)


def test_a_cut_graph_holds_the_neighbours_from_a_cosine_on():
    graph = GRAPHS[0]
    cut = cut_graph(graph, 0.5)
    expected = [
        [node for node, cosine in zip(row, cosines, strict=False) if cosine >= 0.5]
        for row, cosines in zip(neighbor_lists(graph), graph.similarities.tolist(), strict=True)
    ]
    assert neighbor_lists(cut) == expected
    assert 0 < sum(map(len, expected)) < sum(map(len, neighbor_lists(graph)))
