import json

import numpy as np
import pytest

from facelink.cli import run as command
from facelink.clustering import LinkageClustering
from facelink.labels import load_labels
from facelink.stages.course import Course


@pytest.fixture
def features(data):
    return data / "features.npy"


def test_it_finds_the_people_of_facelink_cluster(succeed, data, features, tmp_path):
    work, out = tmp_path / "work", tmp_path / "people.csv"
    arguments = ("run", features, "--work", work, "--labels-true", data / "people.npy")
    written = succeed(*arguments, "--out", out, "--json")
    result = json.loads(written.out)
    expected = LinkageClustering().fit_predict(np.load(features))
    np.testing.assert_array_equal(load_labels(out), expected)
    np.testing.assert_array_equal(load_labels(result["labels"]), expected)
    assert result["n_clusters"] == len(set(expected.tolist()))
    assert result["scores"]["bcubed"]["fscore"] > 0.85
    assert [stage["stage"] for stage in result["stages"]] == [
        "features", "neighbors", "likelihoods", "links", "labels"
    ]  # fmt: skip
    assert "neighbors: 240 rows" in written.err
    again = succeed(*arguments)
    assert [line for line in again.err.splitlines() if ": kept" not in line] == []
    assert "n clusters" in again.out


def test_settings_from_a_file_and_an_option_that_takes_precedence(succeed, features, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(f'features = "{features}"\nmodel = "cosine"\nthreshold = 0.9\n')
    result = succeed("run", config, "--work", tmp_path / "work", "--threshold", 0.75)
    assert "likelihoods: 240 rows" in result.err
    expected = LinkageClustering("cosine", threshold=0.75).fit_predict(np.load(features))
    np.testing.assert_array_equal(load_labels(tmp_path / "work/labels/labels.npy"), expected)


def test_a_dry_run_writes_nothing(succeed, features, tmp_path):
    work = tmp_path / "work"
    plan = json.loads(succeed("run", features, "--work", work, "--dry-run", "--json").out)
    assert not work.exists()
    by_stage = {stage["stage"]: stage for stage in plan["stages"]}
    assert by_stage["neighbors"]["n_rows"] == 240
    assert all(stage["seconds"] > 0 for name, stage in by_stage.items() if name != "features")
    assert not any(stage["is_done"] for stage in by_stage.values())
    succeed("run", features, "--work", work, "--model", "cosine")
    table = succeed("run", features, "--work", work, "--dry-run").out
    states = {line.split()[0]: line.split()[1] for line in table.splitlines()[1:]}
    assert (states["neighbors"], states["likelihoods"]) == ("all", "0")
    given = ("run", features, "--work", work, "--dry-run", "--json", "--restart")
    plan = json.loads(succeed(*given, "--out", tmp_path / "new" / "people.csv").out)
    assert not any(stage["is_done"] for stage in plan["stages"])
    assert not (tmp_path / "new").exists()
    assert (work / "neighbors" / "indices.npy").exists()


def test_what_does_not_fit_is_refused(refused, features, tmp_path):
    message = refused("run", features, "--work", tmp_path / "work", "--memory", "64M")
    assert "memory=64M: the stage" in message
    out = ("--out", tmp_path / "people.xyz", "--dry-run")
    assert "people.xyz" in refused("run", features, "--work", tmp_path / "work", *out)
    assert "unknown key" in refused("run", bad_config(tmp_path), "--work", tmp_path / "work")


def bad_config(folder):
    path = folder / "bad.toml"
    path.write_text('features = "f.npy"\nfeatuers = 1\n')
    return path


def test_interrupted_by_hand_it_says_how_to_go_on(refused, features, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Course, "at_once", interrupted)
    message = refused("run", features, "--work", tmp_path / "work", code=command.INTERRUPTED)
    assert "What is finished is kept; the same command goes on from there." in message


def test_what_ray_is_given(refused, features, tmp_path, monkeypatch):
    given = []

    def run_stages(settings, work, *, engine, **options):
        given.extend([engine.auto_device, engine._memory_bytes])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_stages", run_stages)
    ray = ("--engine", "ray", "--memory", "3G")
    refused("run", features, "--work", tmp_path / "work", *ray, code=command.INTERRUPTED)
    assert given == ["cpu", 3 << 30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", 2), "--workers without --engine ray"),
        (("--address", "auto"), "--address without --engine ray"),
        (("--shared", "s3://bucket"), "--shared without --engine ray"),
        (("--engine", "ray", "--address", "auto", "--workers", 2), "its own workers"),
        (("--engine", "ray", "--shared", "somewhere"), "Give a URL"),
    ],
)
def test_options_of_ray(refused, features, tmp_path, options, message):
    assert message in refused("run", features, "--work", tmp_path / "work", *options)
    assert not (tmp_path / "work").exists()
