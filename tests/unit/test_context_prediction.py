import numpy as np
import pytest
import torch

from facelink.context.features import ContextFeatures
from facelink.context.impostors import ImpostorStatistics
from facelink.context_prediction import predict_context_likelihoods
from facelink.errors import InputError
from facelink.link_prediction import combine_directions
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import MISSING, NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBuilder
from tests.helpers import clustered_features, unit_rows

FEATURES, LABELS = clustered_features(n_people=40, faces_each=8, n_features=64, spread=0.8)
GRAPH = find_neighbors(FEATURES, 24)


@pytest.fixture(scope="module")
def model():
    return ContextGCN.pretrained()


def judged(model, features, k=80):
    """Likelihoods of a collection's neighbours, however few there are, and the graph."""
    graph = find_neighbors(features, min(k, len(features) - 1))
    return predict_context_likelihoods(model, features, graph, k), graph


def test_one_pivot_at_a_time_by_hand(model):
    found = predict_context_likelihoods(model, FEATURES, GRAPH, 24)
    context = ContextFeatures(GRAPH, 24, ImpostorStatistics.of(FEATURES))
    builder = SubgraphBuilder(GRAPH, model.config.subgraphs_at(24))
    for pivot in (0, 17, 319):
        batch = builder.build([pivot])
        adjacency = SparseAdjacency.from_edges(batch.indptr, batch.columns, torch.device("cpu"))
        with torch.inference_mode():
            log_odds = model(torch.from_numpy(context.of(np.array([pivot]))[0]), adjacency)
        np.testing.assert_allclose(found[pivot], torch.sigmoid(log_odds), atol=1e-5)


def test_people_are_told_apart(model):
    found = predict_context_likelihoods(model, FEATURES, GRAPH, 24)
    is_linked = LABELS[GRAPH.indices] == LABELS[:, None]
    assert found.dtype == np.float32
    assert ((found > 0.5) == is_linked).mean() > 0.98


def test_an_embedder_that_is_not_centred(model):
    """A constant takes the mean to length 0.9: strangers then have cosines near 0.8."""
    offset = 2 * unit_rows(np.random.default_rng(3).normal(size=(1, 64)))
    found, graph = judged(model, unit_rows(FEATURES + offset), 24)
    is_linked = LABELS[graph.indices] == LABELS[:, None]
    assert ((found > 0.5) == is_linked).mean() > 0.98


def test_batches_change_nothing(model, monkeypatch):
    expected = predict_context_likelihoods(model, FEATURES, GRAPH, 24)
    monkeypatch.setattr("facelink.context_prediction._NODES_PER_BATCH", 24 * 7)
    done = []
    found = predict_context_likelihoods(model, FEATURES, GRAPH, 24, progress=done.append)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert sum(done) == len(FEATURES)
    assert max(done) == 7


def test_missing_neighbours_are_nan(model):
    is_kept = np.arange(24) < np.random.default_rng(0).integers(0, 25, (len(FEATURES), 1))
    graph = NeighborGraph(
        np.where(is_kept, GRAPH.indices, MISSING).astype(np.int32),
        np.where(is_kept, GRAPH.similarities, -np.inf).astype(np.float32),
    )
    found = predict_context_likelihoods(model, FEATURES, graph, 24)
    np.testing.assert_array_equal(np.isnan(found), ~is_kept)
    assert len(combine_directions(graph, found)) > 0


@pytest.mark.parametrize("n_faces", [2, 3, 10, 60])
def test_few_faces_have_few_neighbours(model, n_faces):
    found, _ = judged(model, FEATURES[:n_faces])
    assert found.shape == (n_faces, n_faces - 1)
    assert np.isfinite(found).all()


def test_one_face_has_none(model):
    alone = NeighborGraph(np.empty((1, 0), dtype=np.int32), np.empty((1, 0), dtype=np.float32))
    assert predict_context_likelihoods(model, FEATURES[:1], alone, 80).shape == (1, 0)


def test_exact_duplicates_are_linked(model):
    strangers = unit_rows(np.random.default_rng(0).normal(size=(100, 128)))
    found, graph = judged(model, np.repeat(strangers, 3, axis=0), 40)
    is_duplicate = graph.indices // 3 == np.arange(300)[:, None] // 3
    assert found[is_duplicate].min() > 0.5
    assert found[~is_duplicate].max() < 0.5


def test_all_strangers_have_no_links(model):
    strangers = unit_rows(np.random.default_rng(0).normal(size=(150, 128)))
    assert judged(model, strangers)[0].max() < 0.5


def test_the_order_of_the_faces_does_not_matter(model):
    faces = FEATURES[:120]
    order = np.random.default_rng(0).permutation(len(faces))
    expected, graph = judged(model, faces, 20)
    found, shuffled = judged(model, faces[order], 20)
    np.testing.assert_array_equal(order[shuffled.indices], graph.indices[order])
    np.testing.assert_allclose(found, expected[order], atol=1e-4)


def test_no_neighbours_asked_for(model):
    with pytest.raises(InputError, match="k=0; judge at least 1 neighbour"):
        predict_context_likelihoods(model, FEATURES, GRAPH, 0)


def test_a_graph_of_other_faces(model):
    with pytest.raises(InputError, match="7 features but a neighbour graph of 320 instances"):
        predict_context_likelihoods(model, FEATURES[:7], GRAPH, 24)
