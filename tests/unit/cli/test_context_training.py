import json
from dataclasses import replace

import numpy as np
import pytest

from facelink.cli import context_training
from facelink.models.context_gcn import ContextGCN
from tests.helpers import clustered_features


@pytest.fixture
def sets(tmp_path):
    """Two labelled sets by one embedder, and the same faces by another."""
    files = {}
    for seed, name in enumerate(("one", "two")):
        features, labels = clustered_features(40, 8, 24, seed=seed, spread=0.7)
        files[name] = (tmp_path / f"{name}.npy", tmp_path / f"{name}-people.npy")
        files[f"{name} again"] = tmp_path / f"{name}-again.npy"
        np.save(files[name][0], features)
        np.save(files[name][1], labels)
        np.save(files[f"{name} again"], features[:, :16])
    return files


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small rounds: the command does not set their sizes."""
    whole = context_training.ContextTrainingSettings

    def small(**chosen):
        return replace(
            whole(**chosen), round_draws=2, draw_pivots=64, max_k=20, max_faces=300,
            made_up_share=0.0, validation_draws=10,
        )  # fmt: skip

    monkeypatch.setattr(context_training, "ContextTrainingSettings", small)


def test_it_makes_a_model_of_several_sets_and_embedders(succeed, sets, tmp_path):
    line = ("--also", sets["one again"], "--also", sets["two again"], "--rounds", 2)
    share = ("--validation-share", 0.4)
    out = tmp_path / "model"
    written = succeed(
        "train-context", *sets["one"], *sets["two"], *line, *share, "--out", out, "--json"
    )
    result = json.loads(written.out)
    assert result["held_out_links"] > 0
    assert ContextGCN.from_pretrained(out).config == ContextGCN().config
    assert succeed("cluster", sets["one"][0], "--model", out).out.count("\n") == 320


def test_features_of_another_embedder_for_every_set(refused, sets, tmp_path):
    message = refused(
        "train-context", *sets["one"], *sets["two"], "--also", sets["one again"],
        "--out", tmp_path / "model",
    )  # fmt: skip
    assert "1 files after --also for 2 sets; give one for each set" in message


def test_an_odd_number_of_files(refused, sets, tmp_path):
    message = refused("train-context", sets["one"][0], "--out", tmp_path / "model")
    assert "an odd number of files" in message
