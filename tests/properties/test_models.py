from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphBatch, SubgraphBuilder, SubgraphSettings
from tests.helpers import AGGREGATORS, clustered_features, random_graph, random_model

LOGIT_TOLERANCE = 2e-5
"""Logits of order 1 after float32 layers; another order or number of rows rounds otherwise."""

N = 30
D = 8
FEATURES, _ = clustered_features(6, 5, D)

chosen_settings = st.builds(
    SubgraphSettings,
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(1, 6),
    st.booleans(),
)
aggregators = st.sampled_from(AGGREGATORS)
seeds = st.integers(0, 1000)
pivot_lists = st.lists(st.integers(0, N - 1), min_size=1, max_size=4)


def build(chosen: SubgraphSettings, seed: int, pivots: list[int]) -> SubgraphBatch:
    graph = random_graph(N, 6, seed, missing_share=0.3, n_hubs=seed % 3)
    return SubgraphBuilder(graph, chosen).build(pivots)


def reordered(batch: SubgraphBatch, order: np.ndarray) -> SubgraphBatch:
    """The same graph with its nodes in another order, each subgraph's within its own rows."""
    place = np.argsort(order)
    rows = [np.sort(place[batch.columns[batch.indptr[i] : batch.indptr[i + 1]]]) for i in order]
    return replace(
        batch,
        nodes=batch.nodes[order],
        hops=batch.hops[order],
        indptr=np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
        columns=np.concatenate([*rows, []]).astype(np.int32),
    )


@settings(deadline=None, max_examples=25)
@given(aggregators, chosen_settings, seeds, pivot_lists)
def test_the_order_of_further_nodes_does_not_matter(aggregator, chosen, seed, pivots):
    batch = build(chosen, seed, pivots)
    random = np.random.default_rng(seed)
    is_further = np.isin(np.arange(len(batch.nodes)), batch.one_hop_rows, invert=True)
    order = np.lexsort((np.where(is_further, 1 + random.random(len(is_further)), 0), batch.owners))
    model = random_model(aggregator, D, chosen)
    logits = model(model.inputs(batch, FEATURES))
    moved = model(model.inputs(reordered(batch, order), FEATURES))
    torch.testing.assert_close(moved, logits, rtol=0, atol=LOGIT_TOLERANCE)


@settings(deadline=None, max_examples=25)
@given(aggregators, chosen_settings, seeds, pivot_lists, pivot_lists)
def test_other_subgraphs_in_the_batch_do_not_matter(aggregator, chosen, seed, pivots, others):
    model = random_model(aggregator, D, chosen)
    together = build(chosen, seed, [*others, *pivots])
    logits = model(model.inputs(together, FEATURES))
    alone = model(model.inputs(build(chosen, seed, pivots), FEATURES))
    torch.testing.assert_close(
        logits[len(logits) - len(alone) :], alone, rtol=0, atol=LOGIT_TOLERANCE
    )


@settings(deadline=None, max_examples=25)
@given(aggregators, chosen_settings, seeds)
def test_faces_outside_the_subgraph_do_not_matter(aggregator, chosen, seed):
    batch = build(chosen, seed, [seed % N])
    inside = np.union1d(batch.nodes, batch.pivots)
    changed = FEATURES.copy()
    changed[np.setdiff1d(np.arange(N), inside)] = np.nan
    model = random_model(aggregator, D, chosen)
    expected = model(model.inputs(batch, FEATURES))
    assert torch.equal(model(model.inputs(batch, changed)), expected)


@settings(deadline=None, max_examples=25)
@given(aggregators, chosen_settings, seeds, pivot_lists)
def test_there_is_one_finite_pair_of_logits_per_one_hop_node(aggregator, chosen, seed, pivots):
    batch = build(chosen, seed, pivots)
    model = random_model(aggregator, D, chosen)
    logits = model(model.inputs(batch, FEATURES))
    assert logits.shape == (batch.n_one_hop.sum(), 2)
    assert logits.isfinite().all()


@settings(deadline=None, max_examples=15)
@given(aggregators, chosen_settings, seeds)
def test_a_model_comes_back_from_its_folder(tmp_path_factory, aggregator, chosen, seed):
    folder = tmp_path_factory.mktemp("model")
    model = random_model(aggregator, D, chosen, seed)
    model.save_pretrained(folder)
    loaded = LinkGCN.from_pretrained(folder)
    assert loaded.config == model.config
    weights = loaded.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
