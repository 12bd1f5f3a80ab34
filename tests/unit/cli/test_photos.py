import csv
import json
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[3].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no photographs in ../shared/data"),
]

PHOTOS = [DATA / "photos" / name for name in ("photo_021.png", "photo_012.jpg")]
MODELS = ("--models", DATA / "face-models")


def test_features_and_table_row_by_row(succeed, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.touch()
    out, table = tmp_path / "features.npy", tmp_path / "faces.csv"
    written = succeed("faces", *PHOTOS, broken, "--out", out, "--table", table, *MODELS, "--json")
    facts = json.loads(written.out)
    assert (facts["photographs"], facts["unreadable"]) == (2, 1)
    assert f"{broken}: empty (0 bytes)" in written.err
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert np.load(out).shape == (facts["faces"], 256) == (len(rows), 256)
    assert [int(row["row"]) for row in rows] == list(range(len(rows)))
    assert [row["photo"] for row in rows[:2]] == [str(path) for path in PHOTOS]
    assert facts["junk_faces"] == sum(row["junk"] != "" for row in rows) > 0

    kept = json.loads(succeed("faces", *PHOTOS, "--out", out, *MODELS, "--skip-junk", "--json").out)
    assert kept["faces"] == facts["faces"] - facts["junk_faces"]
    assert kept["junk_faces"] == 0


def test_no_faces(refused, tmp_path, data):
    message = refused("faces", data, "--out", tmp_path / "features.npy", *MODELS)
    assert "no faces in 0 photographs" in message
    assert not (tmp_path / "features.npy").exists()


def test_a_licence_without_its_model(refused, tmp_path):
    options = ("--out", tmp_path / "f.npy", *MODELS, "--accept-insightface-licence")
    assert "needs --recogniser" in refused("faces", *PHOTOS, *options)
