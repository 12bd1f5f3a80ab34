from dataclasses import replace

import pytest
import torch

from facelink.calibration import Calibration
from facelink.errors import InputError
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.state import (
    EpochScores,
    Progress,
    fingerprint,
    restore_state,
    save_state,
)
from facelink.training.validation import RegimeScores, ValidationScores
from tests.helpers import clustered_features

CONFIG = LinkGCNConfig(8, (4, 4))
SETTINGS = TrainingSettings()
FACES = FaceSet("set", *clustered_features(4, 3, 8))
OTHERS = FaceSet("others", *clustered_features(4, 3, 8, seed=1))
RUN = fingerprint(CONFIG, SETTINGS, [FACES], [OTHERS])


def scores(best_bcubed_f, average_precision=0.5, bcubed_f=0.4):
    regime = RegimeScores(
        "set / natural", 100, 0.7, 0.1, 0.2, average_precision, 0.9, bcubed_f, 0.3
    )
    return EpochScores(0.6, ValidationScores((regime,), 0.55, best_bcubed_f, Calibration()))


def optimizers(model):
    parameters = model.parameters()
    return {
        "sgd": lambda: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        "sgd without momentum": lambda: torch.optim.SGD(parameters, lr=0.1),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=0.1),
    }


def step(model, optimizer):
    """A step along gradients that depend on the weights."""
    optimizer.zero_grad()
    sum((value**3).sum() + value.sum() for value in model.parameters()).backward()
    optimizer.step()


class TestProgress:
    def test_the_loss_is_the_mean_over_pivots(self):
        progress = Progress()
        assert progress.mean_loss == 0
        progress.count(2.0, 3)
        progress.count(6.0, 1)
        assert progress.mean_loss == 3.0
        assert progress.pivots_done == 4

    def test_an_epoch_begins_anew_and_the_run_goes_on(self):
        progress = Progress()
        progress.count(2.0, 3)
        progress.end_epoch(scores(0.5))
        progress.count(1.0, 3)
        assert progress.mean_loss == 1.0
        assert progress.pivots_done == 6
        assert progress.history == [scores(0.5)]

    @pytest.mark.parametrize(
        ("history", "best"),
        [
            ([scores(0.5), scores(0.8), scores(0.7)], 2),
            ([scores(0.8), scores(0.8)], 1),
            ([scores(0.8, 0.3), scores(0.8, 0.4)], 2),
            ([scores(0.8, bcubed_f=0.79), scores(0.81, bcubed_f=0.78)], 2),
        ],
        ids=[
            "best clustering",
            "the first of equals",
            "equal clustering, better ranking",
            "best at its best threshold",
        ],
    )
    def test_the_best_epoch(self, history, best):
        assert Progress(history=history).best_epoch == best


class TestFingerprint:
    def test_the_same_run_has_the_same(self):
        assert fingerprint(CONFIG, SETTINGS, [FACES], [OTHERS]) == RUN

    def test_the_name_of_a_file_does_not_matter(self):
        renamed = replace(FACES, name="elsewhere/set")
        assert fingerprint(CONFIG, SETTINGS, [renamed], [OTHERS]) == RUN

    def test_one_value_of_the_data_matters(self):
        features, labels = FACES.features.copy(), FACES.labels.copy()
        features[2, 1] += 1e-6
        labels[2] += 1
        for changed in (replace(FACES, features=features), replace(FACES, labels=labels)):
            other = fingerprint(CONFIG, SETTINGS, [changed], [OTHERS])
            assert {part for part in RUN if RUN[part] != other[part]} == {"training"}


class TestRestoring:
    @pytest.mark.parametrize("name", optimizers(LinkGCN(CONFIG)))
    def test_the_run_goes_on_exactly_where_it_was(self, tmp_path, name):
        model, other = LinkGCN(CONFIG), LinkGCN(CONFIG)
        optimizer, new_optimizer = optimizers(model)[name](), optimizers(other)[name]()
        progress = Progress(n_rounds=3)
        progress.count(0.1, 7)
        progress.end_epoch(scores(0.3))
        progress.count(0.7, 5)
        for _ in range(3):
            step(model, optimizer)
        model.input_norm.running_mean += 0.25
        save_state(tmp_path / "state", model, optimizer, progress, RUN)
        restored = restore_state(tmp_path / "state", other, new_optimizer, RUN)
        assert restored == progress
        step(model, optimizer)
        step(other, new_optimizer)
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key

    def test_losses_come_back_to_the_last_bit(self, tmp_path):
        model = LinkGCN(CONFIG)
        progress = Progress(epoch_loss=1 / 3 + 1e-15, epoch_pivots=1)
        optimizer = optimizers(model)["sgd"]()
        save_state(tmp_path / "state", model, optimizer, progress, RUN)
        assert restore_state(tmp_path / "state", model, optimizer, RUN).epoch_loss == 1 / 3 + 1e-15


class TestRefusal:
    @pytest.fixture
    def state(self, tmp_path):
        model = LinkGCN(CONFIG)
        save_state(tmp_path / "state", model, optimizers(model)["sgd"](), Progress(), RUN)
        return tmp_path / "state"

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"config": LinkGCNConfig(8, (4, 5))}, "config"),
            ({"settings": TrainingSettings(epochs=9)}, "settings"),
            ({"face_sets": [OTHERS]}, "training"),
            ({"face_sets": [FACES, OTHERS]}, "training"),
            ({"validation_sets": []}, "validation"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_another_run(self, state, changes, part):
        same = {
            "config": CONFIG,
            "settings": SETTINGS,
            "face_sets": [FACES],
            "validation_sets": [OTHERS],
        }
        model = LinkGCN(CONFIG)
        with pytest.raises(
            InputError, match=rf"(?s)another run .{part}.* there, .* same data and setti"
        ):
            restore_state(state, model, optimizers(model)["sgd"](), fingerprint(**(same | changes)))

    def test_a_file_of_something_else(self, tmp_path):
        model = LinkGCN(CONFIG)
        model.save_pretrained(tmp_path)
        with pytest.raises(InputError, match="not a training state; train without --resume"):
            restore_state(tmp_path / "model.safetensors", model, optimizers(model)["sgd"](), RUN)

    def test_a_truncated_file(self, state):
        state.write_bytes(state.read_bytes()[:-10])
        model = LinkGCN(CONFIG)
        with pytest.raises(InputError, match=r"training state .* may be truncated"):
            restore_state(state, model, optimizers(model)["sgd"](), RUN)
