import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import facelink.labels
from facelink.errors import InputError, OutputError
from facelink.labels import check_labels, check_labels_path, load_labels, save_labels

SUFFIXES = [".npy", ".npz", ".meta", ".txt", ".csv", ".parquet"]
LABELS = np.array([3, 0, 0, -1, 2**62, 3])


def file_with(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def table(path, /, **columns):
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=2)
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_loads_what_was_saved(self, tmp_path, suffix):
        path = tmp_path / f"labels{suffix}"
        save_labels(path, LABELS)
        loaded = load_labels(path)
        assert loaded.dtype == np.int64
        np.testing.assert_array_equal(loaded, LABELS)

    def test_text_formats(self, tmp_path):
        save_labels(tmp_path / "l.meta", np.array([[4], [2]], dtype=np.int32))
        save_labels(tmp_path / "l.csv", [4, 2])
        assert (tmp_path / "l.meta").read_bytes() == b"4\n2\n"
        assert (tmp_path / "l.csv").read_bytes() == b"index,label\n0,4\n1,2\n"

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch, suffix):
        path = tmp_path / f"labels{suffix}"
        path.write_bytes(b"old")

        def full_disk(temporary, labels):
            temporary.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setitem(facelink.labels._WRITERS, suffix, full_disk)
        with pytest.raises(OutputError, match=r"No space left on device.*unchanged"):
            save_labels(path, LABELS)
        assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
            (path.name, b"old")
        ]

    def test_saves_only_whole_numbers(self, tmp_path):
        with pytest.raises(InputError, match=r"labels: row 1 holds 0\.5"):
            save_labels(tmp_path / "l.npy", [1, 0.5])
        assert not list(tmp_path.iterdir())


class TestCheckLabelsPath:
    def test_good_place_stays_untouched(self, tmp_path):
        check_labels_path(tmp_path / "l.csv")
        assert not list(tmp_path.iterdir())

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"unknown kind of file '\.json'; choose one of \.npy"):
            check_labels_path(tmp_path / "l.json")

    def test_below_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match=r"cannot write .*l\.npy"):
            check_labels_path(tmp_path / "file" / "l.npy")


class TestCheckLabels:
    def test_equal_counts_pass(self):
        check_labels(LABELS, 6)

    def test_counts_differ(self):
        with pytest.raises(InputError, match=r"labels_true: 6 labels for 7 faces"):
            check_labels(LABELS, 7, "labels_true")


class TestAnyFile:
    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"no such file"):
            load_labels(tmp_path / "l.npy")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_empty(self, tmp_path, suffix):
        path = file_with(tmp_path / f"l{suffix}", "")
        with pytest.raises(InputError, match=r"the file is empty \(0 bytes\)"):
            load_labels(path)

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(InputError, match=r"'\.json'; choose one of \.npy, \.npz, \.meta"):
            load_labels(tmp_path / "l.json")

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
    @pytest.mark.parametrize("n_kept", [3, 30, 100, -1])
    def test_truncated(self, tmp_path, suffix, n_kept):
        path = tmp_path / f"l{suffix}"
        save_labels(path, LABELS)
        path.write_bytes(path.read_bytes()[:n_kept])
        with pytest.raises(InputError, match=r"truncated"):
            load_labels(path)


class TestArrays:
    @pytest.mark.parametrize("dtype", [np.int16, np.uint64, np.float32, ">i4"])
    @pytest.mark.parametrize("shape", [(3,), (3, 1)])
    def test_kinds_of_whole_numbers(self, tmp_path, dtype, shape):
        np.save(tmp_path / "l.npy", np.array([7, 0, 7], dtype=dtype).reshape(shape))
        np.testing.assert_array_equal(load_labels(tmp_path / "l.npy"), [7, 0, 7])

    def test_named_among_several(self, tmp_path):
        np.savez(tmp_path / "l.npz", ids=np.arange(3), labels=[5, 6, 5])
        np.testing.assert_array_equal(load_labels(tmp_path / "l.npz"), [5, 6, 5])

    def test_several(self, tmp_path):
        np.savez(tmp_path / "l.npz", first=np.arange(3), second=np.arange(3))
        with pytest.raises(
            InputError, match=r"'first', 'second' could each be the array of labels"
        ):
            load_labels(tmp_path / "l.npz")

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.array([1, 2.5]), r"row 1 holds 2\.5; every face needs a whole number"),
            (np.array([1, np.nan]), "row 1 holds nan"),
            (np.array([1, np.inf]), "row 1 holds inf"),
            (np.array([1, 2.0**63]), r"row 1 holds 9\.22"),
            (np.array([1, 2**63], dtype=np.uint64), "row 1 holds 9223372036854775808"),
            (np.array(["Ann", "Bo"]), "values of type <U3; whole numbers needed.*CSV"),
            (np.array([True]), "values of type bool"),
            (np.zeros((3, 2), dtype=int), r"shape \(3, 2\); labels need the shape \(N,\) or"),
            (np.array(3), r"shape \(\); labels need"),
            (np.zeros(0, dtype=int), "no labels in the file"),
            (np.array([1, None]), "holds pickled Python objects.*save it again"),
        ],
    )
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_bad_values(self, tmp_path, suffix, values, message):
        path = tmp_path / f"l{suffix}"
        (np.save if suffix == ".npy" else np.savez)(path, values)
        with pytest.raises(InputError, match=message):
            load_labels(path)


class TestLines:
    @pytest.mark.parametrize(
        "text", ["5\n-1\n5", "5\n-1\n5\n", "5\r\n-1\r\n5\r\n\r\n", " 5\n-1\n5 "]
    )
    def test_one_integer_per_line(self, tmp_path, text):
        path = file_with(tmp_path / "l.meta", text)
        np.testing.assert_array_equal(load_labels(path), [5, -1, 5])

    @pytest.mark.parametrize(
        "bad", ["Ann", "2.0", "", "1 2", "1_000", str(2**63), "nan", "9" * 5000]
    )
    def test_bad_line(self, tmp_path, bad):
        path = file_with(tmp_path / "l.txt", f"0\n{bad}\n1\n")
        message = f"line 2 holds '{bad[:40]}'; every line needs one integer"
        with pytest.raises(InputError, match=message):
            load_labels(path)

    def test_only_blank_lines(self, tmp_path):
        with pytest.raises(InputError, match=r"no labels in the file"):
            load_labels(file_with(tmp_path / "l.meta", "\n\n"))

    def test_no_text(self, tmp_path):
        (tmp_path / "l.meta").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match=r"not a readable text file"):
            load_labels(tmp_path / "l.meta")


class TestCsv:
    def load(self, tmp_path, text, encoding="utf-8"):
        return load_labels(file_with(tmp_path / "l.csv", text, encoding)).tolist()

    @pytest.mark.parametrize("name", ["label", "labels", "person", "identity", "cluster"])
    def test_known_names(self, tmp_path, name):
        assert self.load(tmp_path, f"score,{name}\n9,4\n9,2\n") == [4, 2]

    @pytest.mark.parametrize("header", ["id,group", "path,group", ",group", " group ,path"])
    def test_only_other_column(self, tmp_path, header):
        cells = ["4,x", "2,y"] if header.startswith(" ") else ["x,4", "y,2"]
        assert self.load(tmp_path, "\n".join([header, *cells])) == [4, 2]

    def test_names_are_numbered_by_first_appearance(self, tmp_path):
        text = 'person\nBo\n"Ann, B."\n Bo\n7\n'
        assert self.load(tmp_path, text) == [0, 1, 0, 2]

    def test_names_with_underscores_are_not_numbers(self, tmp_path):
        assert self.load(tmp_path, "person\n1_1\n11\n1_1\n") == [0, 1, 0]

    def test_whole_floats(self, tmp_path):
        assert self.load(tmp_path, "label\n4.0\n2e1\n") == [4, 20]

    def test_blank_lines_at_the_end(self, tmp_path):
        assert self.load(tmp_path, "label\r\n4\r\n\r\n\n") == [4]

    def test_byte_order_mark(self, tmp_path):
        assert self.load(tmp_path, "label\r\n4\r\n", encoding="utf-8-sig") == [4]

    def test_index_gives_the_order(self, tmp_path):
        assert self.load(tmp_path, "index,person\n2,Ann\n0,Bo\n1,Ann\n") == [1, 0, 0]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("label\n", "no labels in the file"),
            ("\n", "first line, '', is no header"),
            ("0\n1\n", "first line, '0', is no header"),
            ("0,7\n1,7\n", "first line, '0,7', is no header"),
            ("label,cluster\n1,2\n", "'label', 'cluster' could each be the column of labels"),
            ("group,score\n1,2\n", "'group', 'score' could each be.*call one 'label' or"),
            ("index,path\n1,2\n", "no column of labels"),
            ("label\n1\n2.5\n", r"column 'label': row 1 holds 2\.5"),
            ("label\n1\nnan\n", "column 'label': row 1 holds nan"),
            ("label,x\n1,2\n,3\n", "column 'label': row 1 has no label"),
            ("person,x\nAnn,2\n ,3\n", "column 'person': row 1 has no label"),
            ("label,x\n1,2\n3\n", "line 3 has 1 values, but the header names 2 columns"),
            ("label\n1\n\n2\n", "line 3 has 0 values, but the header names 1 columns"),
            ("label\n1,2\n", "line 2 has 2 values, but the header names 1 columns"),
            ("index,label\n0,1\n0,2\n", "0 to 1 once, but 0 stands where 1 should"),
            ("index,label\n1,1\n2,2\n", "0 to 1 once, but 1 stands where 0 should"),
            ("index,label\na,1\nb,2\n", "column 'index': values of type object; whole numbers"),
            (f"label\n{'9' * 200_000}\n", "field larger than field limit"),
            (f"label\n{2**63}\n", r"row 0 holds 9\.22"),
        ],
    )
    def test_bad_file(self, tmp_path, text, message):
        with pytest.raises(InputError, match=message):
            self.load(tmp_path, text)


class TestParquet:
    @pytest.mark.parametrize(
        ("column", "expected"),
        [
            (pa.array([4, 2, 4], type=pa.int8()), [4, 2, 4]),
            (pa.array([4.0, 2.0, 4.0]), [4, 2, 4]),
            (pa.array(["Bo", "Ann", "Bo"]), [0, 1, 0]),
            (pa.array(["Bo", "Ann", "Bo"], type=pa.large_string()), [0, 1, 0]),
            (pa.array(["Bo", "Ann", "Bo"]).dictionary_encode(), [0, 1, 0]),
        ],
    )
    def test_kinds_of_columns(self, tmp_path, column, expected):
        path = table(tmp_path / "l.parquet", path=["a", "b", "c"], person=column)
        assert load_labels(path).tolist() == expected

    def test_index_gives_the_order(self, tmp_path):
        path = table(tmp_path / "l.parquet", label=[7, 8, 9], index=[2, 0, 1])
        assert load_labels(path).tolist() == [8, 9, 7]

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"label": [1, None, 2]}, "column 'label': row 1 has no value"),
            ({"label": ["Ann", None]}, "column 'label': row 1 has no value"),
            ({"label": ["Ann", ""]}, "column 'label': row 1 has no label"),
            ({"label": [1.0, 2.5]}, r"row 1 holds 2\.5"),
            ({"label": [True, False]}, "values of type bool; whole numbers or text needed"),
            ({"label": [[1], [2]]}, "values of type list<.*whole numbers or text needed"),
            ({"label": [1, 2], "index": [0, None]}, "column 'index': row 1 has no value"),
            ({"label": [1, 2], "index": [5, 0]}, "0 to 1 once, but 5 stands where 1 should"),
            ({"a": [1], "b": [2]}, "'a', 'b' could each be the column of labels"),
            ({"label": pa.array([], type=pa.int64())}, "no labels in the file"),
        ],
    )
    def test_bad_file(self, tmp_path, columns, message):
        with pytest.raises(InputError, match=message):
            load_labels(table(tmp_path / "l.parquet", **columns))
