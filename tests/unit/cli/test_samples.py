import json
from dataclasses import replace

import numpy as np
import pytest

from facelink import demo
from facelink.features import load_features
from facelink.labels import load_labels
from facelink.synthetic import SyntheticSettings, make_faces


class TestSynth:
    def test_the_faces_of_the_library(self, succeed, tmp_path):
        arguments = ("--out", tmp_path / "new", "--faces", 300, "--dim", 16, "--seed", 4)
        written = succeed("synth", *arguments)
        faces = make_faces(SyntheticSettings(n_faces=300, n_features=16), seed=4)
        np.testing.assert_array_equal(
            load_features(tmp_path / "new" / "features.npy"), faces.features
        )
        np.testing.assert_array_equal(load_labels(tmp_path / "new" / "people.npy"), faces.labels)
        assert "n faces         300" in written.out.splitlines()
        assert written.err == ""

    def test_json(self, succeed, tmp_path):
        written = succeed("synth", "--out", tmp_path, "--faces", 300, "--dim", 16, "--json")
        faces = make_faces(SyntheticSettings(n_faces=300, n_features=16))
        sizes = np.bincount(faces.labels)
        assert json.loads(written.out) == {
            "n_faces": 300,
            "n_features": 16,
            "n_people": len(sizes),
            "n_singletons": (sizes == 1).sum(),
            "largest_person": sizes.max(),
            "n_junk_faces": faces.is_junk.sum(),
            "out": str(tmp_path),
        }

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--faces 0", "n_faces=0; it must be at least 1"),
            ("--dim 0", "n_features=0; it must be at least 1"),
            ("--faces many", "Invalid value for '--faces'"),
            ("--seed -1", "--seed -1; give a whole number of at least 0"),
        ],
    )
    def test_bad_options_make_no_folder(self, refused, tmp_path, options, message):
        assert message in refused("synth", "--out", tmp_path / "new", *options.split())
        assert not (tmp_path / "new").exists()

    def test_a_place_that_cannot_be_written(self, refused, tmp_path, monkeypatch):
        monkeypatch.setattr("facelink.cli.samples.make_faces", None)
        (tmp_path / "file").write_text("in the way")
        assert "cannot write" in refused("synth", "--out", tmp_path / "file", code=1)
        (tmp_path / "people.npy").mkdir()
        assert "it is a folder" in refused("synth", "--out", tmp_path, code=1)


class TestDemo:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(demo, "_FACES", replace(demo._FACES, n_faces=400))
        monkeypatch.setattr(demo, "_TRAINING", replace(demo._TRAINING, epochs=1))
        monkeypatch.setattr(demo, "_WIDTHS", (8, 8))

    def test_it_compares_on_stdout_and_tells_its_stages_on_stderr(self, succeed, tmp_path):
        written = succeed("demo", "--train", "--out", tmp_path)
        title, header, *rows = [line.split() for line in written.out.splitlines()]
        assert title[:3] == ["400", "faces", "of"]
        assert header[:7] == ["score", "(%)", "facelink", "trained", "LinkGCN", "cosine", ">"]
        assert [row[0] for row in rows][:3] == ["BCubed", "BCubed", "BCubed"]
        stages = ["making faces", "grouping people", "training a link model", "comparing with"]
        positions = [written.err.index(stage) for stage in stages]
        assert positions == sorted(positions)
        assert "epoch 1: loss" in written.err

    def test_json(self, succeed, tmp_path):
        result = json.loads(succeed("demo", "--out", tmp_path, "--json").out)
        assert result.pop("out") == str(tmp_path)
        assert result.pop("seconds") > 0
        facelink, cosine = result
        assert facelink == "facelink"
        assert cosine.startswith("cosine > 0.")
        assert result[facelink]["n_instances"] == result[cosine]["n_instances"] == 400

    def test_a_place_that_cannot_be_written(self, refused, tmp_path):
        (tmp_path / "file").write_text("in the way")
        assert "cannot write" in refused("demo", "--out", tmp_path / "file", code=1)
