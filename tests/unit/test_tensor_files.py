import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.tensor_files import map_tensors, write_tensors

DTYPES = ["bool", *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64))]
ARRAYS = {name: np.arange(2, dtype=name) for name in [*DTYPES, "float16", "float32", "float64"]} | {
    "strided": np.arange(12, dtype=np.int32).reshape(3, 4).T,
    "big_endian": np.arange(5, dtype=">f4"),
    "empty": np.empty((0, 2), dtype=np.int32),
    "scalar": np.array(2.5),
}


def assert_same(found):
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


def test_the_library_reads_what_is_written(tmp_path):
    write_tensors(tmp_path / "f", ARRAYS, {"format": "ä"})
    assert_same(load_file(tmp_path / "f"))
    assert_same(map_tensors(tmp_path / "f"))
    assert load_arrays(tmp_path / "f", "arrays", mapped=True)[1] == {"format": "ä"}


def test_what_the_library_writes_is_mapped(tmp_path):
    plain = {
        name: np.array(array, order="C", dtype=array.dtype.newbyteorder("="))
        for name, array in ARRAYS.items()
    }
    save_file(plain, tmp_path / "f")
    assert_same(map_tensors(tmp_path / "f"))


def test_arrays_are_aligned_and_written_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("facelink.tensor_files._BLOCK_BYTES", 5)
    write_tensors(tmp_path / "f", ARRAYS, {})
    found = map_tensors(tmp_path / "f")
    assert_same(found)
    assert all(array.flags.aligned for array in found.values())


def test_an_array_at_an_odd_place_is_copied(tmp_path):
    header = {"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    header["b"] = {"dtype": "I32", "shape": [2], "data_offsets": [1, 9]}
    text = json.dumps(header).encode()
    values = b"\x07" + np.array([5, 6], dtype="<i4").tobytes()
    (tmp_path / "f").write_bytes(len(text).to_bytes(8, "little") + text + values)
    arrays, _ = load_arrays(tmp_path / "f", "arrays", mapped=True)
    assert arrays["a"].tolist() == [7]
    assert arrays["b"].tolist() == [5, 6]
    assert arrays["b"].flags.aligned


def test_what_is_written_to_a_map_stays_out_of_the_file(tmp_path):
    save_arrays(tmp_path / "f", {"a": np.zeros(4)}, {})
    mapped = load_arrays(tmp_path / "f", "arrays", mapped=True)[0]["a"]
    mapped[:] = 1
    assert mapped.tolist() == [1] * 4
    assert load_arrays(tmp_path / "f", "arrays", mapped=True)[0]["a"].tolist() == [0] * 4


def test_a_map_outlives_the_file_that_replaces_its_own(tmp_path):
    save_arrays(tmp_path / "f", {"a": np.arange(4)}, {})
    mapped = load_arrays(tmp_path / "f", "arrays", mapped=True)[0]["a"]
    save_arrays(tmp_path / "f", {"a": np.zeros(1)}, {})
    assert mapped.tolist() == [0, 1, 2, 3]


def test_a_file_cut_anywhere_is_not_mapped(tmp_path):
    save_arrays(tmp_path / "f", {"a": np.arange(4)}, {"format": "test"})
    whole = (tmp_path / "f").read_bytes()
    for n_bytes in range(1, len(whole)):
        (tmp_path / "f").write_bytes(whole[:n_bytes])
        with pytest.raises(InputError, match="may be truncated"):
            load_arrays(tmp_path / "f", "links", mapped=True)


def test_a_dtype_that_the_format_lacks_is_refused(tmp_path):
    with pytest.raises(TypeError, match="'a' of complex128: safetensors does not know it"):
        write_tensors(tmp_path / "f", {"a": np.zeros(2, dtype=complex)}, {})
