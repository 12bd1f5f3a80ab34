import numpy as np

from facelink.baselines.view import N_NEIGHBORS, NEIGHBORS, FaceView, edges
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features, graph_from_lists, random_graph
from tests.unit.baselines.helpers import FEATURES, easy_view


def test_the_graph_is_found_once_and_narrower_for_few_faces():
    view = FaceView(FEATURES)
    assert view.graph is view.graph
    assert view.graph.n_neighbors == len(FEATURES) - 1
    assert set(view.seconds) == {NEIGHBORS}


def test_a_given_graph_costs_nothing():
    graph = find_neighbors(FEATURES, 5)
    view = FaceView(FEATURES, graph)
    assert not view.uses_graph
    assert view.graph is graph
    assert view.uses_graph
    assert view.seconds == {}


def test_a_wider_graph_is_found_besides():
    view = FaceView(clustered_features(50, 2, 16)[0])
    assert view.graph_of(N_NEIGHBORS) is view.graph
    assert view.graph_of(N_NEIGHBORS + 5).n_neighbors == N_NEIGHBORS + 5


def test_a_shared_result_is_made_once():
    view, made = easy_view(), []
    for _ in range(2):
        assert view.shared("part", lambda: made.append(1) or "whole") == "whole"
    assert made == [1]


def test_seconds_of_a_stage_leave_out_the_stages_it_asked_for(monkeypatch):
    clock = iter([0.0, 10.0, 13.0, 20.0])
    monkeypatch.setattr("facelink.baselines.view.time.perf_counter", lambda: next(clock))
    view = FaceView(FEATURES)
    view.shared("outer", lambda: view.shared("inner", lambda: 1))
    assert view.seconds == {"inner": 3.0, "outer": 17.0}


def test_edges_are_the_listed_pairs_once_with_a_similarity():
    graph = graph_from_lists([[1, 2], [0], [3], []])
    pairs, similarities = edges(graph)
    assert pairs.tolist() == [[0, 1], [0, 2], [2, 3]]
    assert pairs.dtype == np.int32
    np.testing.assert_allclose(similarities, [0.9, 0.1, 0.9], rtol=1e-6)


def test_edges_of_a_random_graph_are_those_of_a_set():
    graph = random_graph(30, 6, missing_share=0.3)
    pairs, _ = edges(graph)
    wanted = {
        (min(face, node), max(face, node))
        for face, row in enumerate(graph.indices.tolist())
        for node in row
        if node >= 0
    }
    assert {tuple(pair) for pair in pairs.tolist()} == wanted
    assert len(pairs) == len(wanted)
