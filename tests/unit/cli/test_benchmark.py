import json
import sys
from pathlib import Path

import numpy as np
import pytest

from facelink.cli.benchmark import collection_name
from facelink.synthetic import SyntheticSettings, make_faces


@pytest.fixture
def files(tmp_path):
    """Features and labels of a test and of other people."""
    pairs = []
    for seed in range(2):
        made = make_faces(SyntheticSettings(n_faces=120, n_features=16), seed=seed)
        pair = (tmp_path / f"set{seed}.features.npy", tmp_path / f"set{seed}.labels.npy")
        np.save(pair[0], made.features)
        np.save(pair[1], made.labels)
        pairs.append(pair)
    return pairs


def test_a_report_and_its_records(succeed, files, tmp_path):
    test, other = files
    written = succeed(
        "benchmark", *test, "--train", *other, "--out", tmp_path / "report",
        "--part", "bound", "--part", "links", "--json",
    )  # fmt: skip
    facts = json.loads(written.out)
    assert facts["records"] == ["links", "tables", "upper-bound"]
    page = Path(facts["report"]).read_text(encoding="utf-8")
    assert "facelink benchmark: set0" in page
    assert "set1 (120)" in Path(facts["markdown"]).read_text(encoding="utf-8")
    bounds = json.loads((tmp_path / "report" / "records" / "upper-bound.json").read_text())
    assert [one["collection"] for one in bounds] == ["set0", "set1"]


def test_an_unknown_part(refused, files, tmp_path):
    message = refused("benchmark", *files[0], "--out", tmp_path / "report", "--part", "speed")
    assert "part 'speed'; choose from methods, bound" in message
    assert not (tmp_path / "report").exists()


def test_a_folder_with_something_else(refused, files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"")
    message = refused("benchmark", *files[0], "--out", tmp_path / "mine", code=1)
    assert "the folder holds photo.jpg, which is not part of a report" in message
    assert (tmp_path / "mine" / "photo.jpg").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/lfw.mbf.features.npy", "lfw-mbf"),
        ("my faces/features.npy", "my-faces"),
        ("x/embeddings.parquet", "embeddings"),
    ],
)
def test_collections_are_called_by_their_files(path, name):
    assert collection_name(Path(path)) == name


def test_what_draws_is_missing_before_work_starts(refused, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = refused("benchmark", *files[0], "--out", tmp_path / "report")
    assert "drawing needs matplotlib" in message
    assert "pip install 'facelink[plots]'" in message
    assert not (tmp_path / "report").exists()
