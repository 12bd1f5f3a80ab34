"""Commands from features to models and labels: killed, without room, without rights, twice at once.

What they leave under an output's name is whole, or not there.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from facelink.files import load_arrays
from facelink.labels import load_labels
from facelink.links import Links
from facelink.models.loading import load_link_model
from facelink.neighbors.files import load_graph
from tests.faults.killing import SEED, points
from tests.faults.small_disk import small_disk, too_few_pages
from tests.helpers import clustered_features

TRAIN = (
    *("--width", 8, "--k-at-hop", 8, 3, "--edge-neighbors", 3, "--epochs", 1),
    *("--test-k-at-hop", 6, 2, "--test-edge-neighbors", 2),
)
TRAIN_CONTEXT = ("--rounds", 1, "--validation-share", 0.4)

OUTPUTS = {
    "cluster": ("people.npy", load_labels),
    "neighbors": ("graph.safetensors", load_graph),
    "links": ("links.safetensors", Links.load),
    "merge": ("people.csv", load_labels),
    "train": ("model", load_link_model),
    "train-context": ("model", load_link_model),
}
"""Name of each command's output, and its reader."""

FOLDERS = ("train", "train-context")
"""Commands whose output is a folder; where one was killed, its files may be of two runs."""

RESUMED = {"train": ("--resume",)}
"""What a command needs in order to go on."""


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
        "train-context": (inputs / "faces.npy", inputs / "labels.npy", *TRAIN_CONTEXT),
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


def check_whole(out):
    """Each file of a folder can be read, whatever became of the others."""
    for path in out.rglob("[!.]*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in out.rglob("[!.]*.safetensors"):
        load_arrays(path, "part of a model")


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
        if command in FOLDERS:
            check_whole(out)
        elif out.exists():
            read(out)
        again = commands.run(*arguments(command, inputs, out), *RESUMED.get(command, ()))
        assert again.code == 0, again.output
        assert files(out) == expected, point
        read(out)


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_full_disk_leaves_what_stood_there(commands, inputs, tmp_path, command):
    name, _ = OUTPUTS[command]
    out = tmp_path / name
    if command not in FOLDERS:
        out.write_text("what stood there")
    full = commands.run(*arguments(command, inputs, out), most_bytes=100)
    assert full.code == 1, full.output
    assert "cannot write" in full.output
    assert "Traceback" not in full.output
    assert files(out) == ({} if command in FOLDERS else {".": b"what stood there"})


@pytest.mark.parametrize("command", ["cluster", "train"])
def test_a_disk_that_is_full_fails_a_command_until_there_is_room(
    commands, inputs, tmp_path, command
):
    name, read = OUTPUTS[command]
    with small_disk(tmp_path / "disk") as disk:
        n_free, line = disk.n_free_pages(), arguments(command, inputs, disk.folder / "whole" / name)
        assert commands.run(*line).code == 0
        expected, n_needed = files(disk.folder / "whole" / name), n_free - disk.n_free_pages()
        for number, n_left in enumerate(too_few_pages(n_needed)):
            out = disk.folder / str(number) / name
            line = (*arguments(command, inputs, out), *RESUMED.get(command, ()))
            disk.leave(n_left)
            full = commands.run(*line)
            assert full.code == 1, (n_left, full.output)
            assert "cannot write" in full.output
            assert "Traceback" not in full.output
            assert [path for path in out.parent.rglob(".*") if ".part" in path.name] == []
            if command in FOLDERS:
                check_whole(out)
            else:
                assert not out.exists()
            disk.make_room()
            again = commands.run(*line)
            assert again.code == 0, again.output
            assert files(out) == expected, n_left
            read(out)


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
