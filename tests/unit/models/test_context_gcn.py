import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelink.context.names import FEATURE_NAMES
from facelink.errors import InputError
from facelink.files import write_json
from facelink.models.aggregators import SparseAdjacency
from facelink.models.context_gcn import ContextGCN, ContextGCNConfig
from facelink.models.saved import CONFIG_NAME
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from tests.helpers import random_graph

TOLERANCE = 1e-5
"""Log-odds of order 1 after float32 layers of a few dozen terms, against float64."""


@pytest.fixture
def model():
    """A small network with nothing left at its initial value."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        made = ContextGCN(ContextGCNConfig(widths=(12, 8)))
        for value in made.state_dict().values():
            value += 0.2 * torch.rand(value.shape)
    return made.eval()


@pytest.fixture
def inputs():
    """Features and edges of three pivots' subgraphs."""
    graph = random_graph(30, 8, missing_share=0.2)
    batch = SubgraphBuilder(graph, SubgraphSettings((8,), 3)).build([4, 0, 21])
    features = np.random.default_rng(1).normal(size=(len(batch.nodes), len(FEATURE_NAMES)))
    adjacency = SparseAdjacency.from_edges(batch.indptr, batch.columns, torch.device("cpu"))
    return torch.from_numpy(features.astype(np.float32)), adjacency


def dense_log_odds(model, features, adjacency):
    """The network on a dense matrix in float64."""
    state = {name: value.double() for name, value in model.state_dict().items()}
    n = len(features)
    edges = torch.zeros((n, n), dtype=torch.float64)
    edges[adjacency.rows, adjacency.columns] = 1
    mean = edges / edges.sum(dim=1, keepdim=True).clamp(min=1)
    values = (features.double() - state["feature_mean"]) / state["feature_std"]
    values = torch.clip(values, -4, 4)
    for layer in range(len(model.config.widths)):
        both = torch.cat([values, mean @ values], dim=1)
        values = torch.relu(both @ state[f"convs.{layer}.weight"] + state[f"convs.{layer}.bias"])
    hidden = torch.relu(values @ state["hidden.weight"].T + state["hidden.bias"])
    return (hidden @ state["output.weight"].T + state["output.bias"])[:, 0]


def test_log_odds_against_the_dense_network(model, inputs):
    with torch.inference_mode():
        found = model(*inputs)
    expected = dense_log_odds(model, *inputs)
    torch.testing.assert_close(found.double(), expected, atol=TOLERANCE, rtol=TOLERANCE)


def test_unusual_features_are_cut(model, inputs):
    features, adjacency = inputs
    with torch.inference_mode():
        far, farther = model(features * 1e8, adjacency), model(features * 1e9, adjacency)
    torch.testing.assert_close(far, farther)


def test_recalibration_scales_and_shifts_the_log_odds(model, inputs):
    with torch.inference_mode():
        before = model(*inputs)
        model.recalibrate(0.5, -1.25)
        torch.testing.assert_close(model(*inputs), 0.5 * before - 1.25)


def test_saved_and_read_again(model, inputs, tmp_path):
    model.save_pretrained(tmp_path / "model")
    loaded = ContextGCN.from_pretrained(tmp_path / "model")
    assert loaded.config == model.config
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(*inputs), model(*inputs))


class TestPretrained:
    def test_it_is_small_and_ready(self, inputs):
        model = ContextGCN.pretrained()
        assert not model.training
        assert sum(value.numel() for value in model.parameters()) < 50_000
        with torch.inference_mode():
            assert torch.isfinite(model(*inputs)).all()

    def test_its_statistics_cover_every_feature(self):
        model = ContextGCN.pretrained()
        assert model.config.feature_names == FEATURE_NAMES
        assert (model.feature_std > 0.01).all()


class TestConfig:
    @pytest.mark.parametrize(("k", "n_edge_neighbors"), [(1, 1), (2, 2), (10, 3), (80, 10)])
    def test_edges_are_relative_to_k(self, k, n_edge_neighbors):
        settings = ContextGCNConfig().subgraphs_at(k)
        assert settings == SubgraphSettings((k,), n_edge_neighbors)

    def test_json_round_trip(self):
        config = ContextGCNConfig(widths=(5, 4), edge_share=3)
        assert ContextGCNConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"widths": ()}, "at least one width"),
            ({"widths": (8, 0)}, r"widths=\(8, 0\)"),
            ({"edge_share": 1.5}, r"edge_share=1\.5"),
            ({"feature_names": FEATURE_NAMES[:-1]}, r"differing or in another order: \['depth'\]"),
            ({"feature_names": FEATURE_NAMES[::-1]}, "use the version that trained the model"),
        ],
    )
    def test_values_that_are_no_config(self, changes, message):
        with pytest.raises(InputError, match=message):
            replace(ContextGCNConfig(), **changes)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model_type": "link_gcn"}, "this is another kind of model"),
            ({"depth": 3}, r"unknown keys \['depth'\]"),
            ({"widths": 7}, "a value is of the wrong type"),
        ],
    )
    def test_json_of_something_else(self, changes, message, model, tmp_path):
        model.save_pretrained(tmp_path)
        write_json(tmp_path / CONFIG_NAME, model.config.as_dict() | changes)
        with pytest.raises(InputError, match=message):
            ContextGCN.from_pretrained(tmp_path)

    def test_weights_of_other_widths(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        write_json(tmp_path / CONFIG_NAME, model.config.as_dict() | {"widths": [12, 9]})
        with pytest.raises(InputError, match="the two files do not belong together"):
            ContextGCN.from_pretrained(tmp_path)

    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError, match="make one with facelink train-context"):
            ContextGCN.from_pretrained(tmp_path / "nowhere")
