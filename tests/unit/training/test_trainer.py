import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from facelink.errors import InputError, OutputError
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from facelink.synthetic import SyntheticSettings, make_faces
from facelink.training import trainer
from facelink.training.face_sets import FaceSet, split_by_identity
from facelink.training.rounds import TrainingRounds
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import (
    HISTORY_NAME,
    LAST_FOLDER,
    STATE_NAME,
    train_link_gcn,
)
from facelink.training.validation import validate
from tests.helpers import clustered_features

D = 16
SUBGRAPHS = SubgraphSettings((8, 3), 3)
CONFIG = LinkGCNConfig(D, (8, 8), subgraphs=SUBGRAPHS)
SETTINGS = TrainingSettings(
    subgraphs=SUBGRAPHS, epochs=2, batch_size=8, round_pivots=48, round_draws=2
)
FACES = FaceSet("set", *clustered_features(20, 6, D))
OTHERS = FaceSet("others", *clustered_features(15, 8, D, seed=1))
ROOT = Path(__file__).parents[3]

BFLOAT16_TOLERANCE = 0.02
"""bfloat16 keeps 8 bits: losses near 0.7 agree to about two digits."""


class StopRunError(Exception):
    """Stands for whatever ends a run from outside."""


def stop(*_):
    """What `on_step` and `on_epoch` may be to end the run when they are first called."""
    raise StopRunError("stopped from outside")


def train(out, settings=SETTINGS, face_sets=(FACES,), config=CONFIG, **options):
    return train_link_gcn(face_sets, config, settings, out, **options)


def kill_after(n_steps):
    """What `on_step` may be to end the run after so many steps."""
    steps = []

    def on_step(step):
        steps.append(step)
        if len(steps) == n_steps:
            stop()

    return on_step


def weights(folder):
    return LinkGCN.from_pretrained(folder).state_dict()


def assert_same_outcome(one, other):
    """Two runs have left the same models, bit by bit, and the same scores."""
    for part in (".", LAST_FOLDER):
        first, second = weights(one / part), weights(other / part)
        for name, value in first.items():
            assert torch.equal(value, second[name]), f"{part}: {name}"
        configs = [(folder / part / "config.json").read_text() for folder in (one, other)]
        assert configs[0] == configs[1]
    assert (one / HISTORY_NAME).read_text() == (other / HISTORY_NAME).read_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder and report of an uninterrupted run with `SETTINGS`."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(folder)


class TestLearning:
    def test_the_loss_falls(self, trained_model):
        history = json.loads((trained_model / HISTORY_NAME).read_text())["epochs"]
        losses = [epoch["train_loss"] for epoch in history]
        assert losses[-1] < 0.25 * losses[0]

    def test_several_sets_train_together(self, tmp_path):
        report = train(tmp_path, face_sets=(FACES, OTHERS))
        names = [scores.regime for scores in report.best.validation.regimes]
        assert {name.partition(" / ")[0] for name in names} == {"set", "others", "all sets"}

    @pytest.mark.parametrize("aggregator", ["weighted", "attention"])
    def test_every_aggregator_is_trained(self, tmp_path, aggregator):
        config = replace(CONFIG, aggregator=aggregator)
        settings = replace(SETTINGS, epochs=1, initial_weights="xavier")
        train(tmp_path, settings, config=config)
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            initial = LinkGCN(config).state_dict()
        trained = weights(tmp_path)
        unchanged = [name for name, value in trained.items() if torch.equal(value, initial[name])]
        assert unchanged == []

    def test_it_is_worse_than_cosine_and_says_so(self, tmp_path):
        settings = replace(SETTINGS, epochs=1, learning_rate=1e-9, initial_weights="xavier")
        report = train(tmp_path, settings)
        validation = report.best.validation
        assert validation.average_precision < validation.cosine_average_precision
        assert "set / natural" in validation.worse_than_cosine

    def test_steps_and_epochs_are_told(self, tmp_path):
        steps, epochs = [], []
        report = train(
            tmp_path, on_step=steps.append, on_epoch=lambda number, _: epochs.append(number)
        )
        n_pivots = len(split_by_identity(FACES, SETTINGS.validation_share, SETTINGS.seed)[0])
        assert epochs == [1, 2]
        assert [step.epoch for step in steps] == sorted(step.epoch for step in steps)
        assert steps[-1].pivots_done == steps[-1].pivots_total == 2 * n_pivots
        first = [step for step in steps if step.epoch == 1]
        pivots = np.diff([0, *(step.pivots_done for step in first)])
        mean_loss = np.average([step.loss for step in first], weights=pivots)
        assert report.history[0].train_loss == pytest.approx(mean_loss)


class TestSteps:
    SETTINGS = replace(SETTINGS, initial_weights="xavier")

    def first_step(self, settings):
        """Logits and classes of the first step from random weights, computed from its parts."""
        kept, _ = split_by_identity(FACES, settings.validation_share, settings.seed)
        first = TrainingRounds([kept], settings)[0]
        faces, graph = first.collection.faces, first.collection.graph
        batch = SubgraphBuilder(graph, SUBGRAPHS).build(first.pivots[: settings.batch_size])
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)
            model = LinkGCN(CONFIG).train()
        logits = model(model.inputs(batch, faces.features))
        rows = batch.one_hop_rows
        pivots = batch.pivots[batch.owners[rows]]
        return logits, torch.from_numpy(faces.labels[pivots] == faces.labels[batch.nodes[rows]])

    def first_loss(self, tmp_path, settings):
        losses = []
        with pytest.raises(StopRunError, match="stopped from outside"):
            train(tmp_path, settings, on_step=lambda step: (losses.append(step.loss), stop()))
        return losses[0]

    def test_the_loss_is_cross_entropy_on_the_one_hop_nodes(self, tmp_path):
        logits, linked = self.first_step(self.SETTINGS)
        expected = functional.cross_entropy(logits, linked.long())
        assert self.first_loss(tmp_path, self.SETTINGS) == pytest.approx(expected.item(), rel=1e-5)

    def test_balanced_classes_weigh_the_same_in_the_loss(self, tmp_path):
        settings = replace(self.SETTINGS, class_weighting="balanced")
        logits, linked = self.first_step(settings)
        assert 0 < linked.sum() < len(linked) != 2 * linked.sum()
        losses = functional.cross_entropy(logits, linked.long(), reduction="none")
        expected = (losses[linked].mean() + losses[~linked].mean()) / 2
        assert self.first_loss(tmp_path, settings) == pytest.approx(expected.item(), rel=1e-5)

    def test_the_learning_rate_falls_tenfold_after_each_epoch(self, tmp_path, monkeypatch):
        rates, step = [], torch.optim.SGD.step
        momenta = set()

        def recorded(optimizer, *arguments, **options):
            rates.append(optimizer.param_groups[0]["lr"])
            momenta.add(optimizer.param_groups[0]["momentum"])
            return step(optimizer, *arguments, **options)

        monkeypatch.setattr(torch.optim.SGD, "step", recorded)
        train(tmp_path, replace(SETTINGS, epochs=3, learning_rate=0.01))
        per_epoch = len(rates) // 3
        assert rates == pytest.approx([0.01] * per_epoch + [1e-3] * per_epoch + [1e-4] * per_epoch)
        assert momenta == {SETTINGS.momentum}

    @pytest.mark.parametrize(
        ("optimizer", "limit", "expected"),
        [("sgd", 0.01, 0.01), ("sgd", inf, None), ("adamw", 0.01, None)],
    )
    def test_sgd_shortens_long_gradients(self, tmp_path, monkeypatch, optimizer, limit, expected):
        settings = replace(
            self.SETTINGS, optimizer=optimizer, max_gradient_norm=limit, class_weighting="balanced"
        )
        lengths = []

        def recorded(optimizer, *_arguments, **_options):
            every = [one.grad for group in optimizer.param_groups for one in group["params"]]
            lengths.append(float(torch.cat([one.reshape(-1) for one in every]).norm()))

        name = {"sgd": "SGD", "adamw": "AdamW"}[optimizer]
        monkeypatch.setattr(getattr(torch.optim, name), "step", recorded)
        self.first_loss(tmp_path, settings)
        if expected is None:
            assert lengths[0] > 0.05
        else:
            assert lengths[0] == pytest.approx(expected, rel=1e-3)

    def test_first_steps_do_not_throw_a_start_as_similarity_off(self, tmp_path):
        """People who are easily told apart make the start so steep that whole gradients would."""
        settings = SyntheticSettings(n_faces=600, n_features=64, singleton_share=0.02)
        faces = make_faces(settings, seed=1)
        face_sets = (FaceSet("easy", faces.features, faces.labels),)
        subgraphs = SubgraphSettings((20, 5), 5)
        config = LinkGCNConfig(64, (256, 256, 64, 64), subgraphs=subgraphs)
        worst = {}
        for limit in (1.0, inf):
            losses = []

            def note(step, losses=losses):
                losses.append(step.loss)
                if len(losses) == 10:
                    stop()

            settings = TrainingSettings(subgraphs=subgraphs, max_gradient_norm=limit)
            with pytest.raises(StopRunError):
                train(tmp_path / str(limit), settings, face_sets, config, on_step=note)
            assert losses[0] < 0.3
            worst[limit] = max(losses)
        assert worst[1.0] < 1 < 5 < worst[inf]

    @pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
    def test_bfloat16_trains_float32_weights(self, tmp_path, finished, optimizer):
        settings = replace(SETTINGS, optimizer=optimizer, learning_rate=1e-3)
        halved = replace(settings, precision="bfloat16")
        whole, half = (
            train(tmp_path / name, chosen).history[-1].train_loss
            for name, chosen in (("whole", settings), ("half", halved))
        )
        assert whole != half
        assert half == pytest.approx(whole, abs=BFLOAT16_TOLERANCE)
        for value in weights(tmp_path / "half").values():
            assert value.dtype == torch.float32
            assert value.isfinite().all()

    def test_a_loss_that_is_no_number_ends_the_run_before_anything_is_kept(self, tmp_path):
        message = r"training loss became .* at learning rate 1e.30; train with a lower one"
        with pytest.raises(InputError, match=message):
            train(tmp_path, replace(SETTINGS, learning_rate=1e30))
        assert not (tmp_path / "model.safetensors").exists()


class TestRepeatability:
    def test_the_same_seed_gives_the_same_weights(self, tmp_path, finished):
        report = train(tmp_path)
        assert report == finished[1]
        assert_same_outcome(tmp_path, finished[0])

    def test_the_state_of_torchs_generator_does_not_matter(self, tmp_path, finished):
        with torch.random.fork_rng():
            torch.manual_seed(1234)
            train(tmp_path)
        assert_same_outcome(tmp_path, finished[0])

    def test_another_seed_gives_others(self, tmp_path, finished):
        train(tmp_path, replace(SETTINGS, seed=1))
        first, second = weights(tmp_path), weights(finished[0])
        assert not torch.equal(first["convs.0.weight"], second["convs.0.weight"])


class TestResuming:
    N_STEPS = 24
    """Steps of the run: two epochs of two rounds of six steps."""

    @pytest.mark.parametrize("n_steps", [1, 6, 7, 11, 12, 13, 20, 24])
    def test_a_killed_run_goes_on_to_the_same_models(self, tmp_path, finished, n_steps):
        with pytest.raises(StopRunError, match="stopped from outside"):
            train(tmp_path, on_step=kill_after(n_steps))
        report = train(tmp_path, resume=True)
        assert report == finished[1]
        assert_same_outcome(tmp_path, finished[0])

    def test_the_number_of_steps_is_what_these_tests_take_it_for(self, tmp_path):
        steps = []
        train(tmp_path, on_step=steps.append)
        assert len(steps) == self.N_STEPS

    @pytest.mark.parametrize("schedule", ["step", "cosine"])
    def test_with_adamw_and_without_resampling(self, tmp_path, schedule):
        settings = replace(SETTINGS, optimizer="adamw", schedule=schedule, resample=False)
        train(tmp_path / "whole", settings)
        with pytest.raises(StopRunError, match="stopped from outside"):
            train(tmp_path / "killed", settings, on_step=kill_after(15))
        train(tmp_path / "killed", settings, resume=True)
        assert_same_outcome(tmp_path / "killed", tmp_path / "whole")

    def test_killed_while_validating(self, tmp_path, finished):
        with pytest.raises(StopRunError, match="stopped from outside"):
            train(tmp_path, on_epoch=stop)
        steps = []
        report = train(tmp_path, resume=True, on_step=steps.append)
        assert {step.epoch for step in steps} == {2}
        assert report == finished[1]
        assert_same_outcome(tmp_path, finished[0])

    def test_only_what_is_not_saved_is_done_again(self, tmp_path):
        with pytest.raises(StopRunError, match="stopped from outside"):
            train(tmp_path, on_step=kill_after(20))
        steps = []
        train(tmp_path, resume=True, on_step=steps.append)
        assert len(steps) == self.N_STEPS - 18

    def test_a_finished_run_is_left_as_it_is(self, tmp_path, finished):
        train(tmp_path)
        steps = []
        report = train(tmp_path, resume=True, on_step=steps.append)
        assert steps == []
        assert report == finished[1]
        assert_same_outcome(tmp_path, finished[0])

    def test_without_a_state_the_run_begins(self, tmp_path, finished):
        train(tmp_path, resume=True)
        assert_same_outcome(tmp_path, finished[0])

    def test_killed_by_the_system(self, tmp_path, finished):
        code = (
            "import os, signal, tests.conftest\n"
            "from tests.unit.training.test_trainer import train\n"
            "def on_step(step, seen=[]):\n"
            "    seen.append(step)\n"
            "    if len(seen) == 15:\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            f"train({str(tmp_path)!r}, on_step=on_step)\n"
        )
        killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / LAST_FOLDER / "training.json").exists()
        train(tmp_path, resume=True)
        assert_same_outcome(tmp_path, finished[0])


class TestOutput:
    def test_the_folder_holds_the_best_the_last_the_scores_and_the_state(self, finished):
        folder, report = finished
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
        assert files == {
            "config.json",
            "model.safetensors",
            "last/config.json",
            "last/model.safetensors",
            HISTORY_NAME,
            STATE_NAME,
        }
        history = json.loads((folder / HISTORY_NAME).read_text())
        assert history["best_epoch"] == report.best_epoch
        assert [epoch["train_loss"] for epoch in history["epochs"]] == [
            epoch.train_loss for epoch in report.history
        ]

    def test_each_model_starts_merging_where_its_validation_was_best(self, finished):
        folder, report = finished
        for part, scores in ((".", report.best), (LAST_FOLDER, report.history[-1])):
            config = LinkGCN.from_pretrained(folder / part).config
            calibration = scores.validation.calibration
            assert config == replace(
                CONFIG,
                initial_threshold=scores.validation.threshold,
                temperature=calibration.temperature,
                bias=calibration.bias,
            )

    def test_the_model_of_the_best_epoch_is_kept(self, tmp_path, monkeypatch):
        fscores, after_each = [0.3, 0.7, 0.5], []

        def validate_as_told(model, regimes):
            scores = validate(model, regimes)
            return replace(scores, best_bcubed_f=fscores[len(after_each)])

        monkeypatch.setattr(trainer, "validate", validate_as_told)
        report = train(
            tmp_path,
            replace(SETTINGS, epochs=3),
            on_epoch=lambda *_: after_each.append(weights(tmp_path / LAST_FOLDER)),
        )
        assert report.best_epoch == 2
        assert report.best == report.history[1]
        for name, value in weights(tmp_path).items():
            assert torch.equal(value, after_each[1][name]), name
        assert not torch.equal(after_each[1]["convs.0.weight"], after_each[2]["convs.0.weight"])

    def test_validation_sets_are_only_validated_on(self, tmp_path, finished):
        report = train(tmp_path, validation_sets=(OTHERS,))
        names = {scores.regime for scores in report.best.validation.regimes}
        assert {"set / natural", "others / natural", "all sets / mixed"} <= names
        first, second = weights(tmp_path / LAST_FOLDER), weights(finished[0] / LAST_FOLDER)
        assert all(torch.equal(first[name], second[name]) for name in first)


class TestRefusal:
    def test_a_folder_that_holds_a_run(self, finished):
        before = (finished[0] / STATE_NAME).read_bytes()
        message = "holds a training run already; go on with --resume, or choose another folder"
        with pytest.raises(InputError, match=message):
            train(finished[0])
        assert (finished[0] / STATE_NAME).read_bytes() == before

    @pytest.mark.parametrize(
        ("options", "part"),
        [
            ({"settings": replace(SETTINGS, learning_rate=0.5)}, "settings"),
            ({"config": replace(CONFIG, widths=(8, 9))}, "config"),
            ({"face_sets": (OTHERS,)}, "training"),
            ({"validation_sets": (OTHERS,)}, "validation"),
        ],
        ids=["settings", "model", "data", "validation data"],
    )
    def test_resuming_another_run(self, finished, options, part):
        with pytest.raises(
            InputError, match=rf"another run .{part}.* there, .* resume with the same data"
        ):
            train(finished[0], resume=True, **options)

    def test_sets_of_different_widths(self, tmp_path):
        narrow = FaceSet("set", *clustered_features(20, 6, 8))
        message = r"different widths \(set: 16, set: 8\)"
        with pytest.raises(InputError, match=message):
            train(tmp_path, face_sets=(FACES, narrow))
        with pytest.raises(InputError, match=message):
            train(tmp_path, validation_sets=(narrow,))

    def test_a_model_of_another_width(self, tmp_path):
        message = "the model reads width 8 but the features have width 16; set n_features"
        with pytest.raises(InputError, match=message):
            train(tmp_path, config=replace(CONFIG, n_features=8))

    def test_people_who_cannot_be_validated_on(self, tmp_path):
        labels = np.arange(len(FACES))
        labels[:2] = 0
        with pytest.raises(InputError, match="validation faces have no two of one person"):
            train(tmp_path, face_sets=(FaceSet("set", FACES.features, labels),))

    def test_a_place_that_cannot_be_written_before_the_first_step(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match=r"cannot write .*file"):
            train(tmp_path / "file", on_step=stop)
