"""Commands from features to models and labels: killed, without room, without rights, twice at once.

What they leave under an output's name is whole, or not there.
"""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from facelink.labels import load_labels
from facelink.links import Links
from facelink.models.loading import load_link_model
from facelink.neighbors.files import load_graph
from tests.faults.killing import SEED, Commands, points
from tests.helpers import clustered_features

TRAIN = (
    *("--width", 8, "--k-at-hop", 8, 3, "--edge-neighbors", 3, "--epochs", 1),
    *("--test-k-at-hop", 6, 2, "--test-edge-neighbors", 2),
)

OUTPUTS = {
    "cluster": ("people.npy", load_labels),
    "neighbors": ("graph.safetensors", load_graph),
    "links": ("links.safetensors", Links.load),
    "merge": ("people.csv", load_labels),
    "train": ("model", load_link_model),
}
"""Name of each command's output, and its reader."""


@pytest.fixture(scope="module")
def commands():
    with Commands() as running:
        yield running


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, commands):
    """Faces, their labels, and links between them."""
    folder = tmp_path_factory.mktemp("inputs")
    features, labels = clustered_features(12, 6, n_features=16)
    np.save(folder / "faces.npy", features)
    np.save(folder / "labels.npy", labels)
    made = commands.run("links", folder / "faces.npy", "--out", folder / "links.safetensors")
    assert made.code == 0, made.output
    return folder


def arguments(command, inputs, out):
    of_command = {
        "cluster": (inputs / "faces.npy",),
        "neighbors": (inputs / "faces.npy",),
        "links": (inputs / "faces.npy",),
        "merge": (inputs / "links.safetensors",),
        "train": (inputs / "faces.npy", inputs / "labels.npy", *TRAIN),
    }[command]
    return (command, *of_command, "--out", out)


def files(out):
    """Contents of an output's files by name, but the hidden ones that a killed command left."""
    paths = out.rglob("*") if out.is_dir() else [out]
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_killed_command_leaves_its_output_whole_or_absent(commands, inputs, tmp_path, command):
    name, read = OUTPUTS[command]
    (tmp_path / "whole").mkdir()
    whole = commands.run(*arguments(command, inputs, tmp_path / "whole" / name))
    assert whole.code == 0, whole.output
    expected = files(tmp_path / "whole" / name)
    for number, point in enumerate(points(whole.n_writes, seed=SEED)):
        out = tmp_path / str(number) / name
        assert commands.run(*arguments(command, inputs, out), kill=point).met(point)
        if command != "train" and out.exists():
            read(out)
        resume = ("--resume",) if command == "train" else ()
        again = commands.run(*arguments(command, inputs, out), *resume)
        assert again.code == 0, again.output
        assert files(out) == expected, point
        read(out)


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_full_disk_leaves_what_stood_there(commands, inputs, tmp_path, command):
    name, _ = OUTPUTS[command]
    out = tmp_path / name
    if command != "train":
        out.write_text("what stood there")
    full = commands.run(*arguments(command, inputs, out), most_bytes=100)
    assert full.code == 1, full.output
    assert "cannot write" in full.output
    assert "Traceback" not in full.output
    assert files(out) == ({".": b"what stood there"} if command != "train" else {})


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_folder_that_cannot_be_written_is_told_before_the_work(commands, inputs, command):
    name, _ = OUTPUTS[command]
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "read-only"
        folder.mkdir(mode=0o555)
        Path(parent).chmod(0o755)
        refused = commands.run(*arguments(command, inputs, folder / name), without_rights=True)
        assert refused.code == 1, refused.output
        assert "cannot write" in refused.output
        assert list(folder.iterdir()) == []


def test_two_trainings_into_one_folder_end_as_one(commands, inputs, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert commands.run(*arguments("train", inputs, alone)).code == 0
    for _ in range(2):
        commands.start(*arguments("train", inputs, both))
    ended = [commands.ended() for _ in range(2)]
    assert 0 in [one.code for one in ended], ended
    assert files(both) == files(alone)
    refused = commands.run(*arguments("train", inputs, both))
    assert refused.code == 2
    assert "holds a training run already" in refused.output
