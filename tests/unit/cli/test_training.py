import inspect
import json

import numpy as np
import pytest
import torch

from facelink.cli import training
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphSettings
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import STATE_NAME
from tests.helpers import clustered_features

SMALL = (
    *("--width", 8, 8),
    *("--k-at-hop", 8, 3),
    *("--edge-neighbors", 3),
    *("--test-k-at-hop", 6, 2),
    *("--test-edge-neighbors", 2),
    *("--epochs", 2),
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two labelled sets of width 16 and one of width 8, as pairs of files."""
    folder = tmp_path_factory.mktemp("sets")
    pairs = {}
    for name, width in (("one", 16), ("two", 16), ("narrow", 8)):
        features, labels = clustered_features(20, 6, width, seed=len(pairs))
        pairs[name] = (folder / f"{name}.npy", folder / f"{name}-people.npy")
        np.save(pairs[name][0], features)
        np.save(pairs[name][1], labels)
    pairs["one.bin"] = (folder / "one.bin", pairs["one"][1])
    np.load(pairs["one"][0]).tofile(folder / "one.bin")
    return pairs


class TestTrain:
    def test_it_makes_a_model_and_reports_each_regime(self, succeed, sets, tmp_path):
        written = succeed("train", *sets["one"], "--out", tmp_path, *SMALL)
        config = LinkGCN.from_pretrained(tmp_path).config
        assert config.widths == (8, 8)
        assert config.subgraphs == SubgraphSettings((6, 2), 2)
        title, header, *rows = written.out.splitlines()
        assert title.startswith(f"{tmp_path}: epoch ")
        assert "cosine AP" in header
        assert [row.split(" / ")[1][:7] for row in rows] == ["natural", "capped ", "long ta"]
        assert "epoch 1: loss" in written.err
        assert "epoch 2: loss" in written.err

    def test_it_says_whether_the_context_model_does_better(self, succeed, sets, tmp_path):
        written = succeed("train", *sets["one"], "--out", tmp_path, *SMALL, "--json")
        result = json.loads(written.out)
        mean = np.mean([one["bcubed_f"] - one["context_bcubed_f"] for one in result["regimes"]])
        assert abs(mean) > 0.01, "too close to tell by the mean over regimes of unlike sizes"
        assert result["better_than_context"] == (mean > 0)
        verb = "better" if mean > 0 else "NOT better"
        assert f"this model groups the validation people {verb} than the context" in written.err

    def test_a_model_that_is_worse_than_none_is_warned_of(self, succeed, sets, tmp_path):
        line = ("--out", tmp_path, *SMALL, "--learning-rate", 1e-9, "--initial-weights", "xavier")
        written = succeed("train", *sets["one"], *line)
        assert "WARNING: plain cosine similarity ranks links better than this model" in written.err
        assert "Train longer or on more people, or do without a model there." in written.err

    def test_json_is_all_there_is_on_stdout(self, succeed, sets, tmp_path):
        written = succeed("train", *sets["one"], "--out", tmp_path, *SMALL, "--json")
        result = json.loads(written.out)
        assert result["out"] == str(tmp_path)
        assert result["best_epoch"] in (1, 2)
        assert result["threshold"] == LinkGCN.from_pretrained(tmp_path).config.initial_threshold
        assert set(result["worse_than_cosine"]) <= {one["regime"] for one in result["regimes"]}
        assert len(result["regimes"]) == 3

    def test_several_sets_and_a_validation_set(self, succeed, sets, tmp_path):
        files = (*sets["one"], *sets["two"], "--val", *sets["two"])
        result = json.loads(succeed("train", *files, "--out", tmp_path, *SMALL, "--json").out)
        names = [one["regime"] for one in result["regimes"]]
        assert len(names) == 10
        for name, count in (("one.npy", 3), ("two.npy", 6), ("all sets", 1)):
            assert sum(name in regime for regime in names) == count

    def test_sets_of_one_file_name_in_two_folders_are_told_apart(self, succeed, sets, tmp_path):
        files = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            for path, role in zip(sets[name], ("features.npy", "people.npy"), strict=True):
                (tmp_path / name / role).write_bytes(path.read_bytes())
                files.append(tmp_path / name / role)
        line = ("--out", tmp_path / "model", *SMALL, "--json")
        result = json.loads(succeed("train", *files, *line).out)
        names = [one["regime"] for one in result["regimes"]]
        assert len(set(names)) == len(names) == 7

    def test_a_headerless_file_is_as_wide_as_its_labels_tell(self, succeed, sets, tmp_path):
        outputs = [
            succeed("train", *sets[name], "--out", tmp_path / name, *SMALL, "--json")
            for name in ("one", "one.bin")
        ]
        losses = [
            [one["loss"] for one in json.loads(written.out)["regimes"]] for written in outputs
        ]
        assert losses[0] == losses[1]

    def test_every_option_reaches_the_trainer(self, run, sets, tmp_path, monkeypatch):
        got = {}

        class Stop(BaseException):
            pass

        def record(face_sets, config, settings, out, **options):
            got.update(config=config, settings=settings, out=out, **options)
            raise Stop

        monkeypatch.setattr(training, "train_link_gcn", record)
        line = (
            "--aggregator attention --mean-normalization symmetric --width 7 6 5 --k-at-hop 9 4 "
            "--edge-neighbors 3 --test-k-at-hop 8 2 --test-edge-neighbors 4 --include-pivot "
            "--epochs 5 --batch-size 6 --optimizer adamw --learning-rate 0.2 --weight-decay 0.3 "
            "--max-gradient-norm 0.5 --schedule constant --class-weighting balanced "
            "--no-resample --validation-share 0.4 "
            "--precision bfloat16 --resume --device cpu --seed 11"
        )
        with pytest.raises(Stop):
            run("train", *sets["one"], "--out", tmp_path, *line.split())
        assert got["config"] == LinkGCNConfig(
            16, (7, 6, 5), "attention", "symmetric", subgraphs=SubgraphSettings((8, 2), 4, True)
        )
        assert got["settings"] == TrainingSettings(
            subgraphs=SubgraphSettings((9, 4), 3, True),
            epochs=5,
            batch_size=6,
            optimizer="adamw",
            learning_rate=0.2,
            weight_decay=0.3,
            max_gradient_norm=0.5,
            schedule="constant",
            class_weighting="balanced",
            resample=False,
            validation_share=0.4,
            precision="bfloat16",
            seed=11,
        )
        assert got["out"] == tmp_path
        assert got["resume"] is True
        assert got["device"] == torch.device("cpu")

    def test_defaults_are_those_of_the_library(self, run, sets, tmp_path, monkeypatch):
        got = {}

        class Stop(BaseException):
            pass

        def record(face_sets, config, settings, out, **options):
            got.update(config=config, settings=settings, **options)
            raise Stop

        monkeypatch.setattr(training, "train_link_gcn", record)
        with pytest.raises(Stop):
            run("train", *sets["one"], "--out", tmp_path)
        assert got["config"] == LinkGCNConfig(16)
        assert got["settings"] == TrainingSettings()
        assert got["resume"] is False
        assert got["validation_sets"] == []

    def test_every_setting_that_has_choices_is_an_option(self):
        parameters = inspect.signature(training.train).parameters
        for name in ("optimizer", "schedule", "class_weighting", "precision", "initial_weights"):
            assert parameters[name].default == getattr(TrainingSettings(), name)

    def test_resuming_from_another_folder_by_another_path(
        self, succeed, sets, tmp_path, monkeypatch
    ):
        whole = succeed("train", *sets["one"], "--out", tmp_path / "model", *SMALL, "--json")
        monkeypatch.chdir(sets["one"][0].parent)
        names = [path.name for path in sets["one"]]
        line = (*SMALL, "--json", "--resume")
        again = succeed("train", *names, "--out", tmp_path / "model", *line)
        assert json.loads(again.out)["regimes"] == json.loads(whole.out)["regimes"]


class TestRefusal:
    @pytest.fixture
    def refused_train(self, refused, tmp_path):
        def run(*args):
            message = refused("train", *args, "--out", tmp_path / "model")
            assert not (tmp_path / "model" / "model.safetensors").exists()
            return message

        return run

    def test_a_folder_that_holds_a_run(self, succeed, refused, sets, tmp_path):
        line = ("train", *sets["one"], "--out", tmp_path, *SMALL)
        succeed(*line)
        before = (tmp_path / STATE_NAME).read_bytes()
        message = refused(*line)
        assert "holds a training run already; go on with --resume, or choose another" in message
        assert "another run (settings.seed: 0 there, 1 here)" in refused(
            *line, "--resume", "--seed", 1
        )
        assert (tmp_path / STATE_NAME).read_bytes() == before

    def test_an_odd_number_of_files(self, refused_train, sets):
        message = refused_train(sets["one"][0])
        assert "an odd number of files" in message
        assert "name features and labels in pairs" in message
        message = refused_train(*sets["one"], "--val", sets["two"][0], "--epochs", 1)
        assert "--val: an odd number of files" in message

    def test_labels_of_other_faces(self, refused_train, sets, tmp_path):
        np.save(tmp_path / "few.npy", np.arange(7))
        message = refused_train(sets["one"][0], tmp_path / "few.npy")
        assert f"labels {tmp_path / 'few.npy'}: 7 labels for 120 faces; they must agree" in message
        message = refused_train(*sets["one"], "--val", sets["one"][0], tmp_path / "few.npy")
        assert "7 labels for 120 faces" in message

    def test_sets_of_different_widths(self, refused_train, sets):
        message = refused_train(*sets["one"], *sets["narrow"])
        assert "training sets have different widths" in message
        assert "different widths" in refused_train(*sets["one"], "--val", *sets["narrow"])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--aggregator max", "'max' is not one of 'mean', 'weighted', 'attention'"),
            ("--mean-normalization foo", "'foo' is not one of 'row', 'symmetric'"),
            ("--optimizer adam", "'adam' is not one of 'sgd', 'adamw'"),
            ("--schedule foo", "'foo' is not one of 'step', 'cosine', 'constant'"),
            ("--class-weighting foo", "'foo' is not one of 'none', 'balanced'"),
            ("--precision fp16", "'fp16' is not one of 'auto', 'float32', 'bfloat16'"),
            ("--initial-weights foo", "'foo' is not one of 'similarity', 'xavier'"),
            ("--learning-rate 0", "learning_rate=0.0; it must be above 0"),
            ("--weight-decay -1", "weight_decay=-1.0; it must not be negative"),
            ("--validation-share 1", "validation_share=1.0; choose a share between 0 and 1"),
            ("--epochs 0", "epochs=0; it must be at least 1"),
            ("--batch-size 0", "batch_size=0; it must be at least 1"),
            ("--k-at-hop 0 5", "k_at_hop=(0, 5)"),
            ("--width 0", "widths=(0,)"),
            ("--seed -1", "--seed -1"),
            ("--device foo", "device='foo'"),
            ("--epoch 1", "No such option: --epoch"),
        ],
    )
    def test_options_before_the_training(self, refused_train, sets, monkeypatch, options, message):
        monkeypatch.setattr(training, "train_link_gcn", None)
        assert message in refused_train(*sets["one"], *options.split())

    def test_a_place_that_cannot_be_written(self, refused, sets, tmp_path):
        (tmp_path / "file").write_text("in the way")
        arguments = ("train", *sets["one"], "--out", tmp_path / "file", *SMALL)
        assert "cannot write" in refused(*arguments, code=1)


class TestImportCheckpoint:
    @pytest.fixture
    def checkpoint(self, tmp_path):
        state = {"bn0.running_mean": torch.zeros(6), "bn0.running_var": torch.ones(6)}
        for number, (d_in, d_out) in enumerate([(6, 5), (5, 4), (4, 4), (4, 3)], start=1):
            state[f"conv{number}.weight"] = torch.randn(2 * d_in, d_out)
            state[f"conv{number}.bias"] = torch.randn(d_out)
        state |= {"classifier.0.weight": torch.randn(3, 3), "classifier.0.bias": torch.randn(3)}
        state |= {"classifier.1.weight": torch.rand(3)}
        state |= {"classifier.2.weight": torch.randn(2, 3), "classifier.2.bias": torch.randn(2)}
        torch.save({"state_dict": state}, tmp_path / "best.ckpt")
        return tmp_path / "best.ckpt"

    def test_it_makes_a_model(self, succeed, checkpoint, tmp_path):
        written = succeed("import-checkpoint", checkpoint, "--out", tmp_path / "model")
        config = LinkGCN.from_pretrained(tmp_path / "model").config
        assert (config.n_features, config.widths) == (6, (5, 4, 4, 3))
        assert config.subgraphs.include_pivot
        assert "widths      [5, 4, 4, 3]" in written.out.splitlines()
        assert written.err == ""

    def test_json(self, succeed, checkpoint, tmp_path):
        out = tmp_path / "model"
        written = succeed("import-checkpoint", checkpoint, "--out", out, "--json")
        assert json.loads(written.out) == {
            "n_features": 6,
            "widths": [5, 4, 4, 3],
            "out": str(out),
        }

    def test_another_file(self, refused, tmp_path):
        (tmp_path / "other.ckpt").write_text("no checkpoint")
        out = tmp_path / "model"
        message = refused("import-checkpoint", tmp_path / "other.ckpt", "--out", out)
        assert "not a torch file of plain tensors" in message
        assert not out.exists()
