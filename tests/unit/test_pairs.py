import numpy as np
import pytest

from facelink.errors import InputError
from facelink.pairs import load_pairs

PAIRS = [[3, 1], [0, 12]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "3,1\n0,12\n"),
        ("a.csv", "first,second\n3, 1\n\n0 ,12"),
        ("a.csv", "\ufeff3;1\r\n0;12\r\n"),
        ("a.txt", "3 1\n0\t12\n"),
    ],
)
def test_text(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    pairs = load_pairs(tmp_path / name)
    assert pairs.dtype == np.int64
    assert pairs.tolist() == PAIRS


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.array(PAIRS, dtype=np.int32))
    assert load_pairs(tmp_path / "a.npy").tolist() == PAIRS


def test_a_file_of_names_alone_has_no_pairs(tmp_path):
    (tmp_path / "a.csv").write_text("first,second\n")
    assert load_pairs(tmp_path / "a.csv").shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3\n", r"line 2: '3'; give two face numbers"),
        ("1,2,3\n", "line 1: '1,2,3'"),
        ("1,x\n", "line 1"),
        ("a,b\nc,d\n", "line 2: 'c,d'"),
        ("1.5,2\n", "line 1"),
    ],
)
def test_a_line_that_is_no_pair(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load_pairs(tmp_path / "a.csv")


@pytest.mark.parametrize("array", [np.zeros((2, 3), np.int64), np.zeros((2, 2)), np.zeros(2, int)])
def test_an_array_that_holds_no_pairs(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"give integers of shape \(M, 2\)"):
        load_pairs(tmp_path / "a.npy")


def test_what_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not a readable text file"):
        load_pairs(tmp_path / "a.csv")


def test_a_missing_file_and_an_unknown_kind(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_pairs(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"\.docx"):
        load_pairs(tmp_path / "a.docx")
