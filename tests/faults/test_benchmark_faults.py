"""`facelink benchmark --work` that is killed goes on, and its report is whole or absent."""

import numpy as np
import pytest

from tests.faults.killing import SEED, points
from tests.helpers import clustered_features


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Faces of twelve people, and who they are."""
    folder = tmp_path_factory.mktemp("inputs")
    features, labels = clustered_features(12, 6, n_features=16)
    np.save(folder / "faces.npy", features)
    np.save(folder / "people.npy", labels)
    return folder / "faces.npy", folder / "people.npy"


def arguments(inputs, folder):
    places = ("--out", folder / "report", "--work", folder / "work")
    return ("benchmark", *inputs, *places, "--part", "methods")


def files(folder):
    """Contents of a folder's files by name."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def kept_runs(folder):
    """When each of the finished runs was written."""
    paths = (folder / "work" / "runs").glob("[!.]*.json")
    return {path.name: path.stat().st_mtime_ns for path in paths}


def test_a_killed_benchmark_goes_on_to_the_same_report(commands, inputs, tmp_path):
    whole = commands.run(*arguments(inputs, tmp_path / "whole"))
    assert whole.code == 0, whole.output
    expected = files(tmp_path / "whole" / "report")
    for number, point in enumerate(points(whole.n_writes, seed=SEED)):
        folder = tmp_path / str(number)
        assert commands.run(*arguments(inputs, folder), kill=point).met(point)
        assert files(folder / "report") in ({}, expected)
        kept = kept_runs(folder)
        again = commands.run(*arguments(inputs, folder))
        assert again.code == 0, again.output
        assert files(folder / "report") == expected, point
        assert kept_runs(folder).keys() == kept_runs(tmp_path / "whole").keys()
        assert kept_runs(folder).items() >= kept.items()
