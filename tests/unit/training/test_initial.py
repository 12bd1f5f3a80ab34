import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from facelink.models.aggregators import Aggregator
from facelink.models.config import LinkGCNConfig
from facelink.models.layers import LinkInput
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings, order_by_need
from facelink.training.face_sets import Collection, FaceSet
from facelink.training.initial import start_from_similarity
from tests.helpers import clustered_features

D = 16
SUBGRAPHS = SubgraphSettings((12, 3), 3)
CLOSE_TO_COSINE = 0.03
"""The first layer sums |projections|, not their squares: a few per cent off the length."""


def batches_of(people, n_layers):
    """One batch with every face as a pivot, and the class of each 1-hop node."""
    collection = Collection.of(people, SUBGRAPHS)
    batch = SubgraphBuilder(collection.graph, SUBGRAPHS).build(np.arange(len(people)))
    rows = batch.one_hop_rows
    is_linked = collection.is_linked(batch.pivots[batch.owners[rows]], batch.nodes[rows])
    inputs = LinkInput.from_needed(order_by_need(batch, n_layers), people.features)
    similarities = collection.graph.similarities[:, :12].ravel()
    return [(inputs, torch.from_numpy(is_linked.astype(np.int64)))], similarities


PEOPLE = FaceSet("people", *clustered_features(30, 6, D, spread=0.7))


def started(widths=(64, 32, 16), aggregator: Aggregator = "mean", people=PEOPLE, seed=0):
    torch.manual_seed(0)
    model = LinkGCN(LinkGCNConfig(D, widths, aggregator, subgraphs=SUBGRAPHS))
    batches, similarities = batches_of(people, len(widths))
    start_from_similarity(model, batches, seed)
    return model, batches[0], similarities


@pytest.mark.parametrize("aggregator", ["mean", "weighted", "attention"])
@pytest.mark.parametrize("widths", [(64, 32, 16), (33, 8), (32,)])
def test_an_untrained_model_ranks_links_about_as_cosine_does(widths, aggregator):
    model, (inputs, is_linked), similarities = started(widths, aggregator)
    with torch.no_grad():
        judged = torch.softmax(model.train()(inputs), dim=1)[:, 1]
    by_model = average_precision_score(is_linked, judged)
    by_cosine = average_precision_score(is_linked, similarities)
    assert by_model > by_cosine - CLOSE_TO_COSINE
    assert 0.5 < by_cosine < 0.9999


def test_xavier_weights_do_not_rank_links_so():
    torch.manual_seed(0)
    model = LinkGCN(LinkGCNConfig(D, (64, 32, 16), subgraphs=SUBGRAPHS))
    batches, similarities = batches_of(PEOPLE, 3)
    inputs, is_linked = batches[0]
    with torch.no_grad():
        judged = torch.softmax(model.train()(inputs), dim=1)[:, 1]
    by_cosine = average_precision_score(is_linked, similarities)
    assert average_precision_score(is_linked, judged) < by_cosine - 2 * CLOSE_TO_COSINE


def test_the_output_begins_calibrated():
    model, (inputs, is_linked), _ = started()
    with torch.no_grad():
        judged = torch.softmax(model.train()(inputs), dim=1)[:, 1]
    assert abs(float(judged.mean()) - float(is_linked.float().mean())) < 0.1


def test_the_first_layer_holds_orthonormal_directions_and_their_opposites():
    weight = started(widths=(2 * D, 8))[0].state_dict()["convs.0.weight"]
    own, neighbors = weight.chunk(2)
    torch.testing.assert_close(own[:, :D].T @ own[:, :D], torch.eye(D), atol=1e-5, rtol=0)
    torch.testing.assert_close(own[:, D:], -own[:, :D])
    assert not neighbors.any()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, same, other = (started(seed=seed)[0].state_dict() for seed in (3, 3, 4))
    for name, value in first.items():
        assert torch.equal(value, same[name])
    assert not torch.equal(first["convs.0.weight"], other["convs.0.weight"])


def test_gradients_reach_every_weight():
    model, (inputs, is_linked), _ = started()
    torch.nn.functional.cross_entropy(model.train()(inputs), is_linked).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_pivots_whose_links_are_all_of_one_class_begin_at_a_usual_scale():
    strangers = FaceSet("strangers", PEOPLE.features, np.arange(len(PEOPLE)))
    model = started(people=strangers)[0]
    weight = model.state_dict()["classifier.2.weight"]
    assert weight[0, 0] > 0 > weight[1, 0]
