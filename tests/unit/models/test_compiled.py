import concurrent.futures

import numpy as np
import pytest
import torch

from facelink.models import compiled
from facelink.models.compiled import CompiledLinkGCN, projected_bytes
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings, order_by_need
from tests.helpers import AGGREGATORS, clustered_features, random_graph, random_model

LIKELIHOOD_TOLERANCE = 2e-6
"""Likelihoods of float32 logits of order 1 that differ in the order of their sums."""

BFLOAT16_TOLERANCE = 0.03
"""Eight bits of each factor: logits of order 1 are off by a hundredth or two."""

N = 40
D = 16
FEATURES, _ = clustered_features(8, 5, D)


def duplicated():
    """Features of which every row stands there twice, with their exact neighbours."""
    features = np.repeat(FEATURES[: N // 2], 2, axis=0)
    return features, find_neighbors(features, 8)


COLLECTIONS = {
    "plain": (FEATURES, random_graph(N, 8)),
    "isolated nodes": (FEATURES, random_graph(N, 8, missing_share=0.6)),
    "hubs": (FEATURES, random_graph(N, 8, missing_share=0.2, n_hubs=3)),
    "duplicates": duplicated(),
}


def needed_of(graph, settings, n_layers, pivots=range(N)):
    return order_by_need(SubgraphBuilder(graph, settings).build(list(pivots)), n_layers)


@torch.inference_mode()
def by_link_gcn(model, features, graph, settings):
    batch = SubgraphBuilder(graph, settings).build(range(N))
    return torch.softmax(model(model.inputs(batch, features)), dim=1)[:, 1].numpy()


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("include_pivot", [False, True])
@pytest.mark.parametrize("k_at_hop", [(6,), (6, 4), (4, 3, 2)])
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_it_judges_as_the_model_does(aggregator, k_at_hop, include_pivot, collection):
    features, graph = COLLECTIONS[collection]
    settings = SubgraphSettings(k_at_hop, 2, include_pivot)
    model = random_model(aggregator, D, settings)
    expected = by_link_gcn(model, features, graph, settings)
    judged = CompiledLinkGCN(model, features).judge(needed_of(graph, settings, model.n_layers))
    assert judged.dtype == np.float32
    assert expected.std() > 1000 * LIKELIHOOD_TOLERANCE
    np.testing.assert_allclose(judged, expected, rtol=0, atol=LIKELIHOOD_TOLERANCE)


SETTINGS = SubgraphSettings((6, 4), 3)
GRAPH = random_graph(N, 8, missing_share=0.3, n_hubs=2)


@pytest.mark.parametrize("in_bfloat16", [False, True])
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_features_that_are_projected_batch_by_batch_give_the_same(aggregator, in_bfloat16):
    model = random_model(aggregator, D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers)
    n_bytes = projected_bytes(model, N, in_bfloat16)
    at_once, by_batches = (
        CompiledLinkGCN(model, FEATURES, in_bfloat16, room) for room in (n_bytes, n_bytes - 1)
    )
    assert at_once._table.values.nbytes == n_bytes
    assert by_batches._table is None
    np.testing.assert_allclose(
        by_batches.judge(needed), at_once.judge(needed), rtol=0, atol=LIKELIHOOD_TOLERANCE
    )


def test_the_collection_is_projected_in_blocks(monkeypatch):
    model = random_model("mean", D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers)
    expected = CompiledLinkGCN(model, FEATURES).judge(needed)
    monkeypatch.setattr(compiled, "_BLOCK_ROWS", 7)
    judged = CompiledLinkGCN(model, FEATURES).judge(needed)
    np.testing.assert_allclose(judged, expected, rtol=0, atol=LIKELIHOOD_TOLERANCE)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_bfloat16_is_close_and_not_the_same(aggregator):
    model = random_model(aggregator, D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers)
    exact = CompiledLinkGCN(model, FEATURES).judge(needed)
    rounded = CompiledLinkGCN(model, FEATURES, in_bfloat16=True).judge(needed)
    difference = np.abs(rounded - exact).max()
    assert LIKELIHOOD_TOLERANCE < difference < BFLOAT16_TOLERANCE


@pytest.mark.parametrize("length", [1e-3, 1, 30])
def test_features_of_any_length_are_projected_in_16_bits(length):
    model = random_model("mean", D, SETTINGS)
    features = np.float32(length) * FEATURES
    exact, rounded = (CompiledLinkGCN(model, features, in16) for in16 in (False, True))
    assert exact._table.values.dtype == np.float32
    assert rounded._table.values.dtype == np.int16
    everyone = np.arange(N)
    expected = exact._table.rows(everyone)
    largest = np.abs(expected).max(axis=0)
    difference = np.abs(rounded._table.rows(everyone) - expected).max(axis=0)
    assert (difference < largest / 5_000).all()
    assert (difference > 0).any()


def test_a_column_of_zeros_is_projected_to_zeros():
    model = random_model("mean", D, SETTINGS)
    with torch.no_grad():
        model.layers[0].weight[:, 3] = 0.0
    table = CompiledLinkGCN(model, FEATURES, in_bfloat16=True)._table
    assert not table.rows(np.arange(N))[:, 3].any()


def test_one_layer():
    settings = SubgraphSettings((6, 4), 3)
    model = LinkGCN(LinkGCNConfig(n_features=D, widths=(24,), subgraphs=settings)).eval()
    expected = by_link_gcn(model, FEATURES, GRAPH, settings)
    needed = needed_of(GRAPH, settings, model.n_layers)
    judged = CompiledLinkGCN(model, FEATURES).judge(needed)
    np.testing.assert_allclose(judged, expected, rtol=0, atol=LIKELIHOOD_TOLERANCE)
    rounded = CompiledLinkGCN(model, FEATURES, in_bfloat16=True).judge(needed)
    np.testing.assert_allclose(rounded, expected, rtol=0, atol=BFLOAT16_TOLERANCE)


@pytest.mark.parametrize("n_pivots", [1, 5, N])
def test_in_bfloat16_products_have_few_numbers_of_rows(n_pivots, monkeypatch):
    model = random_model("mean", D, SETTINGS)
    judge = CompiledLinkGCN(model, FEATURES, in_bfloat16=True)
    n_rows, times = [], CompiledLinkGCN._times

    def noted(*given):
        products = times(*given)
        n_rows.append(len(products.tensor))
        return products

    monkeypatch.setattr(CompiledLinkGCN, "_times", noted)
    judge.judge(needed_of(GRAPH, SETTINGS, model.n_layers, range(n_pivots)))
    assert len(n_rows) == model.n_layers
    assert all(n > 0 and n % 64 == 0 for n in n_rows)


@pytest.mark.parametrize("in_bfloat16", [False, True])
def test_threads_do_not_disturb_each_other(in_bfloat16):
    model = random_model("attention", D, SETTINGS)
    judge = CompiledLinkGCN(model, FEATURES, in_bfloat16)
    batches = [needed_of(GRAPH, SETTINGS, model.n_layers, [pivot, 0]) for pivot in range(N)]
    expected = [judge.judge(needed) for needed in batches]
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        for judged, alone in zip(executor.map(judge.judge, batches), expected, strict=True):
            np.testing.assert_array_equal(judged, alone)


def test_no_pivots():
    model = random_model("mean", D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers, [])
    assert CompiledLinkGCN(model, FEATURES).judge(needed).shape == (0,)


def test_later_changes_of_the_models_first_layer_do_not_matter():
    """Its matrices are folded with the input norm; judging needs one model throughout."""
    model = random_model("mean", D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers)
    judge = CompiledLinkGCN(model, FEATURES)
    before = judge.judge(needed)
    with torch.no_grad():
        model.layers[0].weight.mul_(2)
    np.testing.assert_array_equal(judge.judge(needed), before)


def test_bfloat16_gives_nearly_the_same_on_processors_with_and_without_it(monkeypatch):
    """Both round factors and products alike and differ in the order of float32 sums."""
    model = random_model("mean", D, SETTINGS)
    needed = needed_of(GRAPH, SETTINGS, model.n_layers)
    judged = []
    for has_bfloat16 in (True, False):
        monkeypatch.setattr(compiled, "runs_in_bfloat16", lambda *_, has=has_bfloat16: has)
        judged.append(CompiledLinkGCN(model, FEATURES, in_bfloat16=True).judge(needed))
    exact = CompiledLinkGCN(model, FEATURES).judge(needed)
    assert np.abs(judged[0] - judged[1]).max() < np.abs(judged[0] - exact).max()
