import csv

import pyarrow.parquet as pq
import pytest

from facelink.album.decisions import name_person
from facelink.album.export.faces import read_faces
from facelink.album.export.tables import COLUMNS, write_csv, write_parquet
from facelink.errors import OutputError


def read(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_one_row_a_face(pictured, tmp_path):
    write_csv(tmp_path / "faces.csv", read_faces(pictured.album))
    rows = read(tmp_path / "faces.csv")
    assert rows[0] == {
        "photo": str(pictured.one),
        "face": "1",
        "x": "20.0",
        "y": "10.0",
        "width": "40.0",
        "height": "50.0",
        "person": str(pictured.ada),
        "name": "Ada",
        "confidence": "1.0",
        "state": "person",
        "decided_by_user": "true",
        "id": "",
    }
    assert (rows[4]["person"], rows[4]["confidence"], rows[4]["state"]) == ("", "", "undecided")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+49", "'+49"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("＝1", "'＝1"),
        ('Zo\u00eb, "the\nbest"', 'Zo\u00eb, "the\nbest"'),
        ("1=1", "1=1"),
    ],
)
def test_no_name_becomes_a_formula(pictured, tmp_path, name, cell):
    name_person(pictured.album, pictured.ada, name)
    faces = read_faces(pictured.album)
    write_csv(tmp_path / "faces.csv", faces)
    assert read(tmp_path / "faces.csv")[0]["name"] == cell
    write_parquet(tmp_path / "faces.parquet", faces)
    assert pq.read_table(tmp_path / "faces.parquet")["name"][0].as_py() == name


def test_parquet_has_the_same_rows_with_types(pictured, tmp_path):
    write_parquet(tmp_path / "faces.parquet", read_faces(pictured.album))
    table = pq.read_table(tmp_path / "faces.parquet")
    assert table.schema == COLUMNS
    assert table["face"].to_pylist() == pictured.faces
    assert table["person"].to_pylist()[4] is None
    assert table["width"].to_pylist() == [40, 30, 20] * 2
    write_parquet(tmp_path / "none.parquet", [])
    assert pq.read_table(tmp_path / "none.parquet").schema == COLUMNS


def test_a_folder_that_is_a_file_is_refused(pictured):
    with pytest.raises(OutputError, match="cannot write"):
        write_csv(pictured.one / "faces.csv", read_faces(pictured.album))
