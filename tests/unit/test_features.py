import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy

import facelink.features
from facelink.arrays import read_npz
from facelink.errors import InputError, OutputError
from facelink.features import (
    UNIT_NORM_TOLERANCE,
    load_features,
    normalize_features,
    save_features,
)

ROUNDING = 1e-7
"""A float32 component of a unit vector is within half a unit in the last place, 6e-8."""

SUFFIXES = [".npy", ".npz", ".bin", ".safetensors", ".parquet"]


@pytest.fixture
def faces():
    return np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def unit_rows(features):
    rows = [np.array(row, dtype=np.longdouble) for row in features]
    return np.array([row / np.sqrt((row**2).sum()) for row in rows], dtype=np.float64)


class TestNormalizeFeatures:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.int32])
    def test_rows_get_norm_one(self, dtype):
        values = np.random.default_rng(1).integers(-9, 9, size=(50, 8)).astype(dtype)
        values[:, 0] = 1
        normalized = normalize_features(values)
        assert normalized.dtype == np.float32
        np.testing.assert_allclose(normalized, unit_rows(values), atol=ROUNDING)

    def test_takes_lists(self):
        np.testing.assert_allclose(normalize_features([[3, 4]]), [[0.6, 0.8]], atol=ROUNDING)

    def test_more_rows_than_one_block(self, monkeypatch, faces):
        monkeypatch.setattr("facelink.features._BLOCK_VALUES", 10)
        np.testing.assert_allclose(normalize_features(faces), unit_rows(faces), atol=ROUNDING)

    def test_normalized_float32_is_not_copied(self, faces):
        once = normalize_features(faces)
        assert normalize_features(once) is once

    def test_one_row_off_the_tolerance_is_normalized(self, faces):
        almost = normalize_features(faces)
        almost[-1] *= 1 + 10 * UNIT_NORM_TOLERANCE
        again = normalize_features(almost)
        assert again is not almost
        np.testing.assert_allclose(np.linalg.norm(again, axis=1), 1, atol=UNIT_NORM_TOLERANCE)

    def test_columns_first_arrays_become_rows_first(self, faces):
        transposed = np.asfortranarray(normalize_features(faces))
        assert normalize_features(transposed).flags.c_contiguous

    def test_read_only_memory_map_stays_mapped(self, tmp_path, faces):
        np.save(tmp_path / "f.npy", normalize_features(faces))
        mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
        assert normalize_features(mapped) is mapped

    @pytest.mark.parametrize(
        ("dtype", "scale"),
        [(np.float32, 1e-44), (np.float32, 3e38), (np.float64, 5e-324), (np.float64, 1.7e308)],
    )
    def test_squares_may_leave_the_range_of_the_type(self, dtype, scale):
        row = np.array([[scale, scale, 0, scale]], dtype=dtype)
        expected = [[3**-0.5, 3**-0.5, 0, 3**-0.5]]
        np.testing.assert_allclose(normalize_features(row), expected, atol=ROUNDING)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_not_finite(self, monkeypatch, faces, bad, dtype):
        monkeypatch.setattr("facelink.features._BLOCK_VALUES", 10)
        values = faces.astype(dtype)
        values[5, 2] = bad
        with pytest.raises(InputError, match=rf"lfw: row 5 holds {bad} in column 2.*finite.*Drop"):
            normalize_features(values, name="lfw")

    def test_zero_row_among_normalized_ones(self, faces):
        normalized = normalize_features(faces)
        normalized[3] = 0
        with pytest.raises(InputError, match=r"row 3 is all zeros.*drop"):
            normalize_features(normalized)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.ones(4), r"shape \(4,\), expected \(N, D\).*reshape"),
            (np.ones((2, 2, 2)), r"shape \(2, 2, 2\), expected \(N, D\)"),
            (np.ones((0, 4)), r"shape \(0, 4\); at least one row"),
            (np.ones((4, 0)), r"shape \(4, 0\); at least one row"),
            (np.array([["a"]]), "values of type <U1; give float16"),
            (np.ones((2, 2), dtype=object), "values of type object; give float16"),
            (np.ones((2, 2), dtype=complex), "values of type complex128; give float16"),
            ([[1.0], [1.0, 2.0]], "rows of different lengths"),
        ],
    )
    def test_no_numeric_matrix(self, values, message):
        with pytest.raises(InputError, match=message):
            normalize_features(values)


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_loads_what_was_saved(self, tmp_path, faces, suffix):
        path = tmp_path / f"faces{suffix}"
        save_features(path, faces)
        dim = 5 if suffix == ".bin" else None
        np.testing.assert_array_equal(load_features(path, dim=dim), normalize_features(faces))

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch, faces, suffix):
        path = tmp_path / f"faces{suffix}"
        path.write_bytes(b"old")

        def full_disk(temporary, features):
            temporary.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setitem(facelink.features._WRITERS, suffix, full_disk)
        with pytest.raises(OutputError, match=r"No space left on device.*unchanged"):
            save_features(path, faces)
        assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
            (path.name, b"old")
        ]

    def test_unknown_suffix_to_write(self, tmp_path, faces):
        with pytest.raises(InputError, match=r"unknown kind of file '\.txt'; choose one of \.npy"):
            save_features(tmp_path / "faces.txt", faces)

    def test_saves_only_matrices(self, tmp_path):
        with pytest.raises(InputError, match=r"shape \(3,\), expected \(N, D\)"):
            save_features(tmp_path / "faces.npy", np.ones(3))
        assert not list(tmp_path.iterdir())


class TestAnyFile:
    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"none\.npy: no such file"):
            load_features(tmp_path / "none.npy")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_empty(self, tmp_path, suffix):
        path = tmp_path / f"faces{suffix}"
        path.touch()
        with pytest.raises(InputError, match=r"the file is empty \(0 bytes\)"):
            load_features(path, dim=5)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("n_kept", [3, 30, 100, -1])
    def test_truncated(self, tmp_path, faces, suffix, n_kept):
        path = tmp_path / f"faces{suffix}"
        save_features(path, faces)
        path.write_bytes(path.read_bytes()[:n_kept])
        with pytest.raises(InputError, match=r"truncated"):
            load_features(path, dim=5, n_instances=7)

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"'\.pkl'; choose one of .*\.npy.*\.bin"):
            load_features(tmp_path / "faces.pkl")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_other_shape_than_expected(self, tmp_path, faces, suffix):
        path = tmp_path / f"faces{suffix}"
        save_features(path, faces)
        with pytest.raises(InputError, match=r"7 rows, but 8 expected"):
            load_features(path, n_instances=8, dim=5)
        if suffix != ".bin":
            with pytest.raises(InputError, match=r"5 dimensions, but 6 expected"):
                load_features(path, dim=6)

    @pytest.mark.parametrize("bad", [{"dim": 0}, {"n_instances": -1}])
    def test_impossible_expectation(self, tmp_path, faces, bad):
        save_features(tmp_path / "faces.npy", faces)
        with pytest.raises(InputError, match=r"it must be at least 1"):
            load_features(tmp_path / "faces.npy", **bad)

    def test_bad_value_is_reported_with_the_file(self, tmp_path, faces):
        faces[2, 1] = np.nan
        save_features(tmp_path / "faces.npy", faces)
        with pytest.raises(InputError, match=r"faces\.npy: row 2 holds nan in column 1"):
            load_features(tmp_path / "faces.npy")


class TestNpy:
    def test_normalized_file_stays_mapped(self, tmp_path, faces):
        save_features(tmp_path / "f.npy", normalize_features(faces))
        loaded = load_features(tmp_path / "f.npy")
        assert isinstance(loaded, np.memmap)
        assert not loaded.flags.writeable

    @pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_dtypes_and_orders(self, tmp_path, faces, dtype, order):
        stored = np.array(faces, dtype=dtype, order=order)
        np.save(tmp_path / "f.npy", stored)
        loaded = load_features(tmp_path / "f.npy")
        np.testing.assert_allclose(loaded, unit_rows(stored), atol=ROUNDING)

    def test_pickled(self, tmp_path):
        np.save(tmp_path / "f.npy", np.array([[1.0], None], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match=r"pickled Python objects.*save it again"):
            load_features(tmp_path / "f.npy")

    @pytest.mark.parametrize("shape", [(1 << 40, 512), (1 << 62, 4), (-7, -5)])
    def test_header_that_lies(self, tmp_path, shape):
        path = tmp_path / "f.npy"
        path.write_bytes(npy_bytes(shape, b"\0" * 140))
        with pytest.raises(InputError, match=r"the header claims float32.*truncated"):
            load_features(path)

    def test_zip_archive_under_the_name_of_an_array(self, tmp_path, faces):
        save_features(tmp_path / "f.npz", faces)
        (tmp_path / "f.npz").rename(tmp_path / "f.npy")
        with pytest.raises(InputError, match=r"not a readable \.npy file"):
            load_features(tmp_path / "f.npy")


def npy_bytes(shape, data, dtype="<f4"):
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


class TestNpz:
    def test_only_matrix_of_floats(self, tmp_path, faces):
        np.savez_compressed(tmp_path / "f.npz", ids=np.arange(7), embeddings=faces, mean=faces[0])
        loaded = load_features(tmp_path / "f.npz")
        np.testing.assert_array_equal(loaded, normalize_features(faces))

    def test_features_among_several(self, tmp_path, faces):
        np.savez(tmp_path / "f.npz", other=faces + 1, features=faces)
        loaded = load_features(tmp_path / "f.npz")
        np.testing.assert_array_equal(loaded, normalize_features(faces))

    def test_several(self, tmp_path, faces):
        np.savez(tmp_path / "f.npz", left=faces, right=faces)
        with pytest.raises(InputError, match=r"'left', 'right' could each.*call one 'features'"):
            load_features(tmp_path / "f.npz")

    def test_none(self, tmp_path):
        np.savez(tmp_path / "f.npz", labels=np.arange(7))
        with pytest.raises(InputError, match=r"no two-dimensional array of floats"):
            load_features(tmp_path / "f.npz")

    def test_pickled(self, tmp_path):
        np.savez(tmp_path / "f.npz", features=np.array([[1.0], None], dtype=object))
        with pytest.raises(InputError, match=r"array 'features': holds pickled.*save it again"):
            load_features(tmp_path / "f.npz")

    def test_pickled_array_beside_the_features_is_not_read(self, tmp_path, faces):
        np.savez(tmp_path / "f.npz", features=faces, names=np.array(["a", None], dtype=object))
        assert load_features(tmp_path / "f.npz").shape == faces.shape

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_header_that_lies(self, tmp_path, compression):
        path = tmp_path / "f.npz"
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("features.npy", npy_bytes((1 << 40, 512), b"\0" * 140))
        with pytest.raises(InputError, match=r"the header claims float32.*truncated"):
            load_features(path)

    def test_archive_that_lies_with_its_header(self, tmp_path):
        """Both the array and the archive's directory claim 64 TiB, in 300 bytes."""
        path = tmp_path / "f.npz"
        claimed = npy_bytes((1 << 35, 512), b"\0" * 140)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("features.npy", claimed)
            archive.getinfo("features.npy").file_size = len(claimed) - 140 + (1 << 46)
            archive.getinfo("features.npy").compress_size = 1 << 46
        with pytest.raises(InputError, match=r"claims float32 .* bytes, but there are \d{3};"):
            load_features(path)

    def test_damaged_values(self, tmp_path, faces):
        path = tmp_path / "f.npz"
        save_features(path, faces)
        content = bytearray(path.read_bytes())
        content[content.index(faces.tobytes()) + 20] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"not a readable \.npz file.*CRC"):
            load_features(path)

    def test_no_such_array(self, tmp_path):
        np.savez(tmp_path / "f.npz", left=np.ones(3))
        with pytest.raises(InputError, match=r"no item named 'right\.npy'"):
            read_npz(tmp_path / "f.npz", "features", "right")


class TestBin:
    @pytest.mark.parametrize("expected", [{"dim": 5}, {"n_instances": 7}])
    def test_either_count_gives_the_shape(self, tmp_path, faces, expected):
        faces.astype("<f4").tofile(tmp_path / "f.bin")
        loaded = load_features(tmp_path / "f.bin", **expected)
        np.testing.assert_array_equal(loaded, normalize_features(faces))

    def test_normalized_file_stays_mapped(self, tmp_path, faces):
        save_features(tmp_path / "f.bin", normalize_features(faces))
        assert isinstance(load_features(tmp_path / "f.bin", dim=5), np.memmap)

    def test_needs_a_count(self, tmp_path, faces):
        save_features(tmp_path / "f.bin", faces)
        with pytest.raises(InputError, match=r"does not store its width.*--dim.*labels"):
            load_features(tmp_path / "f.bin")

    @pytest.mark.parametrize(
        ("expected", "message"),
        [
            ({"dim": 5}, "138 bytes are not a multiple of 20.*float32 per face.*dim=5 is wrong"),
            ({"n_instances": 7}, "138 bytes are not a multiple of 28.*n_instances=7 is wrong"),
        ],
    )
    def test_size_that_does_not_divide(self, tmp_path, faces, expected, message):
        (tmp_path / "f.bin").write_bytes(faces.tobytes()[:-2])
        with pytest.raises(InputError, match=message):
            load_features(tmp_path / "f.bin", **expected)

    def test_whole_rows_missing(self, tmp_path, faces):
        (tmp_path / "f.bin").write_bytes(faces.tobytes()[:-20])
        with pytest.raises(InputError, match=r"6 rows, but 7 expected; the file is truncated"):
            load_features(tmp_path / "f.bin", dim=5, n_instances=7)


class TestSafetensors:
    def test_file_of_another_tool(self, tmp_path, faces):
        arrays = {"embeddings": faces.astype(np.float16), "ids": np.arange(7)}
        safetensors.numpy.save_file(arrays, tmp_path / "f.safetensors", metadata={"format": "pt"})
        loaded = load_features(tmp_path / "f.safetensors")
        np.testing.assert_allclose(loaded, unit_rows(faces.astype(np.float16)), atol=ROUNDING)

    def test_several(self, tmp_path, faces):
        safetensors.numpy.save_file({"a": faces, "b": faces}, tmp_path / "f.safetensors")
        with pytest.raises(InputError, match=r"'a', 'b' could each be"):
            load_features(tmp_path / "f.safetensors")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("features", "not a readable .safetensors file .*bfloat16"),
            ("vectors", "no two-dimensional array of F16, F32 or F64"),
        ],
    )
    def test_type_that_numpy_does_not_know(self, tmp_path, name, message):
        path = tmp_path / "f.safetensors"
        entry = {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}
        header = json.dumps({name: entry}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
        with pytest.raises(InputError, match=message):
            load_features(path)


class TestParquet:
    def write(self, path: Path, /, **columns):
        pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=3)
        return path

    @pytest.mark.parametrize(
        "kind",
        [
            pa.list_(pa.float32()),
            pa.list_(pa.float64(), 5),
            pa.large_list(pa.float64()),
            pa.list_(pa.float16(), 5),
        ],
    )
    def test_kinds_of_lists(self, tmp_path, faces, kind):
        rows = faces.astype(np.float16)
        path = self.write(
            tmp_path / "f.parquet",
            path=[f"{row}.jpg" for row in range(7)],
            vectors=pa.array(list(rows), type=kind),
        )
        np.testing.assert_allclose(load_features(path), unit_rows(rows), atol=ROUNDING)

    def test_named_among_several(self, tmp_path, faces):
        path = self.write(tmp_path / "f.parquet", a=list(faces + 1), embedding=list(faces))
        np.testing.assert_array_equal(load_features(path), normalize_features(faces))

    def test_several(self, tmp_path, faces):
        path = self.write(tmp_path / "f.parquet", a=list(faces), b=list(faces))
        with pytest.raises(InputError, match=r"'a', 'b' could each.*'features' or 'embedding'"):
            load_features(path)

    def test_plain_columns(self, tmp_path, faces):
        path = self.write(tmp_path / "f.parquet", x=faces[:, 0], y=faces[:, 1])
        with pytest.raises(InputError, match=r"no column that holds one list of floats per face"):
            load_features(path)

    @pytest.mark.parametrize("bad_row", [0, 4])
    def test_missing_list(self, tmp_path, faces, bad_row):
        rows = [None if row == bad_row else face for row, face in enumerate(faces)]
        path = self.write(tmp_path / "f.parquet", features=rows)
        with pytest.raises(InputError, match=f"row {bad_row} holds no list.*Drop"):
            load_features(path)

    def test_uneven_lists(self, tmp_path, faces):
        rows = [face[:3] if row == 4 else face for row, face in enumerate(faces)]
        path = self.write(tmp_path / "f.parquet", features=rows)
        with pytest.raises(InputError, match=r"row 4 holds 3 values, row 0 5; all rows need"):
            load_features(path)

    def test_missing_value(self, tmp_path):
        path = self.write(tmp_path / "f.parquet", features=[[1.0, 2.0], [None, 1.0]])
        with pytest.raises(InputError, match=r"row 1 holds nan in column 0"):
            load_features(path)

    def test_no_rows(self, tmp_path):
        empty = pa.array([], type=pa.list_(pa.float32()))
        with pytest.raises(InputError, match=r"at least one row"):
            load_features(self.write(tmp_path / "f.parquet", features=empty))
