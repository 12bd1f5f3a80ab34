import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from facelink.errors import InputError
from facelink.link_prediction import predict_likelihoods
from facelink.models.checkpoint import import_checkpoint
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from tests.helpers import clustered_features, neighbor_lists
from tests.reference.link_gcn import authors_scores

SCORE_TOLERANCE = 1e-5
"""What the conversion promises for softmax scores."""

D = 48
WIDTHS = (512, 512, 256, 256)


def authors_state(n_features=D, widths=WIDTHS, seed=0):
    """Weights of the authors' network, made up at the scale of trained ones."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale=1.0):
        return scale * torch.randn(*shape, generator=generator)

    state = OrderedDict()
    state["bn0.running_mean"] = normal(n_features, scale=0.02)
    state["bn0.running_var"] = (1 + torch.rand(n_features, generator=generator)) / n_features
    state["bn0.num_batches_tracked"] = torch.tensor(1234)
    for layer, (d_in, d_out) in enumerate(zip((n_features, *widths), widths, strict=False), 1):
        state[f"conv{layer}.weight"] = normal(2 * d_in, d_out, scale=(2 / (d_in + d_out)) ** 0.5)
        state[f"conv{layer}.bias"] = normal(d_out, scale=0.1)
    last = widths[-1]
    state["classifier.0.weight"] = normal(last, last, scale=last**-0.5)
    state["classifier.0.bias"] = normal(last, scale=0.1)
    state["classifier.1.weight"] = 0.25 + normal(last, scale=0.1)
    state["classifier.2.weight"] = normal(2, last, scale=last**-0.5)
    state["classifier.2.bias"] = normal(2, scale=0.1)
    return state


def save(path, state, prefix="", **options):
    named = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
    torch.save({"state_dict": named, "epoch": 3}, path, **options)
    return path


@pytest.fixture
def checkpoint(tmp_path):
    return save(tmp_path / "best.ckpt", authors_state())


class TestScores:
    @pytest.mark.parametrize(
        ("k_at_hop", "n_edge_neighbors"), [((12, 3), 3), ((20, 10), 5), ((8, 6), 1)]
    )
    def test_they_are_those_of_the_authors_network(self, checkpoint, k_at_hop, n_edge_neighbors):
        features, _ = clustered_features(12, 6, D)
        graph = find_neighbors(features, 20, "exact")
        model = import_checkpoint(checkpoint)
        settings = SubgraphSettings(k_at_hop, n_edge_neighbors, include_pivot=True)
        pivots = [0, 7, 31, 70]
        judged = predict_likelihoods(model, features, graph, settings, pivots=np.array(pivots))
        state, lists = authors_state(), neighbor_lists(graph)
        for row, pivot in zip(judged, pivots, strict=True):
            scores = authors_scores(state, features, lists, pivot, k_at_hop, n_edge_neighbors)
            np.testing.assert_allclose(row, scores[:, 1], rtol=0, atol=SCORE_TOLERANCE)
        assert np.ptp(judged) > 0.05  # the comparison sees links that differ

    def test_the_model_is_set_to_include_the_pivot_and_to_judge(self, checkpoint):
        model = import_checkpoint(checkpoint)
        assert model.config.subgraphs == SubgraphSettings(include_pivot=True)
        assert (model.config.aggregator, model.config.mean_normalization) == ("mean", "row")
        assert not model.training

    def test_a_converted_model_survives_its_folder(self, checkpoint, tmp_path):
        model = import_checkpoint(checkpoint)
        model.save_pretrained(tmp_path / "model")
        loaded = LinkGCN.from_pretrained(tmp_path / "model")
        assert loaded.config == model.config
        for name, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)


class TestForms:
    @pytest.mark.parametrize("prefix", ["", "module."])
    @pytest.mark.parametrize("new_format", [True, False])
    def test_files_of_old_and_new_torch_of_one_or_several_gpus(self, tmp_path, prefix, new_format):
        path = save(
            tmp_path / "best.ckpt",
            authors_state(),
            prefix,
            _use_new_zipfile_serialization=new_format,
        )
        state = import_checkpoint(path).state_dict()
        assert torch.equal(state["convs.3.weight"], authors_state()["conv4.weight"])
        assert torch.equal(state["input_norm.running_var"], authors_state()["bn0.running_var"])

    def test_a_bare_state_dict_without_the_counter_of_batches(self, tmp_path):
        state = authors_state()
        del state["bn0.num_batches_tracked"]
        torch.save(state, tmp_path / "best.ckpt")
        assert import_checkpoint(tmp_path / "best.ckpt").config.n_features == D

    @pytest.mark.parametrize(
        ("n_features", "widths"), [(1, WIDTHS), (7, (6, 5, 4, 3)), (512, WIDTHS), (9, (8, 4))]
    )
    def test_any_width_of_features_and_layers(self, tmp_path, n_features, widths):
        path = save(tmp_path / "best.ckpt", authors_state(n_features, widths))
        config = import_checkpoint(path).config
        assert (config.n_features, config.widths) == (n_features, widths)

    def test_weights_of_another_precision_become_float32(self, tmp_path):
        state = {name: value.double() for name, value in authors_state(7, (6, 5)).items()}
        weights = import_checkpoint(save(tmp_path / "best.ckpt", state)).state_dict()
        assert {value.dtype for value in weights.values()} == {torch.float32}


class OnLoading:
    """An object whose unpickling would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class TestRefusal:
    @pytest.mark.parametrize("with_torch", [True, False])
    def test_a_pickle_that_runs_code_is_refused_without_running_it(self, tmp_path, with_torch):
        trace, path = tmp_path / "it ran", tmp_path / "best.ckpt"
        content = {"state_dict": authors_state(), "epoch": OnLoading(trace)}
        if with_torch:
            torch.save(content, path)
        else:
            path.write_bytes(pickle.dumps(OnLoading(trace), protocol=2))
        with pytest.raises(InputError, match="Objects other than tensors are refused for safety"):
            import_checkpoint(path)
        assert not trace.exists()

    def test_that_pickle_would_run_code_elsewhere(self, tmp_path):
        """Else the test above proves nothing."""
        pickle.loads(pickle.dumps(OnLoading(tmp_path / "it ran"), protocol=2))
        assert (tmp_path / "it ran").exists()

    @pytest.mark.parametrize("new_format", [True, False])
    def test_a_truncated_file(self, tmp_path, new_format):
        path = save(
            tmp_path / "best.ckpt",
            authors_state(7, (6, 5)),
            _use_new_zipfile_serialization=new_format,
        )
        whole = path.read_bytes()
        for n_bytes in range(1, len(whole) - 1, len(whole) // 50):
            path.write_bytes(whole[:n_bytes])
            with pytest.raises(InputError, match=r"best\.ckpt: not a (readable )?torch file"):
                import_checkpoint(path)

    @pytest.mark.parametrize("content", [b"x", b"\x80", b"\x80\x02.", b"PK\x03\x04", b"\x80\x02}q"])
    def test_a_file_of_something_else(self, tmp_path, content):
        (tmp_path / "best.ckpt").write_bytes(content)
        with pytest.raises(InputError, match=r"not a (readable )?torch file"):
            import_checkpoint(tmp_path / "best.ckpt")

    @pytest.mark.parametrize(
        "content", [[torch.zeros(2)], {"state_dict": {"a": 3}}, {"epoch": 3}, {"state_dict": 5}]
    )
    def test_a_torch_file_without_a_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "best.ckpt")
        with pytest.raises(InputError, match="holds no state_dict of tensors"):
            import_checkpoint(tmp_path / "best.ckpt")

    @pytest.mark.parametrize("name", [n for n in authors_state() if "tracked" not in n])
    def test_a_missing_tensor_is_named(self, tmp_path, name):
        state = authors_state(7, (6, 5, 4, 3))
        del state[name]
        with pytest.raises(InputError, match=f"tensor '{name}' is missing"):
            import_checkpoint(save(tmp_path / "best.ckpt", state))

    def test_a_missing_layer_is_named(self, tmp_path):
        state = authors_state(7, (6, 5, 4, 3))
        del state["conv2.weight"], state["conv2.bias"]
        with pytest.raises(InputError, match=r"tensor 'conv2\.bias' is missing"):
            import_checkpoint(save(tmp_path / "best.ckpt", state))

    @pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64])
    def test_numbers_that_torch_hardly_computes_with_are_refused(self, tmp_path, dtype):
        state = authors_state(7, (6, 5))
        state["conv1.bias"] = torch.zeros(6).to(dtype)
        with pytest.raises(InputError, match=r"'conv1\.bias' is no plain tensor of numbers"):
            import_checkpoint(save(tmp_path / "best.ckpt", state))

    @pytest.mark.parametrize("name", ["conv0.weight", "fc.weight", "conv1.weight_orig"])
    def test_an_unknown_tensor_is_named(self, tmp_path, name):
        state = authors_state(7, (6, 5)) | {name: torch.zeros(2)}
        with pytest.raises(InputError, match=f"tensor '{name}' is unknown"):
            import_checkpoint(save(tmp_path / "best.ckpt", state))

    @pytest.mark.parametrize(
        ("name", "shape"),
        [("conv1.weight", (13, 6)), ("bn0.running_var", (8,)), ("classifier.2.weight", (3, 5))],
    )
    def test_a_tensor_of_another_shape_is_named(self, tmp_path, name, shape):
        state = authors_state(7, (6, 5)) | {name: torch.zeros(shape)}
        with pytest.raises(InputError, match=rf"tensor '{name}' has shape \({shape[0]},"):
            import_checkpoint(save(tmp_path / "best.ckpt", state))

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"checkpoint .*best\.ckpt: no such file"):
            import_checkpoint(tmp_path / "best.ckpt")
